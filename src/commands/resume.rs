//! `impasto resume`: goes on from a run's last checkpoint.

use super::{Failure, Outcome, attach, keep};
use crate::cli::{ResumeArgs, WhichRun};
use crate::headless::{self, EventSink, Leave};
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
        let signal = headless::catch_signals()?;
        let lock = run.lock()?;
        let job = run.job()?;
        let sizes = job.sizes();
        let events = args.events.as_deref();
        let sink = events.map(|path| EventSink::open(path, &[&job.output]));
        let sink = sink.transpose()?;
        let hosted = host::paint(run, lock, Some(job), Ending::AtOnce)?;
        let outcome = headless::follow(&hosted.link, sizes, sink, Leave::Stop, &signal);
        drop(hosted.link);
        let _ = hosted.thread.join();
        return outcome;
    }
    let events = args.events.as_deref();
    // A file that cannot be had is told now, not by an engine.
    if let Some(path) = events {
        EventSink::check(path, &[&run.record().output])?;
    }
    let connection = remote::launch(&run, events, None)?;
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
    let (name, called) = (run.name(), run.called());
    match run.standing() {
        Standing::Painting | Standing::Paused => {
            let painter = run.painter_pid();
            let by = painter.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Err(Failure::Usage(format!(
                "{name} is being painted{by}; `impasto attach {called}` shows it"
            )))
        }
        Standing::Finished => Err(Failure::Usage(format!(
            "{name} is finished; `impasto runs show {called}` tells how it went"
        ))),
        _ => Ok(run),
    }
}
