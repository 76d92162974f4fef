//! Whatever comes in.

use std::fs;

use impasto_core::preset::Library;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::tui::start::browser;
use crate::tui::start::gallery::MAX_LOOKS;

/// Answers the effects as the world would, at once.
fn answer(start: &mut Start, effects: Vec<Effect>, library: &Library) {
    for effect in effects {
        let message = match effect {
            Effect::Ask(Request::List(folder)) => {
                let result = browser::list(&folder);
                Message::Listed { folder, result }
            }
            Effect::Ask(Request::Find(path)) => {
                let result = Ok(if path.is_file() {
                    Found::Picture
                } else {
                    Found::Folder
                });
                Message::Found { path, result }
            }
            Effect::Ask(Request::Thumbnail(path)) => {
                let good = path.to_string_lossy().len() % 4 > 0;
                let result = if good {
                    Ok(thumbnail((9, 9)))
                } else {
                    Err("Broken.".to_owned())
                };
                Message::Thumbnail { path, result }
            }
            Effect::ListPresets => Message::Presets(library.list()),
            Effect::Paint { .. } | Effect::Suspend | Effect::Leave => continue,
        };
        let effects = update(start, message);
        answer(start, effects, library);
    }
}

#[test]
fn whatever_is_pressed_nothing_breaks() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    for index in 0..90 {
        fs::write(
            root.join(format!("a/photo{index}{}.png", "x".repeat(index))),
            "",
        )
        .unwrap();
    }
    fs::write(root.join("a/b/\u{1b}写真.jpg"), "").unwrap();
    let library = Library::with_user_folder(root.join("a"));
    let keys = [
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Enter,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Char('p'),
        KeyCode::Char('x'),
        KeyCode::Char('?'),
        KeyCode::Char('写'),
        KeyCode::F(5),
    ];
    let mut painted = 0;
    for seed in 0..12 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut start = Start::new(root.join("a"), None, None, None);
        let effects = update(&mut start, Message::Opened);
        answer(&mut start, effects, &library);
        for _ in 0..400 {
            let window = Rect::new(0, 0, random.gen_range(0..130), random.gen_range(0..40));
            let message = match random.gen_range(0..12) {
                0 => Message::Resized(window),
                1 => Message::Mouse(
                    MouseEvent {
                        kind: match random.gen_range(0..3) {
                            0 => MouseEventKind::ScrollUp,
                            1 => MouseEventKind::ScrollDown,
                            _ => MouseEventKind::Down(MouseButton::Left),
                        },
                        column: random.gen_range(0..130),
                        row: random.gen_range(0..40),
                        modifiers: KeyModifiers::NONE,
                    },
                    window,
                ),
                2 => Message::Paste(root.join("a").to_string_lossy().into_owned()),
                _ => Message::Key(keys[random.gen_range(0..keys.len())].into()),
            };
            let effects = update(&mut start, message);
            assert!(!effects.contains(&Effect::Leave));
            if let Some(Effect::Paint {
                content, styles, ..
            }) = effects.first()
            {
                painted += 1;
                for path in std::iter::once(content).chain(styles) {
                    assert!(path.is_file() && start.gallery.broken(path).is_none());
                }
            }
            // At times an answer is lost: another request took its place.
            if random.gen_range(0..10) > 0 {
                answer(&mut start, effects, &library);
            }
            for list in [&start.content.list, &start.style.list, &start.presets.list] {
                let rows = list.shown.len();
                assert!(list.selected < rows.max(1));
                for height in [0, 1, 7, 100] {
                    let first = list.first(height);
                    assert!(first <= list.selected);
                    assert!(height == 0 || list.selected < first + height);
                }
                assert!(!list.filter.chars().any(char::is_control));
            }
            assert!(start.gallery.count() <= MAX_LOOKS);
            if random.gen_range(0..8) == 0 {
                drawn(&start, (window.width, window.height));
            }
        }
    }
    assert!(painted > 0, "the keys got as far as painting");
}
