//! Runs that outlive the terminal they were started from.
//!
//! [`host`] paints a run, keeps it in its folder and serves it over a socket;
//! [`ipc`] is that socket, and [`engine_process`] starts a host in another process
//! and finds it again. What paints is handed to the host: this crate knows nothing
//! of tensors.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod engine_process;
pub mod host;
pub mod ipc;
