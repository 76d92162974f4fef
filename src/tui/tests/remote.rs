//! The dashboard on an engine of another process: left, stopped, watched, and
//! come to late.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use crossterm::event::KeyCode;
use impasto_core::job::{Job, PictureFile, Plan};
use impasto_core::protocol::{Command, Event, Link};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::fake::{self, Stage, key, keys};
use super::whole::{OPTIONS, PAINTING, TERMINAL, control, library, plan};
use crate::tui::Options;
use crate::tui::app::{App, Phase};
use crate::tui::dashboard::{Dashboard, ExitReason};
use crate::tui::remote::{AttachedRun, RemoteEngine, Started};
use crate::tui::terminal::InputEvent;

/// A painter far away: it paints on when the line to it is dropped.
#[derive(Clone)]
struct Far {
    steers: Arc<AtomicBool>,
    /// All that the front end sent, but for previews.
    received: Arc<Mutex<Vec<Command>>>,
    /// All commands that it received.
    sent: Arc<Mutex<Vec<Event>>>,
    /// What another terminal sends.
    others: Arc<Mutex<Vec<Command>>>,
    /// Whether the line breaks.
    breaks: Arc<AtomicBool>,
    /// The painter, once it has begun.
    painter: Arc<Mutex<Option<Started>>>,
}

impl Far {
    fn new(steers: bool) -> Self {
        Self {
            steers: Arc::new(AtomicBool::new(steers)),
            received: Arc::default(),
            sent: Arc::default(),
            others: Arc::default(),
            breaks: Arc::default(),
            painter: Arc::default(),
        }
    }

    /// Starts to paint. The painter ends with the last clone of `self`.
    fn start(&self, plan: &Plan, job: Job) -> std::io::Result<Started> {
        let started = fake::paint(plan, job)?;
        *self.painter.lock().expect("the painter") = Some(started);
        Ok(self.join())
    }

    /// A link to the painter. Earlier events are replayed first.
    fn join(&self) -> Started {
        let (commands, inbox) = unbounded();
        let (outbox, events) = unbounded();
        for event in self.sent.lock().expect("the events").iter() {
            outbox.send(event.clone()).expect("somebody listens");
        }
        let painter = self.painter.lock().expect("the painter");
        let preview = painter.as_ref().expect("a painter").link.preview.clone();
        let far = self.clone();
        let thread = thread::spawn(move || while far.carry(&inbox, &outbox) {});
        let remote = RemoteEngine {
            called: "tower-night".to_owned(),
            steers: self.steers.clone(),
        };
        Started {
            link: Link {
                commands,
                events,
                preview,
            },
            thread,
            remote: Some(remote),
            events: None,
        }
    }

    /// What is said between the two; false once the front end has dropped its
    /// end.
    fn carry(&self, inbox: &Receiver<Command>, outbox: &Sender<Event>) -> bool {
        let painter = self.painter.lock().expect("the painter");
        let link = &painter.as_ref().expect("a painter").link;
        if self.breaks.load(Ordering::SeqCst) {
            return false;
        }
        for command in self.others.lock().expect("the others").drain(..) {
            link.commands.send(command).expect("the painter receives");
        }
        loop {
            match inbox.try_recv() {
                Ok(command) => {
                    if !matches!(command, Command::Preview { .. }) {
                        let mut received = self.received.lock().expect("the commands");
                        received.push(command.clone());
                    }
                    // The stand-in has no place of its own for them.
                    if !matches!(command, Command::Snapshot { .. }) {
                        link.commands.send(command).expect("the painter receives");
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        for event in link.events.try_iter() {
            self.sent.lock().expect("the events").push(event.clone());
            let _ = outbox.send(event);
        }
        drop(painter);
        thread::sleep(Duration::from_millis(1));
        true
    }

    fn received(&self) -> Vec<Command> {
        self.received.lock().expect("the commands").clone()
    }
}

/// Plays what the stage scripts on a painter far away.
fn play(
    plan: Plan,
    options: Options,
    far: &Far,
    stage: &mut Stage,
) -> (ExitReason, App, Option<u8>) {
    let library = library(&plan);
    let starting = far.clone();
    let mut engine = move |plan: &Plan, job| starting.start(plan, job);
    let mut dashboard = Dashboard::new(plan, options, &TERMINAL, library, &mut engine);
    let left = dashboard.run(stage).expect("to run");
    assert!(stage.is_played(), "it left too early:\n{}", stage.screen());
    (left, dashboard.app, dashboard.signal)
}

/// Comes to a run that is under way, and plays what the stage scripts.
fn play_late(plan: Plan, far: &Far, stage: &mut Stage) -> (ExitReason, App) {
    let library = library(&plan);
    let attached_run = AttachedRun {
        plan,
        content: "tower.png".to_owned(),
        styles: vec!["night.png".to_owned()],
        masks: Vec::new(),
    };
    let mut dashboard = Dashboard::attached(attached_run, OPTIONS, &TERMINAL, library, far.join());
    let left = dashboard.run(stage).expect("to run");
    assert!(stage.is_played(), "it left too early:\n{}", stage.screen());
    (left, dashboard.app)
}

const QUESTION: &str = "impasto attach tower-night";

#[test]
fn it_is_left_painting() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(true);
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &keys("q"))
        .when(QUESTION, &[key(KeyCode::Esc)])
        .when_it(
            "the panes again",
            |screen| !screen.contains(QUESTION),
            &keys("q"),
        )
        .when(QUESTION, &keys("d"));
    let plan = plan(folder.path(), 1_000_000);
    let (left, app, signal) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!((left, signal), (ExitReason::Detached, None));
    assert!(!app.interrupted);
    assert_eq!(far.received(), []);
    assert!(!folder.path().join("out.png").exists());
}

#[test]
fn it_is_stopped_and_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(true);
    let mut stage = Stage::new(80, 24);
    stage
        .when(PAINTING, &keys("q"))
        .when("stop and save the picture", &keys("s"));
    let plan = plan(folder.path(), 1_000_000);
    let (left, app, _) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(matches!(app.phase, Phase::Finished { output: Some(_) }));
    assert_eq!(far.received(), [Command::Stop]);
    assert!(folder.path().join("out.png").exists());
}

#[test]
fn interrupts_and_signals_leave_it_painting() {
    let ways: [(&[InputEvent], Option<i32>, bool); 3] = [
        (&[control('c'), control('c')], None, true),
        (&[InputEvent::Signal(SIGINT)], Some(SIGINT), false),
        (&[InputEvent::Signal(SIGTERM)], Some(SIGTERM), false),
    ];
    for (events, number, interrupted) in ways {
        let folder = tempfile::tempdir().expect("a folder");
        let far = Far::new(true);
        let mut stage = Stage::new(80, 24);
        stage.when(PAINTING, events);
        let plan = plan(folder.path(), 1_000_000);
        let (left, app, signal) = play(plan, OPTIONS, &far, &mut stage);
        assert_eq!(left, ExitReason::Detached, "by {events:?}");
        let number = number.and_then(|number| u8::try_from(number).ok());
        assert_eq!((signal, app.interrupted), (number, interrupted));
        assert_eq!(far.received(), []);
    }
}

#[test]
fn a_hangup_leaves_it_painting_or_stops_it_as_was_asked_for() {
    for event in [InputEvent::Hangup, InputEvent::Signal(SIGHUP)] {
        for stop_on_hangup in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let far = Far::new(true);
            let mut stage = Stage::new(80, 24);
            stage.when(PAINTING, std::slice::from_ref(&event));
            let options = Options {
                stop_on_hangup,
                ..OPTIONS
            };
            let plan = plan(folder.path(), 1_000_000);
            let (left, _, signal) = play(plan, options, &far, &mut stage);
            assert_eq!(signal, Some(SIGHUP as u8));
            let saved = folder.path().join("out.png").exists();
            if stop_on_hangup {
                assert_eq!(left, ExitReason::InGoodOrder);
                assert_eq!((far.received(), saved), (vec![Command::Stop], true));
            } else {
                assert_eq!(left, ExitReason::Detached);
                assert_eq!((far.received(), saved), (vec![], false));
            }
        }
    }
}

#[test]
fn a_run_that_is_over_is_left_without_a_question() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(true);
    let mut stage = Stage::new(80, 24);
    stage.when("done", &keys("q"));
    let (left, app, _) = play(plan(folder.path(), 30), OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(app.is_over() && app.overlay.is_none());
    assert_eq!(far.received(), []);
}

#[test]
fn a_watcher_sends_nothing_until_it_steers() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(false);
    let steers = far.steers.clone();
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &keys("7\n+m>u sprax."))
        .when("you are watching", &[])
        .when_it(
            "the tag",
            move |screen| {
                steers.store(true, Ordering::SeqCst);
                screen.contains("  watching")
            },
            &[],
        )
        .when("you control this run now", &keys("7\n"))
        .when("content             7", &[InputEvent::Hangup]);
    let mut plan = plan(folder.path(), 1_000_000);
    plan.preset.content.weight = 3.0;
    let (left, app, _) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::Detached);
    assert_eq!(app.undo.len(), 1, "of the one change as long as it steered");
    let received = far.received();
    assert!(
        matches!(&received[..], [Command::Change(preset)] if preset.content.weight == 7.0),
        "{received:?}"
    );
}

#[test]
fn a_watcher_leaves_without_a_question() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(false);
    let mut stage = Stage::new(80, 24);
    stage.when(PAINTING, &keys("q"));
    let plan = plan(folder.path(), 1_000_000);
    let (left, ..) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::Detached);
    assert_eq!(far.received(), []);
}

#[test]
fn the_run_chooses_where_snapshots_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(true);
    let mut stage = Stage::new(80, 24);
    stage
        .when(PAINTING, &keys("s"))
        .when(PAINTING, &[InputEvent::Hangup]);
    play(plan(folder.path(), 1_000_000), OPTIONS, &far, &mut stage);
    let output = PathBuf::new();
    assert_eq!(far.received(), [Command::Snapshot { output }]);
}

/// All of the state that follows from the run alone.
fn of_the_run(app: &App) -> String {
    let points: Vec<_> = app.history.whole().collect();
    let marks: Vec<_> = app.history.marks().collect();
    format!(
        "{:#?}",
        (
            (&app.phase, &app.step, &app.sizes, &app.device, &app.memory),
            (&app.preset, &app.base, &app.output, app.speed, app.left),
            (&app.content, &app.styles, points, marks),
        )
    )
}

#[test]
fn whoever_comes_late_sees_what_was_seen_from_the_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), 1_000_000);
    let far = Far::new(true);
    let mut stage = Stage::new(120, 36);
    stage
        .when(PAINTING, &keys("7\n"))
        .when("content             7", &keys(" "))
        .when("paused", &keys("q"))
        .when("detach, paused", &keys("d"));
    let (left, early, _) = play(plan.clone(), OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::Detached);
    assert_eq!(early.preset.content.weight, 7.0);

    let mut stage = Stage::new(120, 36);
    stage
        .when("paused", &keys("q"))
        .when("detach, paused", &keys("d"));
    let (left, late) = play_late(plan, &far, &mut stage);
    assert_eq!(left, ExitReason::Detached);
    assert_eq!(of_the_run(&late), of_the_run(&early));
    assert!(late.has_edits(), "the run began with another weight");
    assert!(
        late.undo.is_empty(),
        "which was not this terminal's to undo"
    );
}

#[test]
fn pictures_that_are_gone_are_only_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = plan(folder.path(), 1_000_000);
    let far = Far::new(true);
    let mut stage = Stage::new(80, 24);
    stage.when(PAINTING, &[InputEvent::Hangup]);
    play(plan.clone(), OPTIONS, &far, &mut stage);
    plan.style = PictureFile::At(folder.path().join("gone.png"));
    let mut stage = Stage::new(120, 36);
    stage
        .when("1 warning", &keys("i"))
        .when("gone.png", &[key(KeyCode::Esc), InputEvent::Hangup]);
    let (left, app) = play_late(plan, &far, &mut stage);
    assert_eq!(left, ExitReason::Detached);
    assert!(app.step.is_some());
    assert_eq!(app.styles, ["night.png"], "as it was called");
}

#[test]
fn a_change_from_another_terminal_is_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), 1_000_000);
    let far = Far::new(false);
    let mut changed = plan.preset.clone();
    changed.style.weight = 123.0;
    let others = far.others.clone();
    let command = Command::Change(Box::new(changed.clone()));
    let mut stage = Stage::new(120, 36);
    stage
        .when_it(
            "painting",
            move |screen| {
                let ready = screen.contains(PAINTING);
                if ready {
                    others.lock().expect("the others").push(command.clone());
                }
                ready
            },
            &[],
        )
        .when("style             123*", &[InputEvent::Hangup]);
    let (_, app, _) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!(app.preset, changed);
    assert!(app.undo.is_empty());
    assert_eq!(far.received(), []);
}

#[test]
fn a_line_that_breaks_is_a_failure_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = Far::new(true);
    let breaks = far.breaks.clone();
    let mut stage = Stage::new(80, 24);
    stage
        .when_it(
            "painting",
            move |screen| {
                let ready = screen.contains(PAINTING);
                breaks.store(ready, Ordering::SeqCst);
                ready
            },
            &[],
        )
        .when("the line to the run broke", &keys("q"));
    let plan = plan(folder.path(), 1_000_000);
    let (left, app, _) = play(plan, OPTIONS, &far, &mut stage);
    assert_eq!(left, ExitReason::InGoodOrder);
    assert!(matches!(app.phase, Phase::Failed { .. }));
}

#[test]
fn an_engine_that_cannot_be_started_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), 10);
    let library = library(&plan);
    let mut engine = |_: &Plan, _: Job| Err(std::io::Error::other("no room for it"));
    let mut dashboard = Dashboard::new(plan, OPTIONS, &TERMINAL, library, &mut engine);
    let left = dashboard.run(&mut Stage::new(80, 24)).expect("to run");
    let ExitReason::Unstarted(message) = left else {
        panic!("left as {left:?}");
    };
    assert!(message.contains("no room for it"), "{message}");
}
