//! What can be wrong with a run's folder.

use std::io::{self, ErrorKind};
use std::path::Path;

use impasto_core::job::JobError;
use impasto_core::picture::PictureError;
use impasto_core::text::display_path;
use thiserror::Error;

use super::name::NotAName;

/// Why a run cannot be made, found, read or painted. Names in the messages are
/// fit for a terminal.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(
        "there is no place to keep runs in: no home folder is known. Set HOME or XDG_DATA_HOME, \
         or name a folder with --run-dir"
    )]
    NoHome,

    #[error("there are no runs yet; `impasto run CONTENT STYLE` begins one")]
    NoRuns,

    #[error(transparent)]
    Name(#[from] NotAName),

    #[error("there is no run {name}{}", advice(near))]
    Missing {
        /// What was asked for.
        name: String,
        /// Names that are much like it.
        near: Vec<String>,
    },

    #[error("{name} begins the names of several runs: {}. Write more of the name", names.join(", "))]
    Ambiguous { name: String, names: Vec<String> },

    #[error("{folder} holds no run: there is no run.json in it")]
    NotARun { folder: String },

    #[error(
        "{folder} was made by another version of impasto (its format is {format}, and this \
         version reads {}). Use that version, or begin a new run with the pictures in its \
         inputs folder",
        super::FORMAT
    )]
    OtherVersion { folder: String, format: u64 },

    #[error(
        "{file} is damaged ({reason}). The pictures beside it can still be used: begin a new run \
         with those in the inputs folder"
    )]
    Damaged { file: String, reason: String },

    #[error("{folder} is not empty. Name a folder that is, or one that is not there yet")]
    NotEmpty { folder: String },

    #[error("{folder} is not a folder of its own but a link or a file, and stays as it is")]
    NotAFolder { folder: String },

    #[error("{file} changed while the run began. Begin it again")]
    Changed { file: String },

    #[error(
        "{file} is not the picture that the run began with any more, so the run cannot go on. \
         Put that picture back, or begin a new run"
    )]
    NotTheCopy { file: String },

    #[error("the run {name} is being painted{}", by(*pid))]
    Busy { name: String, pid: Option<u32> },

    #[error("cannot use {file}: {cause}. Remove it if you did not put it there")]
    NotItsOwn { file: String, cause: io::Error },

    #[error(
        "{file} is where this run saves its picture, and this run did not write it. Name another \
         file with -o, or replace it with --replace"
    )]
    ForeignOutput { file: String },

    #[error("{0} `impasto resume -o FILE` saves the picture elsewhere")]
    Output(PictureError),

    #[error("cannot read {file}: {cause}. Check the file's permissions and its disk")]
    Unreadable { file: String, cause: io::Error },

    #[error("cannot write {file}: the disk is full. Make room on it")]
    DiskFull { file: String },

    #[error("cannot write {file}: {cause}. Check the folder's permissions and its disk")]
    NotWritten { file: String, cause: io::Error },

    #[error("the run cannot be written down: {reason}")]
    Unwritable { reason: String },

    #[error(transparent)]
    Picture(#[from] PictureError),

    #[error(transparent)]
    Job(#[from] JobError),
}

impl RunError {
    pub(super) fn unreadable(path: &Path, cause: io::Error) -> Self {
        let file = display_path(path);
        match cause.kind() {
            // A link, a pipe or the like: see `Folder`.
            ErrorKind::Other => Self::NotItsOwn { file, cause },
            _ => Self::Unreadable { file, cause },
        }
    }

    /// The error of a file that could not be written.
    pub fn not_written(path: &Path, cause: io::Error) -> Self {
        let file = display_path(path);
        match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { file },
            ErrorKind::Other => Self::NotItsOwn { file, cause },
            _ => Self::NotWritten { file, cause },
        }
    }

    /// A file holds something else than it should. The reason may quote it.
    pub(super) fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> Self {
        let reason: String = reason.to_string().chars().take(200).collect();
        Self::Damaged {
            file: display_path(path),
            reason: display_path(Path::new(&reason)),
        }
    }
}

fn advice(near: &[String]) -> String {
    match near {
        [] => "; `impasto runs list` lists all runs".to_owned(),
        [one] => format!("; did you mean {one}?"),
        several => format!("; there are {}", several.join(", ")),
    }
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}
