//! `impasto runs delete` and `impasto runs prune`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use impasto_runs::{Run, RunEntry, RunError, RunName, RunStatus, Runs, clock};

use super::facts::{ago, size};
use crate::cli::runs::{DeleteArgs, PruneArgs};
use crate::commands::{confirm, is_interactive};
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

/// Seconds in a day.
const DAY: u64 = 86_400;

pub fn delete(args: &DeleteArgs) -> Outcome {
    let runs = Runs::open()?;
    // All are found, and none is being painted, before the first one goes; one
    // that is named twice goes once.
    let names: BTreeSet<RunName> = args
        .runs
        .iter()
        .map(|name| runs.name(name))
        .collect::<Result<_, _>>()?;
    for name in &names {
        // A broken run is nobody's.
        if let Ok(run) = runs.find(name.as_str())
            && run.is_painting()
        {
            let (name, pid) = (name.to_string(), run.painter_pid());
            return Err(RunError::Busy { name, pid }.into());
        }
    }
    let bytes = names.iter().map(|name| runs.bytes(name)).sum();
    let shown: Vec<&str> = names.iter().map(RunName::as_str).collect();
    let question = format!("Delete {} ({})?", shown.join(", "), size(bytes));
    if !args.yes && !confirmed(&question)? {
        return Ok(());
    }
    for name in &names {
        runs.delete(name)?;
    }
    say(&format!(
        "deleted {}; {} are free",
        count(names.len()),
        size(bytes)
    ));
    Ok(())
}

pub fn prune(args: &PruneArgs) -> Outcome {
    let runs = Runs::open()?;
    let all = runs.all()?.into_iter().filter_map(|entry| match entry {
        RunEntry::Run(run) => Some(*run),
        RunEntry::Broken { .. } => None,
    });
    let now = clock::now();
    let doomed = doomed(all.collect(), args, now);
    if doomed.is_empty() {
        say("there is nothing to delete");
        return Ok(());
    }
    let bytes = doomed.iter().map(Run::bytes).sum();
    let names = doomed.iter().map(|run| run.name().as_str().len());
    let width = names.max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for run in &doomed {
        let (name, state) = (run.name(), run.status().word());
        let ended = ago(moved(run), now);
        writeln!(out, "{name:<width$}  {state:<8}  {ended}")?;
    }
    out.flush()?;
    drop(out);
    let what = count(doomed.len());
    if args.dry_run {
        say(&format!("would delete {what} and free {}", size(bytes)));
        return Ok(());
    }
    if !args.yes && !confirmed(&format!("Delete {what} ({})?", size(bytes)))? {
        return Ok(());
    }
    for run in &doomed {
        runs.delete(run.name())?;
    }
    runs.sweep();
    say(&format!("deleted {what}; {} are free", size(bytes)));
    Ok(())
}

/// The runs to delete, out of all of them from the newest on: ended ones alone.
fn doomed(runs: Vec<Run>, args: &PruneArgs, now: u64) -> Vec<Run> {
    let ended = |run: &Run| {
        let status = run.status();
        matches!(
            status,
            RunStatus::Finished | RunStatus::Stopped | RunStatus::Failed
        ) && !run.is_painting()
    };
    let age = args.older_than.map_or(0, |days| u64::from(days) * DAY);
    runs.into_iter()
        .filter(ended)
        .skip(args.keep.unwrap_or(0))
        .filter(|run| now.saturating_sub(moved(run)) >= age)
        .collect()
}

/// When a run last moved.
fn moved(run: &Run) -> u64 {
    run.state().updated.max(run.record().created)
}

fn count(runs: usize) -> String {
    match runs {
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    }
}

/// Asks whoever sits at the terminal.
fn confirmed(question: &str) -> Result<bool, Failure> {
    if !is_interactive() {
        return Err(Failure::Usage(
            "there is nobody to ask; to delete without a question add --yes".to_owned(),
        ));
    }
    let yes = confirm(question)?;
    if !yes {
        say("nothing was deleted");
    }
    Ok(yes)
}
