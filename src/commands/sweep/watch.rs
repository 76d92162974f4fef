//! A sweep under its dashboard: painters in the background, which the dashboard watches
//! through the sweep's folder.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use impasto_core::picture;
use impasto_core::protocol;
use impasto_core::text::{display_path, printable};
use impasto_service::engine_process::{self, EngineRequest, IdleEngine};
use impasto_service::ipc::Role;
use impasto_sweep::SweepFolder;
use impasto_sweep::claims::{Claims, Owner};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::sweep::PaintCellsArgs;
use crate::commands::keep;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};
use crate::tui;
use crate::tui::remote::{AttachedRun, Started};
use crate::tui::sweep::SweepControl;

/// How often a stop is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// What a painter in the background says, in the folder of logs.
const PAINTER_LOG: &str = "logs/painter.log";

/// Opens the dashboard of a sweep. With `paint` it has painters started.
pub fn watch(
    folder: &SweepFolder,
    args: Option<&PaintCellsArgs>,
    options: tui::Options,
) -> Outcome {
    let mut control = Control {
        folder: folder.clone(),
        claims: folder.claims()?,
        arguments: args.map(arguments).unwrap_or_default(),
        child: None,
    };
    if args.is_some() {
        control.start_painter()?;
    }
    tui::sweep::sweep(folder.clone(), options, &mut control)
}

/// Stops what paints a sweep on this machine, and waits for it.
///
/// # Errors
/// When the claims cannot be read.
pub fn stop(folder: &SweepFolder) -> Outcome {
    let claims = folder.claims()?;
    for owner in stop_painters(&claims)? {
        say(&format!(
            "process {} on {} goes on: stop it there",
            owner.pid,
            printable(&owner.host)
        ));
    }
    while claims.holders()?.iter().any(Owner::is_here) {
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Tells every painter of this machine to stop; they write checkpoints first. Gives those
/// of other machines.
///
/// # Errors
/// When the claims cannot be read.
pub fn stop_painters(claims: &Claims) -> Result<Vec<Owner>, Failure> {
    let owners = claims.holders()?;
    let (here, elsewhere): (Vec<Owner>, Vec<Owner>) = owners.into_iter().partition(Owner::is_here);
    for owner in here {
        let pid = i32::try_from(owner.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    Ok(elsewhere)
}

struct Control {
    folder: SweepFolder,
    claims: Claims,
    /// For the painters that are started here.
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Control {
    fn child_lives(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(PAINTER_LOG)
    }
}

impl SweepControl for Control {
    fn start_painter(&mut self) -> Result<(), Failure> {
        if self.child_lives() || self.claims.holders()?.iter().any(Owner::is_here) {
            return Ok(());
        }
        let log = self.log_path();
        let cannot = |error: std::io::Error| {
            Failure::Failed(format!("cannot write {}: {error}", display_path(&log)))
        };
        fs::create_dir_all(log.parent().unwrap_or(&log)).map_err(cannot)?;
        let words = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(cannot)?;
        // The program as it runs now, even if its file was replaced meanwhile.
        let child = Command::new("/proc/self/exe")
            .arg0("impasto")
            .arg("sweep")
            .arg(self.folder.path())
            .args(["--headless", "--detached"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot start a painter: {error}")))?;
        self.child = Some(child);
        Ok(())
    }

    fn painters(&mut self) -> Vec<Owner> {
        self.claims.holders().unwrap_or_default()
    }

    fn is_starting(&mut self) -> bool {
        self.child_lives()
    }

    fn painter_error(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        // 1: cells failed, which the sheet shows; above 128: it was told to stop.
        if matches!(status.code(), Some(0 | 1 | 129..)) {
            return None;
        }
        let words = fs::read_to_string(self.log_path()).unwrap_or_default();
        let last = words.lines().last().unwrap_or("it was killed");
        Some(format!("the painter ended: {}", printable(last)))
    }

    fn stop_painters(&mut self) -> Result<(), Failure> {
        stop_painters(&self.claims)?;
        if self.child_lives()
            && let Some(child) = &self.child
        {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> Result<(AttachedRun, Started), Failure> {
        let run = self
            .folder
            .run(number)?
            .ok_or_else(|| Failure::Usage(format!("the cell {number} was not begun yet")))?;
        let connection = engine_process::reach(&run, Role::Steer)?;
        Ok((keep::attached_run(&run), keep::started(&run, connection)))
    }

    fn stop_cell(&mut self, number: usize) -> Result<(), Failure> {
        let run = self
            .folder
            .run(number)?
            .ok_or_else(|| Failure::Usage(format!("the cell {number} was not begun yet")))?;
        let connection = engine_process::reach(&run, Role::Control)?;
        let sent = connection.link.commands.send(protocol::Command::Stop);
        sent.map_err(|_| Failure::Failed(format!("the cell {number} ended meanwhile")))
    }

    fn promote(&mut self, number: usize, size: u32) -> Result<(AttachedRun, Started), Failure> {
        let cell = self.folder.cell(number)?;
        let base = self.folder.path();
        let name = |count: u32| match count {
            0 => base.join(format!("{number:04}-{size}.png")),
            count => base.join(format!("{number:04}-{size}-{count}.png")),
        };
        let output = picture::reserve((0..1000).map(name))?;
        let begin = || {
            let compute = impasto_core::job::Compute::default();
            let mut plan = self
                .folder
                .definition()
                .plan(&cell, compute, output.clone())?;
            plan.overrides.size = Some(size);
            plan.preset = plan.overrides.apply(plan.preset)?;
            // A preset of the sweep may have no file any more.
            plan.preset_name = None;
            let waiting = IdleEngine::start(Some(compute.device)).ok();
            let job = plan.clone().load(&mut |_| {})?;
            let run = keep::new_run(&plan, &job, None)?;
            let launched = engine_process::launch(
                &run,
                EngineRequest::new(&run),
                &keep::pictures(&job),
                waiting,
            );
            match launched {
                Ok(connection) => Ok((keep::attached_run(&run), keep::started(&run, connection))),
                Err(error) => {
                    run.discard();
                    Err(Failure::from(error))
                }
            }
        };
        begin().inspect_err(|_| picture::release(&output))
    }
}

/// The flags with which a painter in the background paints as it was asked for here.
fn arguments(args: &PaintCellsArgs) -> Vec<String> {
    let compute = &args.compute;
    let mut arguments = vec![
        format!("--device={}", compute.device.device),
        format!("--precision={}", compute.precision),
    ];
    if let Some(way) = compute.out_of_memory.to_possible_value() {
        arguments.push(format!("--out-of-memory={}", way.get_name()));
    }
    arguments.extend(compute.tile.map(|tile| format!("--tile={tile}")));
    arguments.extend(args.jobs.map(|jobs| format!("--jobs={jobs}")));
    arguments.extend(args.cells.iter().map(|cells| format!("--cells={cells}")));
    if args.no_scores {
        arguments.push("--no-scores".to_owned());
    }
    if let Some(events) = &args.events {
        // It has the same working folder.
        arguments.push(format!("--events={}", events.to_string_lossy()));
    }
    arguments
}
