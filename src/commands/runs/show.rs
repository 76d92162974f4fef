//! `impasto runs show` and `impasto runs open`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use impasto_core::protocol::Step;
use impasto_core::text::{display_path, number};
use impasto_graphics::terminal::Terminal;
use impasto_runs::clock::{now, utc};
use impasto_runs::{Run, RunStatus, csv, plot};
use serde_json::json;

use super::chosen;
use super::facts::{Facts, ago, size};
use crate::cli::runs::{OpenArgs, ShowRunArgs};
use crate::outcome::{Failure, Outcome};

/// Rows of the picture above the facts, at least.
const MIN_ROWS: u16 = 12;
/// Columns of the words at the left.
const WORDS: usize = 11;

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
    let terminal = Terminal::detect();
    let columns = terminal.as_ref().map_or(usize::MAX, |it| it.columns.into());
    let mut text = Vec::new();
    facts(&run, &steps, columns, &mut text)?;
    drop(out);
    if let Some(terminal) = &terminal
        && let Some(name) = picture_name(&run)
        && let Ok(picture) = run.picture(name)
    {
        // What is said below it should be seen with it where that can be.
        let lines = text.iter().filter(|&&byte| byte == b'\n').count();
        let lines = u16::try_from(lines).unwrap_or(u16::MAX);
        let rows = terminal.rows.saturating_sub(lines.saturating_add(3));
        // A terminal that shows no pictures is no reason to fail.
        if impasto_graphics::print_in(&picture, rows.max(MIN_ROWS)).is_ok() {
            text.insert(0, b'\n');
        }
    }
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

fn facts(run: &Run, steps: &[Step], columns: usize, out: &mut impl Write) -> io::Result<()> {
    let facts = Facts::of(run);
    let record = run.record();
    let room = columns.saturating_sub(WORDS).max(WORDS);
    let mut row = |name: &str, value: &str| writeln!(out, "{name:<WORDS$}{value}");
    row("run", run.name().as_str())?;
    let note = match (facts.state, facts.pid) {
        (RunStatus::Painting | RunStatus::Paused, Some(pid)) => format!(", process {pid}"),
        (RunStatus::Interrupted, _) => format!("; to resume: impasto resume {}", run.called()),
        _ => String::new(),
    };
    row("state", &format!("{}{note}", facts.state.word()))?;
    if let Some(message) = &facts.message {
        for line in textwrap::wrap(&display_path(Path::new(message)), room) {
            row("", &line)?;
        }
    }
    let began = format!(
        "{} UTC, {}",
        utc(facts.created).strftime("%F %T"),
        ago(facts.created, now())
    );
    row("begun", &began)?;
    row("content", &display_path(Path::new(&record.content.file)))?;
    let shares = record.preset.style.shares(record.styles().count());
    for (style, share) in record.styles().zip(shares) {
        let style = display_path(Path::new(&style.file));
        match record.more_styles.is_empty() {
            true => row("style", &style)?,
            false => row("style", &format!("{style}, {:.0} %", 100.0 * share))?,
        }
    }
    for (mask, copied) in record.preset.masks.iter().zip(&record.masks) {
        let file = display_path(Path::new(&copied.mask.file));
        row("mask", &format!("{file} for style {}", mask.style))?;
    }
    if let Some(start) = &record.start {
        row("start", &display_path(Path::new(&start.file)))?;
    }
    row("preset", &display_path(Path::new(&facts.preset)))?;
    for setting in &record.overrides.settings {
        let setting = format!("--set {}", display_path(Path::new(setting)));
        for line in textwrap::wrap(&setting, room) {
            row("", &line)?;
        }
    }
    let written = record.overrides.output;
    let flags = [
        written.depth.map(|depth| format!("--depth {depth}")),
        written
            .quality
            .map(|quality| format!("--quality {quality}")),
        written.dpi.map(|dpi| format!("--dpi {}", number(dpi, 6))),
    ];
    for flag in flags.into_iter().flatten() {
        row("", &flag)?;
    }
    let compute = &record.compute;
    row(
        "device",
        &format!("{}, precision {}", compute.device, compute.precision),
    )?;
    row("size", &facts.size())?;
    row(
        "iteration",
        &format!("{} in {}", facts.progress(), facts.duration()),
    )?;
    for (number, line) in losses(steps).iter().enumerate() {
        row(if number == 0 { "losses" } else { "" }, line)?;
    }
    if let Some(output) = &facts.output {
        row("picture", &display_path(output))?;
    }
    row(
        "folder",
        &format!("{} ({})", display_path(run.folder()), size(run.bytes())),
    )?;
    for (path, what) in [
        (run.result_path(), "the picture, with its recipe"),
        (run.preview_path(), "the picture, small"),
        (run.snapshots_folder(), "pictures on the way"),
        (run.inputs_folder(), "the pictures it began with"),
        (run.checkpoint_folder(), "the state to resume from"),
        (run.metrics_path(), "the losses, a JSON object a line"),
        (run.losses_png_path(), "the losses as a chart"),
        (run.losses_svg_path(), "the same as SVG"),
        (run.log_path(), "what else happened"),
    ] {
        let empty = || fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        if path.exists() && !empty() {
            let name = path.file_name().unwrap_or_default();
            row("", &format!("{:<14} {what}", display_path(Path::new(name))))?;
        }
    }
    Ok(())
}

/// The first losses and the last in columns, under headings; nothing if there
/// are none.
fn losses(steps: &[Step]) -> Vec<String> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    let headings = ["iteration", "total", "content", "style", "smoothness"].map(str::to_owned);
    let mut lines = vec![headings];
    lines.extend([first, last].map(|step| {
        let short = |loss| plot::short(loss);
        [
            step.iteration.to_string(),
            short(step.total),
            short(step.content),
            short(step.style),
            short(step.smoothness),
        ]
    }));
    if first.iteration == last.iteration {
        lines.pop();
    }
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.len());
        }
    }
    let aligned = lines.iter().map(|line| {
        let cells = line.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        cells.join("  ")
    });
    aligned.collect()
}

/// The name of the largest picture that there is in a run's folder.
pub fn picture_name(run: &Run) -> Option<&'static str> {
    [Run::RESULT, Run::PREVIEW]
        .into_iter()
        .find(|name| run.folder().join(name).exists())
}

/// Prints a path byte for byte, for a shell to interpret.
pub fn open(args: &OpenArgs) -> Outcome {
    let run = chosen(&args.which)?;
    let path = match args.picture {
        false => run.folder().to_owned(),
        true => match picture_name(&run) {
            Some(name) => run.folder().join(name),
            None => return Err(no_picture(&run)),
        },
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
        "the run {} has no picture yet; `impasto runs show {}` shows how far it is",
        run.name(),
        run.called()
    ))
}
