//! The memory that a job has where it is painted, and what fits in it.

use impasto_core::job::{Job, Size};
use impasto_core::picture::{Picture, Source};
use impasto_core::preset::{ColourMode, Layer, OptimizerKind, Preset};
use tch::Device;

use super::budget::{Layout, StyleSizes, Workload};
use super::pictures::style_size;
use super::precision::Precision;
use super::source_picture::MAX_PIXELS;
use super::{device, memory};

/// Of what is free, this percentage is planned with.
const SHARE: u64 = 95;

/// A job and the memory that there is for it.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan<'a> {
    job: &'a Job,
    workload: Workload<'a>,
    /// In bytes; none where it is unknown.
    free: Option<u64>,
    /// The pictures as they were given, in bytes.
    pictures: u64,
    /// What belongs to the preset before, where it changes in the middle, in bytes.
    beside: Option<u64>,
}

impl<'a> MemoryPlan<'a> {
    /// The memory plan on `device` for `job` with a network of these
    /// `layers`.
    pub fn of(job: &'a Job, layers: &'a [Layer], device: Device, precision: Precision) -> Self {
        let workload = Workload {
            preset: &job.preset,
            layers,
            precision,
            cuda: device::is_cuda(device),
        };
        let free = memory::budget(device).map(|bytes| bytes / 100 * SHARE);
        Self {
            job,
            workload,
            free,
            pictures: pictures(job, device),
            beside: None,
        }
    }

    /// The same for a change of the preset at a scale of this `size`: beside what the new
    /// one takes there is, until all is computed, what the `old` one has of that, and its
    /// optimizer.
    pub fn beside(self, old: &'a Preset, layers: &'a [Layer], size: Size, new: &Renewed) -> Self {
        let before = Workload {
            preset: old,
            layers,
            ..self.workload
        };
        let (picture, styles) = self.sides(size);
        let targets = match new.targets {
            true => before.targets((picture, &styles)),
            false => 0,
        };
        let network = if new.network { before.weights() } else { 0 };
        Self {
            beside: Some(targets + network),
            ..self
        }
    }

    /// How to paint a size; none if there is no room, or it is unknown how much
    /// there is.
    pub fn layout(&self, size: Size) -> Option<Layout> {
        let (picture, styles) = self.sides(size);
        let tile = self.job.compute.tile;
        // L-BFGS remembers no more steps than there are.
        let iterations = u64::from(size.iterations);
        let free = self.free?.checked_sub(self.pictures)?;
        let layout =
            self.workload
                .layout_beside((picture, &styles), tile, free, iterations, self.beside)?;
        Some(Layout {
            bytes: layout.bytes + self.pictures,
            ..layout
        })
    }

    /// Why one of these sizes cannot be painted.
    pub fn shortage(&self, sizes: &[Size]) -> Option<String> {
        let free = self.free?;
        let too_large = sizes.iter().find(|size| self.layout(**size).is_none())?;
        let (picture, styles) = self.sides(*too_large);
        let tile = self.job.compute.tile;
        let needed = self.workload.least((picture, &styles), tile, self.beside) + self.pictures;
        Some(format!(
            "painting {}×{} pixels takes at least {}, and {} are free",
            too_large.width,
            too_large.height,
            gigabytes(needed),
            gigabytes(free)
        ))
    }

    /// Whether a layout takes so little of the room that memory may be wasted
    /// for speed.
    pub fn is_ample(&self, layout: &Layout) -> bool {
        self.free.is_some_and(|free| layout.bytes <= free / 2)
    }

    /// What the user should know of a layout for this size.
    pub fn notice(&self, size: Size, layout: &Layout) -> Option<String> {
        let free = gigabytes(self.free?);
        let optimizer = &self.job.preset.optimizer;
        let wanted = optimizer.history.min(size.iterations as usize);
        let history = optimizer.kind == OptimizerKind::Lbfgs && layout.history < wanted;
        let tile = layout.tile.filter(|_| self.job.compute.tile.is_none());
        match (tile, history) {
            (Some(tile), _) => Some(format!(
                "painting in tiles of {tile} pixels: only {free} of memory are free"
            )),
            (None, true) => Some(format!(
                "L-BFGS history reduced from {1} to {0} steps: only {free} of memory are free",
                layout.history, optimizer.history
            )),
            (None, false) => None,
        }
    }

    /// The picture and the styles at this size.
    fn sides(&self, size: Size) -> ((u32, u32), StyleSizes) {
        let picture = (size.width, size.height);
        let styles = self.job.styles().enumerate().map(|(index, style)| {
            style_size(&self.job.preset, index, style.picture.size(), picture)
        });
        (picture, styles.collect::<Vec<_>>().into())
    }
}

/// What a change of the preset computes anew.
#[derive(Clone, Copy, Debug)]
pub struct Renewed {
    pub network: bool,
    pub targets: bool,
}

/// What the pictures of a job take at their own sizes: three channels of float32, as they
/// were decoded and recoloured on the CPU, as they were brought to a GPU there; and masks.
fn pictures(job: &Job, device: Device) -> u64 {
    let cuda = device::is_cuda(device);
    let pixels = |picture: &Picture| {
        let (width, height) = picture.size();
        u64::from(width) * u64::from(height)
    };
    let of = |source: &Source| match pixels(&source.picture) {
        pixels if cuda && pixels > MAX_PIXELS as u64 => 0,
        pixels => 12 * pixels,
    };
    let content = of(&job.content);
    let styles: u64 = job.styles().map(of).sum();
    let recoloured = match job.preset.colour {
        ColourMode::Style | ColourMode::Content => 0,
        // On a GPU there is the recoloured one alone, but for the colours to put back.
        ColourMode::Luminance if cuda => content,
        ColourMode::Luminance => content + styles,
        ColourMode::Match(_) if cuda => 0,
        ColourMode::Match(_) => styles,
    };
    // On the CPU the decoded picture is there beside the tensor of one channel.
    let of_mask = if cuda { 4 } else { 16 };
    let masks = job.masks.iter().map(|masks| {
        let region = masks.region.as_ref();
        of_mask * (pixels(&masks.mask.picture) + region.map_or(0, |it| pixels(&it.picture)))
    });
    let start = job.start.as_ref().map_or(0, of);
    content + styles + recoloured + start + masks.sum::<u64>()
}

/// As people write it: `1.5 GB`.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
