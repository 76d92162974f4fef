//! The whole dashboard, loop and all, over a scripted terminal and a painter
//! that paints nothing.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use impasto_core::job::{PictureFile, Plan};
use impasto_core::picture::{self, Picture};
use impasto_core::preset::{Library, Scale};
use impasto_graphics::terminal::{Colours, Terminal};
use signal_hook::consts::{SIGTERM, SIGTSTP};

use super::fake::{self, Stage, key, keys};
use crate::tui::Options;
use crate::tui::app::Phase;
use crate::tui::dashboard::{Dashboard, ExitReason};
use crate::tui::pane::Mode;
use crate::tui::terminal::InputEvent;
use crate::tui::theme::Palette;

pub const OPTIONS: Options = Options {
    ascii: false,
    palette: Palette::Terminal,
    mouse: false,
    graphics: Mode::Cells,
    stop_on_hangup: false,
};

/// What the screen says once a run of a million iterations has begun.
pub const PAINTING: &str = " of 1000000 ";

/// A plan for two pictures in a folder, at one small scale.
pub fn plan(folder: &Path, iterations: u32) -> Plan {
    let save = |name: &str| {
        let path = folder.join(name);
        let picture = Picture::from_rgb8(64, 48, &[90; 64 * 48 * 3]).expect("a picture");
        picture::save(&picture, &path, None).expect("to save it");
        PictureFile::At(path)
    };
    let mut plan = Plan {
        content: save("tower.png"),
        style: save("night.png"),
        output: folder.join("out.png"),
        ..super::plan()
    };
    plan.preset.schedule = vec![Scale {
        size: 64,
        iterations,
    }];
    plan
}

pub const TERMINAL: Terminal = Terminal {
    columns: 120,
    rows: 36,
    cell: None,
    colours: Colours::True,
    multiplexer: false,
    tmux: false,
    ssh: false,
};

/// A library of the user's own, beside the plan's output.
pub fn library(plan: &Plan) -> Library {
    Library::with_user_folder(plan.output.with_file_name("presets"))
}

/// Plays what the stage scripts, and gives how it was left, with the dashboard
/// as it then was.
fn play(plan: Plan, stage: &mut Stage, look: impl FnOnce(&Dashboard<'_>)) -> ExitReason {
    let library = library(&plan);
    let mut engine = fake::paint;
    let mut dashboard = Dashboard::new(plan, OPTIONS, &TERMINAL, library, &mut engine);
    let left = dashboard.run(stage).expect("to run");
    assert!(stage.is_played(), "it left too early:\n{}", stage.screen());
    look(&dashboard);
    left
}

pub fn control(letter: char) -> InputEvent {
    InputEvent::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

#[test]
fn it_paints_changes_weights_and_saves() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &keys("7\n"))
        .when_it(
            "the content's weight",
            |screen| screen.contains("content             7"),
            &keys(" "),
        )
        .when("paused", &keys(" "))
        .when_it(
            "painting again",
            |screen| !screen.contains("paused"),
            &keys("s"),
        )
        .when("out-snapshot-1.png", &keys("q"))
        .when("Stop and save the picture", &keys("\n"));
    let left = play(plan(folder.path(), 1_000_000), &mut stage, |dashboard| {
        // Ten from each layer, times the weight: the painter received it.
        let last = dashboard.app.history.last().expect("a step");
        assert_eq!(last.content, 70.0);
    });
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(picture::load(&folder.path().join("out.png")).is_ok());
    assert!(picture::load(&folder.path().join("out-snapshot-1.png")).is_ok());
}

#[test]
fn presets_apply_are_saved_and_a_new_run_begins_under_a_new_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &keys("p"))
        .when("type to find one", &keys("bold"))
        .when("Thick strokes", &[key(KeyCode::Enter)])
        .when("from the start", &keys("s"))
        .when_it(
            "bold's schedule",
            |screen| screen.contains("  bold  ") && !screen.contains(PAINTING),
            &keys("S"),
        )
        .when("by the name", &keys("mine\n"))
        .when("preset saved as", &[control('c')]);
    let left = play(plan(folder.path(), 1_000_000), &mut stage, |dashboard| {
        assert!(dashboard.app.interrupted);
        assert!(dashboard.app.output.ends_with("out-2.png"));
    });
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(folder.path().join("presets/mine.yaml").exists());
}

#[test]
fn a_preset_file_is_taken_up_when_it_is_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.yaml");
    let text = |weight: &str| {
        format!("style: {{weight: {weight}}}\nschedule: [{{size: 64, iterations: 1000000}}]\n")
    };
    std::fs::write(&file, text("50")).expect("to write");
    let mut plan = plan(folder.path(), 1_000_000);
    plan.preset = Library::with_user_folder(folder.path().to_owned())
        .find(&file.to_string_lossy())
        .expect("the preset");
    plan.preset_name = Some(file.to_string_lossy().into_owned());
    let mut stage = Stage::new(120, 36);
    let write = move |path: &Path, text: String| {
        let path = path.to_owned();
        move |screen: &str| {
            let ready = screen.contains(PAINTING);
            if ready {
                std::fs::write(&path, &text).expect("to write");
            }
            ready
        }
    };
    stage
        .when_it("painting", write(&file, text("oops")), &[])
        .when("mine.yaml:1:17", &[])
        .when_it("still painting", write(&file, text("123")), &[])
        .when("style             123 ", &keys("q"))
        .when("Stop and save", &keys("\n"));
    play(plan, &mut stage, |dashboard| {
        assert_eq!(dashboard.app.preset.style.weight, 123.0);
    });
}

#[test]
fn the_picture_in_full_screen_comes_and_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(120, 36);
    stage
        .when("▀", &keys("v"))
        .when("v back", &keys("n"))
        .when("content", &[InputEvent::Resize(80, 24)])
        .when("content", &keys("v"))
        .when("losses", &[control('c')]);
    play(plan(folder.path(), 1_000_000), &mut stage, |_| {});
    let showed = stage
        .done
        .iter()
        .filter(|it| it.starts_with("showed"))
        .count();
    assert!(showed >= 3, "{:?}", stage.done);
    assert_eq!(stage.done.last().map(String::as_str), Some("redrew"));
}

#[test]
fn it_survives_any_window_and_a_suspension() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &[InputEvent::Resize(12, 3)])
        .when("This", &[InputEvent::Resize(1, 1)])
        .when_it("nothing", |_| true, &[InputEvent::Resize(80, 24)])
        .when("weights", &[InputEvent::Signal(SIGTSTP)])
        .when("weights", &[InputEvent::Signal(SIGTERM)]);
    let left = play(plan(folder.path(), 1_000_000), &mut stage, |dashboard| {
        assert_eq!(dashboard.signal, Some(SIGTERM as u8));
    });
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(stage.done.contains(&"suspended".to_owned()));
    assert!(folder.path().join("out.png").exists());
}

#[test]
fn a_hangup_saves() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(80, 24);
    stage.when(PAINTING, &[InputEvent::Hangup]);
    let left = play(plan(folder.path(), 1_000_000), &mut stage, |dashboard| {
        assert!(matches!(
            dashboard.app.phase,
            Phase::Finished { output: Some(_) }
        ));
    });
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(folder.path().join("out.png").exists());
}

#[test]
fn a_finished_run_stays_to_be_looked_at_and_can_begin_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(120, 36);
    stage
        .when("done", &keys("r"))
        .when("from here", &keys("s"))
        .when("out-2.png", &keys("q"));
    let left = play(plan(folder.path(), 30), &mut stage, |dashboard| {
        assert!(dashboard.app.output.ends_with("out-2.png"));
    });
    assert_eq!(left, ExitReason::InGoodOrder);
}

#[test]
fn a_picture_that_cannot_be_read_ends_it_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), 10);
    let whole = std::fs::read(plan.style.path()).expect("the picture");
    std::fs::write(plan.style.path(), &whole[..whole.len() / 2]).expect("to cut it");
    let left = play(plan, &mut Stage::new(80, 24), |_| {});
    let ExitReason::Unread(message) = left else {
        panic!("left as {left:?}");
    };
    assert!(message.contains("night.png"), "{message}");
}
