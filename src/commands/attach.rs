//! `impasto attach`: the dashboard on a run that is being painted.

use impasto_runs::{Run, RunEntry, RunError, RunStatus, Runs};
use impasto_service::engine_process;
use impasto_service::ipc::Role;
use impasto_sweep::SweepFolder;

use super::{keep, sweep};
use crate::cli::{AttachArgs, WhichRun};
use crate::headless::{self, Leave};
use crate::outcome::{Failure, Outcome};
use crate::tui;

pub fn attach(args: &AttachArgs) -> Outcome {
    if let Some(folder) = &args.which.run_dir
        && SweepFolder::is_one(folder)
    {
        return sweep::attach(folder, &args.screen);
    }
    let run = painted(&args.which)?;
    let role = if args.watch { Role::Watch } else { Role::Steer };
    let connection = engine_process::reach(&run, role)?;
    if args.screen.headless || !tui::opens_here() {
        let sizes = run.job()?.sizes();
        let signal = headless::catch_signals()?;
        return headless::follow(&connection.link, sizes, None, Leave::Detach, &signal);
    }
    let started = keep::started(&run, connection);
    tui::attach(keep::attached_run(&run), started, (&args.screen).into())
}

/// The run that is meant, if it is being painted; without a name the latest
/// that is.
pub fn painted(which: &WhichRun) -> Result<Run, Failure> {
    let run = match (&which.run_dir, &which.run) {
        (Some(folder), _) => Run::open(folder)?,
        (None, Some(name)) => Runs::open()?.find(name)?,
        (None, None) => {
            let latest = latest(Run::is_painting)?;
            return latest.ok_or_else(|| {
                Failure::Usage(
                    "no run is being painted; `impasto runs list` lists all runs".to_owned(),
                )
            });
        }
    };
    if run.is_painting() {
        return Ok(run);
    }
    let (name, called) = (run.name(), run.called());
    let what = match run.status() {
        RunStatus::Finished => "is finished",
        RunStatus::Stopped => "was stopped",
        RunStatus::Failed => "has failed",
        _ => "is not being painted any more",
    };
    let next = match run.status() {
        RunStatus::Finished => format!("`impasto runs show {called}` shows how it ended"),
        _ => format!("`impasto resume {called}` resumes it"),
    };
    Err(Failure::Usage(format!("{name} {what}; {next}")))
}

/// The newest run that fits.
pub fn latest(fits: impl Fn(&Run) -> bool) -> Result<Option<Run>, RunError> {
    let runs = Runs::open()?.all()?.into_iter();
    let whole = |entry| match entry {
        RunEntry::Run(run) => Some(*run),
        RunEntry::Broken { .. } => None,
    };
    Ok(runs.filter_map(whole).find(fits))
}
