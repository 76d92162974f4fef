//! What can be wrong with an installed network, or with a new one.

use std::io::{self, ErrorKind};
use std::path::Path;

use impasto_core::text::display_path;
use thiserror::Error;

use super::BUILT_IN;
use crate::WeightsError;

/// Why a network cannot be found, read or installed. Names in the messages are
/// fit for a terminal.
#[derive(Debug, Error)]
pub enum NetworkError {
    #[error(
        "{name} cannot be a network's name: that is at most 32 letters, digits, `-`, `_` and `.`, \
         the first a letter or a digit. A file becomes a network with \
         `impasto weights import FILE --name NAME`."
    )]
    Name { name: String },

    #[error(
        "`{BUILT_IN}` is built in: there is no file of it, and no other network can take its \
         name. Choose another name."
    )]
    BuiltIn,

    #[error("The network `{name}` is not installed. `impasto weights fetch {name}` gets it.")]
    Fetchable { name: String },

    #[error("There is no network called `{name}`; did you mean `{near}`?")]
    Near { name: String, near: String },

    #[error(
        "There is no network called `{name}`. `impasto weights list` shows those there are, and \
         `impasto weights import FILE --name {name}` adds one."
    )]
    Missing { name: String },

    #[error("{error} To replace the network `{name}`, {get}, with --replace.")]
    Broken {
        name: String,
        error: WeightsError,
        /// How to get it anew.
        get: String,
    },

    #[error(
        "There is a network `{name}` already, {file}. Choose another name, or replace it with \
         --replace."
    )]
    Exists { name: String, file: String },

    #[error(
        "The scale of {layer} came out as {scale}, which is not between 0.000001 and 1000000: \
         these weights do not work as a network. Check where they come from."
    )]
    Scale { layer: String, scale: f64 },

    #[error(
        "There is no place to keep networks in: no home folder is known. Set HOME or \
         XDG_DATA_HOME."
    )]
    NoFolder,

    #[error(
        "There is not enough room in {folder}: {} MB are needed. Make room, or set XDG_DATA_HOME \
         to a folder on a larger disk.",
        megabytes(*needed)
    )]
    DiskFull {
        folder: String,
        /// Bytes.
        needed: u64,
    },

    #[error("Cannot write {file}: {cause}. Check the folder's permissions and its disk.")]
    NotWritten { file: String, cause: io::Error },
}

impl NetworkError {
    /// `path` could not be written, for which `needed` bytes are needed.
    pub(crate) fn not_written(path: &Path, needed: u64, cause: io::Error) -> Self {
        match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull {
                folder: display_path(path.parent().unwrap_or(path)),
                needed,
            },
            _ => Self::NotWritten {
                file: display_path(path),
                cause,
            },
        }
    }
}

/// In millions of bytes, rounded up.
fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
