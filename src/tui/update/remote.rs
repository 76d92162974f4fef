//! A run that another process paints: it may be left, another terminal may
//! steer it, and it may have begun long ago.

use impasto_core::preset::Preset;
use impasto_core::protocol::Event;

use super::{Effect, handle_event, stop};
use crate::tui::app::{App, Overlay, RemoteRun};

/// The run is another process's.
pub(super) fn joined(app: &mut App, called: String, steers: bool) {
    app.remote = Some(RemoteRun { called, steers });
    if matches!(app.overlay, Some(Overlay::Quit)) {
        app.overlay = Some(Overlay::Leave);
    }
    if !steers {
        only_watches(app);
    }
}

/// This terminal controls the run from now on, or another one does.
pub(super) fn steers(app: &mut App, steers: bool) {
    let Some(remote) = &mut app.remote else {
        return;
    };
    if std::mem::replace(&mut remote.steers, steers) == steers {
        return;
    }
    if steers {
        app.note("you control this run now", false);
        return;
    }
    only_watches(app);
    // Nothing that was begun here can be brought to its end.
    (app.unanswered, app.restarting, app.typed) = (0, false, None);
    if let Some(
        Overlay::Presets(_)
        | Overlay::Settings(_)
        | Overlay::Layers(_)
        | Overlay::Restart
        | Overlay::Leave,
    ) = app.overlay
    {
        app.overlay = None;
    }
}

/// The answer to a key that controls the run, where another terminal does that.
pub(super) fn only_watches(app: &mut App) -> Vec<Effect> {
    app.note(
        "another terminal controls this run; you are watching",
        false,
    );
    Vec::new()
}

/// The connection broke before the run ended.
pub(super) fn lost(app: &mut App) -> Vec<Effect> {
    let called = app.remote.as_ref().map_or("", |remote| &remote.called);
    let message = format!(
        "the line to the run broke; `impasto attach {called}` shows it if it still paints, \
         `impasto resume {called}` resumes it if it does not"
    );
    handle_event(
        app,
        Event::Failed {
            message,
            output: None,
            refused: false,
        },
    )
}

/// `q`, while the run is not over.
pub(super) fn quit(app: &mut App) -> Vec<Effect> {
    match &app.remote {
        // Nothing is to be decided: whoever controls the run decides, or it was decided.
        Some(remote) if !remote.steers || app.leaving => return vec![Effect::Leave],
        Some(_) => app.overlay = Some(Overlay::Leave),
        None => app.overlay = Some(Overlay::Quit),
    }
    Vec::new()
}

/// Ctrl-C. In a process of our own it stops, and the second time leaves; else
/// it asks as `q` does, and the second time leaves the run painting.
pub(super) fn interrupt(app: &mut App) -> Vec<Effect> {
    if app.remote.is_none() || app.is_over() {
        app.interrupted = true;
        return stop(app);
    }
    let effects = if matches!(app.overlay, Some(Overlay::Leave)) {
        vec![Effect::Leave]
    } else {
        quit(app)
    };
    app.interrupted = !effects.is_empty();
    effects
}

/// A run begins with this preset.
pub(super) fn started(app: &mut App, preset: Preset) {
    let ours = app.remote.is_none() || app.unanswered > 0 || app.restarting;
    app.restarting = false;
    if ours {
        // The weights are the user's, and may have been edited since.
        app.preset = app.preset.clone().for_a_run_like(&preset);
    } else {
        app.base = app.base.clone().for_a_run_like(&preset);
        app.adopt(preset);
    }
}

/// The run continues with this preset.
pub(super) fn changed(app: &mut App, preset: Preset) {
    if app.unanswered > 0 {
        // The answer to a change of ours, after which there may be newer ones.
        app.unanswered -= 1;
        let continues = app.preset.clone().for_a_run_like(&preset) == preset;
        if app.unanswered == 0 && !continues {
            // It was refused.
            let row = app.selected_row();
            app.preset = preset;
            app.select_row(row);
        }
    } else if app.remote.is_some() {
        app.adopt(preset);
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{
        KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    };
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::tests::{press, remote, type_text};
    use crate::tui::update::{Message, update};
    use impasto_core::protocol::{Command, RestartFrom};

    fn interrupt(app: &mut App) -> Vec<Effect> {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        update(app, Message::Key(key))
    }

    fn changed(app: &mut App, preset: &Preset) {
        let event = Event::Changed {
            iteration: 200,
            preset: Box::new(preset.clone()),
        };
        update(app, Message::Event(event));
    }

    #[test]
    fn quitting_asks_what_becomes_of_the_run() {
        let mut app = remote(true);
        assert_eq!(press(&mut app, KeyCode::Char('q')), []);
        for key in [KeyCode::Enter, KeyCode::Char('q'), KeyCode::Char('y')] {
            assert_eq!(press(&mut app, key), []);
            assert!(matches!(app.overlay, Some(Overlay::Leave)));
        }
        press(&mut app, KeyCode::Esc);
        assert!(app.overlay.is_none());
        press(&mut app, KeyCode::Char('q'));
        assert_eq!(press(&mut app, KeyCode::Char('d')), [Effect::Leave]);
        let stop = press(&mut app, KeyCode::Char('s'));
        assert_eq!(stop, [Effect::Send(Command::Stop)]);
        // Stopping is decided; whoever does not wait leaves.
        assert_eq!(press(&mut app, KeyCode::Char('q')), [Effect::Leave]);
    }

    #[test]
    fn the_second_interrupt_leaves_and_so_does_a_signal() {
        let mut app = remote(true);
        press(&mut app, KeyCode::Char('?'));
        assert_eq!(interrupt(&mut app), []);
        assert!(matches!(app.overlay, Some(Overlay::Leave)) && !app.interrupted);
        assert_eq!(interrupt(&mut app), [Effect::Leave]);
        assert!(app.interrupted);
        assert_eq!(update(&mut app, Message::Terminate), [Effect::Leave]);
    }

    #[test]
    fn a_question_that_is_out_goes_with_the_run() {
        let mut app = remote(true);
        press(&mut app, KeyCode::Char('q'));
        let finished = Event::Finished {
            output: None,
            iterations: 200,
            elapsed: 20.0,
            stopped: true,
            saved: None,
        };
        assert_eq!(update(&mut app, Message::Event(finished)), []);
        assert!(app.overlay.is_none());
        assert_eq!(press(&mut app, KeyCode::Char('q')), [Effect::Leave]);
    }

    #[test]
    fn a_watcher_changes_nothing_by_any_key() {
        let mut app = remote(false);
        let before = app.preset.clone();
        for key in "0123456789 .+-=<>maxuUsrpS\u{7f}".chars() {
            for effect in press(&mut app, KeyCode::Char(key)) {
                assert!(!matches!(
                    effect,
                    Effect::Send(_) | Effect::Snapshot | Effect::Restart { .. }
                ));
            }
            press(&mut app, KeyCode::Enter);
            press(&mut app, KeyCode::Esc);
        }
        for key in [KeyCode::Left, KeyCode::Right, KeyCode::Delete] {
            assert_eq!(press(&mut app, key), []);
        }
        let mut other = before.clone();
        other.style.weight = 7.0;
        for message in [
            Message::Loaded(Ok(Box::new(other.clone()))),
            Message::PresetFile(Ok(Box::new(other))),
        ] {
            assert_eq!(update(&mut app, message), []);
        }
        assert_eq!(app.preset, before);
        assert_eq!((app.undo.len(), app.redo.len(), app.muted.len()), (0, 0, 0));
        assert_eq!((app.unanswered, &app.typed), (0, &None));
        assert!(
            app.news()
                .expect("a note")
                .text
                .contains("you are watching")
        );
    }

    #[test]
    fn a_watcher_looks_around_all_the_same() {
        let mut app = remote(false);
        let row = app.row;
        press(&mut app, KeyCode::Down);
        assert_eq!(app.row, row + 1);
        press(&mut app, KeyCode::Tab);
        press(&mut app, KeyCode::Left);
        assert!(app.chart.cursor.is_some());
        press(&mut app, KeyCode::Tab);
        let split = press(&mut app, KeyCode::Left);
        assert!(matches!(split[..], [Effect::MoveSplit(_)]));
        assert_eq!(
            press(&mut app, KeyCode::Char('v')),
            [Effect::ShowFullScreen]
        );
        press(&mut app, KeyCode::Char('v'));
        press(&mut app, KeyCode::Char('S'));
        type_text(&mut app, "mine");
        let saved = press(&mut app, KeyCode::Enter);
        assert!(matches!(saved[..], [Effect::SavePreset { .. }]));
    }

    #[test]
    fn the_mouse_of_a_watcher_takes_no_layer() {
        let mut app = remote(true);
        press(&mut app, KeyCode::Char('a'));
        assert!(matches!(app.overlay, Some(Overlay::Layers(_))));
        update(&mut app, Message::Steers(false));
        assert!(app.overlay.is_none(), "it can come to no end");
        let event = MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: 60,
            row: 18,
            modifiers: KeyModifiers::NONE,
        };
        let window = Rect::new(0, 0, 120, 36);
        assert_eq!(update(&mut app, Message::Mouse(event, window)), []);
    }

    #[test]
    fn who_steers_is_reported_when_it_changes() {
        let mut app = remote(true);
        assert!(app.news().is_none());
        update(&mut app, Message::Steers(true));
        assert!(app.news().is_none(), "nothing changed");
        update(&mut app, Message::Steers(false));
        assert!(app.news().expect("a note").text.contains("watching"));
        update(&mut app, Message::Steers(true));
        assert_eq!(app.news().expect("a note").text, "you control this run now");
        assert_eq!(press(&mut app, KeyCode::Right).len(), 1);
    }

    #[test]
    fn changes_of_others_are_adopted_but_not_over_newer_ones_of_our_own() {
        let mut app = remote(true);
        let mut theirs = app.preset.clone();
        theirs.style.weight = 321.0;
        press(&mut app, KeyCode::Char('>'));
        press(&mut app, KeyCode::Char('>'));
        let ours = app.preset.clone();
        // The answers to the two, the first of which is old news.
        for answer in [&theirs, &ours] {
            changed(&mut app, answer);
            assert_eq!(app.preset, ours);
        }
        assert_eq!(app.undo.len(), 2);
        changed(&mut app, &theirs);
        assert_eq!(app.preset, theirs);
        assert!(app.undo.is_empty(), "what was done here is undone already");
    }

    #[test]
    fn a_preset_that_another_applied_is_no_edit() {
        let mut app = remote(false);
        let mut theirs = app.preset.clone();
        theirs.style.weight = 321.0;
        changed(&mut app, &theirs);
        assert!(app.has_edits());
        theirs.name = "bold".to_owned();
        theirs.style.weight = 3.0;
        changed(&mut app, &theirs);
        assert!(!app.has_edits());
    }

    #[test]
    fn a_new_run_of_another_brings_its_preset() {
        let job = crate::tui::tests::job();
        let begin = |app: &mut App, preset: &Preset| {
            let event = Event::Started {
                job: Box::new(impasto_core::job::Recipe {
                    preset: preset.clone(),
                    ..job.recipe(impasto_core::job::Painted::default())
                }),
                output: "other.png".into(),
                device: "cpu".to_owned(),
                sizes: Vec::new(),
            };
            update(app, Message::Event(event));
        };
        let mut app = remote(false);
        let mut theirs = app.preset.clone();
        theirs.seed = 77;
        theirs.style.weight = 5.5;
        begin(&mut app, &theirs);
        assert_eq!((&app.preset, app.base.seed), (&theirs, 77));

        // One of our own keeps what was asked for, whatever the run makes of it.
        let mut app = remote(true);
        press(&mut app, KeyCode::Char('r'));
        let restart = press(&mut app, KeyCode::Char('h'));
        assert!(matches!(
            restart[..],
            [Effect::Restart {
                from: RestartFrom::Here,
                ..
            }]
        ));
        let (base, weights) = (app.base.clone(), app.preset.clone());
        let mut here = base.clone();
        here.schedule.clear();
        begin(&mut app, &here);
        assert_eq!(app.base, base);
        assert!(app.preset.schedule.is_empty());
        assert_eq!(app.preset.style, weights.style);
    }

    #[test]
    fn what_was_edited_before_the_engine_began_is_sent_after_it() {
        let mut app = crate::tui::tests::app();
        let began = app.preset.clone();
        press(&mut app, KeyCode::Char('q'));
        let called = "tower-night".to_owned();
        let steers = true;
        update(&mut app, Message::Joined { called, steers });
        assert!(matches!(app.overlay, Some(Overlay::Leave)));
        press(&mut app, KeyCode::Esc);
        assert_eq!(
            update(&mut app, Message::Begun(Box::new(began.clone()))),
            []
        );
        press(&mut app, KeyCode::Char('>'));
        let effects = update(&mut app, Message::Begun(Box::new(began)));
        let edited = Box::new(app.preset.clone());
        assert_eq!(effects, [Effect::Send(Command::Change(edited))]);
        assert_eq!(app.unanswered, 1);
    }
}
