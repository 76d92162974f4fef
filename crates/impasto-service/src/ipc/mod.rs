//! The line between the process that paints and its clients: a Unix socket
//! that carries [`impasto_core::protocol`].
//!
//! [`place`] says where a run's socket lies. [`Server`] is the engine's end:
//! any number of clients, up to a limit, may come and go, one of them
//! controls the run, and none can hold the engine up. [`connect`] is a front end's end:
//! it gives the same [`Link`](impasto_core::protocol::Link) that a painter on a thread
//! of its own gives.
//!
//! What goes over the socket are frames (`frame`): a length, a kind, and JSON or
//! pixels. Whoever comes first says hello with the version of the protocol it
//! speaks and the part it wants to play ([`Role`]); the engine greets it
//! ([`Greeting`]), replays what it missed (`history`), and from then on all
//! that the others receive. All that comes in is bounded and checked before
//! it is used, on both ends.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

mod client;
mod connection;
mod frame;
mod history;
mod outbox;
pub mod place;
mod registry;
mod server;
mod socket;
#[cfg(test)]
mod tests;

pub use client::{Connection, LineError, connect};
pub use history::History;
pub use server::Server;
pub use socket::Announce;

/// The version of what is said over the socket. Both ends must speak the same
/// one: it goes up with every change that an older end would misunderstand,
/// be it in `frame` or in [`impasto_core::protocol`].
pub const PROTOCOL_VERSION: u32 = 2;

/// How many clients may be attached to a run at once.
pub const MAX_CLIENTS: usize = 16;

/// What a front end comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To steer the run. The first to come does; when it leaves, the one that
    /// has waited longest. The others watch until then.
    Steer,
    /// To watch only.
    Watch,
    /// To stop the run. Neither counted as a client nor sent
    /// single steps.
    Control,
}

/// What the engine says to a front end that it lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version of the protocol.
    pub version: u32,
    /// The version of impasto that paints.
    pub impasto: String,
    /// What the run is named on the command line.
    pub run: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// Whether the front end controls the run from the start.
    pub steers: bool,
    /// The engine's process.
    pub pid: u32,
}

/// The first thing a front end says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Hello {
    /// The version of the protocol. The key doubles as a mark of who speaks.
    impasto: u32,
    role: Role,
}

/// The guarded value, also after a panic elsewhere: every holder leaves what
/// it guards whole.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
