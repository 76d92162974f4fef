//! The pieces that tests of the contact sheet share.

mod choosing;
mod looping;
mod screens;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use image::{Rgb, RgbImage};
use impasto_graphics::terminal::Colours;
use impasto_runs::Losses;
use impasto_sweep::{CellState, Definition, Style, SweepFolder, Value};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::reader::Reading;
use super::sheet::{Look, Painters, Sheet};
use super::update::{Effect, Message, update};
use super::view;
use crate::tui::start::{Measure, Thumbnail};
use crate::tui::theme::{Palette, Theme};

/// A grid of so many contents and styles, and two weights where `vary`.
fn definition(contents: usize, styles: usize, vary: bool) -> Definition {
    let weights = (
        "style.weight".to_owned(),
        vec![Value::from(10), Value::from(50)],
    );
    Definition {
        contents: (0..contents)
            .map(|it| format!("/in/photo{it}.jpg"))
            .collect(),
        styles: (0..styles)
            .map(|it| {
                vec![Style {
                    path: format!("/in/style{it}.jpg"),
                    weight: None,
                }]
            })
            .collect(),
        preset: "default".to_owned(),
        vary: if vary { vec![weights] } else { Vec::new() },
        ..Definition::default()
    }
}

/// A folder for a sweep, of a name that is the same in every test.
struct Home {
    _folder: tempfile::TempDir,
    sweep: SweepFolder,
}

fn home(definition: &Definition) -> Home {
    let folder = tempfile::tempdir().unwrap();
    let sweep = SweepFolder::open_for(&folder.path().join("grid"), definition).unwrap();
    Home {
        _folder: folder,
        sweep,
    }
}

/// A sheet of a sweep whose cells are in states of all kinds.
fn mixed(home: &Home) -> Sheet {
    let mut index = home.sweep.index().unwrap();
    for cell in &mut index.cells {
        cell.state = match cell.number % 8 {
            0 | 1 => CellState::Done,
            2 => CellState::Painting,
            3 => CellState::Failed,
            4 => CellState::Paused,
            5 => CellState::Interrupted,
            6 => CellState::Stopped,
            _ => CellState::Waiting,
        };
        if cell.state == CellState::Waiting {
            continue;
        }
        cell.iterations = 500;
        cell.iteration = match cell.state {
            CellState::Done => 500,
            CellState::Failed => 7,
            _ => 230,
        };
        cell.seconds = f64::from(cell.iteration) / 10.0;
        cell.losses = Some(Losses {
            content: 1.5e4,
            style: 2.25e4,
            smoothness: 0.0,
            total: 3.75e4,
        });
        if cell.state == CellState::Failed {
            let words = "the content /in/photo0.jpg cannot be read: it ends early";
            cell.message = Some(words.to_owned());
        }
        if cell.state == CellState::Done {
            cell.scores.insert("ssim".to_owned(), Value::from(0.4375));
        }
    }
    let mut sheet = Sheet::new(home.sweep.clone());
    update(
        &mut sheet,
        Message::Reading(Reading::Index(Ok(Box::new(index)))),
    );
    sheet
}

/// Shows the small pictures that the sheet asks for, where the cell has one.
fn see_all(sheet: &mut Sheet) {
    for wanted in sheet.wanted() {
        let state = sheet.entries[wanted.number].state;
        if matches!(state, CellState::Done | CellState::Painting) {
            let look = Some(Look::Whole(thumbnail()));
            update(sheet, Message::Reading(Reading::Look { wanted, look }));
        }
    }
}

/// A picture of two colours, one above the other.
fn thumbnail() -> Thumbnail {
    let colours = [Rgb([90, 140, 220]), Rgb([60, 110, 40])];
    let pixels = RgbImage::from_fn(32, 24, |_, y| colours[usize::from(y >= 12)]);
    Thumbnail {
        pixels: Arc::new(pixels),
        measure: Measure {
            width: 512,
            height: 384,
            bytes: 1 << 20,
        },
    }
}

fn painted_here(sheet: &mut Sheet) {
    let painters = Painters {
        here: 1,
        starting: false,
        elsewhere: vec!["node7".to_owned()],
    };
    update(sheet, Message::Painters(painters));
}

fn press(sheet: &mut Sheet, code: KeyCode) -> Vec<Effect> {
    update(sheet, Message::Key(KeyEvent::from(code)))
}

fn control(sheet: &mut Sheet, key: char) -> Vec<Effect> {
    let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
    update(sheet, Message::Key(event))
}

fn resize(sheet: &mut Sheet, width: u16, height: u16) {
    update(sheet, Message::Resized(Rect::new(0, 0, width, height)));
}

fn drawn(sheet: &Sheet, ascii: bool) -> TestBackend {
    let window = sheet.window;
    let backend = TestBackend::new(window.width, window.height);
    let mut terminal = Terminal::new(backend).unwrap();
    let theme = Theme::new(Palette::Umber, Colours::True, ascii);
    terminal
        .draw(|frame| view::draw(frame, sheet, &theme, Colours::True))
        .unwrap();
    terminal.backend().clone()
}
