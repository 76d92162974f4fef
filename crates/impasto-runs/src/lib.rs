//! Runs that outlive the program: each has a folder of its own.
//!
//! | in the folder | what it is |
//! | --- | --- |
//! | `run.json` | what was asked for, written once |
//! | `inputs/` | the pictures, byte for byte |
//! | `state.json` | where the run stands |
//! | `lock` | locked by the process that paints |
//! | `socket.json` | where that process can be reached |
//! | `metrics.jsonl` | the losses, a JSON object a line |
//! | `log.txt` | what else happened |
//! | `checkpoint/` | what painting resumes from |
//! | `snapshots/`, `result.png`, `preview.png` | pictures |
//! | `losses.png`, `losses.svg` | the losses as a chart |
//!
//! [`Runs`] is the folder of all runs, [`Run`] one of them. Only the process
//! that holds a run's [`RunLock`] writes into it. A run whose lock is free is
//! not being painted, whatever its [`RunProgress`] says.
//!
//! Files appear whole or not at all, except the two that are appended to. All
//! of it is private to its owner, and still read with suspicion: bounded, checked,
//! and opened through the descriptor of its [`Folder`], so that no link leads out
//! of it. This module does not depend on tensors or terminals.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod address;
pub mod checkpoint;
pub mod clock;
mod digest;
mod error;
mod files;
mod folder;
mod inputs;
mod lock;
mod log;
mod metrics;
mod name;
mod output;
mod pictures;
pub mod plot;
mod record;
mod run;
mod state;
mod store;
pub mod tensorboard;

pub use address::Address;
pub use digest::digest_at;
pub use error::RunError;
pub use folder::Folder;
pub use inputs::Copied;
pub use lock::RunLock;
pub use log::RunLog;
pub use metrics::{Metrics, csv};
pub use name::{NotAName, RunName};
pub use record::{CopiedMask, Record};
pub use run::{NewRun, Run};
pub use state::{Losses, RunProgress, RunState, RunStatus};
pub use store::{RunEntry, Runs};

/// The number of the format that this version writes. It reads those before it too: runs
/// of format 1 have one style and no masks.
pub const FORMAT: u64 = 2;

/// What is done in a run's folder, in one go or not at all.
pub type Result<T> = std::result::Result<T, RunError>;

#[cfg(test)]
mod tests;
