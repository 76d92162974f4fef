//! The loop of the contact sheet: keys and what was read in, frames out.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use impasto_core::preset::Library;
use impasto_core::text::printable;
use impasto_graphics::terminal::{Capabilities, Terminal};
use impasto_sweep::SweepFolder;
use impasto_sweep::claims::Owner;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTSTP};

use super::reader::Reader;
use super::sheet::{Painters, Sheet};
use super::update::{Effect, Message, update};
use super::{SweepControl, view};
use crate::outcome::Failure;
use crate::tui::Options;
use crate::tui::console::Console;
use crate::tui::dashboard::{Dashboard, ExitReason};
use crate::tui::remote::{AttachedRun, Started};
use crate::tui::terminal::InputEvent;
use crate::tui::theme::Theme;
use crate::tui::update::Message as DashboardMessage;

/// The longest wait for a key; what is read meanwhile is looked at as often.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// How often the painters are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How the sheet was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepExit {
    Left,
    /// By a signal.
    Stopped(u8),
}

const HUNG_UP: SweepExit = SweepExit::Stopped(SIGHUP as u8);

/// A contact sheet on a console.
pub struct Watcher<'a> {
    pub sheet: Sheet,
    /// Where the words of libraries go.
    pub log: Option<String>,
    /// Whether a hangup is no reason to stop, as under nohup.
    pub stays: bool,
    control: &'a mut dyn SweepControl,
    reader: Reader,
    options: Options,
    terminal: Terminal,
    theme: Theme,
    library: Library,
    /// What the terminal said it can show.
    capabilities: Option<Capabilities>,
    farewell: String,
    opened: Instant,
    looked: Option<Instant>,
}

impl<'a> Watcher<'a> {
    /// A sheet of a sweep.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(
        folder: SweepFolder,
        options: Options,
        terminal: Terminal,
        library: Library,
        control: &'a mut dyn SweepControl,
    ) -> io::Result<Self> {
        Ok(Self {
            log: None,
            stays: false,
            reader: Reader::start(&folder)?,
            sheet: Sheet::new(folder),
            theme: Theme::new(options.palette, terminal.colours, options.ascii),
            control,
            options,
            terminal,
            library,
            capabilities: None,
            farewell: String::new(),
            opened: Instant::now(),
            looked: None,
        })
    }

    /// What to write to the terminal at the end, so that it frees the pictures it holds.
    pub fn farewell_bytes(&self) -> &str {
        &self.farewell
    }

    /// Turns until the user leaves or the terminal goes away.
    pub fn run(&mut self, console: &mut dyn Console) -> SweepExit {
        // A terminal that fails is one that is going away.
        self.turns(console).unwrap_or_else(|_| self.hang_up())
    }

    fn turns(&mut self, console: &mut dyn Console) -> io::Result<SweepExit> {
        let mut messages = VecDeque::new();
        self.draw(console)?;
        loop {
            messages.extend(self.reader.take().into_iter().map(Message::Reading));
            self.look_for_painters(&mut messages);
            let changed = self.tick() || !messages.is_empty();
            while let Some(message) = messages.pop_front() {
                for effect in update(&mut self.sheet, message) {
                    if let Some(left) = self.execute(effect, console, &mut messages)? {
                        return Ok(left);
                    }
                }
            }
            self.reader.want(self.sheet.wanted());
            if changed {
                self.draw(console)?;
            }
            for event in console.wait(FRAME_INTERVAL)? {
                match event {
                    InputEvent::Key(key) => messages.push_back(Message::Key(key)),
                    InputEvent::Mouse(mouse) => messages.push_back(Message::Mouse(mouse)),
                    InputEvent::Resize(..) => self.draw(console)?,
                    InputEvent::Signal(SIGTSTP) => console.suspend()?,
                    InputEvent::Signal(SIGCONT) => {
                        console.resume()?;
                        self.draw(console)?;
                    }
                    InputEvent::Signal(SIGHUP) if self.stays => {}
                    InputEvent::Signal(SIGHUP) | InputEvent::Hangup => return Ok(self.hang_up()),
                    // Whoever wants the painters to end tells them.
                    InputEvent::Signal(number) => {
                        return Ok(SweepExit::Stopped(u8::try_from(number).unwrap_or(0)));
                    }
                    InputEvent::Graphics(capabilities) => self.capabilities = Some(capabilities),
                    InputEvent::Paste(_) => {}
                }
            }
        }
    }

    /// The terminal is gone. The painters go on, unless they were asked to end with it.
    fn hang_up(&mut self) -> SweepExit {
        if self.stays {
            return SweepExit::Left;
        }
        if self.options.stop_on_hangup {
            // There is nobody to tell.
            let _ = self.control.stop_painters();
        }
        HUNG_UP
    }

    /// Lets time pass. True if that shows.
    fn tick(&mut self) -> bool {
        let before = self.sheet.news().is_some();
        let seconds = self.opened.elapsed().as_secs_f64();
        update(&mut self.sheet, Message::Clock(seconds));
        before != self.sheet.news().is_some()
    }

    fn look_for_painters(&mut self, messages: &mut VecDeque<Message>) {
        if (self.looked).is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        if let Some(text) = self.control.painter_error() {
            let warning = true;
            messages.push_back(Message::Note { text, warning });
        }
        let owners = self.control.painters();
        let (here, others): (Vec<Owner>, Vec<Owner>) = owners.into_iter().partition(Owner::is_here);
        let mut elsewhere: Vec<String> = others.iter().map(|it| printable(&it.host)).collect();
        elsewhere.sort_unstable();
        elsewhere.dedup();
        let painters = Painters {
            here: here.len(),
            starting: here.is_empty() && self.control.is_starting(),
            elsewhere,
        };
        if painters != self.sheet.painters {
            // Before the keys, which ask whether there are any.
            messages.push_front(Message::Painters(painters));
        }
    }

    fn execute(
        &mut self,
        effect: Effect,
        console: &mut dyn Console,
        messages: &mut VecDeque<Message>,
    ) -> io::Result<Option<SweepExit>> {
        let done = match effect {
            Effect::Leave => return Ok(Some(SweepExit::Left)),
            Effect::Interrupt => return Ok(Some(SweepExit::Stopped(SIGINT as u8))),
            Effect::Redraw => {
                console.redraw()?;
                self.draw(console)?;
                Ok(())
            }
            Effect::Suspend => {
                console.suspend()?;
                self.draw(console)?;
                Ok(())
            }
            Effect::Open(number) => match self.control.open(number) {
                Ok((run, started)) => return self.dashboard(run, started, console, messages),
                Err(failure) => Err(failure),
            },
            Effect::Promote { number, size } => {
                // Its pictures are read, and the engine starts.
                let words = format!("cell {number} is begun at {size} pixels");
                self.say(&words, false);
                self.draw(console)?;
                match self.control.promote(number, size) {
                    Ok((run, started)) => return self.dashboard(run, started, console, messages),
                    Err(failure) => Err(failure),
                }
            }
            Effect::StopCell(number) => self.control.stop_cell(number),
            Effect::Reset(number) => self.reset(number, messages),
            Effect::StartPainter => self.control.start_painter(),
            Effect::StopPainters => self.control.stop_painters(),
        };
        // What was done may show at once.
        self.looked = None;
        if let Err(failure) = done {
            self.say(&words_of(failure), true);
            self.draw(console)?;
        }
        Ok(None)
    }

    fn reset(&mut self, number: usize, messages: &mut VecDeque<Message>) -> Result<(), Failure> {
        self.sheet.folder.reset(number)?;
        let entry = Box::new(self.sheet.folder.entry(number)?);
        messages.push_back(Message::Entry(entry));
        self.control.start_painter()?;
        self.say(&format!("cell {number} will be painted anew"), false);
        Ok(())
    }

    fn say(&mut self, text: &str, warning: bool) {
        let text = text.to_owned();
        update(&mut self.sheet, Message::Note { text, warning });
    }

    /// The dashboard of one run, until it is left. Its way out is no way out of the sheet,
    /// unless the terminal is gone or a signal came.
    fn dashboard(
        &mut self,
        run: AttachedRun,
        started: Started,
        console: &mut dyn Console,
        messages: &mut VecDeque<Message>,
    ) -> io::Result<Option<SweepExit>> {
        let library = self.library.clone();
        let mut dashboard =
            Dashboard::attached(run, self.options, &self.terminal, library, started);
        if let Some(capabilities) = self.capabilities {
            dashboard.set_graphics(capabilities);
        }
        dashboard.update(DashboardMessage::Log(self.log.clone()));
        if self.stays {
            dashboard.stay_on_hangup();
        }
        let left = dashboard.run(console)?;
        let (signal, bytes) = (dashboard.signal, dashboard.farewell_bytes());
        drop(dashboard);
        self.farewell += &bytes;
        match (signal, left) {
            (Some(number), _) if i32::from(number) == SIGHUP => return Ok(Some(self.hang_up())),
            (Some(number), _) => return Ok(Some(SweepExit::Stopped(number))),
            (None, ExitReason::Unread(text) | ExitReason::Unstarted(text)) => {
                let warning = true;
                messages.push_back(Message::Note { text, warning });
            }
            (None, _) => {}
        }
        console.redraw()?;
        self.draw(console)?;
        self.looked = None;
        Ok(None)
    }

    fn draw(&mut self, console: &mut dyn Console) -> io::Result<()> {
        console.draw(&mut |frame| {
            let window = frame.area();
            if window != self.sheet.window {
                update(&mut self.sheet, Message::Resized(window));
            }
            view::draw(frame, &self.sheet, &self.theme, self.terminal.colours);
        })?;
        // Nothing here is counted, and the dashboard shall not count it.
        let _ = console.sent();
        Ok(())
    }
}

/// A failure as a line on the sheet.
fn words_of(failure: Failure) -> String {
    match failure {
        Failure::Usage(words) | Failure::Failed(words) => words,
        Failure::Stopped(number) => format!("stopped by signal {number}"),
        Failure::BrokenPipe => "a pipe is broken".to_owned(),
    }
}
