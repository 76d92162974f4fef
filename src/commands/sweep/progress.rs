//! How a sweep goes: a progress bar for a terminal, lines for everything else.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use impasto_core::text::{display_path, number};
use impasto_sweep::{CellEntry, CellState, Finished, Result, SweepEvent, SweepFolder};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::headless::{near, say};
use crate::pace::clock;

/// The bar counts thousandths of cells.
const PARTS: f64 = 1000.0;
/// How often a sweep whose stderr is no terminal says a line of its own.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    place: String,
    cells: usize,
    /// What was over when it began.
    before: usize,
    over: usize,
    failed: usize,
    /// The share of the cells that are being painted.
    shares: HashMap<usize, f64>,
    began: Instant,
    last_line: Instant,
}

impl Progress {
    /// # Errors
    /// When the sweep's index cannot be read.
    pub fn new(folder: &SweepFolder, numbers: &[usize], workers: usize) -> Result<Self> {
        let index = folder.index()?;
        let done = |number: &&usize| {
            let cell = index.cells.get(**number);
            cell.is_some_and(|cell| cell.state == CellState::Done)
        };
        let before = numbers.iter().filter(done).count();
        let plain = !io::stderr().is_terminal();
        let target = match plain {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let parts = (numbers.len() as f64 * PARTS) as u64;
        let bar = ProgressBar::with_draw_target(Some(parts), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {wide_msg}") {
            bar.set_style(style);
        }
        let progress = Self {
            bar,
            plain,
            place: display_path(near(folder.path())),
            cells: numbers.len(),
            before,
            over: before,
            failed: 0,
            shares: HashMap::new(),
            began: Instant::now(),
            last_line: Instant::now(),
        };
        let more = match (before, workers) {
            (0, 1) => String::new(),
            (0, _) => format!(", {workers} at a time"),
            (_, 1) => format!(", {before} are done"),
            _ => format!(", {before} are done, {workers} at a time"),
        };
        progress.line(&format!(
            "{} cells in {}{more}",
            numbers.len(),
            progress.place
        ));
        Ok(progress)
    }

    /// A line of words above the bar.
    pub fn line(&self, words: &str) {
        match self.plain {
            true => say(words),
            false => self.bar.suspend(|| say(words)),
        }
    }

    /// Reports events that were left out, or an error of writing them.
    pub fn report_events(&self, left_out: io::Result<u64>) {
        match left_out {
            Ok(0) => {}
            Ok(count) => self.line(&format!(
                "{count} events were left out: their reader was too slow"
            )),
            Err(error) => self.line(&format!("the events can no longer be written ({error})")),
        }
    }

    pub fn show(&mut self, event: &SweepEvent) {
        match event {
            SweepEvent::CellStarted { number, .. } => {
                self.shares.insert(*number, 0.0);
            }
            SweepEvent::CellStep {
                number,
                iteration,
                iterations,
                ..
            } => {
                let share = f64::from(*iteration) / f64::from((*iterations).max(1));
                self.shares.insert(*number, share.min(1.0));
            }
            SweepEvent::CellEnded(cell) => {
                self.shares.remove(&cell.number);
                self.over += usize::from(cell.state.is_over());
                self.failed += usize::from(cell.state == CellState::Failed);
                self.line(&ended(cell));
            }
            SweepEvent::Notice { number, message } => match number {
                Some(number) => self.line(&format!("cell {number}: note: {message}")),
                None => self.line(&format!("note: {message}")),
            },
            SweepEvent::Waiting { message, .. } => self.line(message),
            SweepEvent::Finished(_) => {}
        }
        self.draw();
    }

    fn draw(&mut self) {
        let painted = self.over as f64 + self.shares.values().sum::<f64>();
        let mut words = format!("{} of {} cells", self.over, self.cells);
        if self.failed > 0 {
            words += &format!(", {} failed", self.failed);
        }
        let here = painted - self.before as f64;
        let elapsed = self.began.elapsed().as_secs_f64();
        if here > 0.05 && elapsed > 2.0 {
            let left = (self.cells as f64 - painted) * elapsed / here;
            words += &format!(
                "  {} cells/hour  {} left",
                number(here * 3600.0 / elapsed, 3),
                clock(left)
            );
        }
        if self.plain {
            if self.last_line.elapsed() >= LINE_INTERVAL {
                self.last_line = Instant::now();
                say(&words);
            }
        } else {
            self.bar.set_position((painted * PARTS) as u64);
            self.bar.set_message(words);
        }
    }

    pub fn end(&self, finished: Finished) {
        self.bar.finish_and_clear();
        let Finished { done, failed, left } = finished;
        let mut words = format!("{done} of {} cells are done", self.cells);
        for (count, what) in [(failed, "failed"), (left, "are left")] {
            if count > 0 {
                words += &format!(", {count} {what}");
            }
        }
        let here = (self.over - self.before) as f64;
        let elapsed = self.began.elapsed().as_secs_f64();
        words += &format!(" after {}", clock(elapsed));
        if here >= 2.0 {
            words += &format!(" ({} cells/hour)", number(here * 3600.0 / elapsed, 3));
        }
        say(&format!("{words}; they are in {}", self.place));
    }
}

/// How a cell ended, in a line.
fn ended(cell: &CellEntry) -> String {
    let number_ = cell.number;
    match (cell.state, &cell.losses) {
        (CellState::Failed, _) => {
            let why = cell.message.as_deref().unwrap_or("for an unknown reason");
            format!("cell {number_} failed: {why}")
        }
        (state, Some(losses)) => format!(
            "cell {number_} {}: total {} after {} iterations in {}",
            state.word(),
            number(losses.total, 4),
            cell.iteration,
            clock(cell.seconds),
        ),
        (state, None) => format!("cell {number_} {}", state.word()),
    }
}
