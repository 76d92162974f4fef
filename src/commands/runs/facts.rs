//! The facts of a run, and how numbers are formatted.

use std::path::{Path, PathBuf};

use impasto_core::text::display_path;
use impasto_runs::clock::utc;
use impasto_runs::{Losses, Run, RunProgress, RunStatus, plot};
use serde::Serialize;

use crate::pace::clock;

/// What a list shows of a run.
#[derive(Debug, Serialize)]
pub struct Facts {
    pub name: String,
    pub folder: PathBuf,
    pub state: RunStatus,
    /// The process that paints it.
    pub pid: Option<u32>,
    pub preset: String,
    pub content: String,
    pub style: String,
    /// 0 before it is known.
    pub width: u32,
    pub height: u32,
    pub iteration: u32,
    pub iterations: u32,
    pub losses: Option<Losses>,
    /// Seconds of painting.
    pub elapsed: f64,
    /// Seconds after the beginning of 1970.
    pub created: u64,
    pub updated: u64,
    pub message: Option<String>,
    /// Where the picture was saved.
    pub output: Option<PathBuf>,
}

impl Facts {
    pub fn of(run: &Run) -> Self {
        let status = run.status();
        let record = run.record();
        let RunProgress {
            width,
            height,
            iteration,
            iterations,
            losses,
            elapsed,
            updated,
            message,
            output,
            ..
        } = run.state();
        Self {
            name: run.name().to_string(),
            folder: run.folder().to_owned(),
            state: status,
            pid: run.painter_pid(),
            preset: record
                .preset_name
                .clone()
                .unwrap_or_else(|| record.preset.name.clone()),
            content: record.content.file.clone(),
            style: record
                .styles()
                .map(|style| style.file.as_str())
                .collect::<Vec<_>>()
                .join(" + "),
            width,
            height,
            iteration,
            iterations,
            losses,
            elapsed,
            created: record.created,
            updated,
            message,
            output,
        }
    }

    /// The preset, fit for a terminal; of a file, its name alone.
    pub fn preset(&self) -> String {
        let path = Path::new(&self.preset);
        display_path(Path::new(path.file_name().unwrap_or(path.as_os_str())))
    }

    pub fn size(&self) -> String {
        match (self.width, self.height) {
            (0, _) | (_, 0) => "–".to_owned(),
            (width, height) => format!("{width}×{height}"),
        }
    }

    pub fn progress(&self) -> String {
        format!("{}/{}", self.iteration, self.iterations)
    }

    pub fn total(&self) -> String {
        self.losses
            .map_or_else(|| "–".to_owned(), |losses| plot::short(losses.total))
    }

    pub fn duration(&self) -> String {
        clock(self.elapsed)
    }

    /// When it last moved, or began.
    pub fn when(&self) -> u64 {
        self.updated.max(self.created)
    }
}

/// How long ago a moment is, in words; a date where it is long.
pub fn ago(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        0..60 => "just now".to_owned(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        86_400..172_800 => "1 day ago".to_owned(),
        seconds @ 172_800..2_592_000 => format!("{} days ago", seconds / 86_400),
        _ => utc(then).date().to_string(),
    }
}

/// Bytes in words.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_reported_as_people_do() {
        let now = 1_000_000_000;
        for (age, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (7199, "1 h ago"),
            (86_400, "1 day ago"),
            (172_800, "2 days ago"),
            (86_400 * 29, "29 days ago"),
            (1_000_000_000, "1970-01-01"),
        ] {
            assert_eq!(ago(now - age, now), words);
        }
        assert_eq!(ago(now + 5, now), "just now");
        assert_eq!(
            [size(0), size(1), size(2_340_000)],
            ["0 kB", "1 kB", "2.3 MB"]
        );
    }
}
