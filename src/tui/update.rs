//! What happens to the state: a message in, effects out. No terminal, no
//! channels, no clock; what the world has to do is said as an [`Effect`].

mod actions;
mod keys;
mod mouse;
mod overlays;
mod remote;
mod settings;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crossterm::event::{KeyEvent, MouseEvent};
use impasto_core::preset::{Preset, PresetEntry, differences};
use impasto_core::protocol::{Command, Event, RestartFrom, Step};
use impasto_core::text::display_path;
use ratatui::layout::Rect;

use super::app::{App, Overlay, Phase, Preparation, PresetChooser};
use super::history::{Mark, Point};

/// The longest text that can be typed.
const MAX_INPUT: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    /// The mouse did something in a window of this size.
    Mouse(MouseEvent, Rect),
    /// The engine sent an event.
    Event(Event),
    /// The pace, measured by whoever has a clock.
    Pace {
        speed: Option<f64>,
        left: Option<f64>,
    },
    /// Seconds since the dashboard opened.
    Clock(f64),
    /// The library's presets, asked for by [`Effect::ListPresets`].
    Presets(Vec<PresetEntry>),
    /// A preset that was asked for, or why there is none.
    Loaded(Result<Box<Preset>, String>),
    /// The preset's file was saved by somebody, or is wrong now.
    PresetFile(Result<Box<Preset>, String>),
    /// The preset was saved, or why not.
    SavedPreset(Result<PathBuf, String>),
    /// The engine has begun with this preset.
    Begun(Box<Preset>),
    /// The engine is another process.
    Joined {
        called: String,
        steers: bool,
    },
    /// From now on this terminal controls the run, or no longer.
    Steers(bool),
    /// The line to the other process broke.
    Lost,
    /// The names of the pictures, where those of the plan are of copies.
    Names {
        content: String,
        styles: Vec<String>,
    },
    /// The pictures are being read: so many steps until painting begins.
    Loading {
        of: u32,
    },
    /// A message to the user.
    Note {
        text: String,
        warning: bool,
    },
    /// How pictures are drawn.
    DrawnAs(String),
    /// What drawing sends to the terminal, on average.
    BytesPerSecond(f64),
    /// The file that libraries print to.
    Log(Option<String>),
    /// There is no picture to show in full screen.
    NoPicture,
    /// The run was asked to stop from outside.
    Stopping,
    /// The run was stopped before it began.
    NotBegun,
    /// SIGTERM or the like: stop, save, leave; or leave it to another process.
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
    /// Begin anew, under another name.
    Restart {
        preset: Box<Preset>,
        from: RestartFrom,
    },
    NextPicture,
    /// Move the split by a part of the picture's width.
    MoveSplit(f64),
    /// Put the split where this column of the window is.
    SplitAt(u16),
    /// Draw pictures in the next way.
    NextGraphics,
    NextTheme,
    /// Show the picture in place of the dashboard, anew if it is shown.
    ShowFullScreen,
    Suspend,
    /// Leave; the run is over, or nobody waits for it, or it continues without
    /// this terminal.
    Leave,
}

/// Takes a message in.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => return keys::key(app, event),
        Message::Mouse(event, window) => return mouse::mouse(app, event, window),
        Message::Event(event) => return handle_event(app, event),
        Message::Pace { speed, left } => (app.speed, app.left) = (speed, left),
        Message::Clock(seconds) => app.clock = seconds,
        Message::Presets(entries) => {
            app.overlay = Some(Overlay::Presets(PresetChooser {
                entries,
                filter: String::new(),
                selected: 0,
                error: None,
            }));
        }
        Message::Loaded(Ok(preset)) => return apply(app, *preset),
        Message::Loaded(Err(error)) => {
            if let Some(Overlay::Presets(chooser)) = &mut app.overlay {
                chooser.error = Some(error);
            } else {
                app.note(error, true);
            }
        }
        Message::PresetFile(Ok(_)) if app.is_watching() => {}
        Message::PresetFile(Ok(preset)) => {
            app.note(format!("{} was saved, and is applied", preset.name), false);
            return apply(app, *preset);
        }
        Message::PresetFile(Err(mistake)) => {
            let first = mistake.lines().next().unwrap_or_default().to_owned();
            app.note(first, true);
            // Not over something that the user is in the middle of.
            if matches!(app.overlay, None | Some(Overlay::Mistake(_))) && !app.full_screen {
                app.overlay = Some(Overlay::Mistake(mistake));
            }
        }
        Message::SavedPreset(Ok(path)) => {
            app.overlay = None;
            app.note(format!("preset saved as {}", display_path(&path)), false);
        }
        Message::SavedPreset(Err(problem)) => match &mut app.overlay {
            Some(Overlay::SavePreset { error, .. }) => *error = Some(problem),
            _ => app.note(problem, true),
        },
        Message::Begun(preset) => {
            app.unanswered = 0;
            if app.preset != *preset {
                return vec![send_preset(app)];
            }
        }
        Message::Joined { called, steers } => remote::joined(app, called, steers),
        Message::Steers(steers) => remote::steers(app, steers),
        Message::Lost => return remote::lost(app),
        Message::Names { content, styles } => (app.content, app.styles) = (content, styles),
        Message::Loading { of } => {
            let steps = Vec::new();
            app.phase = Phase::Preparing(Preparation { steps, of });
        }
        Message::Note { text, warning } => app.note(text, warning),
        Message::DrawnAs(how) => app.drawn_as = how,
        Message::BytesPerSecond(rate) => app.bytes_per_second = rate,
        Message::Log(path) => app.log = path,
        Message::NoPicture => {
            app.full_screen = false;
            app.note("there is no picture to show yet", false);
        }
        Message::Stopping => app.phase = Phase::Stopping,
        Message::NotBegun => app.phase = Phase::Finished { output: None },
        Message::Terminate if app.remote.is_some() => return vec![Effect::Leave],
        Message::Terminate => return stop(app),
    }
    Vec::new()
}

/// Goes on with a preset, as far as this run can take it up. What it cannot is
/// offered as a new run.
fn apply(app: &mut App, preset: Preset) -> Vec<Effect> {
    if app.is_watching() {
        return remote::only_watches(app);
    }
    let before = app.preset_of_new_run();
    if let Some(Overlay::Presets(_) | Overlay::Mistake(_)) = app.overlay {
        app.overlay = None;
    }
    app.remember();
    // What only a new run can adopt keeps its old value here as it does in
    // the engine, so that the two never differ.
    app.preset = preset.clone().for_a_run_like(&app.preset);
    app.base = preset;
    app.muted.clear();
    app.typed = None;
    app.row = app.row.min(app.rows().len().saturating_sub(1));
    let news = differences(&before, &app.base);
    if news.iter().any(|difference| difference.needs_new_run) && app.overlay.is_none() {
        app.overlay = Some(Overlay::Restart);
    }
    vec![send_preset(app)]
}

fn handle_event(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Preparing { what, of, .. } => prepare(app, what, of),
        Event::Started {
            device,
            sizes,
            output,
            job,
        } => {
            remote::started(app, job.preset);
            (app.device, app.sizes, app.output) = (Some(device), sizes, output);
        }
        Event::Step(step) => stepped(app, step),
        Event::Memory(memory) => app.memory = Some(memory),
        Event::Paused { .. } => app.phase = Phase::Paused,
        Event::Resumed { .. } => app.phase = Phase::Running,
        Event::Changed { iteration, preset } => {
            app.history.mark(iteration, Mark::Change);
            remote::changed(app, *preset);
            if matches!(app.phase, Phase::Preparing(_)) && app.step.is_some() {
                app.phase = Phase::Running;
            }
        }
        Event::Notice { message, .. } => {
            if let Some(Overlay::Settings(editor)) = &mut app.overlay {
                // The line of messages is below the list.
                editor.error = Some(message.clone());
            }
            app.note(message, true);
        }
        Event::Saved { output, .. } => {
            app.note(format!("saved {}", display_path(&output)), false);
        }
        Event::Restarting { output } => {
            if let Some(output) = output {
                app.note(format!("saved {}", display_path(&output)), false);
            }
            app.phase = Phase::Preparing(Preparation::default());
            app.history.clear();
            app.chart.cursor = None;
            (app.step, app.speed, app.left) = (None, None, None);
        }
        Event::Finished { output, .. } => {
            app.phase = Phase::Finished { output };
            if matches!(app.overlay, Some(Overlay::Quit | Overlay::Leave)) {
                app.overlay = None;
            }
        }
        Event::Failed {
            message,
            output,
            refused,
        } => {
            app.phase = Phase::Failed {
                message,
                output,
                refused,
            };
            app.full_screen = false;
            // Somebody who asked to leave reads it on the way out.
            app.overlay = (!app.leaving).then_some(Overlay::Failure);
        }
    }
    if app.is_over() && app.leaving {
        vec![Effect::Leave]
    } else {
        Vec::new()
    }
}

fn prepare(app: &mut App, what: String, of: u32) {
    match &mut app.phase {
        Phase::Preparing(preparation) => {
            preparation.steps.push(what);
            preparation.of = preparation.of.max(of);
        }
        Phase::Running => {
            app.phase = Phase::Preparing(Preparation {
                steps: vec![what],
                of,
            });
        }
        // A change while paused computes its targets and stays paused.
        Phase::Paused | Phase::Stopping | Phase::Finished { .. } | Phase::Failed { .. } => {}
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

/// The first time stops and saves, the second leaves at once.
fn stop(app: &mut App) -> Vec<Effect> {
    if app.is_over() || app.leaving {
        return vec![Effect::Leave];
    }
    app.leaving = true;
    app.overlay = None;
    app.full_screen = false;
    app.phase = Phase::Stopping;
    vec![Effect::Send(Command::Stop)]
}

fn send_preset(app: &mut App) -> Effect {
    // A run that is over answers no change; the next one gets them all.
    if !app.is_over() {
        app.unanswered += 1;
    }
    Effect::Send(Command::Change(Box::new(app.preset.clone())))
}
