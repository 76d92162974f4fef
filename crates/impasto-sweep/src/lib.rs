//! A sweep: many runs from one file, each a cell of a grid of contents × styles × preset
//! keys.
//!
//! | in the folder | what it is |
//! | --- | --- |
//! | `sweep.json` | the definition and where every cell stands: [`Index`] |
//! | `cells.csv` | the cells' losses and scores as a table |
//! | `cells/NNNN/` | the run of a cell, as any run's folder |
//! | `inputs/` | the pictures, each once; the cells' copies are hard links to them |
//! | `claims/` | who paints which cell: [`claims`] |
//! | `failures/` | why a cell could not begin |
//! | `logs/` | what the tasks of a cluster said, and painters in the background |
//!
//! Cells are numbered from 0 in the order of the file: contents first, then styles, then
//! the varied keys as they are written. The same definition always gives the same numbers,
//! so any process on any machine that shares the folder can paint any of them.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod claims;
mod cluster;
mod definition;
mod error;
mod folder;
mod index;
mod paint;
mod read;

#[cfg(test)]
mod tests;

pub use cluster::{CommandLines, SlurmOptions, commands, shell_word, slurm_script};
pub use definition::{Cell, Definition, Row, Style, Value, plain, setting, stem};
pub use error::{Result, SweepError};
pub use folder::SweepFolder;
pub use index::{CellEntry, CellState, Index};
pub use paint::{Finished, Painting, Score, SweepEvent, Worker};
pub use read::{add_presets, check_value, pictures_in, read, read_file};
