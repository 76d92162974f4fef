//! The contact sheet: the dashboard of a sweep. It watches the sweep's folder; what
//! paints is other processes, which go on when it is left.
//!
//! As elsewhere a message changes the [`sheet`], effects are what the world has to do,
//! and the loop in [`watcher`] does it.

mod keys;
mod layout;
mod reader;
mod sheet;
#[cfg(test)]
mod tests;
mod update;
mod view;
mod watcher;

use std::io::{self, Write};

use impasto_core::preset::Library;
use impasto_core::text::{display_path, printable};
use impasto_sweep::claims::Owner;
use impasto_sweep::{CellState, SweepFolder};

use self::sheet::Sheet;
use self::watcher::{SweepExit, Watcher};
use super::console::TerminalConsole;
use super::log::Log;
use super::remote::{AttachedRun, Started};
use super::{Options, here};
use crate::headless;
use crate::outcome::{Failure, Outcome};

/// The most failed cells that are named on the way out.
const MAX_NAMED: usize = 5;

/// What the contact sheet has others do.
pub trait SweepControl {
    /// Starts a painter in the background unless one of this machine lives.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start_painter(&mut self) -> Result<(), Failure>;

    /// The painters that live, as far as is known, here and elsewhere.
    fn painters(&mut self) -> Vec<Owner>;

    /// Whether a painter was started that may not have claimed a cell yet.
    fn is_starting(&mut self) -> bool;

    /// Why the painter that was started from here ended, once, if that was a failure.
    fn painter_error(&mut self) -> Option<String>;

    /// Tells the painters of this machine to write checkpoints and end.
    ///
    /// # Errors
    /// When they cannot be found.
    fn stop_painters(&mut self) -> Result<(), Failure>;

    /// A connection to the engine of a cell that is being painted.
    ///
    /// # Errors
    /// When it cannot be reached from here.
    fn open(&mut self, number: usize) -> Result<(AttachedRun, Started), Failure>;

    /// Stops a cell that is being painted.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn stop_cell(&mut self, number: usize) -> Result<(), Failure>;

    /// Begins a run of a cell's pictures and preset at another size, outside of the sweep.
    ///
    /// # Errors
    /// When it cannot be begun.
    fn promote(&mut self, number: usize, size: u32) -> Result<(AttachedRun, Started), Failure>;
}

/// Opens the contact sheet of a sweep.
///
/// # Errors
/// When the terminal cannot be used, a signal ends it, or cells have failed.
pub fn sweep(folder: SweepFolder, options: Options, control: &mut dyn SweepControl) -> Outcome {
    let stays = headless::hangups_are_ignored();
    let terminal = here()?;
    let log = Log::start()?;
    let mut console = TerminalConsole::open(terminal.clone(), options.mouse)?;
    let library = Library::open();
    let mut watcher = Watcher::new(folder, options, terminal, library, control)?;
    watcher.log = log.path().map(display_path);
    watcher.stays = stays;
    let left = watcher.run(&mut console);
    drop(console);
    // Frees what the terminal kept of the pictures; if it is gone, so are they.
    let _ = write!(io::stdout(), "{}", watcher.farewell_bytes());
    drop(log);
    let sheet = &watcher.sheet;
    for line in last_words(sheet) {
        headless::say(&line);
    }
    match left {
        SweepExit::Stopped(signal) => Err(Failure::Stopped(signal)),
        SweepExit::Left => outcome(sheet),
    }
}

/// What is said on the ordinary screen afterwards.
fn last_words(sheet: &Sheet) -> Vec<String> {
    let folder = display_path(sheet.folder.path());
    let counts = sheet.summary.words();
    let counts = match counts.is_empty() {
        true => "its cells were not read".to_owned(),
        false => counts.join(", "),
    };
    let mut lines = vec![format!("{folder}: {counts}")];
    if sheet.is_painted_here() {
        lines.push(format!(
            "painting continues; `impasto sweep {}` shows it",
            sheet.called()
        ));
    }
    let failed = || (sheet.entries.iter()).filter(|cell| cell.state == CellState::Failed);
    for cell in failed().take(MAX_NAMED) {
        let message = cell.message.as_deref().unwrap_or("it does not say why");
        lines.push(format!(
            "cell {} failed: {}",
            cell.number,
            printable(message)
        ));
    }
    let more = failed().count().saturating_sub(MAX_NAMED);
    if more > 0 {
        lines.push(format!("and {more} more failed"));
    }
    lines
}

/// As a sweep without a screen ends.
fn outcome(sheet: &Sheet) -> Outcome {
    let failed = sheet.summary.count(CellState::Failed);
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Failed(format!(
            "{failed} of {} cells failed; `state` and `message` in sweep.json say which and why",
            sheet.entries.len()
        ))),
    }
}
