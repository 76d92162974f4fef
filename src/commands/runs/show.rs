//! `impasto runs show` and `impasto runs open`.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use super::facts::{Facts, ago, size};
use super::{OpenArgs, ShowRunArgs, chosen};
use crate::commands::{Failure, Outcome};
use crate::picture::{self, display_path};
use crate::preview;
use crate::protocol::Step;
use crate::runs::clock::{Utc, now};
use crate::runs::{Run, Standing, csv, plot};

pub fn show(args: &ShowRunArgs) -> Outcome {
    let run = chosen(&args.which)?;
    let mut out = io::stdout().lock();
    if args.csv {
        let mut out = io::BufWriter::new(out);
        csv(&run.metrics()?, &mut out)?;
        return Ok(out.flush()?);
    }
    let steps = run.metrics()?;
    if args.json {
        let all = json!({
            "run": Facts::of(&run),
            "record": run.record(),
            "first": steps.first(),
            "last": steps.last(),
            "bytes": run.bytes(),
        });
        return Ok(writeln!(out, "{all:#}")?);
    }
    facts(&run, &steps, &mut out)?;
    out.flush()?;
    drop(out);
    if io::stdout().is_terminal()
        && let Some(path) = picture_of(&run)
        && let Ok(source) = picture::load(&path)
    {
        // A terminal that shows no pictures is no reason to fail.
        let _ = preview::print(&source.picture);
    }
    Ok(())
}

fn facts(run: &Run, steps: &[Step], out: &mut impl Write) -> io::Result<()> {
    let facts = Facts::of(run);
    let record = run.record();
    let mut row = |name: &str, value: &str| writeln!(out, "{name:<11}{value}");
    row("run", run.name().as_str())?;
    let note = match (facts.state, facts.pid) {
        (Standing::Painting | Standing::Paused, Some(pid)) => format!(", process {pid}"),
        (Standing::Interrupted, _) => format!("; go on with: impasto resume {}", run.name()),
        _ => String::new(),
    };
    row("state", &format!("{}{note}", facts.state.word()))?;
    if let Some(message) = &facts.message {
        row("", &display_path(Path::new(message)))?;
    }
    let began = Utc::from_unix(facts.created);
    let began = format!(
        "{} {} UTC, {}",
        began.date(),
        began.time(),
        ago(facts.created, now())
    );
    row("begun", &began)?;
    row("content", &display_path(Path::new(&record.content.file)))?;
    row("style", &display_path(Path::new(&record.style.file)))?;
    if let Some(start) = &record.start {
        row("start", &display_path(Path::new(&start.file)))?;
    }
    row("preset", &display_path(Path::new(&facts.preset)))?;
    for setting in &record.overrides.settings {
        row("", &format!("--set {}", display_path(Path::new(setting))))?;
    }
    let compute = &record.compute;
    row(
        "device",
        &format!("{}, {}", compute.device, compute.precision),
    )?;
    row("size", &facts.size())?;
    row(
        "iteration",
        &format!("{} in {}", facts.progress(), facts.duration()),
    )?;
    for (name, step) in [("first", steps.first()), ("last", steps.last())] {
        if let Some(step) = step {
            row(name, &losses(step))?;
        }
    }
    if let Some(output) = &facts.output {
        row("picture", &display_path(output))?;
    }
    row(
        "folder",
        &format!("{} ({})", display_path(run.folder()), size(run.bytes())),
    )?;
    for (path, what) in [
        (run.result_path(), "the finished picture, with its recipe"),
        (run.preview_path(), "the picture, small"),
        (run.snapshots_folder(), "pictures on the way"),
        (run.inputs_folder(), "the pictures it began with"),
        (run.checkpoint_folder(), "what painting goes on from"),
        (run.metrics_path(), "the losses, a JSON object a line"),
        (run.losses_png_path(), "the losses as a chart"),
        (run.losses_svg_path(), "the same as SVG"),
        (run.log_path(), "what else happened"),
    ] {
        if path.exists() {
            let name = path.file_name().unwrap_or_default();
            row("", &format!("{:<14} {what}", display_path(Path::new(name))))?;
        }
    }
    Ok(())
}

fn losses(step: &Step) -> String {
    format!(
        "total {}, content {}, style {}, smoothness {} (iteration {})",
        plot::short(step.total),
        plot::short(step.content),
        plot::short(step.style),
        plot::short(step.smoothness),
        step.iteration
    )
}

/// The largest picture that there is of a run.
pub fn picture_of(run: &Run) -> Option<std::path::PathBuf> {
    [run.result_path(), run.preview_path()]
        .into_iter()
        .find(|path| path.exists())
}

/// Prints a path byte for byte, for a shell to take up.
pub fn open(args: &OpenArgs) -> Outcome {
    let run = chosen(&args.which)?;
    let path = match args.picture {
        false => run.folder().to_owned(),
        true => picture_of(&run).ok_or_else(|| no_picture(&run))?,
    };
    let mut out = io::stdout().lock();
    if io::stdout().is_terminal() {
        // The folder's name is the user's, who may have chosen an odd one.
        return Ok(writeln!(out, "{}", display_path(&path))?);
    }
    out.write_all(path.as_os_str().as_bytes())?;
    Ok(writeln!(out)?)
}

pub fn no_picture(run: &Run) -> Failure {
    Failure::Usage(format!(
        "the run {} has no picture yet; `impasto runs show {}` tells how far it is",
        run.name(),
        run.name()
    ))
}
