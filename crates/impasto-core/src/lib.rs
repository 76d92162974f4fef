//! What the parts of impasto have in common: plain data and pictures, without
//! tensors and without a terminal.
//!
//! - [`preset`] says what a run is made of, [`picture`] turns files into pixels and
//!   back, and [`job`] puts the two together: everything a run needs, complete and
//!   checked.
//! - [`protocol`] is what an engine and its front ends send each other: commands one
//!   way, events the other.
//! - [`checkpoint`] is what a painter needs to continue.
//! - [`neural_style`] turns command lines of another program into presets.
//! - [`text`] makes untrusted text safe to print, [`paths`] says whether two paths
//!   name one file, and [`timing`] reports where a start's time goes.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod checkpoint;
pub mod job;
pub mod neural_style;
pub mod paths;
pub mod picture;
pub mod preset;
pub mod protocol;
pub mod text;
pub mod timing;
