//! `impasto engine`: paints a run without a front end of its own. The other
//! commands start it; people need not.

use std::io;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use impasto_core::protocol::Command;
use impasto_engine::{warm_up, worker};
use impasto_runs::{Folder, Run};
use impasto_service::engine_process::{self, EngineRequest};
use impasto_service::host::{self, ExitWhen, Output};

use crate::cli::EngineArgs;
use crate::headless::{self, EventSink, say};
use crate::outcome::{Failure, Outcome};

/// How soon a signal is noticed.
const TIMEOUT: Duration = Duration::from_millis(100);

pub fn engine(args: &EngineArgs) -> Outcome {
    // As lists of processes show it, which know it by the file it was started from.
    let _ = rustix::thread::set_name(c"impasto");
    // A session of its own: the terminal that this was started from may go.
    // Where it is one already, it has what it needs.
    let _ = rustix::process::setsid();
    if let Some(device) = args.device {
        warm_up::start(device);
    }
    let (request, pictures) = match &args.folder {
        Some(folder) => {
            let request = EngineRequest {
                folder: folder.clone(),
                events: None,
                output: Output::Own,
            };
            (request, Vec::new())
        }
        None => match EngineRequest::read()? {
            Some(read) => {
                keep_words(&read.0.folder)?;
                read
            }
            // Whoever started this had no use for it.
            None => return Ok(()),
        },
    };
    let signal = headless::catch_signals()?;
    let run = Run::open(&request.folder)?;
    let events = request.events.as_deref();
    let sink = events.map(|path| EventSink::open(path, &[run.output()]));
    let mut sink = sink.transpose()?;
    let lock = run.lock()?;
    // Where they were not sent, the run's copies are read.
    let job = run.job_with(pictures);
    let hosted = host::paint(
        run,
        lock,
        job,
        &request.output,
        ExitWhen::NoClients,
        &worker::start,
    )?;
    loop {
        // The second one gives up waiting for room on a full disk.
        if headless::take_signal(&signal).is_some() {
            let _ = hosted.link.commands.send(Command::Stop);
        }
        match hosted.link.events.recv_timeout(TIMEOUT) {
            Ok(event) => {
                if let Some(events) = &mut sink
                    && let Err(error) = events.write(&event)
                {
                    say(&format!("the events can no longer be written ({error})"));
                    sink = None;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some(sink) = sink {
        match sink.finish(|| true) {
            Ok(0) => {}
            Ok(count) => say(&format!(
                "{count} events were left out: their reader was too slow"
            )),
            Err(error) => say(&format!("the events can no longer be written ({error})")),
        }
    }
    hosted
        .thread
        .join()
        .map_err(|_| Failure::Failed("the engine stopped unexpectedly".to_owned()))
}

/// Writes what is said on stderr to a file of the run.
fn keep_words(folder: &Path) -> io::Result<()> {
    let file = Folder::open(folder)?.append(engine_process::STDERR_FILE)?;
    Ok(rustix::stdio::dup2_stderr(file)?)
}
