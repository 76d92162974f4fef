//! The loop: one iteration at a time, without threads, clocks or channels.

mod change;
mod fitting;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::mem;

use impasto_core::checkpoint::{Contents, Position};
use impasto_core::job::{Input, Job, Size};
use impasto_core::picture::{Picture, finish};
use impasto_core::preset::{ColourMode, Layer, Preset};
use impasto_core::protocol::{Memory, Step};
use impasto_core::timing;
use tch::{Device, Tensor};

use super::descent::{self, Descent, DeviceContext, Images, Outcome, Outcomes, Scene};
use super::evaluate::evaluate;
use super::memory_plan::MemoryPlan;
use super::network_pool::PooledVgg;
use super::optimizer::Tracking;
use super::pictures::Pictures;
use super::pixels::picture_of;
use super::precision::{self, Precision};
use super::preview::PreviewCopy;
use super::state::StateDict;
use super::targets::Targets;
use super::weights::Provenance;
use super::{EngineError, Result, cuda, device, kernel_check, kernels, memory};

/// After so many evaluations that were not finite a run ends.
const MAX_FAILURES: u32 = 3;

/// Paints one job.
pub struct Painter {
    job: Job,
    device: Device,
    place: DeviceContext,
    precision: Precision,
    vgg: PooledVgg,
    sizes: Vec<Size>,
    pictures: Pictures,
    tile: Option<u32>,
    /// The side that tiles must not exceed at this scale, after memory ran out.
    tile_limit: Option<u32>,
    /// Which scale is being painted; none before the first.
    scale: Option<usize>,
    /// Iterations done, over the run and within the scale.
    iteration: u32,
    in_scale: u32,
    /// What to compare with at this scale.
    targets: Targets,
    /// The content in its own colours at this scale's size, where they are put back.
    colours: Option<Tensor>,
    /// Moves the image, and keeps it and the best one.
    descent: Descent,
    /// The last step of this scale whose image the optimizer accepted, and the
    /// one whose image has the lowest total.
    accepted: Option<Step>,
    best: Option<Step>,
    failures: u32,
    /// What is known and not yet reported.
    progress: Progress,
}

/// What became known since the last report.
#[derive(Debug, Default)]
pub struct Progress {
    /// The losses of every iteration where they were finite, in order. On a GPU
    /// they come several at a time, some iterations late.
    pub steps: Vec<Step>,
    /// Things the user should know.
    pub notices: Vec<String>,
    /// Why the run cannot continue, after the steps above.
    pub failure: Option<EngineError>,
}

impl Painter {
    /// Finds the processor and reads the network. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When the device is not there, the weights are broken, or memory runs
    /// out.
    pub fn new(job: Job, report: &mut dyn FnMut(&str)) -> Result<Self> {
        report("finding the processor");
        let device = device::resolve(job.compute.device)?;
        let precision = precision::resolve(job.compute.precision, device)?;
        if device == Device::Cpu {
            kernels::limit_spinning();
        }
        kernel_check::prepare(device);
        report("reading the network's weights");
        let place = DeviceContext::on(device)?;
        let vgg = place
            .stream
            .run(|| network_for(&job.preset, device, precision))?;
        timing::mark("the network is read");
        let sizes = job.sizes();
        let descent = Descent::new(&job.preset, place);
        let shortage = MemoryPlan::of(&job, &vgg.layers(), device, precision).shortage(&sizes);
        if let Some(shortage) = shortage {
            return Err(EngineError::OutOfMemory(shortage));
        }
        Ok(Self {
            pictures: place.stream.run(|| Pictures::new(&job, device))?,
            tile: job.compute.tile,
            tile_limit: None,
            job,
            device,
            place,
            precision,
            vgg,
            sizes,
            scale: None,
            iteration: 0,
            in_scale: 0,
            targets: Targets::default(),
            colours: None,
            descent,
            accepted: None,
            best: None,
            failures: 0,
            progress: Progress::default(),
        })
    }

    /// The job, with its preset as it stands after changes.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The memory in use where it paints, where that is known.
    pub fn memory(&self) -> Option<Memory> {
        memory::memory(self.device)
    }

    /// The processor that paints: `cpu` or `cuda:N`.
    pub fn device_name(&self) -> String {
        device::name(self.device)
    }

    /// What the network computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The layers that the network computes.
    pub fn layers(&self) -> Vec<Layer> {
        self.vgg.layers()
    }

    /// The side of the tiles that the current scale is painted in; none where
    /// the picture goes through the network in one piece.
    pub fn tile(&self) -> Option<u32> {
        self.tile
    }

    /// What the recipe says of the network's weights.
    pub fn provenance(&self) -> &Provenance {
        self.vgg.provenance()
    }

    /// The sizes of all scales.
    pub fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// The size of the scale that is being painted; none before the first.
    pub fn size(&self) -> Option<Size> {
        self.sizes.get(self.scale?).copied()
    }

    /// Iterations done so far, or submitted where steps run ahead.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// The scale that has to be prepared before the next iteration, counted
    /// from 0, with its size. None while a scale is being painted and when all
    /// is done.
    pub fn scale_due(&self) -> Option<(usize, Size)> {
        let next = match self.scale {
            None => 0,
            Some(scale) if self.in_scale >= self.sizes.get(scale)?.iterations => scale + 1,
            Some(_) => return None,
        };
        self.sizes.get(next).map(|size| (next, *size))
    }

    /// Whether every scale had its iterations.
    pub fn is_finished(&self) -> bool {
        match self
            .scale
            .and_then(|scale| self.sizes.get(scale).map(|size| (scale, size)))
        {
            Some((scale, size)) => {
                scale + 1 == self.sizes.len() && self.in_scale >= size.iterations
            }
            None => self.sizes.is_empty(),
        }
    }

    /// Prepares the scale that is due: finds a way to paint it in the memory
    /// there is, brings the image to its size and computes its targets. Does
    /// nothing when none is due. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When memory runs out. The picture of the scale before stays available.
    pub fn begin_scale(&mut self, report: &mut dyn FnMut(&str)) -> Result<()> {
        self.on_stream(|painter| painter.begin_scale_here(report))
    }

    fn begin_scale_here(&mut self, report: &mut dyn FnMut(&str)) -> Result<()> {
        let Some((scale, size)) = self.scale_due() else {
            return Ok(());
        };
        self.settle()?;
        self.descent.forget_scene();
        self.arrange(size);
        // Until it is there, the picture of the scale before stays.
        while let Err(error) = self.enter(scale, report) {
            self.handle_out_of_memory(error, scale)?;
        }
        self.scale = Some(scale);
        self.in_scale = 0;
        (self.accepted, self.best) = (None, None);
        timing::mark(&format!("scale {} is prepared", scale + 1));
        Ok(())
    }

    /// Computes the targets of a scale and brings the image to its size.
    fn enter(&mut self, scale: usize, report: &mut dyn FnMut(&str)) -> Result<()> {
        let size = self.sizes[scale];
        // The old targets go first: both sets may not fit together. What the picture of
        // the scale before is shown with stays until there is another picture.
        self.targets.empty();
        let (targets, colours) = self.targets_at(scale, report)?;
        let image = match self.shown().map(Tensor::shallow_clone) {
            Some(before) => self.carried(&before, size)?,
            None => self.first_image(size)?,
        };
        self.descent.begin(&image, None)?;
        (self.targets, self.colours) = (targets, colours);
        Ok(())
    }

    /// One iteration: evaluates the image and moves it, or submits that to a
    /// GPU (see [`Painter::runs_ahead`]). Brings what is known by then.
    ///
    /// A loss that is infinite or not a number is no error: the image goes back
    /// to the best one, the optimizer starts again with smaller steps. After
    /// the third there is a [`Progress::failure`].
    ///
    /// # Errors
    /// When libtorch fails. The best picture stays available.
    pub fn step(&mut self) -> Result<Progress> {
        self.on_stream(Self::step_here)
    }

    fn step_here(&mut self) -> Result<Progress> {
        if self.scale_due().is_some() {
            self.begin_scale_here(&mut |_| {})?;
        }
        if let Some(scale) = self.scale {
            let scene = Scene {
                vgg: &self.vgg,
                preset: &self.job.preset,
                targets: &self.targets,
                tile: self.tile,
            };
            match self.descent.step(&scene, self.iteration + 1) {
                Ok(outcomes) => {
                    self.iteration += 1;
                    self.in_scale += 1;
                    self.receive(outcomes);
                }
                Err(error) => self.go_on_smaller(error, scale)?,
            }
        }
        Ok(mem::take(&mut self.progress))
    }

    /// Waits for every iteration that was submitted, and brings what was not
    /// told yet.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn drain(&mut self) -> Result<Progress> {
        self.on_stream(Self::settle)?;
        Ok(mem::take(&mut self.progress))
    }

    /// Whether a step may come back before it is done.
    pub fn runs_ahead(&self) -> bool {
        self.descent.runs_ahead()
    }

    /// All that touches tensors is done on one stream.
    fn on_stream<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let stream = self.place.stream;
        stream.run(|| work(self))
    }

    /// Where the run stands, and all that is needed to continue from there; none
    /// before the first scale, and where there was no memory for an optimizer. What is in `kept` is on the disk already.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn checkpoint(&mut self, kept: BTreeSet<String>) -> Result<Option<(Position, StateDict)>> {
        self.on_stream(|painter| painter.checkpoint_here(kept))
    }

    fn checkpoint_here(&mut self, kept: BTreeSet<String>) -> Result<Option<(Position, StateDict)>> {
        self.settle()?;
        let Some(scale) = self.scale.filter(|_| self.descent.is_ready()) else {
            return Ok(None);
        };
        let mut state = StateDict::new(kept);
        self.descent.save(&mut state)?;
        let position = Position {
            preset: self.job.preset.clone(),
            start: self.job.start.as_ref().map(Input::of),
            output: self.job.output.clone(),
            sizes: self.sizes.clone(),
            tile: self.tile,
            scale: scale as u32,
            iteration: self.iteration,
            in_scale: self.in_scale,
            failures: self.failures,
            elapsed: 0.0,
            accepted: self.accepted.clone().map(Box::new),
            best: self.best.clone().map(Box::new),
        };
        Ok(Some((position, state)))
    }

    /// Goes on from a checkpoint of this job. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When the checkpoint is of another job, or memory runs out.
    pub fn restore(
        &mut self,
        position: &Position,
        contents: Contents,
        report: &mut dyn FnMut(&str),
    ) -> Result<()> {
        self.on_stream(|painter| painter.restore_here(position, contents, report))
    }

    fn restore_here(
        &mut self,
        position: &Position,
        contents: Contents,
        report: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let misfit = |error: EngineError| match error {
            EngineError::Torch(words) => EngineError::Checkpoint(words),
            error => error,
        };
        let scale = position.scale as usize;
        let same = |(kept, own): (&Size, &Size)| {
            kept.width <= own.width
                && kept.height <= own.height
                && kept.iterations == own.iterations
        };
        let fits = position.sizes.len() == self.sizes.len()
            && position.sizes.iter().zip(&self.sizes).all(same);
        let Some(size) = position.sizes.get(scale).copied().filter(|_| fits) else {
            return Err(EngineError::Checkpoint("it has other sizes".to_owned()));
        };
        self.sizes.clone_from(&position.sizes);
        self.tile = position.tile;
        (self.targets, self.colours) = self.targets_at(scale, report)?;
        let state = StateDict::read(contents).map_err(misfit)?;
        if let Err(error) = self.descent.restore(&state, size) {
            // Another processor learns in another way: the picture counts.
            let name = if state.has("best") { "best" } else { "image" };
            let best = descent::image_of(&state, name, size, self.device).map_err(misfit)?;
            self.descent = Descent::new(&self.job.preset, self.place);
            self.descent.begin(&best, None)?;
            self.progress.notices.push(format!(
                "what the optimizer had learnt cannot be used here ({error}); it starts anew"
            ));
        }
        self.scale = Some(scale);
        self.iteration = position.iteration;
        self.in_scale = position.in_scale;
        self.failures = position.failures;
        self.accepted = position.accepted.as_deref().cloned();
        self.best = position.best.as_deref().cloned();
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let outcomes = self.descent.drain()?;
        self.receive(outcomes);
        Ok(())
    }

    fn receive(&mut self, outcomes: Outcomes) {
        for outcome in outcomes.outcomes {
            if outcome.reading.finite {
                self.add_step(&outcome);
            } else {
                self.count_failure(outcome.iteration);
            }
        }
        self.progress.notices.extend(outcomes.notices);
        self.progress.notices.extend(cuda::take_notice());
    }

    fn count_failure(&mut self, iteration: u32) {
        self.failures += 1;
        if self.failures < MAX_FAILURES {
            self.progress.notices.push(format!(
                "iteration {iteration} gave a loss that is infinite or not a number; going back \
                 to the best picture with smaller steps"
            ));
        } else if self.failures == MAX_FAILURES {
            self.progress.failure = Some(EngineError::NotFinite {
                failures: self.failures,
                iteration,
            });
        }
    }

    /// Adds a step to the next report: with the losses of the image that was
    /// evaluated or, if the optimizer did not accept it, of the one before.
    fn add_step(&mut self, outcome: &Outcome) {
        let Some((scale, size)) = self.scale.zip(self.size()) else {
            return;
        };
        let weighted = outcome.reading.weighted;
        let evaluated = Step {
            iteration: outcome.iteration,
            scale: scale as u32 + 1,
            width: size.width,
            height: size.height,
            content: weighted.content,
            style: weighted.style,
            smoothness: weighted.smoothness,
            total: weighted.total,
            rejected_total: None,
            elapsed: 0.0,
            layers: outcome.reading.losses.layers.clone(),
        };
        if self.accepted.is_none() {
            timing::mark(&format!("first losses of scale {}", scale + 1));
        }
        // As the optimizer decides it.
        let is_best = match Tracking::of(&self.job.preset) {
            Tracking::Latest => outcome.accepted,
            Tracking::Lowest | Tracking::Average(_) => {
                let best = self.best.as_ref();
                best.is_none_or(|best| evaluated.total < best.total)
            }
        };
        if is_best {
            self.best = Some(evaluated.clone());
        }
        let step = match &self.accepted {
            Some(accepted) if !outcome.accepted => Step {
                iteration: evaluated.iteration,
                rejected_total: Some(evaluated.total),
                ..accepted.clone()
            },
            _ => {
                self.accepted = Some(evaluated.clone());
                evaluated
            }
        };
        self.progress.steps.push(step);
    }

    /// The step whose image [`Painter::picture`] gives, with that image's
    /// losses; none before there is one, and until the next one after a change.
    pub fn best_step(&self) -> Option<&Step> {
        self.best.as_ref()
    }

    /// The step of the picture that is saved, with its losses: the best one or, where the
    /// picture is an average, that of the latest iteration with the losses of the average,
    /// which nobody has evaluated yet.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn saved_step(&self) -> Result<Option<Step>> {
        let preset = &self.job.preset;
        let (Some(_), Some(latest), Some(image)) =
            (preset.averages(), &self.accepted, self.shown())
        else {
            return Ok(self.best.clone());
        };
        if self.targets.is_empty() {
            // The next scale could not be begun: nothing is there to compare with.
            return Ok(self.best.clone());
        }
        let stream = self.place.stream;
        let found = stream.run(|| evaluate(&self.vgg, preset, &self.targets, image, self.tile))?;
        Ok(Some(Step {
            content: found.weighted.content,
            style: found.weighted.style,
            smoothness: found.weighted.smoothness,
            total: found.weighted.total,
            layers: found.losses.layers,
            ..latest.clone()
        }))
    }

    /// The best picture of the current scale; none before the first scale was
    /// prepared.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn picture(&self) -> Result<Option<Picture>> {
        let painted = self.picture_by(Self::presented)?;
        let finish = &self.job.preset.finish;
        let content = &self.job.content.picture;
        Ok(painted.map(|picture| finish::finish(&picture, finish, Some(content))))
    }

    /// The same without its finish and in its own colours: what painting can go on with.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn painted(&self) -> Result<Option<Picture>> {
        self.picture_by(Self::composed)
    }

    /// Whether [`Painter::picture`] is another one than [`Painter::painted`].
    pub fn is_presented(&self) -> bool {
        self.colours.is_some() || !self.job.preset.finish.is_off()
    }

    fn picture_by(
        &self,
        image: impl Fn(&Self) -> Result<Option<Tensor>>,
    ) -> Result<Option<Picture>> {
        let stream = self.place.stream;
        stream.run(|| image(self)?.as_ref().map(picture_of).transpose())
    }

    /// The picture scaled down to fit, on its way, and not finished yet.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn preview(&self, width: u32, height: u32) -> Result<Option<PreviewCopy>> {
        let DeviceContext { stream, copies, .. } = self.place;
        stream.run(|| match self.presented()? {
            Some(image) => PreviewCopy::start(&image, width, height, &copies).map(Some),
            None => Ok(None),
        })
    }

    /// The picture as it is shown: with the content where nothing is painted, and with the
    /// content's colours where the preset wants them back.
    fn presented(&self) -> Result<Option<Tensor>> {
        match (self.composed()?, &self.colours) {
            (Some(image), Some(colours)) => with_colours_of(&image, colours).map(Some),
            (image, _) => Ok(image),
        }
    }

    /// The best image, with the content where nothing is painted.
    fn composed(&self) -> Result<Option<Tensor>> {
        let image = self.shown();
        image.map(|image| self.targets.compose(image)).transpose()
    }

    fn shown(&self) -> Option<&Tensor> {
        let Images { best, .. } = self.descent.images()?;
        Some(best)
    }

    /// The content in its own colours at this size, where a preset of this `colour` puts
    /// them back.
    fn colours_at(
        &mut self,
        colour: ColourMode,
        size: Option<(u32, u32)>,
    ) -> Result<Option<Tensor>> {
        let wanted = matches!(colour, ColourMode::Content | ColourMode::Luminance);
        match size.filter(|_| wanted) {
            Some(size) => self.pictures.content_in_colour(size).map(Some),
            None => Ok(None),
        }
    }

    /// What the image is compared with at one scale, and the colours that are put back.
    fn targets_at(
        &mut self,
        scale: usize,
        report: &mut dyn FnMut(&str),
    ) -> Result<(Targets, Option<Tensor>)> {
        let Size { width, height, .. } = self.sizes[scale];
        let colours = self.colours_at(self.job.preset.colour, Some((width, height)))?;
        let preset = &self.job.preset;
        let images = self.pictures.at(preset, (width, height))?;
        let targets = Targets::new(&self.vgg, preset, &images, self.tile, report)?;
        Ok((targets, colours))
    }
}

/// An image's light with the colours of another of its size. Luminance and chrominance
/// are those of Rec. 601 (Y'UV): adding one number to all three channels changes only
/// the first.
fn with_colours_of(image: &Tensor, colours: &Tensor) -> Result<Tensor> {
    let luma = |picture: &Tensor| -> Result<Tensor> {
        let channel = |index: i64, share: f64| picture.f_narrow(1, index, 1)?.f_mul_scalar(share);
        Ok(channel(0, 0.299)?
            .f_add(&channel(1, 0.587)?)?
            .f_add(&channel(2, 0.114)?)?)
    };
    let lighter = luma(image)?.f_sub(&luma(colours)?)?;
    Ok(colours.f_add(&lighter)?.f_clamp_(0.0, 1.0)?)
}

/// The network as deep as the preset needs it.
pub(super) fn network_for(
    preset: &Preset,
    device: Device,
    precision: Precision,
) -> Result<PooledVgg> {
    PooledVgg::new(
        preset.network,
        preset.pooling,
        preset.deepest(),
        device,
        precision,
    )
}
