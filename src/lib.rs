//! impasto paints one picture in the manner of another: optimisation-based
//! neural style transfer (Gatys et al. 2016) from a terminal.
//!
//! The rooms, from the outside in:
//!
//! - [`cli`] reads the command line; [`commands`] carries each command out.
//! - [`preset`] says what a run is made of, [`picture`] turns files into pixels
//!   and back, and [`job`] puts the two together: everything a run needs,
//!   complete and checked.
//! - [`weights`] reads networks from the files people have, keeps those that
//!   were imported, and fetches them.
//! - [`engine`] paints. It is the only room that knows libtorch: its
//!   `Painter` does one iteration at a time, its `worker` runs a painter on a
//!   thread of its own.
//! - [`protocol`] is what the engine and its front ends say to each other:
//!   commands one way, events the other.
//! - [`runs`] is the folder of every run: what it was asked for, how far it is,
//!   and checkpoints to go on from. [`host`] paints a run and keeps it there;
//!   [`line`] is the socket over which front ends see and steer it, and
//!   [`remote`] starts an engine in another process and finds it again.
//! - [`headless`] is the front end without a screen: a progress bar and JSON
//!   lines. [`tui`] is the dashboard. [`preview`] shows pictures in a terminal,
//!   and [`pace`] tells how fast a run goes; [`timing`] where a start's time goes.
//!   [`paths`] tells whether two paths name one file.

pub mod assets;
pub mod cli;
pub mod commands;
pub mod engine;
pub mod headless;
pub mod host;
pub mod job;
pub mod line;
pub mod pace;
pub mod paths;
pub mod picture;
pub mod preset;
pub mod preview;
pub mod protocol;
pub mod remote;
pub mod runs;
pub mod timing;
pub mod tui;
pub mod weights;
