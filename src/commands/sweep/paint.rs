//! A sweep without a screen.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use impasto_core::job::{Compute, DeviceChoice, Job};
use impasto_core::picture::Picture;
use impasto_engine::network_pool::keep_networks;
use impasto_engine::{device, worker};
use impasto_sweep::{Finished, Painting, Score, SweepEvent, SweepFolder, Worker};
use impasto_weights::check_network;
use serde_json::Value;

use super::progress::Progress;
use crate::cli::sweep::PaintCellsArgs;
use crate::commands::measure::scores_of;
use crate::headless::{self, EventSink, Leave};
use crate::outcome::{Failure, Outcome};

/// How soon a signal is noticed.
const TIMEOUT: Duration = Duration::from_millis(50);
/// As a run, a sweep goes on when its terminal goes away.
const LEAVE: Leave = Leave::StopUnlessHangup;

/// Paints cells, with a progress bar on stderr and events where they are asked for.
pub fn headless(folder: SweepFolder, numbers: Vec<usize>, args: &PaintCellsArgs) -> Outcome {
    if args.detached {
        // As lists of processes show it, which know it by the file it was started from.
        let _ = rustix::thread::set_name(c"impasto");
        let _ = rustix::process::setsid();
    }
    let signal = headless::catch_signals()?;
    let inputs: Vec<_> = folder.definition().pictures().map(Into::into).collect();
    let sink = args.events.as_deref();
    let mut sink = sink
        .map(|path| EventSink::open(path, &inputs))
        .transpose()?;
    for network in folder.definition().networks()? {
        check_network(network)?;
    }
    let workers = workers(args)?;
    // Each worker has one, and one for scores.
    keep_networks(2 * workers.len());
    let score = (!args.no_scores).then(score);
    let mut progress = Progress::new(&folder, &numbers, workers.len())?;
    let painting = Painting::start(folder, numbers, workers, score)?;
    let (finished, stopped_by) = follow(&painting, &signal, &mut progress, &mut sink);
    painting.join();
    if let Some(sink) = sink {
        let gone_on = || headless::take_leaving_signal(&signal, LEAVE).is_none();
        progress.report_events(sink.finish(gone_on));
    }
    progress.end(finished);
    match stopped_by {
        Some(number) => Err(Failure::Stopped(number)),
        None => outcome(finished),
    }
}

/// The exit code of what was painted.
fn outcome(finished: Finished) -> Outcome {
    let Finished { done, failed, left } = finished;
    match (failed, left) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::Failed(format!(
            "{left} cells were stopped before they were done; run the sweep again to resume them"
        ))),
        _ => Err(Failure::Failed(format!(
            "{failed} of {} cells failed; `state` and `message` in sweep.json say which and why",
            done + failed + left
        ))),
    }
}

/// Follows the sweep to its end. Gives the signal that ended it, if one did.
fn follow(
    painting: &Painting,
    signal: &AtomicUsize,
    progress: &mut Progress,
    sink: &mut Option<EventSink>,
) -> (Finished, Option<u8>) {
    let mut stopped_by = None;
    loop {
        if let Some(number) = headless::take_leaving_signal(signal, LEAVE) {
            if stopped_by.replace(number).is_none() {
                progress.line("stopping: writing checkpoints (Ctrl-C again leaves at once)");
            }
            painting.stop();
        }
        let event = match painting.events.recv_timeout(TIMEOUT) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return (Finished::default(), stopped_by),
        };
        if let Some(open) = sink {
            let is_step = matches!(event, SweepEvent::CellStep { .. });
            if let Err(error) = open.write_json(&event, is_step) {
                progress.report_events(Err(error));
                *sink = None;
            }
        }
        progress.show(&event);
        if let SweepEvent::Finished(finished) = event {
            return (finished, stopped_by);
        }
    }
}

/// A worker for each visible GPU or, without one, for the CPU; as many times as cells are
/// painted at once on each.
pub fn workers(args: &PaintCellsArgs) -> Result<Vec<Worker>, Failure> {
    let compute = Compute::from(&args.compute);
    let devices = match compute.device {
        DeviceChoice::Auto => match device::resolve(DeviceChoice::Auto)? {
            it if device::is_cuda(it) => (0..device::cuda_devices())
                .map(DeviceChoice::Cuda)
                .collect(),
            _ => vec![DeviceChoice::Cpu],
        },
        choice => {
            device::resolve(choice)?;
            vec![choice]
        }
    };
    let mut workers = Vec::new();
    for device in devices {
        let jobs = args.jobs.unwrap_or(1);
        // The cores are shared between the painters of the CPU.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let share = (cores / jobs as usize).max(1);
        let threads = match (device, jobs) {
            (DeviceChoice::Cpu, 2..) => u32::try_from(share).ok(),
            _ => None,
        };
        for _ in 0..jobs {
            workers.push(Worker {
                compute: Compute { device, ..compute },
                start: Arc::new(move |job, storage| worker::start_with(job, storage, threads)),
            });
        }
    }
    Ok(workers)
}

/// What scores a finished picture. One that is too small has no scores.
fn score() -> Score {
    Arc::new(|picture: &Picture, job: &Job| {
        let scores = scores_of(picture, job).ok()?;
        match serde_json::to_value(scores).ok()? {
            Value::Object(scores) => Some(scores),
            _ => None,
        }
    })
}
