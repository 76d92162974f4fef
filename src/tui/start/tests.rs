//! The pieces that tests of the start screen share.

mod choosing;
mod random;
mod screens;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use image::{Rgb, RgbImage};
use impasto_graphics::terminal::Colours;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::*;
use crate::tui::theme::{Palette, Theme};
use crate::tui::view::start as view;

const FOLDER: &str = "/home/ann/pictures";

fn press(start: &mut Start, code: KeyCode) -> Vec<Effect> {
    update(start, Message::Key(KeyEvent::from(code)))
}

fn control(start: &mut Start, key: char) -> Vec<Effect> {
    let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
    update(start, Message::Key(event))
}

fn type_text(start: &mut Start, text: &str) {
    for character in text.chars() {
        press(start, KeyCode::Char(character));
    }
}

fn listing(folders: &[&str], pictures: &[&str]) -> Listing {
    let item = |name: &&str, folder| Item {
        name: name.into(),
        shown: (*name).to_owned(),
        folder,
    };
    let folders = folders.iter().map(|name| item(name, true));
    let pictures = pictures.iter().map(|name| item(name, false));
    Listing {
        items: folders.chain(pictures).collect(),
        others: 12,
        cut: false,
    }
}

fn pictures() -> Listing {
    listing(
        &["holiday", "paintings"],
        &[
            "bridge.png",
            "night.jpg",
            "photo2.jpg",
            "photo10.jpg",
            "tower.jpg",
        ],
    )
}

/// A picture of two colours, one above the other.
fn thumbnail(size: (u32, u32)) -> Thumbnail {
    let (width, height) = (32, 24);
    let pixels = RgbImage::from_fn(width, height, |_, y| {
        Rgb(if y < 12 {
            [90, 140, 220]
        } else {
            [60, 110, 40]
        })
    });
    Thumbnail {
        pixels: Arc::new(pixels),
        measure: Measure {
            width: size.0,
            height: size.1,
            bytes: 2_400_000,
        },
    }
}

fn see(start: &mut Start, name: &str, result: Result<Thumbnail, String>) -> Vec<Effect> {
    let path = Path::new(FOLDER).join(name);
    update(start, Message::Thumbnail { path, result })
}

fn presets() -> Vec<Row> {
    let row = |name: &str, own, description: Result<&str, &str>| Row {
        name: name.to_owned(),
        shown: name.to_owned(),
        own,
        origin: if own { "yours" } else { "built in" }.to_owned(),
        description: description.map(str::to_owned).map_err(str::to_owned),
    };
    vec![
        row("bold", false, Ok("Broad strokes and strong colours.")),
        row(
            "broken",
            true,
            Err("broken.yaml:1:1: there is no key `sede`"),
        ),
        row("default", false, Ok("A good beginning for most pictures.")),
        row("mine", true, Ok("Soft, with fine strokes.")),
    ]
}

fn list(start: &mut Start, folder: &str, listing: Listing) -> Vec<Effect> {
    let (folder, result) = (PathBuf::from(folder), Ok(listing));
    update(start, Message::Listed { folder, result })
}

/// The screen before anything was read.
fn opened() -> Start {
    let mut start = Start::new(FOLDER.into(), None, None, None);
    start.presets.rows = presets();
    start.presets.find();
    start.presets.list.select(2);
    start.notes = vec![
        "painting on an NVIDIA H100, 79 GB free".to_owned(),
        "networks at hand: vgg16, vgg19".to_owned(),
    ];
    update(&mut start, Message::Opened);
    start
}

/// The screen in a folder of pictures.
fn browsing() -> Start {
    let mut start = opened();
    list(&mut start, FOLDER, pictures());
    start
}

/// With all three chosen.
fn chosen() -> Start {
    let mut start = browsing();
    for name in ["tower.jpg", "night.jpg"] {
        type_text(&mut start, &name[..5]);
        see(&mut start, name, Ok(thumbnail((4000, 3000))));
        press(&mut start, KeyCode::Enter);
    }
    start
}

fn at(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn selected(start: &Start) -> Option<&str> {
    let slot = start.slot(start.step)?;
    slot.selected().map(|item| item.shown.as_str())
}

fn asks(request: Request) -> Vec<Effect> {
    vec![Effect::Ask(request)]
}

fn drawn(start: &Start, size: (u16, u16)) -> TestBackend {
    drawn_in(start, size, Colours::True, false)
}

fn drawn_in(start: &Start, size: (u16, u16), colours: Colours, ascii: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let theme = Theme::new(Palette::default(), colours, ascii);
    terminal
        .draw(|frame| view::draw(frame, start, &theme, colours))
        .unwrap();
    terminal.backend().clone()
}
