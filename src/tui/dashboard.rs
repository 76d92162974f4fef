//! The loop: keys, events and pictures in, frames out.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use super::app::{App, Phase, Preparation};
use super::console::Console;
use super::loading::{self, Loading};
use super::terminal::InputEvent;
use super::theme::{Palette, Theme};
use super::update::{Effect, Message, update};
use super::{Options, view};
use crate::headless::EventSink;
use crate::job::{Job, Plan};
use crate::pace::Pace;
use crate::preset::{Library, Preset, Watch};
use crate::preview::budget::Budget;
use crate::preview::pane::{Pane, Shown};
use crate::preview::terminal::{Capabilities, Colours, Terminal, cell_size};
use crate::protocol::{Command, Event, FIRST_STEPS, Link};

/// The longest wait for a key; what the engine tells is looked at as often.
const TURN: Duration = Duration::from_millis(33);
/// Previews are asked for no more often than this.
const PREVIEW_EVERY: Duration = Duration::from_millis(250);
/// How often a preset's file is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(400);
/// Events taken in before the next frame.
const MOST_EVENTS: usize = 4096;
/// How often something moves while everything waits.
const BEATS_PER_SECOND: f64 = 4.0;
/// The most numbers tried for a free name.
const MOST_NAMES: u32 = 100_000;

/// Starts to paint: the engine, or a stand-in in tests.
pub type Engine<'a> = dyn FnMut(Job) -> io::Result<(Link, JoinHandle<()>)> + 'a;

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The run is over and everything is saved.
    InGoodOrder,
    /// The user would not wait for the picture to be saved.
    AtOnce,
    /// A picture could not be read.
    Unread(String),
}

/// Whether the full screen has the picture at its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Larger {
    Wanted,
    Asked,
    Enough,
}

/// One run under the dashboard's eyes.
pub struct Dashboard<'a> {
    pub app: App,
    /// The signal that asked the run to end.
    pub signal: Option<u8>,
    engine: &'a mut Engine<'a>,
    plan: Plan,
    loading: Option<Receiver<Loading>>,
    run: Option<(Link, JoinHandle<()>)>,
    events: Option<EventSink>,
    picture: Pane,
    palette: Palette,
    colours: Colours,
    theme: Theme,
    library: Library,
    watch: Option<Watch>,
    watched: Instant,
    pace: Pace,
    /// The window at the last frame.
    window: Rect,
    /// When a preview was last asked for, and whether it is still to come: one
    /// at a time, or a slow painter would have a heap of them to make.
    preview_asked: Option<Instant>,
    preview_to_come: bool,
    /// Whether the picture stands in place of the dashboard.
    shows_picture: bool,
    /// Whether that picture waits for one of its size: not asked for, asked
    /// for, or no longer.
    larger: Larger,
    /// How often the line to the terminal can carry a picture.
    budget: Budget,
    rate: Rate,
    ssh: bool,
    /// Whether a hangup is no reason to stop, as under nohup.
    stays: bool,
    opened: Instant,
    /// The iteration and the size of the last preview that was asked for.
    asked: Option<(u32, (u32, u32))>,
    /// Names that were given out, whose files may not be there yet.
    named: Vec<PathBuf>,
}

impl<'a> Dashboard<'a> {
    /// A dashboard on a plan. Nothing is read or started yet.
    pub fn new(
        plan: Plan,
        options: Options,
        terminal: &Terminal,
        library: Library,
        engine: &'a mut Engine<'a>,
    ) -> Self {
        let graphics = terminal.graphics_by_name();
        let mut picture = Pane::new(graphics, terminal.cell, terminal.colours, options.ascii);
        picture.set_mode(options.graphics);
        let watched = plan.preset_name.as_deref();
        let watch = watched
            .and_then(|name| library.file_of(name))
            .map(Watch::new);
        Self {
            app: App::new(&plan),
            signal: None,
            engine,
            plan,
            loading: None,
            run: None,
            events: None,
            picture,
            palette: options.palette,
            colours: terminal.colours,
            theme: Theme::new(options.palette, terminal.colours, options.ascii),
            library,
            watch,
            watched: Instant::now(),
            pace: Pace::default(),
            window: Rect::default(),
            preview_asked: None,
            preview_to_come: false,
            shows_picture: false,
            larger: Larger::Enough,
            budget: Budget::new(terminal.ssh),
            rate: Rate::default(),
            ssh: terminal.ssh,
            stays: false,
            opened: Instant::now(),
            asked: None,
            named: Vec::new(),
        }
    }

    /// Writes every event to a file too.
    pub fn record(&mut self, events: EventSink) {
        self.events = Some(events);
    }

    /// Paints to the end when the terminal goes away.
    pub fn stay_on_hangup(&mut self) {
        self.stays = true;
    }

    /// How the terminal was found to show pictures, where that is known before
    /// it says so here.
    pub fn set_graphics(&mut self, capabilities: Capabilities) {
        self.picture.set_graphics(capabilities);
    }

    /// What to write to the terminal at the end, so that it frees the pictures
    /// it holds.
    pub fn farewell_bytes(&self) -> String {
        self.picture.farewell()
    }

    /// Reads, paints and draws until the user leaves or nobody can see it any
    /// more; then the picture is saved, and all threads have ended.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run(&mut self, console: &mut dyn Console) -> io::Result<Left> {
        self.app.phase = Phase::Preparing(Preparation {
            steps: Vec::new(),
            of: loading::steps(&self.plan) + FIRST_STEPS,
        });
        // Drawn before anything is begun: whoever waits sees that it has.
        let drawn = self.draw(console, false);
        self.loading = Some(loading::load(self.plan.clone())?);
        let left = match drawn.and_then(|()| self.turns(console)) {
            Ok(left) => left,
            // A terminal that fails is one that is going away.
            Err(_) => self.go_on_unseen(),
        };
        if let (Some((link, thread)), true) = (self.run.take(), left != Left::AtOnce) {
            // Without commands to wait for, the painter's thread ends.
            drop(link);
            let _ = thread.join();
        }
        Ok(left)
    }

    /// Turns until the user leaves: wait for keys, take in what is new, draw
    /// once if anything changed.
    fn turns(&mut self, console: &mut dyn Console) -> io::Result<Left> {
        loop {
            let mut effects = Vec::new();
            let mut changed = false;
            for event in console.wait(TURN)? {
                changed = true;
                match event {
                    InputEvent::Hangup => return Ok(self.go_on_unseen()),
                    InputEvent::Signal(SIGHUP) if self.stays => {}
                    InputEvent::Signal(SIGCONT) => {
                        console.resume()?;
                        self.picture.send_again();
                    }
                    InputEvent::Resize(..) if self.shows_picture => {
                        effects.push(Effect::ShowFullScreen);
                    }
                    event => effects.extend(self.heard(event)),
                }
            }
            let fresh_news = self.tick();
            changed |= fresh_news;
            if let Some(left) = self.read_on(&mut effects)? {
                return Ok(left);
            }
            changed |= self.take_in_events(&mut effects);
            self.look_at_preset_file(&mut effects);
            let fresh = self.take_in_preview(&mut effects);
            changed |= fresh | !effects.is_empty();
            for effect in effects {
                if effect == Effect::Leave {
                    return Ok(if self.app.is_over() {
                        Left::InGoodOrder
                    } else {
                        Left::AtOnce
                    });
                }
                self.carry_out(effect, console)?;
            }
            if self.app.leaving && self.app.is_over() {
                return Ok(Left::InGoodOrder);
            }
            if changed {
                self.draw(console, fresh)?;
            }
            self.ask_for_preview();
        }
    }

    /// What came from the terminal.
    fn heard(&mut self, event: InputEvent) -> Vec<Effect> {
        match event {
            InputEvent::Key(key) => update(&mut self.app, Message::Key(key)),
            InputEvent::Mouse(mouse) => update(&mut self.app, Message::Mouse(mouse, self.window)),
            InputEvent::Paste(text) => {
                let characters = text.chars().filter(|c| !c.is_control());
                let mut effects = Vec::new();
                for character in characters {
                    let key = crossterm::event::KeyCode::Char(character).into();
                    effects.extend(update(&mut self.app, Message::Key(key)));
                }
                effects
            }
            InputEvent::Signal(SIGTSTP) => vec![Effect::Suspend],
            InputEvent::Signal(number @ (SIGINT | SIGTERM | SIGHUP)) => {
                self.signal = u8::try_from(number).ok();
                self.terminate()
            }
            InputEvent::Graphics(capabilities) => {
                self.picture.set_graphics(capabilities);
                Vec::new()
            }
            InputEvent::Resize(..) => {
                // The letters may have another size now too.
                self.picture.set_cell(cell_size());
                Vec::new()
            }
            InputEvent::Signal(_) | InputEvent::Hangup => Vec::new(),
        }
    }

    /// Lets time pass. True if that shows.
    fn tick(&mut self) -> bool {
        let beat = |clock: f64| (clock * BEATS_PER_SECOND) as u64;
        let before = (self.app.news().is_some(), beat(self.app.clock));
        update(
            &mut self.app,
            Message::Clock(self.opened.elapsed().as_secs_f64()),
        );
        let after = (self.app.news().is_some(), beat(self.app.clock));
        let moves = matches!(self.app.phase, Phase::Preparing(_) | Phase::Stopping);
        before.0 != after.0 || moves && before.1 != after.1
    }

    /// Takes in what the thread that reads the pictures told, and starts to
    /// paint when they are there.
    fn read_on(&mut self, effects: &mut Vec<Effect>) -> io::Result<Option<Left>> {
        let Some(loading) = &self.loading else {
            return Ok(None);
        };
        for told in loading.try_iter().collect::<Vec<_>>() {
            match told {
                Loading::Step(what) => {
                    let event = Event::Preparing {
                        what,
                        step: 0,
                        of: 0,
                    };
                    effects.extend(update(&mut self.app, Message::Event(event)));
                }
                Loading::Done(Err(message)) => return Ok(Some(Left::Unread(message))),
                Loading::Done(Ok(loaded)) => {
                    self.loading = None;
                    self.picture.set_content(loaded.content);
                    self.picture.set_style(loaded.style);
                    let preset = loaded.job.preset.clone();
                    self.run = Some((self.engine)(loaded.job)?);
                    if self.app.preset != preset {
                        // Edited while the pictures were read.
                        let preset = Box::new(self.app.preset.clone());
                        effects.push(Effect::Send(Command::Change(preset)));
                    }
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Takes in what the engine told. True if there was anything.
    fn take_in_events(&mut self, effects: &mut Vec<Effect>) -> bool {
        let Some((link, _)) = &self.run else {
            return false;
        };
        let events: Vec<Event> = link.events.try_iter().take(MOST_EVENTS).collect();
        let any = !events.is_empty();
        for event in events {
            self.write_down(&event);
            match &event {
                Event::Step(step) => {
                    self.pace.note(step);
                    let speed = self.pace.iterations_per_second();
                    let left = self.pace.left(step, &self.app.sizes);
                    update(&mut self.app, Message::Pace { speed, left });
                }
                Event::Restarting { .. } => {
                    self.pace = Pace::default();
                    self.preview_to_come = false;
                }
                _ => {}
            }
            effects.extend(update(&mut self.app, Message::Event(event)));
        }
        any
    }

    fn write_down(&mut self, event: &Event) {
        if let Some(events) = &mut self.events
            && let Err(error) = events.write(event)
        {
            self.events = None;
            let words = format!("the events can no longer be written ({error}); painting on");
            self.app.note(words, true);
        }
    }

    fn look_at_preset_file(&mut self, effects: &mut Vec<Effect>) {
        if self.watched.elapsed() < WATCH_EVERY {
            return;
        }
        self.watched = Instant::now();
        let Some(read) = self.watch.as_mut().and_then(Watch::poll) else {
            return;
        };
        let preset = read
            .and_then(|preset| self.plan.overrides.apply(preset))
            .map(Box::new)
            .map_err(|error| error.to_string());
        effects.extend(update(&mut self.app, Message::PresetFile(preset)));
    }

    /// Takes in a preview. True if the next frame shows another picture.
    fn take_in_preview(&mut self, effects: &mut Vec<Effect>) -> bool {
        if let Some(preview) = self.run.as_ref().and_then(|(link, _)| link.preview.take()) {
            self.picture.set_painting(preview);
            self.preview_to_come = false;
            if self.shows_picture && self.larger == Larger::Asked {
                self.larger = Larger::Enough;
                effects.push(Effect::ShowFullScreen);
            }
        }
        self.picture.is_fresh()
    }

    /// Draws the dashboard, unless the picture stands in its place.
    fn draw(&mut self, console: &mut dyn Console, fresh: bool) -> io::Result<()> {
        if self.app.full_screen {
            return Ok(());
        }
        if self.shows_picture {
            self.shows_picture = false;
            console.redraw()?;
            self.picture.send_again();
        }
        let began = Instant::now();
        // Graphics would lie over whatever stands on top of them.
        self.picture.use_pixels(self.app.overlay.is_none());
        self.picture.set_live(self.app.phase == Phase::Running);
        self.picture.set_line(self.budget.rate(), self.ssh);
        self.app.drawn_as = self.picture.describe();
        console.draw(&mut |frame| {
            self.window = frame.area();
            view::draw(frame, &self.app, &mut self.picture, &self.theme);
        })?;
        let (bytes, took) = console.sent();
        self.budget.wrote(bytes, took);
        if fresh {
            self.budget.sent_picture(bytes, began);
        }
        self.app.bytes_per_second = self.rate.sent(bytes, began);
        Ok(())
    }

    fn show_full_screen(&mut self, console: &mut dyn Console) -> io::Result<()> {
        let Some(picture) = self.picture.picture() else {
            self.app.full_screen = false;
            self.app.note("there is no picture to show yet", false);
            return Ok(());
        };
        let painting = matches!(self.picture.shown(), Shown::Painting | Shown::Split);
        if !self.shows_picture && painting {
            self.larger = Larger::Wanted;
        }
        self.shows_picture = true;
        let words = view::full_screen_words(&self.app, self.picture.shown());
        console.show(&picture, &words)?;
        let (bytes, took) = console.sent();
        self.budget.wrote(bytes, took);
        Ok(())
    }

    fn ask_for_preview(&mut self) {
        let Some((link, _)) = &self.run else { return };
        // A run that is over still answers, once: its last picture.
        if self.app.step.is_none() || self.app.phase == Phase::Stopping {
            return;
        }
        if self.shows_picture {
            if self.larger == Larger::Wanted {
                self.larger = Larger::Asked;
                let (width, height) = self.picture.full_screen_pixels(self.window);
                let _ = link.commands.send(Command::Preview { width, height });
            }
            return;
        }
        let due = self
            .preview_asked
            .is_none_or(|asked| asked.elapsed() >= PREVIEW_EVERY);
        let Some(places) = view::places(&self.app, self.window) else {
            return;
        };
        let size = self.picture.wanted_pixels(places.picture);
        let iteration = self.app.step.as_ref().map_or(0, |step| step.iteration);
        let news = self.app.phase == Phase::Running || self.asked != Some((iteration, size));
        if due && news && !self.preview_to_come && self.budget.ready(Instant::now()) {
            let (width, height) = size;
            let _ = link.commands.send(Command::Preview { width, height });
            self.preview_asked = Some(Instant::now());
            self.preview_to_come = true;
            self.asked = Some((iteration, size));
        }
    }

    fn carry_out(&mut self, effect: Effect, console: &mut dyn Console) -> io::Result<()> {
        let message = match effect {
            Effect::Send(command) => {
                self.send(command);
                return Ok(());
            }
            Effect::ListPresets => Message::Presets(self.library.list()),
            Effect::LoadPreset(name) => Message::Loaded(self.load_preset(&name)),
            Effect::SavePreset { preset, name } => {
                let preset = Preset {
                    name: name.clone(),
                    ..*preset
                };
                let saved = self.library.save(&preset, &name);
                Message::SavedPreset(saved.map_err(|error| error.to_string()))
            }
            Effect::Snapshot => {
                let output = self.free_name("snapshot-");
                self.send(Command::Snapshot { output });
                return Ok(());
            }
            Effect::Restart { preset, from } => {
                let output = match self.app.step {
                    // Nothing was painted, so the name is still to be used.
                    None if !self.app.is_over() => self.app.output.clone(),
                    _ => self.free_name(""),
                };
                self.send(Command::Restart {
                    preset,
                    from,
                    output,
                });
                return Ok(());
            }
            Effect::NextPicture => {
                self.picture.show(self.picture.shown().next());
                return Ok(());
            }
            Effect::MoveSplit(by) => {
                self.picture.show(Shown::Split);
                self.picture.set_split(self.picture.split() + by);
                return Ok(());
            }
            Effect::SplitAt(column) => {
                self.picture.show(Shown::Split);
                self.picture.split_at(column);
                return Ok(());
            }
            Effect::NextGraphics => {
                let mode = self.picture.mode().next();
                self.picture.set_mode(mode);
                self.app
                    .note(format!("pictures are drawn as {mode}"), false);
                return Ok(());
            }
            Effect::NextTheme => {
                self.palette = self.palette.next();
                self.theme = Theme::new(self.palette, self.colours, self.theme.ascii);
                self.app.note(format!("theme {}", self.palette), false);
                return Ok(());
            }
            Effect::ShowFullScreen => return self.show_full_screen(console),
            Effect::Suspend => {
                console.suspend()?;
                self.picture.send_again();
                return Ok(());
            }
            Effect::Leave => return Ok(()),
        };
        for effect in update(&mut self.app, message) {
            self.carry_out(effect, console)?;
        }
        Ok(())
    }

    fn send(&mut self, command: Command) {
        match &self.run {
            // An engine that is gone hears nothing more, and has said so.
            Some((link, _)) => drop(link.commands.send(command)),
            // Nothing is begun, so there is nothing to save.
            None if command == Command::Stop => {
                self.app.phase = Phase::Finished { output: None };
            }
            None => {}
        }
    }

    fn load_preset(&mut self, name: &str) -> Result<Box<Preset>, String> {
        // First, so that no saving between the two is missed.
        let watch = self.library.file_of(name).map(Watch::new);
        let found = self.library.find(name);
        let preset = found.map_err(|error| error.to_string())?;
        self.watch = watch;
        // The settings were for the preset that was named with them.
        self.plan.overrides.settings.clear();
        Ok(Box::new(self.plan.overrides.apply_to_run(preset)))
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
    /// and waits until its picture is saved; or lets it come to its end, if it
    /// was started to outlive the terminal.
    fn go_on_unseen(&mut self) -> Left {
        while self.run.is_none() && self.stays {
            match self.read_on(&mut Vec::new()) {
                Ok(None) => std::thread::sleep(TURN),
                Ok(Some(left)) => return left,
                Err(_) => return Left::AtOnce,
            }
        }
        let Some((link, _)) = &self.run else {
            return Left::InGoodOrder;
        };
        if !self.stays {
            self.signal.get_or_insert(SIGHUP as u8);
            let _ = link.commands.send(Command::Stop);
        } else if self.app.phase == Phase::Paused {
            let _ = link.commands.send(Command::Resume);
        }
        while !self.app.is_over() {
            let Some(event) = self
                .run
                .as_ref()
                .and_then(|(link, _)| link.events.recv().ok())
            else {
                return Left::AtOnce;
            };
            self.write_down(&event);
            drop(update(&mut self.app, Message::Event(event)));
        }
        Left::InGoodOrder
    }

    /// A name beside the output that is still free.
    fn free_name(&mut self, word: &str) -> PathBuf {
        let stem = self.plan.output.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        let extension = self.plan.output.extension().unwrap_or_default();
        let extension = extension.to_string_lossy().into_owned();
        let named = |number: u32| {
            let name = format!("{stem}-{word}{number}.{extension}");
            self.plan.output.with_file_name(name)
        };
        let first = if word.is_empty() { 2 } else { 1 };
        let free = (first..MOST_NAMES)
            .map(named)
            .find(|path| !path.exists() && !self.named.contains(path))
            .unwrap_or_else(|| named(MOST_NAMES));
        self.named.push(free.clone());
        free
    }
}

/// Bytes a second, over the last second or so.
#[derive(Debug, Default)]
struct Rate {
    since: Option<Instant>,
    bytes: u64,
    rate: f64,
}

impl Rate {
    /// Takes note of what was sent, and gives the rate.
    fn sent(&mut self, bytes: u64, now: Instant) -> f64 {
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes;
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if seconds >= 1.0 {
            self.rate = self.bytes as f64 / seconds;
            (self.bytes, self.since) = (0, Some(now));
        }
        self.rate
    }
}
