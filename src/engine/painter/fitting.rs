//! How a painter keeps within the memory there is.

use tch::Device;

use super::Painter;
use crate::engine::room::Room;
use crate::engine::{EngineError, Result, accelerator, budget, memory};
use crate::job::{Shortage, Size};

/// What a scale is made smaller by where memory leaves no other way: half as
/// many pixels.
const SHRINK: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// But no side becomes shorter than this.
const LEAST_SIDE: u32 = 64;

impl Painter {
    /// Chooses tiles and history for this size.
    pub(super) fn arrange(&mut self, size: Size) {
        let layers = self.vgg.layers();
        let room = Room::of(&self.job, &layers, self.device, self.precision);
        let Some(layout) = room.layout(size) else {
            return;
        };
        self.tile = layout.tile;
        self.descent.limit_history(layout.history);
        memory::keep_freed(self.device == Device::Cpu && room.is_ample(&layout));
        self.progress.notices.extend(room.notice(&layout));
    }

    /// Goes on with an iteration that found no memory, in smaller tiles or at a
    /// smaller size, from the best image so far.
    ///
    /// # Errors
    /// When the error is another, and when there is no way to go on.
    pub(super) fn go_on_smaller(&mut self, error: EngineError, scale: usize) -> Result<()> {
        self.settle()?;
        let before = self.sizes.get(scale).copied();
        self.make_do(error, scale)?;
        if self.sizes.get(scale).copied() != before {
            return self.enter(scale, &mut |_| {});
        }
        if let Some(image) = self.shown().map(tch::Tensor::shallow_clone) {
            self.descent.begin(&image, Some(&image))?;
        }
        Ok(())
    }

    /// After memory ran out in spite of all foresight: goes over to smaller
    /// tiles or, if the user wants it so, to a smaller size.
    ///
    /// # Errors
    /// When the error is another, and when there is no way to go on.
    pub(super) fn make_do(&mut self, error: EngineError, scale: usize) -> Result<()> {
        let EngineError::OutOfMemory(what) = error else {
            return Err(error);
        };
        let Some(size) = self.sizes.get(scale).copied() else {
            return Err(EngineError::OutOfMemory(what));
        };
        self.descent.forget_scene();
        memory::keep_freed(false);
        let _ = accelerator::empty_cache();
        let shortage = self.job.compute.shortage;
        let long_side = size.width.max(size.height);
        let tile = budget::smaller_tile(self.tile.unwrap_or(long_side));
        if let (Some(tile), Shortage::Tile | Shortage::Shrink) = (tile, shortage) {
            self.tile = Some(tile);
            self.progress.notices.push(format!(
                "memory ran out ({what}); going on in tiles of {tile} pixels"
            ));
            return Ok(());
        }
        let smaller = |side: u32| (f64::from(side) * SHRINK).round() as u32;
        let (width, height) = (smaller(size.width), smaller(size.height));
        if shortage != Shortage::Shrink || width.min(height) < LEAST_SIDE {
            return Err(EngineError::OutOfMemory(what));
        }
        for later in &mut self.sizes[scale..] {
            if later.width > width {
                (later.width, later.height) = (width, height);
            }
        }
        self.progress.notices.push(format!(
            "memory ran out ({what}); going on at {width}×{height} pixels"
        ));
        Ok(())
    }
}
