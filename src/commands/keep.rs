//! A new run: its folder, and the engine that paints it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use impasto_core::job::{DeviceChoice, Job, PictureFile, Plan};
use impasto_core::picture::Source;
use impasto_core::preset::Mask;
use impasto_core::protocol::Link;
use impasto_engine::worker;
use impasto_runs::{Copied, NewRun, Record, Run, RunError, RunState, Runs};
use impasto_service::engine_process::{self, EngineRequest, IdleEngine, RemoteError};
use impasto_service::host::{self, ExitWhen, HostError, Output};
use impasto_service::ipc::Connection;

use crate::headless::{EventSink, say};
use crate::tui::remote::{AttachedRun, RemoteEngine, Started, in_process};

/// The name of the [`Record`] in a run's folder.
const RECORD: &str = "run.json";

/// Makes the folder of a new run: the one that is named, or one of its own
/// among all others.
pub fn new_run(plan: &Plan, job: &Job, folder: Option<&Path>) -> Result<Run, RunError> {
    let inputs = plan.inputs().into_iter();
    let files: Vec<PictureFile> = inputs.map(|(_, file)| file).collect();
    // Whoever attaches later may be in another folder.
    let name = plan
        .preset_name
        .as_deref()
        .map(|name| match Path::new(name).exists() {
            true => std::path::absolute(name).map_or_else(
                |_| name.to_owned(),
                |path| path.to_string_lossy().into_owned(),
            ),
            false => name.to_owned(),
        });
    let new = NewRun {
        job,
        preset_name: name.as_deref(),
        overrides: &plan.overrides,
        files: &files,
        shared: None,
    };
    match folder {
        Some(folder) => Run::create_at(folder, &new),
        None => Runs::open()?.create(&new),
    }
}

/// What paints a plan under the dashboard: an engine in a process of its own.
/// Where no folder of the user's choice was asked for and none can be made, it
/// is this process, and the run ends with it. The process that paints writes the
/// events too.
pub fn engine(
    folder: Option<PathBuf>,
    events: Option<PathBuf>,
    device: Option<DeviceChoice>,
) -> impl FnMut(&Plan, Job) -> io::Result<Started> {
    // It gets ready while the pictures are read.
    let mut waiting = IdleEngine::start(device).ok();
    move |plan, job| {
        let run = match new_run(plan, &job, folder.as_deref()) {
            Ok(run) => run,
            Err(error) if folder.is_some() => return Err(refused(error)),
            Err(error) => {
                say(&format!("the run is not kept: {error}"));
                // That it can be opened was looked at before.
                let events = events.as_deref();
                return Ok(Started {
                    events: events.and_then(|path| EventSink::open(path, &[]).ok()),
                    ..in_process(plan, job)?
                });
            }
        };
        let request = EngineRequest {
            events: events.clone(),
            ..EngineRequest::new(&run)
        };
        match engine_process::launch(&run, request, &pictures(&job), waiting.take()) {
            Ok(connection) => Ok(started(&run, connection)),
            Err(error) => {
                if !run.is_painting() && run.state().state == RunState::Painting {
                    // It ended before it began.
                    run.discard();
                }
                Err(match error {
                    RemoteError::Refused(_) => refused(error),
                    error => io::Error::other(error),
                })
            }
        }
    }
}

/// The pictures of a job, in the order in which an engine takes them.
pub fn pictures(job: &Job) -> Vec<&Source> {
    let pictures = job.pictures().into_iter();
    pictures.map(|(_, source)| source).collect()
}

/// What was asked for is wrong, rather than something that went wrong.
fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// The line to an engine, as the dashboard takes it.
pub fn started(run: &Run, connection: Connection) -> Started {
    let Connection {
        link,
        steers,
        thread,
        ..
    } = connection;
    Started {
        link,
        thread,
        remote: Some(RemoteEngine {
            called: run.called(),
            steers,
        }),
        events: None,
    }
}

/// A run as the dashboard comes to it.
pub fn attached_run(run: &Run) -> AttachedRun {
    let record = run.record();
    AttachedRun {
        plan: Plan {
            preset: record.preset.clone(),
            content: PictureFile::At(run.content_path()),
            style: PictureFile::At(run.style_path()),
            more_styles: (record.more_styles.iter())
                .map(|copied| PictureFile::At(run.inputs_folder().join(&copied.copy)))
                .collect(),
            compute: record.compute,
            output: record.output.clone(),
            preset_name: record.preset_name.clone(),
            overrides: record.overrides.clone(),
        },
        content: record.content.file.clone(),
        styles: record.styles().map(|style| style.file.clone()).collect(),
        masks: (record.preset.masks.iter().zip(&record.masks))
            .map(|(mask, copied)| {
                let copy = |copied: &Copied| run.inputs_folder().join(&copied.copy);
                Mask {
                    file: copy(&copied.mask),
                    style: mask.style,
                    region: copied.region.as_ref().map(copy),
                }
            })
            .collect(),
    }
}

/// Where the picture of a run is saved that is painted in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where its job says.
    Output,
    /// In the run's folder and nowhere else, now and when it is resumed; where its job
    /// says if the run is not kept.
    RunFolder,
}

/// Paints a job in this process, and keeps the run where that is possible.
///
/// # Errors
/// When the folder of the user's choice cannot be used, or the system gives no
/// thread.
pub fn paint_here(
    plan: &Plan,
    mut job: Job,
    folder: Option<&Path>,
    place: Place,
) -> Result<(Link, JoinHandle<()>), HostError> {
    let run = match new_run(plan, &job, folder) {
        Ok(run) => run,
        Err(error) if folder.is_some() => return Err(error.into()),
        Err(error) => {
            say(&format!("note: the run is not kept: {error}"));
            return Ok(worker::start(job, None)?);
        }
    };
    let begin = || {
        let lock = run.lock()?;
        if place == Place::RunFolder {
            job.output = run.result_path();
            record_output(&run, &job.output)?;
        }
        host::paint(
            run.clone(),
            lock,
            Some(job),
            &Output::Own,
            ExitWhen::AtOnce,
            &worker::start,
        )
    };
    match begin() {
        Ok(hosted) => Ok((hosted.link, hosted.thread)),
        Err(error) => {
            run.discard();
            Err(error)
        }
    }
}

/// Has a new run remember where its picture goes: its folder has a name only now.
fn record_output(run: &Run, output: &Path) -> Result<(), RunError> {
    let record = Record {
        output: output.to_owned(),
        ..run.record().clone()
    };
    let folder = run.open_folder()?;
    let bytes = serde_json::to_vec_pretty(&record).map_err(io::Error::from);
    let written = bytes.and_then(|bytes| folder.write(RECORD, &bytes, true));
    written.map_err(|cause| RunError::not_written(&run.folder().join(RECORD), cause))
}
