//! The folder of a sweep.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use impasto_core::text::{display_path, printable};
use impasto_runs::{Folder, Run, RunStatus, Runs};
use serde::Deserialize;
use serde_json::Map;

use super::claims::Claims;
use super::definition::{Cell, Definition};
use super::error::{Result, SweepError};
use super::index::{CellEntry, CellState, FORMAT, Index};

const INDEX: &str = "sweep.json";
const CSV: &str = "cells.csv";
const CELLS: &str = "cells";
const INPUTS: &str = "inputs";
const CLAIMS: &str = "claims";
const FAILURES: &str = "failures";
/// The output of a cluster's tasks.
const LOGS: &str = "logs";
/// In the folder of a cell.
const SCORES: &str = "scores.json";
/// 100,000 cells with their scores take less.
const MAX_INDEX: u64 = 256 << 20;
const MAX_TEXT: u64 = 64 << 10;

/// The folder of a sweep, with what it paints.
#[derive(Clone, Debug)]
pub struct SweepFolder {
    path: PathBuf,
    folder: Folder,
    definition: Definition,
}

impl SweepFolder {
    /// Whether a folder holds a sweep.
    pub fn is_one(path: &Path) -> bool {
        path.join(INDEX).is_file()
    }

    /// The sweep in a folder.
    ///
    /// # Errors
    /// When there is none, or its index cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let path =
            std::path::absolute(path).map_err(|cause| SweepError::unreadable(path, cause))?;
        let folder = Folder::open(&path).map_err(|cause| SweepError::unreadable(&path, cause))?;
        let index = read_index(&folder)?.ok_or_else(|| SweepError::NotASweep {
            folder: display_path(&path),
        })?;
        Ok(Self {
            path,
            folder,
            definition: index.definition,
        })
    }

    /// The folder of a sweep, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder holds something else, or cannot be written.
    pub fn open_for(path: &Path, definition: &Definition) -> Result<Self> {
        let path =
            std::path::absolute(path).map_err(|cause| SweepError::not_written(path, cause))?;
        let unwritten = |cause| SweepError::not_written(&path, cause);
        fs::create_dir_all(&path).map_err(unwritten)?;
        let folder = Folder::open(&path).map_err(|cause| SweepError::unreadable(&path, cause))?;
        let new = Self {
            path: path.clone(),
            folder,
            definition: definition.clone(),
        };
        match read_index(&new.folder)? {
            Some(index) => {
                if let Some(difference) = difference(&index.definition, definition) {
                    return Err(SweepError::OtherSweep {
                        folder: display_path(&path),
                        difference,
                    });
                }
                new.make_folders()?;
            }
            None => {
                let names = new
                    .folder
                    .names()
                    .map_err(|cause| SweepError::unreadable(&path, cause))?;
                // Another process may be making the very same.
                let ours = |name: &String| {
                    [CELLS, INPUTS, CLAIMS, FAILURES, LOGS, CSV].contains(&name.as_str())
                        || Folder::is_staging(name)
                };
                if !names.iter().all(ours) {
                    return Err(SweepError::NotASweep {
                        folder: display_path(&path),
                    });
                }
                new.make_folders()?;
                new.write_index(&new.index()?)?;
            }
        }
        Ok(new)
    }

    fn make_folders(&self) -> Result<()> {
        for name in [CELLS, INPUTS, CLAIMS, FAILURES, LOGS] {
            let path = self.path.join(name);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(SweepError::not_written(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The folder, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// A cell by its number.
    ///
    /// # Errors
    /// [`SweepError::NoCell`].
    pub fn cell(&self, number: usize) -> Result<Cell> {
        let count = self.definition.count();
        let cell = self.definition.cell(number);
        cell.ok_or(SweepError::NoCell { number, count })
    }

    /// The run folder of a cell, which is there once the cell has begun.
    pub fn cell_folder(&self, number: usize) -> PathBuf {
        self.path.join(CELLS).join(cell_name(number))
    }

    /// The folder of the pictures, each once.
    pub fn inputs_folder(&self) -> PathBuf {
        self.path.join(INPUTS)
    }

    /// The claims on its cells.
    ///
    /// # Errors
    /// When their folder cannot be made.
    pub fn claims(&self) -> Result<Claims> {
        let path = self.path.join(CLAIMS);
        Claims::open(&path).map_err(|cause| SweepError::not_written(&path, cause))
    }

    /// The run of a cell; none before it has begun.
    ///
    /// # Errors
    /// When its folder cannot be read as a run.
    pub fn run(&self, number: usize) -> Result<Option<Run>> {
        let folder = self.cell_folder(number);
        match folder.exists() {
            true => Ok(Some(Run::open(&folder)?)),
            false => Ok(None),
        }
    }

    /// Where a cell stands, by looking at its folder.
    ///
    /// # Errors
    /// [`SweepError::NoCell`].
    pub fn entry(&self, number: usize) -> Result<CellEntry> {
        let mut entry = CellEntry::waiting(&self.cell(number)?);
        match self.run(number) {
            Ok(None) => {
                if let Some(message) = self.failure(number) {
                    entry.state = CellState::Failed;
                    entry.message = Some(message);
                }
            }
            Ok(Some(run)) => look(&run, &mut entry),
            Err(error) => {
                entry.state = CellState::Interrupted;
                entry.message = Some(error.to_string());
            }
        }
        Ok(entry)
    }

    /// Writes the scores of a cell into its folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_scores(
        &self,
        number: usize,
        scores: &Map<String, serde_json::Value>,
    ) -> Result<()> {
        let path = self.cell_folder(number);
        let unwritten = |cause| SweepError::not_written(&path.join(SCORES), cause);
        let folder = Folder::open(&path).map_err(unwritten)?;
        let bytes = serde_json::to_vec(scores).map_err(|error| unwritten(error.into()))?;
        folder.write(SCORES, &bytes, false).map_err(unwritten)
    }

    /// Why a cell could not begin, if it could not.
    fn failure(&self, number: usize) -> Option<String> {
        let folder = self.folder.folder(FAILURES).ok()?;
        let bytes = folder.read(&cell_name(number), MAX_TEXT).ok()?;
        Some(printable(String::from_utf8_lossy(&bytes).trim()))
    }

    /// Writes down why a cell could not begin, or that this is not so any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_failure(&self, number: usize, message: Option<&str>) -> Result<()> {
        let unwritten = |cause| SweepError::not_written(&self.path.join(FAILURES), cause);
        let folder = self.folder.folder(FAILURES).map_err(unwritten)?;
        let name = cell_name(number);
        match message {
            Some(message) => folder
                .write(&name, message.as_bytes(), false)
                .map_err(unwritten),
            None => match folder.remove(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritten(error)),
                _ => Ok(()),
            },
        }
    }

    /// Removes all that was painted of a cell, so that it is painted anew.
    ///
    /// # Errors
    /// [`SweepError::Busy`] while it is being painted, and when it cannot be removed.
    pub fn reset(&self, number: usize) -> Result<()> {
        self.note_failure(number, None)?;
        let folder = self.cell_folder(number);
        if !folder.exists() {
            return Ok(());
        }
        if Run::open(&folder).is_ok_and(|run| run.is_painting()) {
            return Err(SweepError::Busy { number });
        }
        let runs = Runs::at(self.path.join(CELLS));
        let name = cell_name(number)
            .parse()
            .map_err(impasto_runs::RunError::from)?;
        Ok(runs.delete(&name)?)
    }

    /// Clears away what killed processes left half made.
    pub fn clean(&self) {
        Runs::at(self.path.join(CELLS)).sweep();
    }

    /// The index as it was written last, with where its cells stand now.
    ///
    /// # Errors
    /// When the index is there but cannot be read.
    pub fn index(&self) -> Result<Index> {
        let mut index = match read_index(&self.folder)? {
            Some(index) => index,
            None => Index {
                format: FORMAT,
                impasto: env!("CARGO_PKG_VERSION").to_owned(),
                definition: self.definition.clone(),
                cells: waiting(&self.definition),
            },
        };
        self.refresh(&mut index)?;
        Ok(index)
    }

    /// The index as it was written last. Painters write it every few seconds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn written_index(&self) -> Result<Index> {
        read_index(&self.folder)?.ok_or_else(|| SweepError::NotASweep {
            folder: display_path(&self.path),
        })
    }

    /// Looks at every cell that was not done yet.
    ///
    /// # Errors
    /// [`SweepError::NoCell`].
    pub fn refresh(&self, index: &mut Index) -> Result<()> {
        let count = self.definition.count();
        // Somebody may have changed it by hand.
        let right = index.cells.len() == count
            && index
                .cells
                .iter()
                .enumerate()
                .all(|(at, cell)| cell.number == at);
        if !right {
            index.cells = waiting(&self.definition);
        }
        for cell in &mut index.cells {
            if cell.state != CellState::Done || !self.cell_folder(cell.number).exists() {
                *cell = self.entry(cell.number)?;
            }
        }
        Ok(())
    }

    /// Looks at the cells that somebody has begun and that were not done yet; a sweep of
    /// many cells is not walked through. Gives those that were begun before and are not any
    /// more: somebody had them [`reset`](Self::reset).
    ///
    /// # Errors
    /// When the folder cannot be read, and [`SweepError::NoCell`].
    pub fn refresh_begun(&self, index: &mut Index) -> Result<Vec<usize>> {
        let mut begun = vec![false; index.cells.len()];
        for name in [CELLS, FAILURES] {
            let path = self.path.join(name);
            let names = self.folder.folder(name).and_then(|folder| folder.names());
            let names = names.map_err(|cause| SweepError::unreadable(&path, cause))?;
            for number in names.iter().filter_map(|name| name.parse::<usize>().ok()) {
                if let Some(cell) = begun.get_mut(number) {
                    *cell = true;
                }
            }
        }
        let mut reset = Vec::new();
        for (cell, begun) in index.cells.iter_mut().zip(begun) {
            match (begun, cell.state) {
                (true, CellState::Done)
                // Whoever paints it may not have made its folder yet.
                | (false, CellState::Waiting | CellState::Painting) => {}
                (true, _) => *cell = self.entry(cell.number)?,
                (false, _) => {
                    *cell = CellEntry::waiting(&self.cell(cell.number)?);
                    reset.push(cell.number);
                }
            }
        }
        Ok(reset)
    }

    /// Writes the index and the table of cells.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_index(&self, index: &Index) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            let written = self.folder.write(name, bytes, false);
            written.map_err(|cause| SweepError::not_written(&self.path.join(name), cause))
        };
        let unwritten = |error: serde_json::Error| {
            SweepError::not_written(&self.path.join(INDEX), error.into())
        };
        // A line a cell: light, and still readable.
        let mut text = serde_json::to_string(index).map_err(unwritten)?;
        text = text.replace("{\"number\":", "\n{\"number\":");
        text.push('\n');
        write(INDEX, text.as_bytes())?;
        write(CSV, index.csv().as_bytes())
    }
}

/// The name of a cell's folder.
pub fn cell_name(number: usize) -> String {
    format!("{number:04}")
}

/// The index in a folder, if there is one.
fn read_index(folder: &Folder) -> Result<Option<Index>> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let path = folder.path().join(INDEX);
    let bytes = match folder.read(INDEX, MAX_INDEX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SweepError::unreadable(&path, error)),
    };
    let damaged = |error: serde_json::Error| SweepError::Damaged {
        file: display_path(&path),
        reason: printable(&error.to_string()),
    };
    let Format { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(SweepError::OtherVersion {
            file: display_path(&path),
            format,
            own: FORMAT,
        });
    }
    let mut index: Index = serde_json::from_slice(&bytes).map_err(damaged)?;
    for cell in &mut index.cells {
        // Whoever wrote it names no other file of ours.
        let picture = cell.picture.take();
        cell.picture = picture.map(|_| picture_of(cell.number));
    }
    Ok(Some(index))
}

/// The finished picture of a cell, as a path in the sweep's folder.
fn picture_of(number: usize) -> String {
    format!("{CELLS}/{}/{}", cell_name(number), Run::RESULT)
}

/// How a definition differs from that in a folder, in a few words.
fn difference(there: &Definition, new: &Definition) -> Option<String> {
    if there == new {
        return None;
    }
    let words = [
        (there.contents != new.contents, "its contents differ"),
        (there.styles != new.styles, "its styles differ"),
        (there.rows != new.rows, "its rows differ"),
        (
            there.vary != new.vary,
            "the varied keys or their values differ",
        ),
        (there.set != new.set, "the keys under `set` differ"),
        (there.preset != new.preset, "its preset is another"),
        (
            there.presets != new.presets,
            "a preset was changed since it began",
        ),
    ];
    let found = words.iter().find(|(differs, _)| *differs);
    Some(found.map_or("it differs", |(_, words)| words).to_owned())
}

/// Takes in what a cell's run says.
fn look(run: &Run, entry: &mut CellEntry) {
    let status = run.status();
    let progress = run.state();
    entry.state = status.into();
    entry.losses = progress.losses;
    entry.iteration = progress.iteration;
    entry.iterations = progress.iterations;
    entry.seconds = progress.elapsed;
    entry.message = match status {
        RunStatus::Failed => progress.message,
        _ => None,
    };
    let Ok(folder) = run.open_folder() else {
        return;
    };
    if folder.has(Run::RESULT) {
        entry.picture = Some(picture_of(entry.number));
    }
    let scores = folder.read(SCORES, MAX_TEXT).ok();
    let scores = scores.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    entry.scores = scores.unwrap_or_default();
}

fn waiting(definition: &Definition) -> Vec<CellEntry> {
    definition
        .cells()
        .map(|cell| CellEntry::waiting(&cell))
        .collect()
}
