//! The screen while it is ours, and giving it back in every case.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste};
use crossterm::style::{Print, ResetColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use impasto_graphics::budget::{Counted, Meter};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use rustix::process::{Signal, kill_current_process_group};

use super::bounded::BoundedBackend;
use super::crash;
use crate::tui::log;

/// Presses, the wheel and drags as SGR reports. Mere motion, which crossterm's
/// own command asks for too, would send a report for every cell crossed.
const REPORT_MOUSE: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
/// Room for a full frame of half-blocks, so that it leaves in one write.
const FRAME_BYTES: usize = 128 * 1024;
/// How long a stop signal sent to ourselves may take to arrive.
const STOPPING: Duration = Duration::from_millis(50);

/// Whether the screen is ours now.
static OURS: AtomicBool = AtomicBool::new(false);
/// The thread that draws; only its panic gives the screen back.
static UI_THREAD: Mutex<Option<ThreadId>> = Mutex::new(None);
static PANIC_HOOK: Once = Once::new();

/// What ratatui draws on.
pub type Backend = BoundedBackend<CrosstermBackend<BufWriter<Counted<Out>>>>;

/// The terminal as a full-screen drawing surface: raw mode, the alternate
/// screen, no cursor, bracketed paste, and the mouse if wanted. Dropping it
/// gives everything back. There can be one at a time, used by the thread that
/// entered it.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Backend>,
    /// Counts what is sent to the terminal.
    meter: Meter,
    mouse: bool,
}

impl Screen {
    /// Takes the screen, for the calling thread to draw on.
    ///
    /// # Errors
    /// When stdout is no terminal or cannot be written to; all is then left as
    /// it was.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other("stdout is no terminal to draw on"));
        }
        crash::guard(restoring_bytes(), || OURS.load(Ordering::SeqCst))?;
        let out = Counted::new(Out(File::from(io::stdout().as_fd().try_clone_to_owned()?)));
        let meter = out.meter();
        let backend = CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, out));
        let terminal = Terminal::new(BoundedBackend(backend))?;
        *lock_ui_thread() = Some(thread::current().id());
        PANIC_HOOK.call_once(install_panic_hook);
        let mut screen = Self {
            terminal,
            meter,
            mouse,
        };
        screen.resume()?;
        Ok(screen)
    }

    /// The terminal, for all that [`Screen::draw`] does not cover. Its
    /// `clear` waits for the terminal to answer; [`Screen::redraw`] does not.
    pub fn terminal(&mut self) -> &mut Terminal<Backend> {
        &mut self.terminal
    }

    /// What was sent to the terminal since this was last asked.
    pub fn sent(&self) -> (u64, Duration) {
        self.meter.take()
    }

    /// Draws one frame, which a terminal that knows synchronized output shows
    /// all at once.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(render).map(drop);
        let ended = execute!(self.terminal.backend_mut(), EndSynchronizedUpdate);
        drawn.and(ended)
    }

    /// Clears the screen and makes the next [`Screen::draw`] write every cell,
    /// for when something else may have written over ours.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn redraw(&mut self) -> io::Result<()> {
        // A resize to the present size does just that, without asking the
        // terminal where its cursor is as `clear` would.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives the screen back and stops the process as Ctrl-Z does, then takes
    /// the screen again once continued. Where no shell could continue the
    /// process, it continues at once. The next [`Screen::draw`] is a full one.
    ///
    /// # Errors
    /// As for [`Screen::enter`].
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        // SIGTSTP is caught (see `signals`), and SIGSTOP would also stop a
        // process that nobody can continue. SIGTTIN has its default action,
        // which spares those. The whole group, for a program that runs us and
        // waits, such as make, must stop for the shell to come back.
        kill_current_process_group(Signal::TTIN)?;
        // Another thread may be the one that takes the signal, and the screen
        // must not be ours again before it has.
        thread::sleep(STOPPING);
        self.resume()
    }

    /// Takes the screen again after a stop, whoever caused it. The next
    /// [`Screen::draw`] is a full one.
    ///
    /// # Errors
    /// As for [`Screen::enter`].
    pub fn resume(&mut self) -> io::Result<()> {
        OURS.store(true, Ordering::SeqCst);
        // The theme heeds NO_COLOR; crossterm's own way would also undo bold
        // and reverse.
        crossterm::style::force_color_output(true);
        let taken = self.take();
        if taken.is_err() {
            restore();
        }
        taken
    }

    fn take(&mut self) -> io::Result<()> {
        // A shell may have changed the modes while we were stopped, and
        // crossterm sets none if it believes that it already did.
        disable_raw_mode()?;
        enable_raw_mode()?;
        let out = self.terminal.backend_mut();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if self.mouse {
            queue!(out, Print(REPORT_MOUSE))?;
        }
        out.flush()?;
        keep_stdout()?;
        self.redraw()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        *lock_ui_thread() = None;
    }
}

/// Gives the terminal back as it was before [`Screen::enter`]. Does nothing if
/// the screen is not ours; may be called from anywhere and any number of times.
pub fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    give_stdout_back();
    let bytes = restoring_bytes();
    // Not through std's stdout, whose lock a panicking thread may hold.
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), left) {
            Ok(count) => left = &left[count..],
            Err(rustix::io::Errno::INTR) => {}
            // The terminal may be gone, and then there is nothing to restore.
            Err(_) => break,
        }
    }
    let _ = disable_raw_mode();
}

/// What brings a terminal back to what it was.
fn restoring_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes all bytes.
    let _ = queue!(
        bytes,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        ResetColor,
        LeaveAlternateScreen,
        Show
    );
    bytes
}

/// Sends what libraries print to stdout where stderr goes, if that is not the
/// terminal: it would tear the screen.
fn keep_stdout() -> io::Result<()> {
    if !io::stderr().is_terminal() {
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    }
    Ok(())
}

/// Makes stdout the terminal again. Does nothing if it is.
fn give_stdout_back() {
    if let Some(terminal) = crash::terminal() {
        // If that fails nothing more can be shown.
        let _ = rustix::stdio::dup2_stdout(terminal);
    }
}

/// Does something with stdout being the terminal, while the screen is ours.
pub fn with_stdout<T>(act: impl FnOnce() -> T) -> io::Result<T> {
    give_stdout_back();
    let result = act();
    keep_stdout()?;
    Ok(result)
}

/// A panic of the UI thread gives the screen and stderr back before it is
/// told. One of another thread goes to the log, and the screen stays.
fn install_panic_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if *lock_ui_thread() == Some(thread::current().id()) {
            restore();
            log::give_back();
        }
        previous(info);
    }));
}

fn lock_ui_thread() -> MutexGuard<'static, Option<ThreadId>> {
    UI_THREAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stdout, while the screen is ours. What is still buffered once it is not,
/// such as half a frame after a panic, is dropped.
#[derive(Debug)]
pub struct Out(File);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if OURS.load(Ordering::SeqCst) {
            self.0.write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_to_a_screen_that_is_not_ours() {
        let file = tempfile::tempfile().unwrap();
        let mut out = BufWriter::new(Out(file.try_clone().unwrap()));
        out.write_all(b"half a frame").unwrap();
        out.flush().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    fn restoring_what_is_not_ours_does_nothing() {
        restore();
        restore();
        assert!(!OURS.load(Ordering::SeqCst));
    }
}
