//! What can be wrong with a sweep.

use std::io;
use std::path::Path;

use impasto_core::job::PlanError;
use impasto_core::preset::PresetError;
use impasto_core::text::display_path;
use impasto_runs::RunError;
use impasto_service::host::HostError;

/// What is done with a sweep.
pub type Result<T> = std::result::Result<T, SweepError>;

/// Why a sweep cannot be read, kept or painted. Names in the messages are fit for a
/// terminal.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Preset(#[from] PresetError),

    #[error("cannot read {file}: {cause}. Check that it exists and that you may read it")]
    Unreadable { file: String, cause: io::Error },

    #[error("{folder} has no pictures in it (JPEG, PNG, WebP, TIFF or BMP)")]
    NoPictures { folder: String },

    #[error("{file}: {reason}")]
    Definition { file: String, reason: String },

    #[error(
        "{folder} holds another sweep: {difference}. Name another folder with -o, or give the \
         sweep that is in it"
    )]
    OtherSweep { folder: String, difference: String },

    #[error("{folder} is not empty and holds no sweep. Name a new or empty folder with -o")]
    NotASweep { folder: String },

    #[error("{file} is damaged ({reason}). Remove it and run the sweep again: painted cells stay")]
    Damaged { file: String, reason: String },

    #[error(
        "{file} was written by another version of impasto (its format is {format}, and this \
         version reads {own})"
    )]
    OtherVersion { file: String, format: u64, own: u64 },

    #[error("{count} cells; a sweep has at most {most}. Take fewer values, or several sweeps")]
    TooMany { count: usize, most: usize },

    #[error("there is no cell {number}: the sweep has {count}, counted from 0")]
    NoCell { number: usize, count: usize },

    #[error("the cell {number} is being painted; stop it first")]
    Busy { number: usize },

    #[error(transparent)]
    Run(#[from] RunError),

    #[error(transparent)]
    Plan(#[from] PlanError),

    #[error(transparent)]
    Host(#[from] HostError),
}

impl SweepError {
    pub(super) fn unreadable(path: &Path, cause: io::Error) -> Self {
        Self::Unreadable {
            file: display_path(path),
            cause,
        }
    }

    /// A file that could not be written.
    pub(super) fn not_written(path: &Path, cause: io::Error) -> Self {
        Self::Run(RunError::not_written(path, cause))
    }

    /// Whether there is no room on the disk: waiting may help.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            Self::Run(RunError::DiskFull { .. })
                | Self::Host(HostError::Run(RunError::DiskFull { .. }))
        )
    }
}
