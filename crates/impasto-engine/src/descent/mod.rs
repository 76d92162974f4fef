//! The loop that takes an image downhill, the same on every processor.
//!
//! Image, optimizer and losses stay on the device. The host submits iterations,
//! a bounded number of them ahead, and learns later what became of each: on a
//! GPU when a copy of the losses arrives, on the CPU at once. On a GPU an
//! iteration, optimizer included, is one CUDA graph.

mod in_flight;
mod reports;
#[cfg(test)]
mod tests;

use impasto_core::job::Size;
use impasto_core::preset::{self, Preset};
use tch::{Device, Kind, Tensor};

use super::accelerator::Stream;
use super::evaluate::{DeviceEvaluation, OnDevice, evaluate_on_device};
use super::network::Vgg;
use super::optimizer::{self, Optimizer, RESTARTED, SETTLED, Status, Tracking};
use super::recorder::{Recorder, Work};
use super::scalars::Reading;
use super::state::StateDict;
use super::targets::Targets;
use super::{EngineError, Result};
use in_flight::InFlightLimit;
use reports::{Report, Reports};

/// What an image is measured by.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub vgg: &'a Vgg,
    pub preset: &'a Preset,
    pub targets: &'a Targets,
    /// The side of the tiles to evaluate in, if that is given.
    pub tile: Option<u32>,
}

impl Scene<'_> {
    fn evaluate_on_device(&self, image: &Tensor) -> Result<OnDevice> {
        evaluate_on_device(self.vgg, self.preset, self.targets, image, self.tile)
    }

    /// Whether an iteration may be captured. In tiles it is long enough for
    /// launches not to matter, and memory is short.
    fn recordable(&self) -> bool {
        self.tile.is_none()
    }
}

/// One iteration that is done.
#[derive(Debug)]
pub struct Outcome {
    /// Its number in the run.
    pub iteration: u32,
    /// What was found of the image. Where that is not finite, the image went
    /// back to the best one and steps are half as large from there on.
    pub reading: Reading,
    /// Whether the optimizer took the image. If not, it resumes from the one
    /// before.
    pub accepted: bool,
}

/// What became known since the last call.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// In their order.
    pub outcomes: Vec<Outcome>,
    /// Things the user should know.
    pub notices: Vec<String>,
}

/// The images of a descent, `[1, 3, H, W]`, RGB in 0..1.
pub struct Images<'a> {
    /// The one to evaluate next.
    pub image: &'a Tensor,
    /// The one with the lowest total; before there is a total, the first.
    pub best: &'a Tensor,
}

/// Where a descent works.
#[derive(Clone, Copy, Debug)]
pub struct DeviceContext {
    pub device: Device,
    /// The stream that paints, and one for copies beside it.
    pub stream: Stream,
    pub copies: Stream,
}

impl DeviceContext {
    /// # Errors
    /// When libtorch fails.
    pub fn on(device: Device) -> Result<Self> {
        Ok(Self {
            device,
            stream: Stream::side(device)?,
            copies: Stream::side(device)?,
        })
    }

    fn is_gpu(&self) -> bool {
        matches!(self.device, Device::Cuda(_))
    }
}

/// Takes an image downhill, from one scale's beginning to its end.
///
/// On a GPU, every method must be called with the place's stream as the
/// thread's current one.
pub struct Descent {
    place: DeviceContext,
    settings: preset::Optimizer,
    tracking: Tracking,
    /// The settings' rate, or what failures have made of it.
    rate: f64,
    /// L-BFGS remembers so many steps at most.
    history: usize,
    recorder: Recorder,
    in_flight: InFlightLimit,
    optimizer: Option<Box<dyn Optimizer>>,
    /// The best image of the optimizer before, while there is no other.
    rescued: Option<Tensor>,
    reports: Reports,
    /// The last status that is known of the optimizer in hand.
    status: Status,
}

impl Descent {
    /// A descent by the optimizer that a preset asks for, without an image yet.
    pub fn new(preset: &Preset, place: DeviceContext) -> Self {
        let settings = &preset.optimizer;
        Self {
            place,
            tracking: Tracking::of(preset),
            rate: settings.rate,
            history: settings.history,
            settings: settings.clone(),
            recorder: Recorder::new(place.stream),
            in_flight: InFlightLimit::default(),
            optimizer: None,
            rescued: None,
            reports: Reports::default(),
            status: Status::default(),
        }
    }

    /// Begins anew at `image`. Until there is a total, `best` is the best one,
    /// or the image itself. What was learnt of the images before is forgotten,
    /// steps stay as small as trouble has made them.
    ///
    /// # Errors
    /// When memory runs out or libtorch fails. The best image before stays available, and
    /// there is no optimizer.
    pub fn begin(&mut self, image: &Tensor, best: Option<&Tensor>) -> Result<()> {
        self.forget_scene();
        // The device has halved its own rate.
        let failures = i32::try_from(self.status.failures).unwrap_or(i32::MAX);
        self.rate *= 0.5f64.powi(failures);
        self.status = Status::default();
        let (image, best) = (image.shallow_clone(), best.map(Tensor::shallow_clone));
        self.rescued = self.images().map(|images| images.best.shallow_clone());
        // The old one first: both may not fit.
        self.optimizer = None;
        let (kind, tracking) = (self.settings.kind, self.tracking);
        let mut optimizer = optimizer::build(kind, &image, self.rate, self.history, tracking)?;
        if let Some(best) = best {
            optimizer.keep(&best)?;
        }
        self.optimizer = Some(optimizer);
        self.rescued = None;
        Ok(())
    }

    /// Evaluates the image and moves it, or submits that. Brings what is known
    /// by then.
    ///
    /// # Errors
    /// When libtorch fails. If that is for want of memory in the evaluation,
    /// nothing has changed. When there was no memory for the optimizer.
    pub fn step(&mut self, scene: &Scene, iteration: u32) -> Result<Outcomes> {
        let Some(optimizer) = &mut self.optimizer else {
            let what = "there was no room for the optimizer";
            return Err(EngineError::OutOfMemory(what.to_owned()));
        };
        let mut work = Iteration {
            scene,
            optimizer: optimizer.as_mut(),
            reports: &mut self.reports,
        };
        let able = self.place.is_gpu() && scene.recordable();
        self.recorder.run(&mut work, able)?;
        self.reports.submitted(iteration);
        self.in_flight.follow(&self.place.stream)?;
        let reports = self.reports.poll(&self.place.copies)?;
        Ok(self.outcomes(reports))
    }

    /// Waits for all that was submitted, and brings what was not known yet.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn drain(&mut self) -> Result<Outcomes> {
        let reports = self.reports.wait(&self.place.copies)?;
        self.place.stream.synchronize()?;
        self.in_flight.release();
        Ok(self.outcomes(reports))
    }

    fn outcomes(&mut self, reports: Vec<Report>) -> Outcomes {
        let mut all = Outcomes::default();
        all.notices.extend(self.recorder.take_notice());
        for Report {
            iteration,
            mut reading,
            status,
        } in reports
        {
            // The device's word counts: it has acted on it.
            reading.finite = status.failures == self.status.failures;
            if status.restarts > self.status.restarts {
                all.notices.push(RESTARTED.to_owned());
            }
            if status.settled > self.status.settled {
                all.notices.push(SETTLED.to_owned());
            }
            self.status = status;
            all.outcomes.push(Outcome {
                iteration,
                reading,
                accepted: status.accepted,
            });
        }
        all
    }

    /// The scene is about to change: gives up what holds on to it. To be
    /// called after [`Descent::drain`].
    pub fn forget_scene(&mut self) {
        self.recorder.forget();
        self.reports = Reports::default();
    }

    /// L-BFGS remembers no more than so many steps, from the next beginning on.
    pub fn limit_history(&mut self, history: usize) {
        self.history = self.settings.history.min(history);
    }

    /// Whether there is an optimizer: not before the beginning, and not where there was no
    /// memory for one.
    pub fn is_ready(&self) -> bool {
        self.optimizer.is_some()
    }

    /// How many steps L-BFGS remembers at most.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Goes on with the images as they are, which are measured otherwise from
    /// now on. To be called after [`Descent::drain`].
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn restart(&mut self) -> Result<()> {
        match &mut self.optimizer {
            Some(optimizer) => optimizer.restart(),
            None => Ok(()),
        }
    }

    /// Goes on by the optimizer of another preset, which remembers no more than `history`
    /// steps, from the images as they are. To be called after [`Descent::drain`].
    ///
    /// # Errors
    /// As [`Descent::begin`] has.
    pub fn change_optimizer(&mut self, preset: &Preset, history: usize) -> Result<()> {
        let images = self
            .images()
            .map(|Images { image, best }| [image, best].map(Tensor::shallow_clone));
        *self = Self::new(preset, self.place);
        self.limit_history(history);
        let Some([image, best]) = images else {
            return Ok(());
        };
        self.rescued = Some(best.shallow_clone());
        self.begin(&image, Some(&best))
    }

    /// Saves where it is and what was learnt, to continue from there. To be called
    /// after [`Descent::drain`].
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn save(&self, state: &mut StateDict) -> Result<()> {
        state.put_number("descent.rate", self.rate);
        state.put_number("descent.failures", f64::from(self.status.failures));
        state.put_number("descent.restarts", f64::from(self.status.restarts));
        state.put_number("descent.settled", f64::from(self.status.settled));
        match &self.optimizer {
            Some(optimizer) => optimizer.save(state),
            None => Ok(()),
        }
    }

    /// Goes on where one with the same kind of optimizer was saved, with images
    /// of `size`.
    ///
    /// # Errors
    /// When something is missing or of another size.
    pub fn restore(&mut self, state: &StateDict, size: Size) -> Result<()> {
        self.forget_scene();
        let like = image_of(state, "image", size, self.place.device)?;
        let count = |name: &str| state.number(name).map(|number| number as u32);
        let status = Status {
            failures: count("descent.failures")?,
            restarts: count("descent.restarts")?,
            settled: count("descent.settled")?,
            accepted: false,
        };
        let rate = state.number("descent.rate")?;
        self.optimizer = Some(optimizer::restored(
            &self.settings,
            state,
            &like,
            self.tracking,
        )?);
        self.rescued = None;
        (self.rate, self.status) = (rate, status);
        Ok(())
    }

    /// The images, as they are when all that was submitted is done; none
    /// before the beginning. Without an optimizer, the best one of the one before.
    pub fn images(&self) -> Option<Images<'_>> {
        let (image, best) = match (&self.optimizer, &self.rescued) {
            (Some(optimizer), _) => (optimizer.image(), optimizer.best_image()),
            (None, Some(rescued)) => (rescued, rescued),
            (None, None) => return None,
        };
        Some(Images { image, best })
    }

    /// Whether a step may come back before it is done.
    pub fn runs_ahead(&self) -> bool {
        self.place.is_gpu()
    }
}

/// One iteration: evaluates, moves the image, and writes the losses down.
struct Iteration<'a> {
    scene: &'a Scene<'a>,
    optimizer: &'a mut dyn Optimizer,
    reports: &'a mut Reports,
}

impl Work for Iteration<'_> {
    fn evaluate(&mut self) -> Result<DeviceEvaluation> {
        self.scene
            .evaluate_on_device(self.optimizer.image())?
            .findings(self.scene.preset, self.reports.readout())
    }

    fn advance(&mut self, findings: &DeviceEvaluation) -> Result<()> {
        self.optimizer.step(&findings.gradient, &findings.total)?;
        self.reports.write(&findings.row, &self.optimizer.status()?)
    }

    fn prepare_capture(&mut self) -> Result<()> {
        self.optimizer.prepare_capture()
    }

    fn state(&self) -> Vec<Tensor> {
        let mut tensors = self.optimizer.tensors();
        tensors.extend(self.reports.state());
        tensors
    }
}

/// The image of that name in a checkpoint, `[1, 3, H, W]`.
///
/// # Errors
/// When there is none of this size.
pub fn image_of(state: &StateDict, name: &str, size: Size, device: Device) -> Result<Tensor> {
    let image = state.tensor(name, device)?;
    let wanted = [1, 3, i64::from(size.height), i64::from(size.width)];
    if image.size() != wanted || image.f_kind()? != Kind::Float {
        return Err(EngineError::Torch(format!(
            "{name} in the checkpoint is no image of this size"
        )));
    }
    Ok(image)
}
