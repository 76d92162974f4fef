//! The memory that a job has where it is painted, and what fits in it.

use impasto_core::job::{Job, Size};
use impasto_core::preset::{Layer, OptimizerKind};
use tch::Device;

use super::budget::{Layout, Workload};
use super::pictures::style_size;
use super::precision::Precision;
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
        }
    }

    /// How to paint a size; none if there is no room, or it is unknown how much
    /// there is.
    pub fn layout(&self, size: Size) -> Option<Layout> {
        let (picture, style) = self.sides(size);
        let tile = self.job.compute.tile;
        // L-BFGS remembers no more steps than there are.
        let iterations = u64::from(size.iterations);
        self.workload
            .layout(picture, style, tile, self.free?, iterations)
    }

    /// Why one of these sizes cannot be painted.
    pub fn shortage(&self, sizes: &[Size]) -> Option<String> {
        let free = self.free?;
        let too_large = sizes.iter().find(|size| self.layout(**size).is_none())?;
        let (picture, style) = self.sides(*too_large);
        let tile = self.job.compute.tile;
        let needed = self.workload.least(picture, style, tile);
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

    /// The picture and the largest style at this size.
    fn sides(&self, size: Size) -> ((u32, u32), (u32, u32)) {
        let picture = (size.width, size.height);
        let sizes = self.job.styles().enumerate().map(|(index, style)| {
            style_size(&self.job.preset, index, style.picture.size(), picture)
        });
        let pixels = |size: &(u32, u32)| u64::from(size.0) * u64::from(size.1);
        // The largest is looked at by itself, like the others.
        let largest = sizes.max_by_key(pixels);
        (picture, largest.unwrap_or(picture))
    }
}

/// As people write it: `1.5 GB`.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
