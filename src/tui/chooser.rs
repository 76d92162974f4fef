//! The loop of the start screen: what is chosen there becomes a plan.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use impasto_core::job::{Compute, Overrides, PictureFile, Plan};
use impasto_core::picture;
use impasto_core::preset::Library;
use impasto_graphics::terminal::Colours;
use impasto_weights::{NetworkStatus, Networks, check_network};
use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGTSTP};

use super::console::Console;
use super::start::{self, Effect, Message, Start, Thumbnails};
use super::terminal::InputEvent;
use super::theme::Theme;
use super::{Options, view};
use crate::output_name::unused_output;

/// The longest wait for a key; what is read meanwhile is looked at as often.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);

/// How the start screen was left.
#[derive(Debug)]
pub enum ChooserExit {
    Paint(Box<Plan>),
    Leave,
    /// By a signal.
    Stopped(u8),
}

/// The start screen, which may be come back to.
pub struct Chooser {
    start: Start,
    reader: Thumbnails,
    compute: Compute,
    theme: Theme,
    colours: Colours,
    library: Library,
    window: Rect,
}

impl Chooser {
    /// A start screen in a folder.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(
        folder: PathBuf,
        compute: Compute,
        options: Options,
        colours: Colours,
        library: Library,
    ) -> io::Result<Self> {
        let mut start = Start::new(folder, None, None, None);
        start.notes.push(networks());
        Ok(Self {
            start,
            reader: Thumbnails::start()?,
            compute,
            theme: Theme::new(options.palette, colours, options.ascii),
            colours,
            library,
            window: Rect::default(),
        })
    }

    /// Says why what was chosen could not be painted.
    pub fn report_error(&mut self, message: String) {
        self.start.error = Some(message);
    }

    /// Turns until something is chosen.
    ///
    /// # Errors
    /// When the terminal fails.
    pub fn run(&mut self, console: &mut dyn Console) -> io::Result<ChooserExit> {
        let mut messages = VecDeque::from([Message::Opened]);
        console.redraw()?;
        self.draw(console)?;
        messages.push_back(Message::Resized(self.window));
        loop {
            messages.extend(self.reader.take());
            let changed = !messages.is_empty();
            while let Some(message) = messages.pop_front() {
                for effect in start::update(&mut self.start, message) {
                    match effect {
                        Effect::Ask(request) => self.reader.ask(request),
                        Effect::ListPresets => {
                            messages.push_back(Message::Presets(self.library.list()));
                        }
                        Effect::Paint {
                            content,
                            styles,
                            preset,
                        } => match self.plan(content, styles, preset) {
                            Ok(plan) => return Ok(ChooserExit::Paint(Box::new(plan))),
                            Err(why) => self.start.error = Some(why),
                        },
                        Effect::Suspend => console.suspend()?,
                        Effect::Leave => return Ok(ChooserExit::Leave),
                    }
                }
            }
            if changed {
                self.draw(console)?;
            }
            for event in console.wait(FRAME_INTERVAL)? {
                match event {
                    InputEvent::Key(key) => messages.push_back(Message::Key(key)),
                    InputEvent::Paste(text) => messages.push_back(Message::Paste(text)),
                    InputEvent::Mouse(mouse) => {
                        messages.push_back(Message::Mouse(mouse, self.window));
                    }
                    InputEvent::Resize(width, height) => {
                        let window = Rect::new(0, 0, width, height);
                        messages.push_back(Message::Resized(window));
                    }
                    InputEvent::Signal(SIGTSTP) => console.suspend()?,
                    InputEvent::Signal(SIGCONT) => {
                        console.resume()?;
                        self.draw(console)?;
                    }
                    InputEvent::Signal(number) => {
                        return Ok(ChooserExit::Stopped(u8::try_from(number).unwrap_or(0)));
                    }
                    InputEvent::Hangup => return Ok(ChooserExit::Stopped(SIGHUP as u8)),
                    InputEvent::Graphics(_) => {}
                }
            }
        }
    }

    fn draw(&mut self, console: &mut dyn Console) -> io::Result<()> {
        console.draw(&mut |frame| {
            self.window = frame.area();
            view::start::draw(frame, &self.start, &self.theme, self.colours);
        })?;
        // Nothing here is counted, and the dashboard shall not count it.
        let _ = console.sent();
        Ok(())
    }

    fn plan(&self, content: PathBuf, styles: Vec<PathBuf>, preset: String) -> Result<Plan, String> {
        let mut styles = styles.into_iter();
        // One is chosen, or painting would not be offered.
        let style = styles.next().unwrap_or_default();
        let found = self.library.find(&preset);
        let found = found.map_err(|error| error.to_string())?;
        let output = unused_output(&content, &style).map_err(|error| error.to_string())?;
        let plan = Plan {
            preset: found,
            output,
            content: PictureFile::At(content),
            style: PictureFile::At(style),
            more_styles: styles.map(PictureFile::At).collect(),
            compute: self.compute,
            preset_name: Some(preset),
            overrides: Overrides::default(),
        };
        let checked = check_network(plan.preset.network)
            .map_err(|error| error.to_string())
            .and_then(|()| plan.check().map_err(|error| error.to_string()));
        match checked {
            Ok(()) => Ok(plan),
            Err(message) => {
                picture::release(&plan.output);
                Err(message)
            }
        }
    }
}

/// The networks that a preset can name, in a line.
fn networks() -> String {
    let entries = Networks::open().list();
    let names = |wanted: &[NetworkStatus]| -> String {
        let there = entries.iter().filter(|entry| wanted.contains(&entry.state));
        let names: Vec<&str> = there.map(|entry| entry.name.as_str()).collect();
        names.join(", ")
    };
    let mut line = format!(
        "networks: {}",
        names(&[NetworkStatus::BuiltIn, NetworkStatus::Installed])
    );
    let more = names(&[NetworkStatus::Fetchable]);
    if !more.is_empty() {
        line += &format!("; `impasto weights fetch` gets {more}");
    }
    line
}
