//! Whole screens, and the pieces that tests of the dashboard share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent};
use impasto_core::job::{Compute, DeviceChoice, Job, Overrides, PictureFile, Plan, Size};
use impasto_core::picture::{Picture, Source};
use impasto_core::preset::{Preset, Scale};
use impasto_core::protocol::{Event, LayerLosses, Memory, Step};
use impasto_graphics::terminal::{Colours, Graphics};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::app::App;
use super::theme::{Palette, Theme};
use super::update::{Effect, Message, update};
use super::view;
use crate::tui::pane::Pane;

pub(super) mod fake;
mod remote;
pub(super) mod whole;

/// A plan for two pictures that are not there.
pub fn plan() -> Plan {
    let picture = |name: &str| PictureFile::At(PathBuf::from("pictures").join(name));
    Plan {
        preset: Preset::default(),
        content: picture("tower.jpg"),
        style: picture("night.jpg"),
        more_styles: Vec::new(),
        compute: Compute {
            device: DeviceChoice::Cpu,
            ..Compute::default()
        },
        output: PathBuf::from("tower-night.png"),
        preset_name: None,
        overrides: Overrides::default(),
    }
}

/// A dashboard that has just opened.
pub fn app() -> App {
    App::new(&plan())
}

/// A job on two pictures of one colour.
pub fn job() -> Job {
    let picture = Picture::from_rgb8(64, 48, &[90; 64 * 48 * 3]).expect("a picture");
    let source = Source {
        picture,
        path: PathBuf::from("tower.png"),
        sha256: "0".repeat(64),
    };
    let plan = plan();
    Job {
        preset: plan.preset,
        content: source.clone(),
        style: source,
        more_styles: Vec::new(),
        start: None,
        masks: Vec::new(),
        compute: plan.compute,
        output: plan.output,
    }
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
        rejected_total: None,
        elapsed: fall / 10.0,
        layers: LayerLosses {
            content: layers(&["relu4_2"], content / 5.0),
            style: layers(
                &["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
                style / 250.0,
            ),
            laplacian: None,
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
pub fn running() -> App {
    let mut app = app();
    app.device = Some("cpu".to_owned());
    app.sizes = [(128, 85, 150), (256, 171, 150), (512, 341, 100)]
        .map(|(width, height, iterations)| Size {
            width,
            height,
            iterations,
        })
        .to_vec();
    app.memory = Some(Memory {
        used_bytes: 1_400_000_000,
        total_bytes: 24 << 30,
    });
    app.drawn_as = "half-blocks".to_owned();
    app.bytes_per_second = 14_200.0;
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
    let theme = Theme::new(Palette::default(), Colours::True, false);
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
    let mut app = app();
    for what in [
        "reading tower.jpg",
        "reading night.jpg",
        "finding the processor",
    ] {
        let what = what.to_owned();
        let event = Event::Preparing {
            what,
            step: 1,
            of: 6,
        };
        update(&mut app, Message::Event(event));
    }
    snapshots("preparing", &app);
}

#[test]
fn finished_screens() {
    let mut app = running();
    let finished = Event::Finished {
        output: Some(PathBuf::from("pictures/of/a/long/name/tower-night.png")),
        iterations: 200,
        elapsed: 20.0,
        stopped: true,
        saved: None,
    };
    update(&mut app, Message::Event(finished));
    snapshots("finished", &app);
}

/// A dashboard on a run that another process paints.
pub fn remote(steers: bool) -> App {
    let mut app = running();
    let called = "tower-night".to_owned();
    update(&mut app, Message::Joined { called, steers });
    app
}

#[test]
fn leaving_screens() {
    let mut app = remote(true);
    press(&mut app, KeyCode::Char('q'));
    snapshots("leaving", &app);
}

#[test]
fn the_question_of_leaving_says_what_is_so() {
    let mut app = remote(true);
    update(&mut app, Message::Event(Event::Paused { iteration: 200 }));
    press(&mut app, KeyCode::Char('q'));
    assert!(screen(&app, (80, 24)).contains("detach, paused"));
    let mut app = self::app();
    let called = "a".repeat(76) + "-end";
    let steers = true;
    update(&mut app, Message::Joined { called, steers });
    press(&mut app, KeyCode::Char('q'));
    let screen = screen(&app, (60, 16));
    assert!(screen.contains("nothing is painted yet"), "{screen}");
    assert!(screen.contains("go back"), "{screen}");
    assert!(screen.contains("-end"), "{screen}");
}

#[test]
fn watching_screens() {
    snapshots("watching", &remote(false));
}

#[test]
fn a_broken_line_is_reported() {
    let mut app = remote(true);
    update(&mut app, Message::Lost);
    let screen = screen(&app, (80, 24));
    assert!(screen.contains("the line to the run broke"), "{screen}");
    assert!(!screen.contains("no picture"), "nobody knows that");
}

#[test]
fn settings_screens() {
    let mut app = running();
    press(&mut app, KeyCode::Char('e'));
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Right);
    snapshots("settings", &app);
}

#[test]
fn several_styles_are_named_and_weighed() {
    let mut app = running();
    app.styles = vec!["night.jpg".to_owned(), "a-wave-of-kanagawa.jpg".to_owned()];
    app.preset.content.laplacian = 100.0;
    snapshots("styles", &app);
}

#[test]
fn restart_screens() {
    let mut app = running();
    let other = Preset {
        name: "poster".to_owned(),
        schedule: vec![Scale {
            size: 1536,
            iterations: 300,
        }],
        ..app.preset.clone()
    };
    update(&mut app, Message::Loaded(Ok(Box::new(other))));
    snapshots("restart", &app);
}

#[test]
fn mistake_screens() {
    let mut app = running();
    let text = "style:\n  layers: {relu3_4: 1}\n";
    let error = Preset::from_yaml(text, "mine.yaml").expect_err("a mistake");
    update(&mut app, Message::PresetFile(Err(error.to_string())));
    snapshots("mistake", &app);
}

#[test]
fn layer_screens() {
    let mut app = running();
    press(&mut app, KeyCode::Char('a'));
    snapshots("layers", &app);
}

#[test]
fn message_screens() {
    let mut app = running();
    app.note("snapshot saved", false);
    app.note(
        "the line search gave up; going on by steepest descent",
        true,
    );
    press(&mut app, KeyCode::Char('i'));
    snapshots("messages", &app);
}

#[test]
fn zoomed_screens() {
    let mut app = running();
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Char('z'));
    snapshots("zoomed", &app);
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
            refused: false,
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
    let library = impasto_core::preset::Library::with_user_folder(folder.path().to_owned());
    update(&mut app, Message::Presets(library.list()));
    type_text(&mut app, "st");
    snapshots("presets", &app);
}

#[test]
fn no_size_is_too_small_to_draw() {
    let mut app = running();
    let called = "tower-night".to_owned();
    let steers = true;
    update(&mut app, Message::Joined { called, steers });
    for overlay in ["", "?", "q", "S", "a", "r", "i", "z"] {
        type_text(&mut app, overlay);
        for width in (0..130).step_by(7) {
            for height in 0..40 {
                drawn(&app, (width, height));
            }
        }
        press(&mut app, KeyCode::Esc);
    }
}

/// The style of the cell where `words` begin.
fn style_of(backend: &TestBackend, words: &str) -> Style {
    let text = backend.to_string();
    let buffer = backend.buffer();
    for (y, line) in text.lines().enumerate() {
        // Each line is quoted.
        let line = line.trim_start_matches('"');
        if let Some(byte) = line.find(words) {
            let x = Line::raw(&line[..byte]).width();
            return buffer[(x as u16, y as u16)].style();
        }
    }
    panic!("no {words} in\n{text}");
}

#[test]
fn colours_say_what_is_what() {
    let theme = Theme::new(Palette::default(), Colours::True, false);
    let mut app = running();
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Char('>'));
    press(&mut app, KeyCode::Down);
    app.note("careful", true);
    let screen = drawn(&app, (120, 36));
    let foreground = |words: &str| style_of(&screen, words).fg;
    let is = |style: Style| Some(style.fg.unwrap_or(Color::Reset));
    assert_eq!(foreground("tower.jpg"), is(theme.content));
    assert_eq!(foreground("night.jpg"), is(theme.style));
    assert_eq!(foreground("careful"), is(theme.warning));
    assert_eq!(foreground("painting "), is(theme.good));
    // The selected row stands out, and so does the weight that was changed.
    let selected = style_of(&screen, "style        ").add_modifier;
    assert!(selected.contains(Modifier::REVERSED));
    let row = screen.to_string();
    let row = row
        .lines()
        .find(|line| line.contains("  relu4_2"))
        .expect("the edited row");
    assert!(row.contains("2*"), "{row}");
}

#[test]
fn without_colours_nothing_is_coloured() {
    let theme = Theme::new(Palette::default(), Colours::None, true);
    let mut pane = Pane::new(Graphics::HalfBlocks, None, Colours::None, true);
    let mut app = running();
    app.note("careful", true);
    // The last one is too small for more than a sentence.
    for (width, height) in [(120, 36), (60, 16), (30, 8)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal
            .draw(|frame| view::draw(frame, &app, &mut pane, &theme))
            .expect("a screen");
        let buffer = terminal.backend().buffer();
        for cell in &buffer.content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            assert!(cell.symbol().is_ascii(), "{} is not ASCII", cell.symbol());
        }
    }
}

#[test]
fn names_are_made_harmless() {
    let mut plan = plan();
    plan.content = PictureFile::At(PathBuf::from("to\u{1b}[2Jwer\n.jpg"));
    let mut app = App::new(&plan);
    app.preset.name = "na\u{1b}]0;me".to_owned();
    let screen = screen(&app, (120, 36));
    assert!(!screen.contains('\u{1b}'));
}

#[test]
fn a_small_window_is_reported_so() {
    assert!(screen(&running(), (40, 10)).contains("needs 60×16"));
}
