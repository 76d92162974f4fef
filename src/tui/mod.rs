//! The dashboard: state, update, view.
//!
//! A key press becomes a changed weight like this: `terminal` reads the key,
//! [`keymap`] says what it means, [`update`](mod@update) changes the [`app::App`]
//! and answers with an effect, and the loop here sends the effect's command to
//! the engine. The engine's answers come back as events through the same
//! `update`. [`view`] draws the state; nothing else writes to the terminal.

pub mod app;
pub mod history;
pub mod keymap;
pub mod log;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use self::app::{App, Phase};
use self::log::Log;
use self::terminal::{Input, InputEvent, Screen};
use self::theme::Theme;
use self::update::{Effect, Message, update};
use crate::commands::{Failure, Outcome};
use crate::engine::worker;
use crate::headless;
use crate::job::Job;
use crate::pace::Pace;
use crate::picture::display_path;
use crate::preset::Library;
use crate::preview::budget::Budget;
use crate::preview::pane::Pane;
use crate::preview::terminal::Terminal;
use crate::protocol::{Command, Event, Link};

/// The longest wait for a key; what the engine tells is looked at as often.
const TURN: Duration = Duration::from_millis(33);
/// Previews are asked for no more often than this.
const PREVIEW_EVERY: Duration = Duration::from_millis(250);
/// Events taken in before the next frame.
const MOST_EVENTS: usize = 4096;

/// Paints `job` under a dashboard.
///
/// # Errors
/// When the terminal cannot be used, the run fails, or a signal ends it.
pub fn paint(job: Job, ascii: bool) -> Outcome {
    let terminal = Terminal::detect()
        .ok_or_else(|| Failure::Usage("the dashboard needs a terminal".to_owned()))?;
    let log = Log::start()?;
    let mut dashboard = Dashboard::new(&job, &terminal, ascii);
    let mut input = Input::open()?;
    let mut screen = Screen::enter(false)?;
    screen.draw(|frame| dashboard.draw(frame))?;
    let (link, thread) = worker::start(job)
        .map_err(|error| Failure::Failed(format!("cannot start painting: {error}")))?;
    let left = match dashboard.run(&link, &mut input, &mut screen) {
        Ok(left) => left,
        // A terminal that fails is one that is going away.
        Err(_) => dashboard.save_unseen(&link),
    };
    drop(screen);
    // Frees what the terminal kept of the pictures; if it is gone, so are they.
    let _ = write!(std::io::stdout(), "{}", dashboard.picture.farewell());
    let log_path = display_path(log.path());
    drop(log);
    if left == Left::InGoodOrder {
        let _ = thread.join();
    }
    dashboard.farewell(left, &log_path)
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The run is over and everything is saved.
    InGoodOrder,
    /// The user would not wait for the picture to be saved.
    AtOnce,
}

struct Dashboard {
    app: App,
    picture: Pane,
    theme: Theme,
    library: Library,
    pace: Pace,
    /// The window at the last frame.
    window: Rect,
    /// When a preview was last asked for.
    preview_asked: Option<Instant>,
    /// How often the line to the terminal can carry a picture.
    budget: Budget,
    /// The signal that asked the run to end.
    signal: Option<u8>,
    snapshots: u32,
}

impl Dashboard {
    fn new(job: &Job, terminal: &Terminal, ascii: bool) -> Self {
        let graphics = terminal.graphics_by_name();
        let mut picture = Pane::new(graphics, terminal.cell, terminal.colours, ascii);
        picture.set_content(&job.content.picture);
        picture.set_style(&job.style.picture);
        Self {
            app: App::new(job),
            picture,
            theme: Theme::new(terminal.colours, ascii),
            library: Library::open(),
            pace: Pace::default(),
            window: Rect::default(),
            preview_asked: None,
            budget: Budget::new(terminal.ssh),
            signal: None,
            snapshots: 0,
        }
    }

    fn draw(&mut self, frame: &mut ratatui::Frame) {
        self.window = frame.area();
        view::draw(frame, &self.app, &mut self.picture, &self.theme);
    }

    /// Turns until the user leaves: wait for keys, take in what the engine
    /// told, draw once if anything changed.
    fn run(
        &mut self,
        link: &Link,
        input: &mut Input,
        screen: &mut Screen,
    ) -> std::io::Result<Left> {
        loop {
            let mut changed = false;
            let mut effects = Vec::new();
            for event in input.wait(TURN)? {
                changed = true;
                match event {
                    InputEvent::Key(key) => {
                        effects.extend(update(&mut self.app, Message::Key(key)));
                    }
                    InputEvent::Paste(text) => {
                        for character in text.chars().filter(|c| !c.is_control()) {
                            let key = crossterm::event::KeyCode::Char(character).into();
                            effects.extend(update(&mut self.app, Message::Key(key)));
                        }
                    }
                    InputEvent::Signal(SIGTSTP) => effects.push(Effect::Suspend),
                    InputEvent::Signal(SIGCONT) => screen.resume()?,
                    InputEvent::Signal(number) => {
                        self.signal = u8::try_from(number).ok();
                        effects.extend(match number {
                            SIGINT | SIGTERM | SIGHUP => self.terminate(),
                            _ => Vec::new(),
                        });
                    }
                    InputEvent::Hangup => return Ok(self.save_unseen(link)),
                    InputEvent::Resize(..) | InputEvent::Mouse(_) => {}
                }
            }
            for event in link.events.try_iter().take(MOST_EVENTS) {
                changed = true;
                if let Event::Step(step) = &event {
                    self.pace.note(step);
                    let speed = self.pace.iterations_per_second();
                    let left = self.pace.left(step, &self.app.sizes);
                    update(&mut self.app, Message::Pace { speed, left });
                }
                effects.extend(update(&mut self.app, Message::Event(event)));
            }
            if let Some(preview) = link.preview.take() {
                self.picture.set_painting(preview);
            }
            let fresh = self.picture.is_fresh();
            changed |= fresh;
            for effect in effects {
                if effect == Effect::Leave {
                    let over = self.app.is_over();
                    return Ok(if over {
                        Left::InGoodOrder
                    } else {
                        Left::AtOnce
                    });
                }
                self.carry_out(effect, link, screen)?;
            }
            if changed {
                let began = Instant::now();
                // Graphics would lie over whatever stands on top of them.
                self.picture.use_pixels(self.app.overlay.is_none());
                screen.draw(|frame| self.draw(frame))?;
                let (bytes, took) = screen.sent();
                self.budget.wrote(bytes, took);
                if fresh {
                    self.budget.sent_picture(bytes, began);
                }
            }
            self.ask_for_preview(link);
        }
    }

    /// A signal that asks the run to end is no second Ctrl-C: it may come twice.
    fn terminate(&mut self) -> Vec<Effect> {
        if self.app.leaving {
            Vec::new()
        } else {
            update(&mut self.app, Message::Terminate)
        }
    }

    /// The terminal is gone, and nobody sees the screen any more: stops the run
    /// and waits until its picture is saved.
    fn save_unseen(&mut self, link: &Link) -> Left {
        self.signal.get_or_insert(SIGHUP as u8);
        self.terminate();
        let _ = link.commands.send(Command::Stop);
        while !self.app.is_over() {
            match link.events.recv() {
                Ok(event) => drop(update(&mut self.app, Message::Event(event))),
                Err(_) => return Left::AtOnce,
            }
        }
        Left::InGoodOrder
    }

    fn ask_for_preview(&mut self, link: &Link) {
        let due = self
            .preview_asked
            .is_none_or(|asked| asked.elapsed() >= PREVIEW_EVERY);
        let ready = due && self.budget.ready(Instant::now());
        if !ready || self.app.phase != Phase::Running {
            return;
        }
        if let Some(places) = view::places(&self.app, self.window) {
            let (width, height) = self.picture.wanted_pixels(places.picture);
            let _ = link.commands.send(Command::Preview { width, height });
            self.preview_asked = Some(Instant::now());
        }
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        link: &Link,
        screen: &mut Screen,
    ) -> std::io::Result<()> {
        let message = match effect {
            Effect::Send(command) => {
                // A run that is over hears nothing more, and has said so.
                let _ = link.commands.send(command);
                return Ok(());
            }
            Effect::ListPresets => Message::Presets(self.library.list()),
            Effect::LoadPreset(name) => {
                let found = self.library.find(&name);
                Message::Loaded(found.map(Box::new).map_err(|error| error.to_string()))
            }
            Effect::SavePreset { preset, name } => {
                let preset = crate::preset::Preset {
                    name: name.clone(),
                    ..*preset
                };
                let saved = self.library.save(&preset, &name);
                Message::SavedPreset(saved.map_err(|error| error.to_string()))
            }
            Effect::Snapshot => {
                let output = self.snapshot_name();
                let _ = link.commands.send(Command::Snapshot { output });
                return Ok(());
            }
            Effect::NextPicture => {
                self.picture.show(self.picture.shown().next());
                return Ok(());
            }
            Effect::MoveSplit(by) => {
                self.picture.set_split(self.picture.split() + by);
                return Ok(());
            }
            Effect::Suspend => {
                screen.suspend()?;
                self.picture.send_again();
                return Ok(());
            }
            Effect::Leave => return Ok(()),
        };
        for effect in update(&mut self.app, message) {
            self.carry_out(effect, link, screen)?;
        }
        Ok(())
    }

    /// A name beside the output that is still free.
    fn snapshot_name(&mut self) -> PathBuf {
        let stem = self
            .app
            .output
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        loop {
            self.snapshots += 1;
            let name = format!("{stem}-snapshot-{}.png", self.snapshots);
            let path = self.app.output.with_file_name(name);
            if !path.exists() || self.snapshots > 100_000 {
                return path;
            }
        }
    }

    /// What is said, and shown, on the ordinary screen afterwards.
    fn farewell(&self, left: Left, log: &str) -> Outcome {
        match (&self.app.phase, left) {
            (Phase::Failed { message, output }, _) => {
                let place = match output {
                    Some(output) => format!("; the picture is in {}", display_path(output)),
                    None => String::new(),
                };
                let message = message.trim_end_matches('.');
                Err(Failure::Failed(format!(
                    "{message}{place}; the log is {log}"
                )))
            }
            (
                Phase::Finished {
                    output: Some(output),
                },
                _,
            ) => {
                headless::say(&format!("saved {}", display_path(output)));
                headless::show_picture(output);
                self.stopped()
            }
            (_, Left::AtOnce) => {
                headless::say("left before the picture was saved");
                Err(Failure::Stopped(SIGINT as u8))
            }
            (_, Left::InGoodOrder) => {
                headless::say("stopped before the first iteration; nothing was saved");
                self.stopped()
            }
        }
    }

    fn stopped(&self) -> Outcome {
        match self.signal {
            Some(number) => Err(Failure::Stopped(number)),
            None if self.app.interrupted => Err(Failure::Stopped(SIGINT as u8)),
            None => Ok(()),
        }
    }
}
