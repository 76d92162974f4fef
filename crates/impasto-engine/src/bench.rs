//! Times the loop that paints, on this machine.

use std::time::{Duration, Instant};

use impasto_core::job::Job;
use impasto_core::preset::Word as _;
use serde::Serialize;
use tch::Device;

use super::memory_plan::MemoryPlan;
use super::painter::{Painter, Progress};
use super::preview::PreviewCopy;
use super::{EngineError, Result, device, memory, work};

/// Iterations that are not counted: the first ones find out which kernels are
/// fastest and fill the allocator, on a GPU until there is a graph of them.
const WARM_UP: u32 = 3;
const WARM_UP_CUDA: u32 = 6;
/// So many iterations are timed as one where a step does not wait for its end.
const BLOCK: u32 = 10;
/// An iteration is timed until so much time has passed, but no less than
/// [`MIN`] times and no more than [`MAX`].
const LONG_ENOUGH: Duration = Duration::from_secs(4);
const MIN: u32 = 5;
const MAX: u32 = 400;
/// What is copied out for a preview: about a pane of a terminal.
const PREVIEW: u32 = 240;
const PREVIEWS: u32 = 9;
const CHANGES: u32 = 3;

/// How long one size took.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Width and height of the picture in pixels.
    pub size: u32,
    pub device: String,
    pub precision: String,
    /// The side of the tiles, where the picture is painted in tiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tile: Option<u32>,
    pub optimizer: String,
    /// How many iterations were timed.
    pub iterations: u32,
    /// The median of the steady iterations.
    pub seconds_per_iteration: f64,
    /// The counted work of an iteration over its time.
    pub flops_per_second: f64,
    pub flops_per_iteration: u64,
    /// Most memory in use at any time: of the GPU by this process's tensors, or
    /// of the machine by this process.
    pub peak_memory_bytes: Option<u64>,
    /// From nothing to a network that is ready.
    pub startup_seconds: f64,
    /// What the content and the style look like to the network, and the first
    /// picture.
    pub targets_seconds: f64,
    /// The first iteration, which finds out and sets up what later ones use.
    pub first_iteration_seconds: f64,
    /// The median of scaling a preview down and copying it to the host.
    pub preview_seconds: f64,
    /// The median from a changed weight to a preview of the first image that it
    /// has moved: the second iteration's.
    pub steering_seconds: f64,
    /// What was estimated before painting, where the size fits at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_memory_bytes: Option<u64>,
}

/// Times painting `job`, whose only scale has `size` pixels on each side.
/// Stops after `iterations` if that is given.
///
/// # Errors
/// As painting has.
pub fn bench(job: Job, size: u32, iterations: Option<u32>) -> Result<Timing> {
    let device = device::resolve(job.compute.device)?;
    memory::reset_peak(device);
    let (painter, startup) = timed(|| Painter::new(job, &mut |_| {}))?;
    let mut painter = painter;
    let ((), targets) = timed(|| painter.begin_scale(&mut |_| {}))?;
    let (_, first) = timed(|| paint(&mut painter, 1))?;
    let warm_up = match device {
        Device::Cuda(_) => WARM_UP_CUDA,
        _ => WARM_UP,
    };
    paint(&mut painter, warm_up - 1)?;
    let block = match painter.runs_ahead() {
        true => BLOCK.min(iterations.unwrap_or(BLOCK)).max(1),
        false => 1,
    };
    let begin = Instant::now();
    let mut seconds = Vec::new();
    let enough = |blocks: u32| match iterations {
        Some(iterations) => blocks * block >= iterations.max(1),
        None => blocks * block >= MAX || (blocks >= MIN && begin.elapsed() >= LONG_ENOUGH),
    };
    while !enough(seconds.len() as u32) {
        let ((), took) = timed(|| paint(&mut painter, block))?;
        seconds.push(took / f64::from(block));
    }
    let preview = |painter: &Painter| {
        let copy = painter.preview(PREVIEW, PREVIEW)?;
        copy.map(PreviewCopy::wait).transpose()
    };
    let mut previews = Vec::new();
    for _ in 0..PREVIEWS {
        previews.push(timed(|| preview(&painter))?.1);
    }
    let mut steering = Vec::new();
    for _ in 0..CHANGES {
        // Submitted iterations are under way when the weight changes.
        painter.step()?;
        let mut preset = painter.job().preset.clone();
        preset.style.weight *= 1.1;
        let shown = timed(|| {
            painter.change(preset, &mut |_| {})?;
            painter.step()?;
            painter.step()?;
            preview(&painter)
        })?;
        steering.push(shown.1);
    }
    let layers = painter.layers();
    let room = MemoryPlan::of(painter.job(), &layers, device, painter.precision());
    let layout = painter.size().and_then(|size| room.layout(size));
    let count = seconds.len() as u32 * block;
    let flops = work::flops(
        &painter.layers(),
        &painter.job().preset,
        (u64::from(size), u64::from(size)),
    );
    let median_seconds = median(seconds);
    Ok(Timing {
        size,
        device: painter.device_name(),
        precision: painter.precision().to_string(),
        tile: painter.tile(),
        optimizer: painter.job().preset.optimizer.kind.word().to_owned(),
        iterations: count,
        seconds_per_iteration: median_seconds,
        flops_per_second: flops as f64 / median_seconds,
        flops_per_iteration: flops,
        peak_memory_bytes: memory::peak(device),
        startup_seconds: startup,
        targets_seconds: targets,
        first_iteration_seconds: first,
        preview_seconds: median(previews),
        steering_seconds: median(steering),
        estimated_memory_bytes: layout.map(|layout| layout.bytes),
    })
}

/// Paints this many iterations, to their end.
fn paint(painter: &mut Painter, iterations: u32) -> Result<()> {
    let mut steps = 0;
    let mut record = |progress: Progress| {
        steps += progress.steps.len();
        progress.failure.map_or(Ok(()), Err)
    };
    for _ in 0..iterations {
        record(painter.step()?)?;
    }
    record(painter.drain()?)?;
    if steps < iterations as usize {
        return Err(EngineError::NotFinite {
            failures: 1,
            iteration: painter.iteration(),
        });
    }
    Ok(())
}

/// What `work` gives, and the seconds that it took.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begin = Instant::now();
    let result = work()?;
    Ok((result, begin.elapsed().as_secs_f64()))
}

/// The middle of the values, which are at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
