//! What happens to the state: a message in, effects out. No terminal, no
//! channels, no clock; what the world has to do is said as an [`Effect`].

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Chooser, Overlay, Pane, Part, Phase};
use super::history::{Mark, Point};
use super::keymap::{self, Action, Context};
use crate::picture::display_path;
use crate::preset::Preset;
use crate::protocol::{Command, Event, Step};

/// How much one press of a key changes a weight.
const STEP: f64 = 1.1;
/// And of the key for large steps.
const LARGE_STEP: f64 = 2.0;
/// Where a weight of zero begins when it is raised.
const FIRST_WEIGHT: f64 = 0.1;
/// The largest weight a preset may have.
const MOST_WEIGHT: f64 = 1e30;
/// The longest text that can be typed.
const LONGEST_INPUT: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    /// The engine told something.
    Event(Event),
    /// The pace, measured by whoever has a clock.
    Pace {
        speed: Option<f64>,
        left: Option<f64>,
    },
    /// The library's presets, asked for by [`Effect::ListPresets`].
    Presets(Vec<crate::preset::Entry>),
    /// A preset that was asked for, or why there is none.
    Loaded(Result<Box<Preset>, String>),
    /// The preset was saved, or why not.
    SavedPreset(Result<PathBuf, String>),
    /// SIGTERM or the like: stop, save, leave.
    Terminate,
}

/// What the world has to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    Send(Command),
    ListPresets,
    LoadPreset(String),
    SavePreset {
        preset: Box<Preset>,
        name: String,
    },
    Snapshot,
    NextPicture,
    MoveSplit(f64),
    Suspend,
    /// Leave; the run is over or nobody waits for it.
    Leave,
}

/// Takes a message in.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => key(app, event),
        Message::Event(event) => told(app, event),
        Message::Pace { speed, left } => {
            (app.speed, app.left) = (speed, left);
            Vec::new()
        }
        Message::Presets(entries) => {
            let chooser = Chooser {
                entries,
                filter: String::new(),
                selected: 0,
                error: None,
            };
            app.overlay = Some(Overlay::Presets(chooser));
            Vec::new()
        }
        Message::Loaded(Ok(preset)) => {
            app.overlay = None;
            app.remember();
            app.preset = Preset {
                // What only a new run can take up keeps its old value here as
                // it does in the engine, so that the two never differ.
                network: app.preset.network,
                schedule: app.preset.schedule.clone(),
                start: app.preset.start.clone(),
                seed: app.preset.seed,
                ..*preset
            };
            app.base = app.preset.clone();
            app.muted.clear();
            app.row = app.row.min(app.rows().len().saturating_sub(1));
            vec![send_preset(app)]
        }
        Message::Loaded(Err(error)) => {
            if let Some(Overlay::Presets(chooser)) = &mut app.overlay {
                chooser.error = Some(error);
            } else {
                app.note(error, true);
            }
            Vec::new()
        }
        Message::SavedPreset(Ok(path)) => {
            app.overlay = None;
            app.note(format!("preset saved as {}", display_path(&path)), false);
            Vec::new()
        }
        Message::SavedPreset(Err(problem)) => {
            match &mut app.overlay {
                Some(Overlay::SavePreset { error, .. }) => *error = Some(problem),
                _ => app.note(problem, true),
            }
            Vec::new()
        }
        Message::Terminate => stop(app),
    }
}

fn told(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Preparing { what } => {
            if !app.is_over() && app.phase != Phase::Stopping {
                app.phase = Phase::Preparing(what);
            }
        }
        Event::Started {
            device,
            sizes,
            output,
            ..
        } => {
            (app.device, app.sizes, app.output) = (Some(device), sizes, output);
        }
        Event::Step(step) => stepped(app, step),
        Event::Paused { .. } => app.phase = Phase::Paused,
        Event::Resumed { .. } => app.phase = Phase::Running,
        Event::Changed { iteration, .. } => app.history.mark(iteration, Mark::Change),
        Event::Notice { message, .. } => app.note(message, true),
        Event::Saved { output, .. } => {
            app.note(format!("saved {}", display_path(&output)), false);
        }
        Event::Finished { output, .. } => {
            app.phase = Phase::Finished { output };
            app.overlay = None;
        }
        Event::Failed { message, output } => {
            app.phase = Phase::Failed { message, output };
            app.overlay = None;
            // Somebody who asked to leave is told on the way out.
        }
    }
    if app.is_over() && app.leaving {
        vec![Effect::Leave]
    } else {
        Vec::new()
    }
}

fn stepped(app: &mut App, step: Step) {
    if matches!(app.phase, Phase::Preparing(_)) {
        app.phase = Phase::Running;
    }
    let scale_began = app
        .step
        .as_ref()
        .is_some_and(|before| before.scale != step.scale);
    if scale_began {
        app.history.mark(step.iteration, Mark::Scale);
    }
    app.history.push(Point {
        iteration: step.iteration,
        content: step.content,
        style: step.style,
        smoothness: step.smoothness,
        total: step.total,
    });
    app.step = Some(step);
}

fn key(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    if app.overlay.is_some() {
        return in_overlay(app, event);
    }
    if app.focus == Pane::Layers && typing(app, event) {
        return match app.typed.as_deref() {
            Some(_) if event.code == KeyCode::Enter => accept_number(app),
            _ => Vec::new(),
        };
    }
    let context = match app.focus {
        Pane::Layers => Context::Layers,
        Pane::Losses => Context::Losses,
        Pane::Picture => Context::Picture,
    };
    let Some(action) = keymap::action(context, event) else {
        return Vec::new();
    };
    act(app, action)
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Help => app.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Quit if app.is_over() => return vec![Effect::Leave],
        Action::Quit => app.overlay = Some(Overlay::Quit),
        Action::Interrupt => {
            app.interrupted = true;
            return stop(app);
        }
        Action::Suspend => return vec![Effect::Suspend],
        Action::NextPane => {
            app.focus = match app.focus {
                Pane::Layers => Pane::Losses,
                Pane::Losses => Pane::Picture,
                Pane::Picture => Pane::Layers,
            };
        }
        Action::Up if app.focus == Pane::Layers => app.row = app.row.saturating_sub(1),
        Action::Down if app.focus == Pane::Layers => {
            app.row = (app.row + 1).min(app.rows().len().saturating_sub(1));
        }
        Action::Less if app.focus == Pane::Picture => return vec![Effect::MoveSplit(-0.05)],
        Action::More if app.focus == Pane::Picture => return vec![Effect::MoveSplit(0.05)],
        Action::Less => return scale_weight(app, 1.0 / STEP),
        Action::More => return scale_weight(app, STEP),
        Action::MuchLess => return scale_weight(app, 1.0 / LARGE_STEP),
        Action::MuchMore => return scale_weight(app, LARGE_STEP),
        Action::Mute => return mute(app),
        Action::Undo => return undo(app),
        Action::Redo => return redo(app),
        Action::Pause if app.phase == Phase::Paused => return vec![Effect::Send(Command::Resume)],
        Action::Pause if app.phase == Phase::Running => return vec![Effect::Send(Command::Pause)],
        Action::Step if !app.is_over() => return vec![Effect::Send(Command::Step)],
        Action::Snapshot if app.step.is_some() => return vec![Effect::Snapshot],
        Action::Presets => return vec![Effect::ListPresets],
        Action::SavePreset => {
            app.overlay = Some(Overlay::SavePreset {
                name: String::new(),
                error: None,
            });
        }
        Action::NextPicture => return vec![Effect::NextPicture],
        Action::FullScreen => app.picture_alone = !app.picture_alone,
        Action::ToggleLog => app.chart.toggle_log(),
        Action::ToggleWindow => app.chart.toggle_window(),
        Action::ToggleSmoothness => app.chart.smoothness = !app.chart.smoothness,
        Action::ZoomIn => app.chart.zoom_in(&app.history),
        Action::ZoomOut => app.chart.zoom_out(&app.history),
        Action::CursorLeft => app.chart.move_cursor(-1, &app.history),
        Action::CursorRight => app.chart.move_cursor(1, &app.history),
        Action::Up
        | Action::Down
        | Action::Close
        | Action::Accept
        | Action::Pause
        | Action::Step
        | Action::Snapshot => {}
    }
    Vec::new()
}

/// The first time stops and saves, the second leaves at once.
fn stop(app: &mut App) -> Vec<Effect> {
    if app.is_over() || app.leaving {
        return vec![Effect::Leave];
    }
    app.leaving = true;
    app.overlay = None;
    app.phase = Phase::Stopping;
    vec![Effect::Send(Command::Stop)]
}

fn send_preset(app: &App) -> Effect {
    Effect::Send(Command::Change(Box::new(app.preset.clone())))
}

fn scale_weight(app: &mut App, factor: f64) -> Vec<Effect> {
    let Some(row) = app.selected_row() else {
        return Vec::new();
    };
    let weight = app.weight(row);
    let weight = match weight {
        0.0 if factor > 1.0 => FIRST_WEIGHT,
        _ => (weight * factor).min(MOST_WEIGHT),
    };
    change_weight(app, weight)
}

fn change_weight(app: &mut App, weight: f64) -> Vec<Effect> {
    match app.selected_row() {
        Some(row) if app.weight(row) != weight => {
            app.set_weight(row, weight);
            vec![send_preset(app)]
        }
        _ => Vec::new(),
    }
}

fn mute(app: &mut App) -> Vec<Effect> {
    let Some(row) = app.selected_row() else {
        return Vec::new();
    };
    let weight = app.weight(row);
    if weight == 0.0 {
        let before = app.muted.remove(&row).unwrap_or(FIRST_WEIGHT);
        change_weight(app, before)
    } else {
        app.muted.insert(row, weight);
        change_weight(app, 0.0)
    }
}

fn undo(app: &mut App) -> Vec<Effect> {
    let Some(before) = app.undo.pop() else {
        return Vec::new();
    };
    app.redo.push(std::mem::replace(&mut app.preset, before));
    app.row = app.row.min(app.rows().len().saturating_sub(1));
    vec![send_preset(app)]
}

fn redo(app: &mut App) -> Vec<Effect> {
    let Some(after) = app.redo.pop() else {
        return Vec::new();
    };
    app.undo.push(std::mem::replace(&mut app.preset, after));
    app.row = app.row.min(app.rows().len().saturating_sub(1));
    vec![send_preset(app)]
}

/// Whether the key belongs to a number being typed.
fn typing(app: &mut App, event: KeyEvent) -> bool {
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match (event.code, &mut app.typed) {
        (KeyCode::Char(digit @ '0'..='9'), typed) if plain => {
            typed.get_or_insert_default().push(digit);
        }
        (KeyCode::Char(character @ ('.' | 'e' | '-' | '+')), Some(typed)) if plain => {
            typed.push(character);
        }
        (KeyCode::Backspace, Some(typed)) => {
            typed.pop();
            if typed.is_empty() {
                app.typed = None;
            }
        }
        (KeyCode::Esc, Some(_)) => app.typed = None,
        (KeyCode::Enter, Some(_)) => {}
        (_, typed) => {
            *typed = None;
            return false;
        }
    }
    if let Some(typed) = &mut app.typed {
        typed.truncate(LONGEST_INPUT);
    }
    true
}

fn accept_number(app: &mut App) -> Vec<Effect> {
    let typed = app.typed.take().unwrap_or_default();
    match typed.parse::<f64>() {
        Ok(weight) if (0.0..=MOST_WEIGHT).contains(&weight) => change_weight(app, weight),
        _ => {
            app.note(
                format!("{typed} is no weight: expected a number from 0 to 1e30"),
                true,
            );
            Vec::new()
        }
    }
}

fn in_overlay(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    let action = keymap::action(Context::Overlay, event);
    match action {
        Some(Action::Interrupt) => return act(app, Action::Interrupt),
        Some(Action::Suspend) => return vec![Effect::Suspend],
        Some(Action::Close) => {
            app.overlay = None;
            return Vec::new();
        }
        _ => {}
    }
    match &mut app.overlay {
        Some(Overlay::Help { scroll }) => match action {
            Some(Action::Up) => *scroll = scroll.saturating_sub(1),
            Some(Action::Down) => *scroll = scroll.saturating_add(1),
            _ => app.overlay = None,
        },
        Some(Overlay::Quit) => match event.code {
            KeyCode::Enter | KeyCode::Char('y' | 'q') => return stop(app),
            _ => app.overlay = None,
        },
        Some(Overlay::Presets(chooser)) => {
            let last = chooser.shown().len().saturating_sub(1);
            match (action, event.code) {
                (Some(Action::Up), _) => chooser.selected = chooser.selected.saturating_sub(1),
                (Some(Action::Down), _) => chooser.selected = (chooser.selected + 1).min(last),
                (Some(Action::Accept), _) => {
                    let name = chooser
                        .shown()
                        .get(chooser.selected)
                        .map(|entry| entry.name.clone());
                    return name.map(Effect::LoadPreset).into_iter().collect();
                }
                (_, code) => {
                    edit(&mut chooser.filter, code);
                    (chooser.selected, chooser.error) = (0, None);
                }
            }
        }
        Some(Overlay::SavePreset { name, error }) => match action {
            Some(Action::Accept) => {
                let name = name.clone();
                return vec![Effect::SavePreset {
                    preset: Box::new(app.preset.clone()),
                    name,
                }];
            }
            _ => {
                edit(name, event.code);
                *error = None;
            }
        },
        None => {}
    }
    Vec::new()
}

/// Types into a line of text.
fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(character) if !character.is_control() && text.len() < LONGEST_INPUT => {
            text.push(character);
        }
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
}

/// The part's name as the screen shows it.
pub fn part_name(part: Part) -> &'static str {
    match part {
        Part::Content => "content",
        Part::Style => "style",
        Part::Smoothness => "smoothness",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::{app, press, step, type_text};

    fn sent(effects: &[Effect]) -> Option<&Preset> {
        match effects {
            [Effect::Send(Command::Change(preset))] => Some(preset),
            _ => None,
        }
    }

    #[test]
    fn a_key_changes_a_weight_and_the_engine_is_told() {
        let mut app = app();
        press(&mut app, KeyCode::Down);
        let effects = press(&mut app, KeyCode::Right);
        let preset = sent(&effects).expect("a changed preset");
        let layer = "relu4_2".parse().expect("a layer");
        assert!((preset.content.layers[&layer] - 1.1).abs() < 1e-12);
        assert_eq!(*preset, app.preset);
    }

    #[test]
    fn a_typed_number_becomes_the_weight() {
        let mut app = app();
        type_text(&mut app, "2.5e2");
        assert_eq!(app.preset.content.weight, 5.0, "not before enter");
        let effects = press(&mut app, KeyCode::Enter);
        assert_eq!(
            sent(&effects).expect("a changed preset").content.weight,
            250.0
        );
        type_text(&mut app, "9");
        press(&mut app, KeyCode::Esc);
        assert_eq!(press(&mut app, KeyCode::Enter), []);
        assert_eq!(app.preset.content.weight, 250.0);
        type_text(&mut app, "1e99");
        assert_eq!(press(&mut app, KeyCode::Enter), []);
        assert!(app.messages.back().expect("a message").warning);
    }

    #[test]
    fn muting_undoing_and_redoing_bring_weights_back() {
        let mut app = app();
        let before = app.preset.clone();
        press(&mut app, KeyCode::Char('m'));
        assert_eq!(app.preset.content.weight, 0.0);
        press(&mut app, KeyCode::Char('m'));
        assert_eq!(app.preset, before);
        press(&mut app, KeyCode::Char('>'));
        let after = app.preset.clone();
        assert_eq!(after.content.weight, 10.0);
        assert_eq!(sent(&press(&mut app, KeyCode::Char('u'))), Some(&before));
        assert_eq!(sent(&press(&mut app, KeyCode::Char('U'))), Some(&after));
        assert_eq!(
            press(&mut app, KeyCode::Char('U')),
            [],
            "nothing left to redo"
        );
    }

    #[test]
    fn pausing_asks_the_engine_and_shows_its_answer() {
        let mut app = app();
        update(&mut app, Message::Event(Event::Step(step(1))));
        assert_eq!(
            press(&mut app, KeyCode::Char(' ')),
            [Effect::Send(Command::Pause)]
        );
        assert_eq!(app.phase, Phase::Running, "until the engine says so");
        update(&mut app, Message::Event(Event::Paused { iteration: 1 }));
        assert_eq!(
            press(&mut app, KeyCode::Char(' ')),
            [Effect::Send(Command::Resume)]
        );
    }

    #[test]
    fn the_first_interrupt_saves_and_the_second_leaves() {
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let mut app = app();
        let first = update(&mut app, Message::Key(interrupt));
        assert_eq!(first, [Effect::Send(Command::Stop)]);
        assert_eq!(update(&mut app, Message::Key(interrupt)), [Effect::Leave]);
    }

    #[test]
    fn quitting_asks_then_stops_then_leaves() {
        let mut app = app();
        assert_eq!(press(&mut app, KeyCode::Char('q')), []);
        assert!(matches!(app.overlay, Some(Overlay::Quit)));
        press(&mut app, KeyCode::Esc);
        assert!(app.overlay.is_none());
        press(&mut app, KeyCode::Char('q'));
        assert_eq!(
            press(&mut app, KeyCode::Enter),
            [Effect::Send(Command::Stop)]
        );
        let finished = Event::Finished {
            output: Some(PathBuf::from("a.png")),
            iterations: 1,
            elapsed: 1.0,
            stopped: true,
        };
        assert_eq!(update(&mut app, Message::Event(finished)), [Effect::Leave]);
    }

    #[test]
    fn a_preset_applies_but_for_what_needs_a_new_run() {
        let mut app = app();
        let mut other = Preset {
            seed: 99,
            ..app.preset.clone()
        };
        other.style.weight = 777.0;
        let effects = update(&mut app, Message::Loaded(Ok(Box::new(other))));
        let preset = sent(&effects).expect("a changed preset");
        assert_eq!((preset.style.weight, preset.seed), (777.0, app.base.seed));
        assert_eq!(app.preset, app.base, "nothing is edited after applying");
    }

    #[test]
    fn names_are_typed_and_errors_shown() {
        let mut app = app();
        press(&mut app, KeyCode::Char('S'));
        type_text(&mut app, "mine");
        let effects = press(&mut app, KeyCode::Enter);
        assert!(matches!(&effects[..], [Effect::SavePreset { name, .. }] if name == "mine"));
        update(&mut app, Message::SavedPreset(Err("no room".to_owned())));
        assert!(matches!(
            &app.overlay,
            Some(Overlay::SavePreset { error: Some(_), .. })
        ));
        update(
            &mut app,
            Message::SavedPreset(Ok(PathBuf::from("mine.yaml"))),
        );
        assert!(app.overlay.is_none());
    }
}
