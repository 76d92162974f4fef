//! How a painter keeps within the memory there is.

use impasto_core::job::{Shortage, Size};
use impasto_core::preset::Preset;
use tch::Device;

use super::Painter;
use crate::memory_plan::{MemoryPlan, Renewed};
use crate::network::layers_to;
use crate::{EngineError, Result, accelerator, budget, memory};

/// What a scale is made smaller by where memory leaves no other way: half as
/// many pixels.
const SHRINK: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// But no side becomes shorter than this.
const MIN_SIDE: u32 = 64;

impl Painter {
    /// Chooses tiles and history for this size.
    pub(super) fn arrange(&mut self, size: Size) {
        let layers = self.vgg.layers();
        let room = MemoryPlan::of(&self.job, &layers, self.device, self.precision);
        let Some(layout) = room.layout(size) else {
            return;
        };
        (self.tile, self.tile_limit) = (layout.tile, None);
        self.descent.limit_history(layout.history);
        memory::keep_freed(self.device == Device::Cpu && room.is_ample(&layout));
        self.progress.notices.extend(room.notice(size, &layout));
    }

    /// Chooses tiles for the current scale once more, where the preset has changed from
    /// `old` and something is to be computed anew. Gives how many steps the optimizer may
    /// remember, where the free memory is known.
    ///
    /// # Errors
    /// When this scale or a later one cannot be painted by the new preset.
    pub(super) fn arrange_change(
        &mut self,
        old: &Preset,
        renewed: &Renewed,
    ) -> Result<Option<usize>> {
        let preset = &self.job.preset;
        let layers = match renewed.network {
            true => layers_to(preset.network, preset.deepest()),
            false => self.vgg.layers(),
        };
        let room = MemoryPlan::of(&self.job, &layers, self.device, self.precision);
        let later = self.scale.map_or(0, |scale| scale + 1);
        if let Some(shortage) = room.shortage(self.sizes.get(later..).unwrap_or_default()) {
            return Err(EngineError::OutOfMemory(shortage));
        }
        let Some(size) = self.size() else {
            return Ok(None);
        };
        let before = self.vgg.layers();
        let room = room.beside(old, &before, size, renewed);
        if let Some(shortage) = room.shortage(&[size]) {
            return Err(EngineError::OutOfMemory(shortage));
        }
        let Some(layout) = room.layout(size) else {
            return Ok(None);
        };
        let notice = room.notice(size, &layout);
        let ample = room.is_ample(&layout);
        let limit = self.tile_limit;
        let tile = match (layout.tile, limit) {
            (Some(tile), Some(limit)) => Some(tile.min(limit)),
            (tile, limit) => tile.or(limit),
        };
        if tile != self.tile || layout.history < self.descent.history() {
            self.progress.notices.extend(notice);
        }
        self.tile = tile;
        memory::keep_freed(self.device == Device::Cpu && ample);
        Ok(Some(layout.history))
    }

    /// Goes on with an iteration that found no memory, in smaller tiles or at a
    /// smaller size, from the best image so far.
    ///
    /// # Errors
    /// When the error is another, and when there is no way to continue.
    pub(super) fn go_on_smaller(&mut self, error: EngineError, scale: usize) -> Result<()> {
        self.settle()?;
        let before = self.sizes.get(scale).copied();
        let mut error = error;
        loop {
            self.handle_out_of_memory(error, scale)?;
            let begun = match self.shown().map(tch::Tensor::shallow_clone) {
                Some(image) if self.sizes.get(scale).copied() == before => {
                    self.descent.begin(&image, None)
                }
                _ => self.enter(scale, &mut |_| {}),
            };
            match begun {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
        }
    }

    /// After memory ran out in spite of all foresight: goes over to smaller
    /// tiles or, if the user wants it so, to a smaller size.
    ///
    /// # Errors
    /// When the error is another, and when there is no way to continue.
    pub(super) fn handle_out_of_memory(&mut self, error: EngineError, scale: usize) -> Result<()> {
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
            (self.tile, self.tile_limit) = (Some(tile), Some(tile));
            self.progress.notices.push(format!(
                "out of memory ({what}); continuing with tiles of {tile} pixels"
            ));
            return Ok(());
        }
        let smaller = |side: u32| (f64::from(side) * SHRINK).round() as u32;
        let (width, height) = (smaller(size.width), smaller(size.height));
        if shortage != Shortage::Shrink || width.min(height) < MIN_SIDE {
            return Err(EngineError::OutOfMemory(what));
        }
        for later in &mut self.sizes[scale..] {
            if later.width > width {
                (later.width, later.height) = (width, height);
            }
        }
        self.progress.notices.push(format!(
            "out of memory ({what}); continuing at {width}×{height} pixels"
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use impasto_core::job::{Compute, DeviceChoice, Job};
    use impasto_core::picture::{Picture, Source};
    use impasto_core::preset::{Preset, Scale};

    const SIZE: u32 = 200;

    fn painter(shortage: Shortage) -> Painter {
        let bytes: Vec<u8> = (0..3 * SIZE * SIZE)
            .map(|index| (index % 251) as u8)
            .collect();
        let source = Source {
            picture: Picture::from_rgb8(SIZE, SIZE, &bytes).unwrap(),
            path: PathBuf::from("made-up.png"),
            sha256: String::new(),
        };
        let scale = |size| Scale {
            size,
            iterations: 3,
        };
        let job = Job {
            preset: Preset {
                schedule: vec![scale(SIZE), scale(SIZE)],
                ..Preset::default().set("content.layers=[relu2_1]").unwrap()
            }
            .set("style.layers=[relu1_1, relu2_1]")
            .unwrap(),
            content: source.clone(),
            style: source,
            more_styles: Vec::new(),
            start: None,
            masks: Vec::new(),
            compute: Compute {
                device: DeviceChoice::Cpu,
                shortage,
                ..Compute::default()
            },
            output: PathBuf::new(),
        };
        let mut painter = Painter::new(job, &mut |_| {}).unwrap();
        painter.step().unwrap();
        painter
    }

    fn run_out(painter: &mut Painter) -> Result<String> {
        let error = EngineError::OutOfMemory("as a test".to_owned());
        painter.go_on_smaller(error, 0)?;
        Ok(painter.progress.notices.join("; "))
    }

    /// Paints on to the end, and gives the size of the picture.
    fn finish(painter: &mut Painter) -> (u32, u32) {
        while !painter.is_finished() {
            for step in painter.step().unwrap().steps {
                assert!(step.total.is_finite());
            }
        }
        assert_eq!(painter.iteration(), 6);
        painter.picture().unwrap().unwrap().size()
    }

    #[test]
    fn tiles_become_smaller_and_the_picture_stays_whole() {
        let mut painter = painter(Shortage::Tile);
        let notice = run_out(&mut painter).unwrap();
        assert!(notice.contains("with tiles of 128 pixels"), "{notice}");
        assert_eq!(painter.tile(), Some(128));
        assert_eq!(finish(&mut painter), (SIZE, SIZE));
    }

    #[test]
    fn the_picture_shrinks_only_where_that_is_wished_for() {
        let mut stubborn = painter(Shortage::Tile);
        run_out(&mut stubborn).unwrap();
        let error = run_out(&mut stubborn).unwrap_err().to_string();
        assert!(error.contains("as a test"), "{error}");
        // Nothing is lost.
        assert_eq!(stubborn.picture().unwrap().unwrap().size(), (SIZE, SIZE));

        let mut yielding = painter(Shortage::Shrink);
        run_out(&mut yielding).unwrap();
        let notice = run_out(&mut yielding).unwrap();
        assert!(notice.contains("at 141×141 pixels"), "{notice}");
        assert_eq!(finish(&mut yielding), (141, 141));
    }

    #[test]
    fn a_run_that_is_to_stop_stops() {
        let mut painter = painter(Shortage::Stop);
        assert!(run_out(&mut painter).is_err());
        assert!(painter.picture().unwrap().is_some());
    }
}
