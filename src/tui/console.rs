//! What the dashboard draws on and reads from: the terminal, or a stand-in that a
//! test scripts.

use std::io::{self, Write};
use std::time::Duration;

use image::RgbImage;
use impasto_graphics::terminal::{Capabilities, Graphics, Terminal, clamp_size};
use ratatui::Frame;

use super::terminal::{Input, InputEvent, Screen, with_stdout};

/// A place for a dashboard.
pub trait Console {
    /// Waits until something comes in or the time is over, and gives all that
    /// is there.
    ///
    /// # Errors
    /// When input cannot be read any more.
    fn wait(&mut self, timeout: Duration) -> io::Result<Vec<InputEvent>>;

    /// Draws one frame.
    ///
    /// # Errors
    /// When nothing can be drawn any more, as for all that follow.
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()>;

    /// What was sent since this was last asked, and how long that took.
    fn sent(&mut self) -> (u64, Duration);

    /// Shows a picture in place of the frame, with a line of words below.
    ///
    /// # Errors
    /// As for [`Console::draw`].
    fn show(&mut self, picture: &RgbImage, words: &str) -> io::Result<()>;

    /// Makes the next frame a full one, on a screen that was cleared.
    ///
    /// # Errors
    /// As for [`Console::draw`].
    fn redraw(&mut self) -> io::Result<()>;

    /// Stops as Ctrl-Z does; comes back when continued.
    ///
    /// # Errors
    /// As for [`Console::draw`].
    fn suspend(&mut self) -> io::Result<()>;

    /// Takes the screen again, after a stop that somebody else caused.
    ///
    /// # Errors
    /// As for [`Console::draw`].
    fn resume(&mut self) -> io::Result<()>;
}

/// The terminal.
#[derive(Debug)]
pub struct TerminalConsole {
    screen: Screen,
    input: Input,
    terminal: Terminal,
    /// How it shows pictures, as far as is known.
    capabilities: Capabilities,
    /// Whether the terminal was asked what it can show.
    asked: bool,
}

impl TerminalConsole {
    /// Takes the terminal, until this is dropped.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(terminal: Terminal, mouse: bool) -> io::Result<Self> {
        let capabilities = Capabilities {
            // The printer asks kitty and sixel terminals by itself, and waits
            // without a limit: not before they have answered us.
            print: Graphics::HalfBlocks,
            ..Capabilities::assumed(terminal.graphics_by_name(), terminal.cell)
        };
        let input = Input::open()?;
        let screen = Screen::enter(mouse)?;
        Ok(Self {
            screen,
            input,
            terminal,
            capabilities,
            asked: false,
        })
    }

    /// How the terminal shows pictures, as far as is known.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

impl Console for TerminalConsole {
    fn wait(&mut self, timeout: Duration) -> io::Result<Vec<InputEvent>> {
        let events = self.input.wait(timeout)?;
        for event in &events {
            if let InputEvent::Graphics(capabilities) = event {
                self.capabilities = *capabilities;
                self.terminal.cell = capabilities.cell;
            }
        }
        Ok(events)
    }

    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()> {
        self.screen.draw(render)?;
        // Not before the first frame stands, which waits for nothing. The
        // answer is an event.
        if !std::mem::replace(&mut self.asked, true) {
            self.input.ask(&self.terminal);
        }
        Ok(())
    }

    fn sent(&mut self) -> (u64, Duration) {
        self.screen.sent()
    }

    fn show(&mut self, picture: &RgbImage, words: &str) -> io::Result<()> {
        self.screen.redraw()?;
        if let Ok(size) = crossterm::terminal::size() {
            (self.terminal.columns, self.terminal.rows) = clamp_size(size.0, size.1);
        }
        let graphics = self.capabilities.print;
        let terminal = &self.terminal;
        with_stdout(|| {
            let shown = impasto_graphics::full_screen(picture, terminal, graphics);
            let words = shown.map_or_else(|why| why.to_string(), |()| words.to_owned());
            let columns = usize::from(terminal.columns);
            let line: String = words.chars().take(columns).collect();
            let mut out = io::stdout().lock();
            // The last row, which the picture leaves free.
            write!(out, "\x1b[{};1H\x1b[0m\x1b[K{line}", terminal.rows)?;
            out.flush()
        })?
    }

    fn redraw(&mut self) -> io::Result<()> {
        let graphics = self.capabilities.print;
        with_stdout(|| impasto_graphics::clear(graphics))??;
        self.screen.redraw()
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.screen.suspend()
    }

    fn resume(&mut self) -> io::Result<()> {
        self.screen.resume()
    }
}
