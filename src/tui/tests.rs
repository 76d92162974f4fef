//! Whole screens, and the pieces that tests of the dashboard share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::App;
use super::theme::Theme;
use super::update::{Effect, Message, update};
use super::view;
use crate::job::{DeviceChoice, Job};
use crate::picture::{Picture, Source};
use crate::preset::Preset;
use crate::preview::pane::Pane;
use crate::preview::terminal::{Colours, Graphics};
use crate::protocol::{Event, LayerLosses, Step};

/// A dashboard on a job of two small pictures.
pub fn app() -> App {
    let source = |name: &str| Source {
        picture: Picture::from_rgb8(4, 3, &[120; 36]).expect("a picture"),
        path: PathBuf::from("pictures").join(name),
        sha256: String::new(),
    };
    App::new(&Job {
        preset: Preset::default(),
        content: source("tower.jpg"),
        style: source("night.jpg"),
        start: None,
        device: DeviceChoice::Cpu,
        output: PathBuf::from("tower-night.png"),
    })
}

/// An iteration with made-up losses that fall.
pub fn step(iteration: u32) -> Step {
    let fall = f64::from(iteration);
    let layers = |names: &[&str], loss: f64| -> BTreeMap<_, _> {
        names
            .iter()
            .map(|name| (name.parse().expect("a layer"), loss))
            .collect()
    };
    let (content, style, smoothness) = (3e5, 4e6 / fall, 2e4);
    Step {
        iteration,
        scale: if iteration > 150 { 2 } else { 1 },
        width: 256,
        height: 171,
        content,
        style,
        smoothness,
        total: content + style + smoothness,
        elapsed: fall / 10.0,
        layers: LayerLosses {
            content: layers(&["relu4_2"], content / 5.0),
            style: layers(
                &["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
                style / 250.0,
            ),
        },
    }
}

pub fn press(app: &mut App, code: KeyCode) -> Vec<Effect> {
    update(app, Message::Key(KeyEvent::from(code)))
}

pub fn type_text(app: &mut App, text: &str) {
    for character in text.chars() {
        press(app, KeyCode::Char(character));
    }
}

/// A dashboard two hundred iterations on.
fn running() -> App {
    let mut app = app();
    app.device = Some("cpu".to_owned());
    for iteration in 1..=200 {
        update(&mut app, Message::Event(Event::Step(step(iteration))));
    }
    update(
        &mut app,
        Message::Pace {
            speed: Some(11.7),
            left: Some(83.0),
        },
    );
    app
}

fn screen(app: &App, size: (u16, u16)) -> String {
    drawn(app, size).to_string()
}

fn drawn(app: &App, (width, height): (u16, u16)) -> TestBackend {
    let mut pane = Pane::new(Graphics::HalfBlocks, None, Colours::True, false);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let theme = Theme::new(Colours::True, false);
    terminal
        .draw(|frame| view::draw(frame, app, &mut pane, &theme))
        .expect("a screen");
    terminal.backend().clone()
}

const SIZES: [(u16, u16); 3] = [(120, 36), (80, 24), (60, 16)];

/// One snapshot of the state at each of the three sizes.
fn snapshots(name: &str, app: &App) {
    for size in SIZES {
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), screen(app, size));
    }
}

#[test]
fn running_screens() {
    snapshots("running", &running());
}

#[test]
fn preparing_screens() {
    snapshots("preparing", &app());
}

#[test]
fn paused_screens() {
    let mut app = running();
    update(&mut app, Message::Event(Event::Paused { iteration: 200 }));
    snapshots("paused", &app);
}

#[test]
fn failed_screens() {
    let mut app = running();
    let message = "out of memory: tried to allocate 9 GiB".to_owned();
    update(
        &mut app,
        Message::Event(Event::Failed {
            message,
            output: None,
        }),
    );
    snapshots("failed", &app);
}

#[test]
fn editing_screens() {
    let mut app = running();
    press(&mut app, KeyCode::Down);
    type_text(&mut app, "2.5");
    snapshots("editing", &app);
}

#[test]
fn help_screens() {
    let mut app = running();
    press(&mut app, KeyCode::Char('?'));
    snapshots("help", &app);
}

#[test]
fn preset_screens() {
    let mut app = running();
    let folder = tempfile::tempdir().expect("a folder");
    let library = crate::preset::Library::with_user_folder(folder.path().to_owned());
    update(&mut app, Message::Presets(library.list()));
    type_text(&mut app, "st");
    snapshots("presets", &app);
}

#[test]
fn no_size_is_too_small_to_draw() {
    let mut app = running();
    for overlay in ["", "?", "q", "S"] {
        type_text(&mut app, overlay);
        for width in (0..130).step_by(7) {
            for height in 0..40 {
                drawn(&app, (width, height));
            }
        }
        press(&mut app, KeyCode::Esc);
    }
}

#[test]
fn a_small_window_is_told_so() {
    assert!(screen(&running(), (40, 10)).contains("needs 60×16"));
}
