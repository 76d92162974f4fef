//! Parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    impasto::timing::mark("libtorch is loaded");
    impasto::commands::carry_out(impasto::cli::Cli::parse())
}
