//! The loop, with a console and painters that are scripted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use impasto_core::picture::{self, Picture};
use impasto_core::preset::Library;
use impasto_sweep::claims::Owner;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use super::super::watcher::{SweepExit, Watcher};
use super::super::{SweepControl, last_words, outcome};
use super::*;
use crate::outcome::Failure;
use crate::tui::Options;
use crate::tui::remote::{AttachedRun, RemoteEngine, Started};
use crate::tui::terminal::InputEvent;
use crate::tui::tests::fake::{self, Stage, key, keys};
use crate::tui::tests::whole::{OPTIONS, PAINTING, TERMINAL, plan};

/// Painters that only write down what they are told.
#[derive(Default)]
struct Fake {
    told: Vec<String>,
    lives: bool,
    /// Where the pictures of an opened run are.
    pictures: PathBuf,
}

impl SweepControl for Fake {
    fn start_painter(&mut self) -> Result<(), Failure> {
        self.told.push("start".to_owned());
        self.lives = true;
        Ok(())
    }

    fn painters(&mut self) -> Vec<Owner> {
        let here = self.lives.then(Owner::here);
        here.into_iter().collect()
    }

    fn is_starting(&mut self) -> bool {
        false
    }

    fn painter_error(&mut self) -> Option<String> {
        None
    }

    fn stop_painters(&mut self) -> Result<(), Failure> {
        self.told.push("stop".to_owned());
        self.lives = false;
        Ok(())
    }

    fn open(&mut self, number: usize) -> Result<(AttachedRun, Started), Failure> {
        self.told.push(format!("open {number}"));
        Ok(far(&self.pictures))
    }

    fn stop_cell(&mut self, number: usize) -> Result<(), Failure> {
        self.told.push(format!("stop {number}"));
        Ok(())
    }

    fn promote(&mut self, number: usize, size: u32) -> Result<(AttachedRun, Started), Failure> {
        Err(Failure::Failed(format!("{number} at {size}: no memory")))
    }
}

/// A run that another process paints.
fn far(folder: &Path) -> (AttachedRun, Started) {
    let plan = plan(folder, 1_000_000);
    let job = plan.clone().load(&mut |_| {}).unwrap();
    let started = Started {
        remote: Some(RemoteEngine {
            called: "cell".to_owned(),
            steers: Arc::new(AtomicBool::new(true)),
        }),
        ..fake::paint(&plan, job).unwrap()
    };
    let run = AttachedRun {
        plan,
        content: "tower.png".to_owned(),
        styles: vec!["night.png".to_owned()],
        masks: Vec::new(),
    };
    (run, started)
}

/// Runs the sheet on a stage to its end.
fn play(home: &Home, stage: &mut Stage, fake: &mut Fake, options: Options) -> (SweepExit, Sheet) {
    let sweep = home.sweep.clone();
    let mut watcher = Watcher::new(sweep, options, TERMINAL, Library::open(), fake).unwrap();
    let left = watcher.run(stage);
    assert!(stage.is_played(), "{}", stage.screen());
    (left, watcher.sheet)
}

/// Writes an index of states of all kinds, of which those count that the folder bears out.
fn write(home: &Home) {
    let mut index = home.sweep.index().unwrap();
    index.cells = mixed(home).entries;
    for cell in &index.cells {
        match cell.state {
            CellState::Done => {
                std::fs::create_dir_all(home.sweep.cell_folder(cell.number)).unwrap();
            }
            CellState::Failed => {
                let message = cell.message.as_deref();
                home.sweep.note_failure(cell.number, message).unwrap();
            }
            _ => {}
        }
    }
    home.sweep.write_index(&index).unwrap();
}

#[test]
fn a_sweep_is_read_paused_repeated_and_left() {
    let home = home(&definition(4, 2, true));
    write(&home);
    let mut fake = Fake {
        lives: true,
        ..Fake::default()
    };
    let mut stage = Stage::new(120, 40);
    stage
        .when("4 done", &keys(" "))
        .when("nobody paints", &keys("fp\n"))
        .when("3 at 2048: no memory", &keys("ry"))
        .when("will be painted anew", &keys("q"))
        .when("Leave the sweep?", &[key(KeyCode::Enter)]);
    let (left, sheet) = play(&home, &mut stage, &mut fake, OPTIONS);
    assert_eq!(left, SweepExit::Left);
    assert_eq!(fake.told, ["stop", "start"]);
    assert_eq!(
        sheet.summary.count(CellState::Failed),
        1,
        "one is to be painted anew"
    );
    let words = last_words(&sheet).join("\n");
    assert!(
        words.contains("painting continues; `impasto sweep /"),
        "{words}"
    );
    assert!(words.contains("cell 11 failed: the content"), "{words}");
    assert!(matches!(outcome(&sheet), Err(Failure::Failed(why)) if why.starts_with("1 of 16")));
}

#[test]
fn pictures_come_from_the_disk_and_change_with_it() {
    let home = home(&definition(1, 1, false));
    let folder = home.sweep.cell_folder(0);
    std::fs::create_dir_all(&folder).unwrap();
    let white = Picture::from_rgb8(64, 48, &[255; 64 * 48 * 3]).unwrap();
    picture::save(&white, &folder.join("preview.png"), None).unwrap();
    let mut stage = Stage::new(80, 24);
    let result = folder.join("result.png");
    let drawn = move |screen: &str| {
        let drawn = screen.contains("@@@@");
        if drawn {
            let black = Picture::from_rgb8(640, 480, &[0; 640 * 480 * 3]).unwrap();
            picture::save(&black, &result, None).unwrap();
        }
        drawn
    };
    stage.when_it("white", drawn, &[]).when_it(
        "black",
        |screen| screen.contains("photo0") && !screen.contains("@@@@"),
        &keys("q"),
    );
    let options = Options {
        ascii: true,
        ..OPTIONS
    };
    let (left, _) = play(&home, &mut stage, &mut Fake::default(), options);
    assert_eq!(left, SweepExit::Left);
}

#[test]
fn the_dashboard_of_a_cell_leads_back() {
    let home = home(&definition(4, 2, true));
    write(&home);
    let pictures = tempfile::tempdir().unwrap();
    let mut fake = Fake {
        pictures: pictures.path().to_owned(),
        ..Fake::default()
    };
    let mut stage = Stage::new(120, 40);
    let open = [
        key(KeyCode::Right),
        key(KeyCode::Right),
        key(KeyCode::Enter),
    ];
    stage
        .when("4 done", &open)
        .when(PAINTING, &keys("q"))
        .when("Leave the run?", &keys("d"))
        .when("4 done", &[key(KeyCode::Enter)])
        .when(PAINTING, &[InputEvent::Signal(SIGTERM)]);
    // Only the index says that the cell is being painted.
    let (left, _) = play(&home, &mut stage, &mut fake, OPTIONS);
    assert_eq!(left, SweepExit::Stopped(SIGTERM as u8));
    assert_eq!(fake.told, ["open 2", "open 2"]);
}

#[test]
fn signals_leave_the_painters_alone() {
    let home = home(&definition(1, 2, false));
    for (event, stop, told) in [
        (InputEvent::Signal(SIGTERM), false, 0),
        (InputEvent::Signal(SIGHUP), false, 0),
        (InputEvent::Hangup, true, 1),
    ] {
        let mut fake = Fake {
            lives: true,
            ..Fake::default()
        };
        let options = Options {
            stop_on_hangup: stop,
            ..OPTIONS
        };
        let mut stage = Stage::new(80, 24);
        stage
            .when(
                "2 waiting",
                &[InputEvent::Signal(SIGTSTP), InputEvent::Resize(120, 40)],
            )
            .when("2 waiting", &[event]);
        let (left, sheet) = play(&home, &mut stage, &mut fake, options);
        assert!(matches!(left, SweepExit::Stopped(number) if number > 0));
        assert_eq!(fake.told.len(), told);
        assert!(stage.done.contains(&"suspended".to_owned()));
        assert_eq!(sheet.window, Rect::new(0, 0, 120, 40));
    }
}

#[test]
fn ctrl_c_stops_the_painters() {
    let home = home(&definition(1, 2, false));
    let mut fake = Fake {
        lives: true,
        ..Fake::default()
    };
    let mut stage = Stage::new(80, 24);
    let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    stage.when("2 waiting", &[InputEvent::Key(event)]);
    let (left, _) = play(&home, &mut stage, &mut fake, OPTIONS);
    assert_eq!(left, SweepExit::Stopped(SIGINT as u8));
    assert_eq!(fake.told, ["stop"]);
}
