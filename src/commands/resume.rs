//! `impasto resume`: goes on from a run's last checkpoint.

use super::{Failure, Outcome, attach, keep};
use crate::cli::{ResumeArgs, WhichRun};
use crate::headless::{self, Leave};
use crate::host::{self, Ending};
use crate::remote;
use crate::runs::{Run, Runs, Standing};
use crate::tui;

pub fn resume(args: &ResumeArgs) -> Outcome {
    let run = unfinished(&args.which)?;
    let stdout_is_taken = args
        .events
        .as_ref()
        .is_some_and(|path| path.as_os_str() == "-");
    if args.screen.headless || stdout_is_taken || !tui::opens_here() {
        let lock = run.lock()?;
        let job = run.job()?;
        let sizes = job.sizes();
        let hosted = host::paint(run, lock, Some(job), Ending::AtOnce)?;
        let events = args.events.as_deref();
        let outcome = headless::follow(&hosted.link, sizes, events, Leave::Stop);
        drop(hosted.link);
        let _ = hosted.thread.join();
        return outcome;
    }
    let connection = remote::launch(&run)?;
    let started = keep::started(&run, connection);
    tui::attach(attach::arrival(&run), started, (&args.screen).into())
}

/// The run that is meant, if there is something left to paint; without a name
/// the latest such one.
fn unfinished(which: &WhichRun) -> Result<Run, Failure> {
    let goes_on = |run: &Run| {
        matches!(
            run.standing(),
            Standing::Interrupted | Standing::Stopped | Standing::Failed
        )
    };
    let run = match (&which.run_dir, &which.run) {
        (Some(folder), _) => Run::open(folder)?,
        (None, Some(name)) => Runs::open()?.find(name)?,
        (None, None) => {
            return attach::latest(goes_on)?.ok_or_else(|| {
                Failure::Usage(
                    "no run waits to be gone on with; `impasto runs list` lists those there are"
                        .to_owned(),
                )
            });
        }
    };
    let name = run.name();
    match run.standing() {
        Standing::Painting | Standing::Paused => Err(Failure::Usage(format!(
            "{name} is being painted; `impasto attach {name}` shows it"
        ))),
        Standing::Finished => Err(Failure::Usage(format!(
            "{name} is finished; `impasto runs show {name}` tells how it went"
        ))),
        _ => Ok(run),
    }
}
