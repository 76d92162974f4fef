//! The loop: keys, events and pictures in, frames out.

mod effects;
mod leaving;
mod pictures;

pub use leaving::ExitReason;

use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use impasto_core::job::Plan;
use impasto_core::picture;
use impasto_core::preset::{Library, Watch};
use impasto_core::protocol::{Event, FIRST_STEPS};
use impasto_core::text::display_path;
use impasto_graphics::budget::Budget;
use impasto_graphics::terminal::{Capabilities, Colours, Terminal, cell_size};
use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use self::pictures::{Larger, Rate};
use super::app::{App, Phase};
use super::console::Console;
use super::loading::{self, Loading};
use super::remote::{AttachedRun, Engine, Started};
use super::terminal::InputEvent;
use super::theme::{Palette, Theme};
use super::update::{Effect, Message, update};
use super::{Options, view};
use crate::pace::Pace;
use crate::tui::pane::Pane;

/// The longest wait for a key; the engine's events are read as often.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// How often a preset's file is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(400);
/// Events taken in before the next frame.
const MAX_EVENTS: usize = 4096;
/// How often something moves while everything waits.
const BEATS_PER_SECOND: f64 = 4.0;
/// One run under the dashboard's eyes.
pub struct Dashboard<'a> {
    pub app: App,
    /// The signal that asked the run to end.
    pub signal: Option<u8>,
    /// None for a run that is under way already.
    engine: Option<&'a mut Engine<'a>>,
    plan: Plan,
    loading: Option<Receiver<Loading>>,
    run: Option<Started>,
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
    /// How often the connection to the terminal can carry a picture.
    budget: Budget,
    rate: Rate,
    ssh: bool,
    /// Whether a hangup is no reason to stop, as under nohup.
    stays: bool,
    /// Whether a hangup stops an engine in another process too.
    stops_on_hangup: bool,
    opened: Instant,
    /// The iteration after which the preset was last changed, until a preview is
    /// asked for that shows it.
    changed: Option<u32>,
    /// The iteration and the size of the last preview that was asked for.
    asked: Option<(u32, (u32, u32))>,
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
        Self {
            engine: Some(engine),
            ..Self::on(plan, options, terminal, library)
        }
    }

    /// A dashboard on a run that is under way: its events so far come over
    /// the link first.
    pub fn attached(
        attached_run: AttachedRun,
        options: Options,
        terminal: &Terminal,
        library: Library,
        started: Started,
    ) -> Self {
        let mut dashboard = Self::on(attached_run.plan, options, terminal, library);
        dashboard.update(Message::Names {
            content: display_path(attached_run.content.as_ref()),
            styles: (attached_run.styles.iter())
                .map(|style| display_path(style.as_ref()))
                .collect(),
        });
        // To look at: the originals may be gone.
        dashboard.plan.preset.masks = attached_run.masks;
        dashboard.take_up(started);
        dashboard
    }

    fn on(plan: Plan, options: Options, terminal: &Terminal, library: Library) -> Self {
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
            engine: None,
            plan,
            loading: None,
            run: None,
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
            stops_on_hangup: options.stop_on_hangup,
            opened: Instant::now(),
            changed: None,
            asked: None,
        }
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
    /// more; then the picture is saved and all threads have ended, unless
    /// another process paints on.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run(&mut self, console: &mut dyn Console) -> io::Result<ExitReason> {
        if self.run.is_none() {
            let of = loading::steps(&self.plan) + FIRST_STEPS;
            self.update(Message::Loading { of });
        }
        // Drawn before anything is begun: whoever waits sees that it has.
        let drawn = self.draw(console, false);
        self.loading = Some(match self.run {
            None => loading::load(self.plan.clone())?,
            Some(_) => loading::look(self.plan.clone())?,
        });
        let left = match drawn.and_then(|()| self.turns(console)) {
            Ok(left) => left,
            // A terminal that fails is one that is going away.
            Err(_) => self.go_on_unseen(),
        };
        match self.run.take() {
            Some(run) if left != ExitReason::AtOnce => run.leave(),
            Some(_) => {}
            // Nothing was begun that could save a picture under this name.
            None => picture::release(&self.plan.output),
        }
        Ok(left)
    }

    /// Turns until the user leaves: wait for keys, take in what is new, draw
    /// once if anything changed.
    fn turns(&mut self, console: &mut dyn Console) -> io::Result<ExitReason> {
        loop {
            let mut effects = Vec::new();
            let mut changed = false;
            for event in console.wait(FRAME_INTERVAL)? {
                changed = true;
                match event {
                    InputEvent::Hangup => return Ok(self.go_on_unseen()),
                    InputEvent::Signal(SIGHUP) if self.stays => {}
                    InputEvent::Signal(SIGHUP) if self.app.remote.is_some() => {
                        return Ok(self.go_on_unseen());
                    }
                    InputEvent::Signal(SIGCONT) => {
                        console.resume()?;
                        self.picture.send_again();
                    }
                    InputEvent::Resize(..) if self.shows_picture => {
                        effects.push(Effect::ShowFullScreen);
                    }
                    event => effects.extend(self.handle_input(event)),
                }
            }
            let fresh_news = self.tick();
            changed |= fresh_news;
            if let Some(left) = self.read_on(&mut effects) {
                return Ok(left);
            }
            changed |= self.see_who_steers();
            changed |= self.take_in_events(&mut effects);
            self.look_at_preset_file(&mut effects);
            let fresh = self.take_in_preview(&mut effects);
            changed |= fresh | !effects.is_empty();
            for effect in effects {
                if effect == Effect::Leave {
                    return Ok(self.left());
                }
                self.execute(effect, console)?;
            }
            if self.app.leaving && self.app.is_over() {
                return Ok(ExitReason::InGoodOrder);
            }
            if changed {
                self.draw(console, fresh)?;
            }
            self.ask_for_preview();
        }
    }

    /// What came from the terminal.
    fn handle_input(&mut self, event: InputEvent) -> Vec<Effect> {
        match event {
            InputEvent::Key(key) => self.update(Message::Key(key)),
            InputEvent::Mouse(mouse) => self.update(Message::Mouse(mouse, self.window)),
            InputEvent::Paste(text) => {
                let characters = text.chars().filter(|c| !c.is_control());
                let mut effects = Vec::new();
                for character in characters {
                    let key = crossterm::event::KeyCode::Char(character).into();
                    effects.extend(self.update(Message::Key(key)));
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

    /// Handles what the thread that reads the pictures reported, and starts to
    /// paint when they are there.
    fn read_on(&mut self, effects: &mut Vec<Effect>) -> Option<ExitReason> {
        let loading = self.loading.as_ref()?;
        for loaded in loading.try_iter().collect::<Vec<_>>() {
            match loaded {
                Loading::Step(what) => {
                    let event = Event::Preparing {
                        what,
                        step: 0,
                        of: 0,
                    };
                    effects.extend(self.update(Message::Event(event)));
                }
                Loading::Content(picture) => self.picture.set_content(picture),
                Loading::Style(picture) => self.picture.set_style(picture),
                Loading::Masks(picture) => self.picture.set_masks(picture),
                Loading::Unseen(problem) => self.note(problem, true),
                Loading::Failed(message) => return Some(ExitReason::Unread(message)),
                Loading::Done(job) => {
                    self.loading = None;
                    let preset = Box::new(job.preset.clone());
                    let engine = self.engine.as_mut()?;
                    match engine(&self.plan, *job) {
                        Ok(started) => self.take_up(started),
                        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                            return Some(ExitReason::Unread(error.to_string()));
                        }
                        Err(error) => {
                            let message = format!("cannot start painting: {error}");
                            return Some(ExitReason::Unstarted(message));
                        }
                    }
                    // It may have been edited while the pictures were read.
                    effects.extend(self.update(Message::Begun(preset)));
                    break;
                }
            }
        }
        None
    }

    /// Listens to an engine from now on.
    fn take_up(&mut self, started: Started) {
        if let Some(remote) = &started.remote {
            let joined = Message::Joined {
                called: remote.called.clone(),
                steers: remote.steers(),
            };
            self.update(joined);
        }
        self.run = Some(started);
    }

    /// True if this terminal began to steer, or has to watch from now on.
    fn see_who_steers(&mut self) -> bool {
        let remote = self.run.as_ref().and_then(|run| run.remote.as_ref());
        let Some(steers) = remote.map(super::remote::RemoteEngine::steers) else {
            return false;
        };
        let changes = steers == self.app.is_watching();
        if changes {
            self.update(Message::Steers(steers));
        }
        changes
    }

    /// Handles the engine's events. True if there were any.
    fn take_in_events(&mut self, effects: &mut Vec<Effect>) -> bool {
        let Some(run) = &self.run else {
            return false;
        };
        let mut events = Vec::new();
        let mut lost = false;
        while events.len() < MAX_EVENTS {
            match run.link.events.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    lost = run.remote.is_some();
                    break;
                }
            }
        }
        let any = !events.is_empty();
        for event in events {
            self.write_down(&event);
            match &event {
                Event::Changed { iteration, .. } => {
                    self.changed = Some(*iteration);
                    // What is shown may change without another iteration.
                    self.asked = None;
                }
                Event::Step(step) => {
                    // The picture moves after the first evaluation by the new preset.
                    if self
                        .changed
                        .is_some_and(|changed| step.iteration > changed + 1)
                    {
                        self.changed = None;
                        self.preview_asked = None;
                    }
                    self.pace.note(step);
                    let speed = self.pace.iterations_per_second();
                    let left = self.pace.left(step, &self.app.sizes);
                    self.update(Message::Pace { speed, left });
                }
                Event::Restarting { .. } => {
                    self.pace = Pace::default();
                    self.preview_to_come = false;
                }
                _ => {}
            }
            effects.extend(self.update(Message::Event(event)));
        }
        if lost && !self.app.is_over() {
            effects.extend(self.update(Message::Lost));
            return true;
        }
        any
    }

    /// Changes the state: by messages alone.
    pub(super) fn update(&mut self, message: Message) -> Vec<Effect> {
        update(&mut self.app, message)
    }

    /// Shows a message to the user.
    fn note(&mut self, text: impl Into<String>, warning: bool) {
        let text = text.into();
        self.update(Message::Note { text, warning });
    }

    fn write_down(&mut self, event: &Event) {
        if let Some(run) = &mut self.run
            && let Some(events) = &mut run.events
            && let Err(error) = events.write(event)
        {
            run.events = None;
            let words =
                format!("the events can no longer be written ({error}); painting continues");
            self.note(words, true);
        }
    }

    fn look_at_preset_file(&mut self, effects: &mut Vec<Effect>) {
        if self.watched.elapsed() < WATCH_INTERVAL || self.app.is_watching() {
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
        effects.extend(self.update(Message::PresetFile(preset)));
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
        self.update(Message::DrawnAs(self.picture.describe()));
        console.draw(&mut |frame| {
            self.window = frame.area();
            view::draw(frame, &self.app, &mut self.picture, &self.theme);
        })?;
        let (bytes, took) = console.sent();
        self.budget.wrote(bytes, took);
        if fresh {
            self.budget.sent_picture(bytes, began);
        }
        let rate = self.rate.sent(bytes, began);
        self.update(Message::BytesPerSecond(rate));
        Ok(())
    }
}
