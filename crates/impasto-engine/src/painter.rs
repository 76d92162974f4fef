//! The loop: one iteration at a time, without threads, clocks or channels.

mod fitting;
mod start;

use std::collections::BTreeSet;
use std::mem;

use impasto_core::checkpoint::{Contents, Position};
use impasto_core::job::{Input, Job, Size};
use impasto_core::picture::{Picture, finish};
use impasto_core::preset::{ColourMode, Layer, Preset, StyleTerm, Term};
use impasto_core::protocol::{Memory, Step};
use impasto_core::timing;
use tch::{Device, Tensor};

use super::descent::{self, Descent, DeviceContext, Images, Outcome, Outcomes, Scene};
use super::evaluate::evaluate;
use super::memory_plan::MemoryPlan;
use super::network::Vgg;
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
    vgg: Vgg,
    sizes: Vec<Size>,
    pictures: Pictures,
    tile: Option<u32>,
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
        // The old targets go first: both sets may not fit together.
        self.targets = Targets::default();
        self.targets = self.targets_at(scale, report)?;
        let image = match self.shown().map(Tensor::shallow_clone) {
            Some(before) => self.carried(&before, size)?,
            None => self.first_image(size)?,
        };
        self.descent.begin(&image, None)
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
    /// before the first scale. What is in `kept` is on the disk already.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn checkpoint(&mut self, kept: BTreeSet<String>) -> Result<Option<(Position, StateDict)>> {
        self.on_stream(|painter| painter.checkpoint_here(kept))
    }

    fn checkpoint_here(&mut self, kept: BTreeSet<String>) -> Result<Option<(Position, StateDict)>> {
        self.settle()?;
        let Some(scale) = self.scale else {
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
        self.targets = self.targets_at(scale, report)?;
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
        let best = self.best.as_ref();
        let latest = Tracking::of(&self.job.preset) == Tracking::Latest;
        if latest || best.is_none_or(|best| evaluated.total < best.total) {
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

    /// Goes on with other weights, layers, pooling or optimizer. Returns the
    /// keys that differ but need a new run to take effect; they keep their old
    /// values. `report` is called with what has to be computed.
    ///
    /// # Errors
    /// When memory runs out; the preset then stays as it was.
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
        if let Err(error) = self.apply_change(&old, report) {
            self.job.preset = old;
            return Err(error);
        }
        Ok(waiting)
    }

    fn apply_change(&mut self, old: &Preset, report: &mut dyn FnMut(&str)) -> Result<()> {
        let new = self.job.preset.clone();
        let pooling = new.pooling != old.pooling;
        if pooling || new.deepest() > old.deepest() {
            self.vgg = network_for(&new, self.device, self.precision)?;
        }
        if is_presentation(&new, old) {
            self.colours = self.colours_at(self.scale)?;
            return Ok(());
        }
        let recoloured = new.colour != old.colour;
        if recoloured {
            self.pictures = Pictures::new(&self.job, self.device)?;
        }
        if let (Some(scale), true) = (self.scale, pooling || recoloured || retargets(&new, old)) {
            self.targets = self.targets_at(scale, report)?;
        }
        // They were measured otherwise.
        (self.accepted, self.best) = (None, None);
        if new.optimizer == old.optimizer && Tracking::of(&new) == Tracking::of(old) {
            return self.descent.restart();
        }
        let history = self.history_limit().unwrap_or(new.optimizer.history);
        self.descent.change_optimizer(&new, history)
    }

    /// The best picture of the current scale; none before the first scale was
    /// prepared.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn picture(&self) -> Result<Option<Picture>> {
        let stream = self.place.stream;
        let painted = stream.run(|| match self.presented()? {
            Some(image) => picture_of(&image).map(Some),
            None => Ok(None),
        })?;
        let finish = &self.job.preset.finish;
        let content = &self.job.content.picture;
        Ok(painted.map(|picture| finish::finish(&picture, finish, Some(content))))
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
        let Some(image) = self.shown() else {
            return Ok(None);
        };
        let image = self.targets.compose(image)?;
        match &self.colours {
            Some(colours) => with_colours_of(&image, colours).map(Some),
            None => Ok(Some(image)),
        }
    }

    fn shown(&self) -> Option<&Tensor> {
        let Images { best, .. } = self.descent.images()?;
        Some(best)
    }

    /// Shows and saves the same painting as another preset says: its finish, how files are
    /// written, and whether the content's colours are put back. Nothing else of the preset
    /// is taken up.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn present_as(&mut self, preset: &Preset) -> Result<()> {
        self.job.preset = presented_as(&self.job.preset, preset);
        self.on_stream(|painter| {
            painter.colours = painter.colours_at(painter.scale)?;
            Ok(())
        })
    }

    /// The content in its own colours at a scale's size, where they are put back.
    fn colours_at(&mut self, scale: Option<usize>) -> Result<Option<Tensor>> {
        let wanted = matches!(
            self.job.preset.colour,
            ColourMode::Content | ColourMode::Luminance
        );
        match scale.and_then(|scale| self.sizes.get(scale)) {
            Some(size) if wanted => {
                let colours = self.pictures.content_in_colour((size.width, size.height))?;
                Ok(Some(colours))
            }
            _ => Ok(None),
        }
    }

    /// The targets of one scale.
    fn targets_at(&mut self, scale: usize, report: &mut dyn FnMut(&str)) -> Result<Targets> {
        let Size { width, height, .. } = self.sizes[scale];
        self.colours = self.colours_at(Some(scale))?;
        let preset = &self.job.preset;
        let images = self.pictures.at(preset, (width, height))?;
        Targets::new(&self.vgg, preset, &images, self.tile, report)
    }
}

/// A preset with what another says of how the same painting is shown.
fn presented_as(painted: &Preset, shown: &Preset) -> Preset {
    let plain = |colour| matches!(colour, ColourMode::Style | ColourMode::Content);
    Preset {
        colour: match plain(painted.colour) && plain(shown.colour) {
            true => shown.colour,
            false => painted.colour,
        },
        finish: shown.finish,
        output: shown.output,
        ..painted.clone()
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
        ..presented_as(old, new)
    };
    presented == *new && old != new
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
pub(super) fn network_for(preset: &Preset, device: Device, precision: Precision) -> Result<Vgg> {
    Vgg::new(
        preset.network,
        preset.pooling,
        preset.deepest(),
        device,
        precision,
    )
}
