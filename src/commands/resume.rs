//! `impasto resume`: resumes from a run's last checkpoint.

use std::path::Path;

use impasto_engine::worker;
use impasto_runs::{Run, RunError, RunStatus, Runs};
use impasto_service::engine_process::{self, EngineRequest};
use impasto_service::host::{self, ExitWhen, Output};

use super::{attach, confirm, is_interactive, keep};
use crate::cli::{ResumeArgs, WhichRun};
use crate::headless::{self, EventSink, Leave};
use crate::outcome::{Failure, Outcome};
use crate::pipe;
use crate::tui;

pub fn resume(args: &ResumeArgs) -> Outcome {
    if args.output.as_ref().is_some_and(pipe::is_dash) {
        return Err(Failure::Usage(
            "`impasto resume` does not write to stdout; name a file with -o, which is ./- if it \
             is called -"
                .to_owned(),
        ));
    }
    let run = unfinished(&args.which)?;
    let place = run.output();
    let output = chosen_output(&run, &place, args)?;
    let events = args.events.as_deref();
    let saved_to = match &output {
        Output::At(path) => path,
        Output::Own | Output::Replace => &place,
    };
    let stdout_is_taken = events.is_some_and(pipe::is_dash);
    if args.screen.headless || stdout_is_taken || !tui::opens_here() {
        let signal = headless::catch_signals()?;
        let lock = run.lock()?;
        let job = run.job()?;
        let sizes = job.sizes();
        let sink = events.map(|path| EventSink::open(path, &[saved_to.to_owned()]));
        let sink = sink.transpose()?;
        let hosted = host::paint(
            run,
            lock,
            Some(job),
            &output,
            ExitWhen::AtOnce,
            &worker::start,
        )?;
        let outcome = headless::follow(&hosted.link, sizes, sink, Leave::Stop, &signal);
        drop(hosted.link);
        let _ = hosted.thread.join();
        return outcome;
    }
    // A file that cannot be opened is reported now, not by an engine.
    if let Some(path) = events {
        EventSink::check(path, &[saved_to.to_owned()])?;
    }
    let request = EngineRequest {
        events: events.map(Path::to_owned),
        output,
        ..EngineRequest::new(&run)
    };
    let connection = engine_process::launch(&run, request, &[], None)?;
    let started = keep::started(&run, connection);
    tui::attach(keep::attached_run(&run), started, (&args.screen).into())
}

/// Where the picture goes. Whoever sits at the terminal is asked before a file is
/// replaced that the run did not write.
fn chosen_output(run: &Run, place: &Path, args: &ResumeArgs) -> Result<Output, Failure> {
    let output = match &args.output {
        Some(path) => Output::At(std::path::absolute(path)?),
        None if args.replace => Output::Replace,
        None => Output::Own,
    };
    match host::check_output(run, place, &output) {
        Err(RunError::ForeignOutput { file }) if is_interactive() => {
            let question = format!("{file} was not written by this run. Replace it?");
            match confirm(&question)? {
                true => Ok(Output::Replace),
                false => Err(Failure::Usage(
                    "nothing was painted; `impasto resume -o FILE` saves the picture elsewhere"
                        .to_owned(),
                )),
            }
        }
        checked => {
            checked?;
            Ok(output)
        }
    }
}

/// The run that is meant, if there is something left to paint; without a name
/// the latest such one.
fn unfinished(which: &WhichRun) -> Result<Run, Failure> {
    let goes_on = |run: &Run| {
        matches!(
            run.status(),
            RunStatus::Interrupted | RunStatus::Stopped | RunStatus::Failed
        )
    };
    let run = match (&which.run_dir, &which.run) {
        (Some(folder), _) => Run::open(folder)?,
        (None, Some(name)) => Runs::open()?.find(name)?,
        (None, None) => {
            return attach::latest(goes_on)?.ok_or_else(|| {
                Failure::Usage(
                    "no run can be resumed; `impasto runs list` lists all runs".to_owned(),
                )
            });
        }
    };
    let (name, called) = (run.name(), run.called());
    match run.status() {
        RunStatus::Painting | RunStatus::Paused => {
            let painter = run.painter_pid();
            let by = painter.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Err(Failure::Usage(format!(
                "{name} is being painted{by}; `impasto attach {called}` shows it"
            )))
        }
        RunStatus::Finished => Err(Failure::Usage(format!(
            "{name} is finished; `impasto runs show {called}` shows how it ended"
        ))),
        _ => Ok(run),
    }
}
