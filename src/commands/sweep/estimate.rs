//! `--dry-run`: what a sweep would paint, how long that takes, and its room on the disk.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use impasto_core::job::Size;
use impasto_core::picture::{fit_long_side, load};
use impasto_core::preset::Scale;
use impasto_core::protocol::{Event, Step};
use impasto_core::text::{display_path, number};
use impasto_engine::worker;
use impasto_runs::{NewRun, Run};
use impasto_service::host::{self, ExitWhen, Output};
use impasto_sweep::{Cell, CellState, Definition, SweepFolder, Worker, plain, stem};

use super::paint::workers;
use crate::cli::sweep::PaintCellsArgs;
use crate::commands::runs::facts::size;
use crate::headless::{near, say};
use crate::outcome::{Failure, Outcome};
use crate::pace::clock;

/// More cells than this are shown in part.
const SHOWN: usize = 40;
/// Iterations of each scale that are measured.
const MEASURED: u32 = 4;

/// Seconds and bytes of a cell, in proportion to its work.
struct Rate {
    /// For one iteration over one pixel.
    seconds: f64,
    /// For one pixel of the finished picture.
    bytes: f64,
    words: String,
}

pub fn print(
    definition: &Definition,
    place: &Path,
    numbers: &[usize],
    args: &PaintCellsArgs,
) -> Outcome {
    let existing = match SweepFolder::is_one(place) {
        true => Some(SweepFolder::open_for(place, definition)?),
        false => None,
    };
    let index = existing.as_ref().map(SweepFolder::index).transpose()?;
    let is_done = |number: usize| {
        let cell = index.as_ref().and_then(|index| index.cells.get(number));
        cell.is_some_and(|cell| cell.state == CellState::Done)
    };
    let cells: Vec<Cell> = numbers
        .iter()
        .filter_map(|it| definition.cell(*it))
        .collect();
    let mut text = table(definition, &cells, &is_done);
    let mut sizes = Sizes::default();
    let open: Vec<&Cell> = cells.iter().filter(|cell| !is_done(cell.number)).collect();
    let Some(first) = open.first() else {
        text += "all of them are done\n";
        return Ok(io::stdout().write_all(text.as_bytes())?);
    };
    let workers = workers(args)?;
    let rate = match existing
        .as_ref()
        .and_then(|folder| rate_of_done(folder, &cells, &mut sizes))
    {
        Some(rate) => rate,
        None => measure(definition, first, &workers, &mut sizes)?,
    };
    let mut seconds = 0.0;
    let mut bytes = 0.0;
    for cell in &open {
        let scales = sizes.of(definition, cell)?;
        seconds += work(&scales) * rate.seconds;
        bytes += pixels(&scales) * rate.bytes;
    }
    let at_once = workers.len() as f64;
    let _ = writeln!(
        text,
        "{} to paint: about {} ({} a cell, {} at a time), {}",
        count(open.len(), "cell"),
        clock(seconds / at_once),
        clock(seconds / open.len() as f64),
        workers.len(),
        rate.words,
    );
    let free = rustix::fs::statvfs(near_parent(place)).ok();
    let free = free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let free = free.map_or_else(String::new, |free| format!("; {} are free", size(free)));
    let _ = writeln!(
        text,
        "about {} on the disk in {}{free}",
        size(bytes as u64),
        display_path(near(place)),
    );
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// The nearest folder that is there.
fn near_parent(place: &Path) -> PathBuf {
    let place = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let mut ancestors = place.ancestors();
    let found = ancestors.find(|path| path.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// The cells as rows.
fn table(definition: &Definition, cells: &[Cell], is_done: &dyn Fn(usize) -> bool) -> String {
    let mut text = String::new();
    let mut row = |cell: &Cell| {
        let styles: Vec<&str> = cell.styles.iter().map(|it| stem(&it.path)).collect();
        let mut line = format!(
            "{:04}  {} × {}",
            cell.number,
            stem(&cell.content),
            styles.join(" + ")
        );
        for (key, value) in &cell.values {
            line += &format!("  {key}={}", plain(value));
        }
        if is_done(cell.number) {
            line += "  (done)";
        }
        let _ = writeln!(text, "{}", impasto_core::text::printable(&line));
    };
    match cells.len() > SHOWN {
        false => cells.iter().for_each(&mut row),
        true => {
            cells.iter().take(SHOWN - 10).for_each(&mut row);
            cells.iter().skip(cells.len() - 5).for_each(&mut row);
            let _ = writeln!(text, "({} of the cells are shown)", SHOWN - 5);
        }
    }
    let mut axes = match definition.rows.is_empty() {
        true => vec![
            count(definition.contents.len(), "content"),
            count(definition.styles.len(), "style"),
        ],
        false => vec![count(definition.rows.len(), "row")],
    };
    for (key, values) in &definition.vary {
        axes.push(format!("{} of {key}", count(values.len(), "value")));
    }
    let _ = writeln!(
        text,
        "{}: {}",
        count(definition.count(), "cell"),
        axes.join(" × ")
    );
    text
}

/// The sizes of cells; each picture is decoded once.
#[derive(Default)]
struct Sizes {
    contents: HashMap<String, (u32, u32)>,
}

impl Sizes {
    fn of(&mut self, definition: &Definition, cell: &Cell) -> Result<Vec<Size>, Failure> {
        let (width, height) = match self.contents.get(&cell.content) {
            Some(size) => *size,
            None => {
                let size = load(Path::new(&cell.content))?.picture.size();
                self.contents.insert(cell.content.clone(), size);
                size
            }
        };
        let (preset, _) = definition.preset_of(cell)?;
        let at = |scale: &Scale| {
            let (width, height) = fit_long_side(width, height, scale.size);
            Size {
                width,
                height,
                iterations: scale.iterations,
            }
        };
        Ok(preset.schedule.iter().map(at).collect())
    }
}

/// Iterations × pixels.
fn work(scales: &[Size]) -> f64 {
    scales
        .iter()
        .map(|size| f64::from(size.iterations) * area(size))
        .sum()
}

/// Pixels of the finished picture.
fn pixels(scales: &[Size]) -> f64 {
    scales.last().map_or(0.0, area)
}

fn area(size: &Size) -> f64 {
    f64::from(size.width) * f64::from(size.height)
}

/// What the cells took that are done.
fn rate_of_done(folder: &SweepFolder, cells: &[Cell], sizes: &mut Sizes) -> Option<Rate> {
    let index = folder.index().ok()?;
    let (mut seconds, mut bytes, mut worked, mut painted, mut count_) = (0.0, 0.0, 0.0, 0.0, 0);
    for cell in cells {
        let entry = index.cells.get(cell.number)?;
        if entry.state != CellState::Done || entry.seconds <= 0.0 {
            continue;
        }
        let scales = sizes.of(folder.definition(), cell).ok()?;
        seconds += entry.seconds;
        worked += work(&scales);
        bytes += folder.run(cell.number).ok()??.bytes() as f64;
        painted += pixels(&scales);
        count_ += 1;
    }
    (worked > 0.0).then(|| Rate {
        seconds: seconds / worked,
        bytes: bytes / painted,
        words: format!("as the {} took that are done", count(count_, "cell")),
    })
}

/// Paints a few iterations of a cell in a folder that is removed again.
fn measure(
    definition: &Definition,
    cell: &Cell,
    workers: &[Worker],
    sizes: &mut Sizes,
) -> Result<Rate, Failure> {
    say(&format!("measuring with cell {}", cell.number));
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().join("0000");
    let compute = workers.first().map(|it| it.compute).unwrap_or_default();
    let mut plan = definition.plan(cell, compute, folder.join(Run::RESULT))?;
    for scale in &mut plan.preset.schedule {
        scale.iterations = scale.iterations.min(MEASURED);
    }
    let files: Vec<_> = plan.inputs().into_iter().map(|(_, file)| file).collect();
    let overrides = plan.overrides.clone();
    let job = plan.load(&mut |_| {})?;
    let new = NewRun {
        job: &job,
        preset_name: None,
        overrides: &overrides,
        files: &files,
        shared: None,
    };
    let run = Run::create_at(&folder, &new)?;
    let lock = run.lock()?;
    let start = &worker::start;
    let began = Instant::now();
    let hosted = host::paint(
        run.clone(),
        lock,
        Some(job),
        &Output::Own,
        ExitWhen::AtOnce,
        start,
    )?;
    let mut steps: Vec<(Instant, Step)> = Vec::new();
    while let Ok(event) = hosted.link.events.recv() {
        match event {
            Event::Step(step) => steps.push((Instant::now(), step)),
            Event::Failed {
                message, refused, ..
            } => return Err(Failure::of_run(message, refused)),
            Event::Finished { .. } => break,
            _ => {}
        }
    }
    drop(hosted.link);
    let _ = hosted.thread.join();
    let scales = sizes.of(definition, cell)?;
    // The largest scale is most of the work. Its first iteration has more to do.
    let last = steps.last().map_or(0, |(_, step)| step.scale);
    let last: Vec<_> = steps
        .iter()
        .filter(|(_, step)| step.scale == last)
        .collect();
    let area = pixels(&scales).max(1.0);
    let seconds = match (last.first(), last.last()) {
        (Some((first, _)), Some((end, _))) if last.len() > 1 => {
            (*end - *first).as_secs_f64() / (last.len() - 1) as f64 / area
        }
        _ => began.elapsed().as_secs_f64() / steps.len().max(1) as f64 / area,
    };
    Ok(Rate {
        seconds,
        bytes: run.bytes() as f64 / area,
        words: format!(
            "measured with {} iterations of cell {}: {} s each",
            last.len(),
            cell.number,
            number(seconds * area, 2)
        ),
    })
}
