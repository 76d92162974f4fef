//! `impasto runs`: list, show, open, compare, export, delete, prune.

mod compare;
mod curves;
mod export;
pub mod facts;
mod list;
mod remove;
mod show;

use std::path::Path;

use impasto_runs::{Result, Run, Runs};

use crate::cli::WhichRun;
use crate::cli::runs::RunsCommand;
use crate::outcome::Outcome;

pub fn runs(command: &RunsCommand) -> Outcome {
    match command {
        RunsCommand::List(args) => list::list(args),
        RunsCommand::Show(args) => show::show(args),
        RunsCommand::Open(args) => show::open(args),
        RunsCommand::Compare(args) => compare::compare(args),
        RunsCommand::Export(args) => export::export(args),
        RunsCommand::Delete(args) => remove::delete(args),
        RunsCommand::Prune(args) => remove::prune(args),
    }
}

/// The run that is meant; the latest if none is.
fn chosen(which: &WhichRun) -> Result<Run> {
    match (&which.run_dir, &which.run) {
        (Some(folder), _) => Run::open(folder),
        (None, Some(name)) => Runs::open()?.find(name),
        (None, None) => Runs::open()?.latest(),
    }
}

/// A run by its name or its folder: names hold no `/`.
fn named(text: &str) -> Result<Run> {
    match text.contains('/') {
        true => Run::open(Path::new(text)),
        false => Runs::open()?.find(text),
    }
}
