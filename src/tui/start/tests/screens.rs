//! What is seen.

use ratatui::style::{Color, Modifier};

use super::*;

/// One snapshot of the state at each of the three sizes.
fn snapshots(name: &str, start: &mut Start) {
    for (width, height) in [(120, 36), (80, 24), (60, 16)] {
        update(start, Message::Resized(Rect::new(0, 0, width, height)));
        let screen = drawn(start, (width, height)).to_string();
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen);
    }
}

#[test]
fn empty_screens() {
    let mut start = opened();
    list(&mut start, FOLDER, listing(&[], &[]));
    snapshots("empty", &mut start);
}

#[test]
fn browsing_screens() {
    let mut start = browsing();
    press(&mut start, KeyCode::End);
    see(&mut start, "tower.jpg", Ok(thumbnail((4000, 3000))));
    snapshots("browsing", &mut start);
}

#[test]
fn filter_screens() {
    let mut start = browsing();
    type_text(&mut start, "photo");
    snapshots("filter", &mut start);
}

#[test]
fn chosen_screens() {
    snapshots("chosen", &mut chosen());
}

#[test]
fn error_screens() {
    let mut start = chosen();
    start.error = Some(
        "Not enough memory on the device: this preset needs 93 GB at its largest size and 79 GB \
         are free. Choose a preset with a smaller schedule, or pass --size."
            .to_owned(),
    );
    snapshots("error", &mut start);
}

#[test]
fn help_screens() {
    let mut start = browsing();
    press(&mut start, KeyCode::Char('?'));
    snapshots("help", &mut start);
}

/// The cell where a text begins, and how it looks there.
fn style_of(backend: &TestBackend, text: &str) -> (Modifier, Color, Color) {
    let buffer = backend.buffer();
    for y in 0..buffer.area.height {
        let row: Vec<&str> = (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect();
        if let Some(bytes) = row.concat().find(text) {
            let x = row.concat()[..bytes].chars().count() as u16;
            let cell = &buffer[(x, y)];
            return (cell.modifier, cell.fg, cell.bg);
        }
    }
    panic!("no {text} in\n{backend}");
}

#[test]
fn what_is_selected_and_what_failed_stand_out() {
    let mut start = browsing();
    start.error = Some("It failed.".to_owned());
    press(&mut start, KeyCode::Down);
    let screen = drawn(&start, (80, 24));
    assert!(
        style_of(&screen, "  paintings/")
            .0
            .contains(Modifier::REVERSED)
    );
    assert!(
        !style_of(&screen, "  holiday/")
            .0
            .contains(Modifier::REVERSED)
    );
    assert_eq!(style_of(&screen, "It failed.").1, Color::Red);
    press(&mut start, KeyCode::End);
    see(&mut start, "tower.jpg", Err("It is cut short.".to_owned()));
    let screen = drawn(&start, (80, 24));
    assert_eq!(style_of(&screen, "It is cut short.").1, Color::Red);
    assert_eq!(style_of(&screen, "this one cannot").1, Color::Yellow);
}

#[test]
fn a_thumbnail_has_its_colours() {
    let mut start = browsing();
    press(&mut start, KeyCode::End);
    see(&mut start, "tower.jpg", Ok(thumbnail((40, 30))));
    let screen = drawn(&start, (80, 24));
    let (_, top, bottom) = style_of(&screen, "▀");
    assert_eq!(
        (top, bottom),
        (Color::Rgb(90, 140, 220), Color::Rgb(90, 140, 220))
    );
}

#[test]
fn ascii_is_ascii_on_every_screen() {
    let mut start = chosen();
    start.error = Some("It failed.".to_owned());
    for key in [KeyCode::Tab, KeyCode::Tab, KeyCode::Tab, KeyCode::Char('?')] {
        for size in [(120, 36), (80, 24), (60, 16), (40, 10)] {
            let screen = drawn_in(&start, size, Colours::True, true);
            for cell in &screen.buffer().content {
                assert!(cell.symbol().is_ascii(), "{screen}");
            }
        }
        press(&mut start, key);
    }
}

#[test]
fn a_list_that_is_cut_says_so() {
    let mut start = opened();
    let cut = Listing {
        cut: true,
        ..pictures()
    };
    list(&mut start, FOLDER, cut);
    let screen = drawn(&start, (80, 24)).to_string();
    assert!(
        screen.contains("Only the first 20000 are listed."),
        "{screen}"
    );
    assert!(drawn(&start, (60, 16)).to_string().contains("to another."));
}

#[test]
fn a_small_window_is_reported_so() {
    let screen = drawn(&browsing(), (40, 10)).to_string();
    assert!(screen.contains("needs 60×16"), "{screen}");
}

#[test]
fn no_size_is_too_small_to_draw() {
    let mut help = chosen();
    press(&mut help, KeyCode::Char('?'));
    let mut failed = chosen();
    press(&mut failed, KeyCode::Tab);
    failed.error = Some("word ".repeat(200));
    for start in [&mut help, &mut failed, &mut browsing(), &mut opened()] {
        for width in 0..130 {
            for height in 0..40 {
                if width % 7 == 0 || height % 9 == 0 || width == 60 {
                    update(start, Message::Resized(Rect::new(0, 0, width, height)));
                    drawn(start, (width, height));
                    layout::target(start, Rect::new(0, 0, width, height), width / 2, height / 2);
                }
            }
        }
    }
}
