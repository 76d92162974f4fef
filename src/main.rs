//! Parse, dispatch, exit code.

mod working_folder;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    working_folder::return_to_deleted();
    impasto_core::timing::mark("libtorch is loaded");
    impasto::commands::execute(impasto::cli::Cli::parse())
}
