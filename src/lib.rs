//! impasto paints one picture in the style of another: optimisation-based
//! neural style transfer (Gatys et al. 2016) from a terminal.
//!
//! This crate is the program; what it is built from are the crates under `crates/`.
//!
//! - [`cli`] reads the command line, [`commands`] carries each command out, and
//!   [`outcome`] is how a command ends.
//! - [`headless`] is the front end without a screen: a progress bar and JSON lines.
//!   [`tui`] is the dashboard. [`pace`] measures for both how fast a run goes,
//!   and [`output_name`] names a picture that the user did not.
//! - [`style_args`] reads the styles and masks of a command line, and [`pipe`] the picture
//!   on stdin.
//! - [`assets`] are the pictures that are part of the program.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod assets;
pub mod cli;
pub mod commands;
pub mod headless;
pub mod outcome;
pub mod output_name;
pub mod pace;
pub mod pipe;
pub mod style_args;
pub mod tui;
