//! Another preset while a picture is being painted.

use std::mem;

use impasto_core::job::check_depth;
use impasto_core::preset::{Preset, StyleTerm, Term};
use tch::Tensor;

use super::{Painter, network_for};
use crate::memory_plan::Renewed;
use crate::network_pool::PooledVgg;
use crate::optimizer::Tracking;
use crate::pictures::Pictures;
use crate::pixels::size_of;
use crate::targets::Targets;
use crate::{EngineError, Result};

/// What a change replaced, to bring back if it fails.
#[derive(Default)]
struct Replaced {
    network: Option<PooledVgg>,
    pictures: Option<Pictures>,
    targets: Option<Targets>,
    /// How many steps the optimizer remembered, once that may be another one.
    history: Option<usize>,
}

impl Painter {
    /// Goes on with other weights, layers, pooling or optimizer. Returns the
    /// keys that differ but need a new run to take effect; they keep their old
    /// values. `report` is called with what has to be computed.
    ///
    /// # Errors
    /// When memory does not suffice; the preset, and all that belongs to it, then stays
    /// as it was.
    pub fn change(
        &mut self,
        preset: Preset,
        report: &mut dyn FnMut(&str),
    ) -> Result<Vec<&'static str>> {
        self.on_stream(|painter| painter.change_here(preset, report))
    }

    fn change_here(
        &mut self,
        preset: Preset,
        report: &mut dyn FnMut(&str),
    ) -> Result<Vec<&'static str>> {
        self.settle()?;
        self.descent.forget_scene();
        let old = self.job.preset.clone();
        let waiting = old.needs_new_run(&preset);
        self.job.preset = preset.for_a_run_like(&old);
        let colours = self.colours.as_ref().map(Tensor::shallow_clone);
        let (tile, told) = (self.tile, self.progress.notices.len());
        let mut replaced = Replaced::default();
        if let Err(error) = self.apply_change(&old, &mut replaced, report) {
            (self.colours, self.tile) = (colours, tile);
            self.progress.notices.truncate(told);
            self.take_back(old, replaced);
            return Err(error);
        }
        Ok(waiting)
    }

    fn apply_change(
        &mut self,
        old: &Preset,
        replaced: &mut Replaced,
        report: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let new = self.job.preset.clone();
        // Scales that are painted already do not come again.
        let fits = self.job.check_from(self.scale.unwrap_or(0));
        fits.map_err(|error| EngineError::Picture(error.to_string()))?;
        if is_presentation(&new, old) {
            self.colours = self.colours_at(new.colour, self.shown_size()?)?;
            return Ok(());
        }
        let pooling = new.pooling != old.pooling;
        let recoloured = new.colour != old.colour;
        let renewed = Renewed {
            network: pooling || new.deepest() > old.deepest(),
            targets: pooling || recoloured || retargets(&new, old),
        };
        let optimizer = new.optimizer != old.optimizer || Tracking::of(&new) != Tracking::of(old);
        let takes_other_memory = renewed.network
            || renewed.targets
            || optimizer
            || new.normalize_gradients != old.normalize_gradients;
        let history = match takes_other_memory {
            true => self.arrange_change(old, &renewed)?,
            false => None,
        };
        if renewed.network {
            let network = network_for(&new, self.device, self.precision)?;
            replaced.network = Some(mem::replace(&mut self.vgg, network));
        }
        if recoloured {
            let pictures = Pictures::new(&self.job, self.device)?;
            replaced.pictures = Some(mem::replace(&mut self.pictures, pictures));
        }
        if let (Some(scale), true) = (self.scale, renewed.targets) {
            let (targets, colours) = self.targets_at(scale, report)?;
            replaced.targets = Some(mem::replace(&mut self.targets, targets));
            self.colours = colours;
        }
        let before = self.descent.history();
        replaced.history = Some(before);
        let shorter = history.is_some_and(|history| history < before);
        match optimizer || shorter {
            true => {
                let history = history.unwrap_or(new.optimizer.history);
                self.descent.change_optimizer(&new, history)?;
            }
            false => self.descent.restart()?,
        }
        // They were measured otherwise.
        (self.accepted, self.best) = (None, None);
        Ok(())
    }

    /// Goes back to the preset before a change that failed.
    fn take_back(&mut self, old: Preset, replaced: Replaced) {
        self.job.preset = old;
        if let Some(network) = replaced.network {
            self.vgg = network;
        }
        if let Some(pictures) = replaced.pictures {
            self.pictures = pictures;
        }
        if let Some(targets) = replaced.targets {
            self.targets = targets;
        }
        if let Some(history) = replaced.history {
            // If that fails too, the next step finds no optimizer and says so.
            let _ = self.descent.change_optimizer(&self.job.preset, history);
            // It counts from here on.
            (self.accepted, self.best) = (None, None);
        }
    }

    /// Shows and saves the same painting as another preset says: its finish, how files are
    /// written, and whether the content's colours are put back. Nothing else of the preset
    /// is taken up.
    ///
    /// # Errors
    /// When memory runs out; then nothing has changed.
    pub fn present_as(&mut self, preset: &Preset) -> Result<()> {
        let preset = self.job.preset.presented_as(preset);
        let fits = check_depth(&preset.output, &self.job.output);
        fits.map_err(|error| EngineError::Picture(error.to_string()))?;
        self.on_stream(|painter| {
            painter.colours = painter.colours_at(preset.colour, painter.shown_size()?)?;
            painter.job.preset = preset;
            Ok(())
        })
    }

    /// The size of the picture that is shown; none before the first.
    fn shown_size(&self) -> Result<Option<(u32, u32)>> {
        self.shown().map(size_of).transpose()
    }
}

/// Whether another preset compares the image with something else than what the targets
/// of this one hold.
fn retargets(new: &Preset, old: &Preset) -> bool {
    let same = |new: &Term, old: &Term| new.layers.keys().eq(old.layers.keys());
    let StyleTerm {
        term,
        statistic,
        shift,
        scale,
        blend,
        blend_weights,
        guides,
    } = &new.style;
    let edges = |preset: &Preset| preset.content.laplacian > 0.0;
    !same(&new.content, &old.content)
        || !same(term, &old.style)
        || *statistic != old.style.statistic
        || *shift != old.style.shift
        || *scale != old.style.scale
        || *blend != old.style.blend
        || *blend_weights != old.style.blend_weights
        || *guides != old.style.guides
        || edges(new) != edges(old)
}

/// Whether another preset shows the same painting in another way.
fn is_presentation(new: &Preset, old: &Preset) -> bool {
    let presented = Preset {
        name: new.name.clone(),
        description: new.description.clone(),
        ..old.presented_as(new)
    };
    presented == *new && old != new
}
