//! What can go wrong between a network's address and its numbers.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::MAX_BYTES;
use crate::{NetworkError, WeightsError};

/// Why a network cannot be fetched. Addresses in the messages are without
/// passwords and queries, and fit for a terminal.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("Cannot fetch from {url}: {reason}.")]
    Address { url: String, reason: &'static str },

    #[error("Cannot fetch {url}: {reason}. {advice}")]
    Failed {
        url: String,
        reason: String,
        /// What to do instead.
        advice: String,
    },

    #[error(
        "{url} is larger than {} GB, which is the most that is fetched: that is no VGG network. \
         Check the address.",
        MAX_BYTES >> 30
    )]
    TooLarge { url: String },

    #[error(
        "What came from {url} is not what was published: its SHA-256 begins with {found}, not \
         {expected}. It has been removed. The network that you are in may answer with pages of \
         its own: try again, or from elsewhere."
    )]
    WrongHash {
        url: String,
        /// The digits that are known.
        expected: String,
        /// As many digits.
        found: String,
    },

    #[error("`{name}` is being fetched already, by another process. Wait until it is done.")]
    Busy { name: String },

    #[error("Stopped. What was downloaded is kept: the same command continues from there.")]
    Stopped,

    #[error(transparent)]
    Weights(#[from] WeightsError),

    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl FetchError {
    /// Whether another address might have what this one had not.
    pub(super) fn is_of_the_address(&self) -> bool {
        match self {
            Self::Address { .. }
            | Self::Failed { .. }
            | Self::TooLarge { .. }
            | Self::WrongHash { .. }
            | Self::Weights(_) => true,
            Self::Busy { .. } | Self::Stopped | Self::Network(_) => false,
        }
    }

    /// What went wrong, without the address and what to do.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Address { reason, .. } => (*reason).to_owned(),
            Self::Failed { reason, .. } => reason.clone(),
            Self::TooLarge { .. } => "it is far too large".to_owned(),
            Self::Weights(error) => error.kind.to_string(),
            other => other.to_string(),
        }
    }

    /// `path` could not be written, for which `needed` bytes are needed.
    pub(super) fn not_written(path: &Path, needed: u64, cause: io::Error) -> Self {
        Self::Network(NetworkError::not_written(path, needed, cause))
    }
}
