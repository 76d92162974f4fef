//! A descent that stays on the device.

use tch::Tensor;

use super::leash::Leash;
use super::{Descent, Images, Outcome, Place, Scene, Told, image_of, is_gpu};
use crate::engine::evaluate::Findings;
use crate::engine::loss_ring::{LossCopy, LossRing, LossRows};
use crate::engine::recorder::{Recorder, Work};
use crate::engine::resident::ResidentAdam;
use crate::engine::scalars::Readout;
use crate::engine::state::State;
use crate::engine::{EngineError, Result};
use crate::job::Size;

/// The losses of so many iterations are kept: more than can be submitted from
/// the start of one copy to the end of the next, so that none are missed.
const KEPT: i64 = 128;

/// Adam, whose image, moments, best image and losses stay on the device. The
/// host submits iterations and hears their losses when a copy of them arrives.
#[derive(Debug)]
pub struct Resident {
    place: Place,
    /// The size of a step at most.
    rate: f64,
    recorder: Recorder,
    leash: Leash,
    adam: Option<ResidentAdam>,
    losses: Losses,
    /// How many failures of the Adam in hand were told.
    failures: u32,
}

/// The losses of one scene, on the device and on their way to the host.
#[derive(Debug, Default)]
struct Losses {
    /// Every loss of an iteration, and the number of failures after it.
    ring: Option<LossRing>,
    readout: Option<Readout>,
    copy: Option<LossCopy>,
    /// The iteration of the ring's first row.
    first: u32,
    /// Rows that were submitted, and those that were told.
    submitted: u64,
    told: u64,
}

impl Resident {
    /// `rate` is the size of a step at most, on pixels in 0..1.
    pub fn new(rate: f64, place: Place) -> Self {
        Self {
            place,
            rate,
            recorder: Recorder::new(place.stream),
            leash: Leash::default(),
            adam: None,
            losses: Losses::default(),
            failures: 0,
        }
    }

    /// What the rows say that were not told yet.
    fn tell(&mut self, rows: Option<LossRows>) -> Result<Vec<Outcome>> {
        let (
            Some(rows),
            Losses {
                readout: Some(readout),
                first,
                submitted,
                told,
                ..
            },
        ) = (rows, &mut self.losses)
        else {
            return Ok(Vec::new());
        };
        if rows.before + rows.rows.len() as u64 > *submitted {
            return Err(EngineError::Torch(
                "the GPU counted more iterations than it was given".into(),
            ));
        }
        let mut outcomes = Vec::new();
        for (number, row) in (rows.before..).zip(&rows.rows) {
            let Some((failures, numbers)) = row.split_last() else {
                continue;
            };
            if number < *told {
                continue;
            }
            *told = number + 1;
            let mut reading = readout.read(numbers);
            // The device's word counts: it has acted on it.
            let failures = *failures as u32;
            reading.finite = failures == self.failures;
            self.failures = failures;
            outcomes.push(Outcome {
                iteration: *first + number as u32,
                reading,
            });
        }
        Ok(outcomes)
    }
}

impl Losses {
    fn are_all_told(&self) -> bool {
        self.told == self.submitted
    }

    /// Starts a copy unless one is under way or nothing is new, and takes the
    /// one that has arrived.
    fn poll(&mut self, place: Place) -> Result<Option<LossRows>> {
        if let (None, Some(ring), false) = (&self.copy, &self.ring, self.are_all_told()) {
            self.copy = Some(ring.start_copy(&place.copies)?);
        }
        let Some(copy) = &mut self.copy else {
            return Ok(None);
        };
        let rows = copy.poll()?;
        if rows.is_some() {
            self.copy = None;
        }
        Ok(rows)
    }

    /// Waits for everything.
    fn wait(&mut self, place: Place) -> Result<Option<LossRows>> {
        // What is under way may have been started too early.
        self.copy = None;
        match &self.ring {
            Some(ring) if !self.are_all_told() => ring.start_copy(&place.copies)?.wait().map(Some),
            _ => Ok(None),
        }
    }
}

impl Descent for Resident {
    fn begin(&mut self, image: &Tensor, best: Option<&Tensor>) -> Result<()> {
        self.forget_scene();
        // The device has softened its own rate.
        self.rate *= 0.5f64.powi(i32::try_from(self.failures).unwrap_or(i32::MAX));
        self.failures = 0;
        // The old one first: both may not fit.
        self.adam = None;
        let mut adam = ResidentAdam::new(image, self.rate)?;
        if let Some(best) = best {
            adam.keep(best)?;
        }
        self.adam = Some(adam);
        Ok(())
    }

    fn step(&mut self, scene: &Scene, iteration: u32) -> Result<Told> {
        let Some(adam) = &mut self.adam else {
            return Ok(Told::default());
        };
        let Losses {
            ring,
            readout,
            first,
            submitted,
            ..
        } = &mut self.losses;
        if *submitted == 0 {
            *first = iteration;
        }
        let mut work = Iteration {
            scene,
            adam,
            ring,
            readout,
        };
        let able = is_gpu(self.place.device) && scene.recordable();
        self.recorder.run(&mut work, able)?;
        *submitted += 1;
        self.leash.follow(&self.place.stream)?;
        let rows = self.losses.poll(self.place)?;
        Ok(Told {
            outcomes: self.tell(rows)?,
            notices: self.recorder.take_notice().into_iter().collect(),
        })
    }

    fn drain(&mut self) -> Result<Told> {
        let rows = self.losses.wait(self.place)?;
        self.place.stream.synchronize()?;
        self.leash.release();
        Ok(Told {
            outcomes: self.tell(rows)?,
            notices: self.recorder.take_notice().into_iter().collect(),
        })
    }

    fn forget_scene(&mut self) {
        self.recorder.forget();
        self.losses = Losses::default();
    }

    fn restart(&mut self) -> Result<()> {
        match &mut self.adam {
            Some(adam) => adam.restart(),
            None => Ok(()),
        }
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put_number("adam.rate", self.rate);
        state.put_number("adam.told", f64::from(self.failures));
        match &self.adam {
            Some(adam) => adam.save(state),
            None => Ok(()),
        }
    }

    fn restore(&mut self, state: &State, size: Size) -> Result<()> {
        self.forget_scene();
        let device = self.place.device;
        let image = image_of(state, "image", size, device)?;
        let best = image_of(state, "best", size, device)?;
        self.rate = state.number("adam.rate")?;
        self.failures = state.number("adam.told")? as u32;
        let mut adam = ResidentAdam::new(&image, self.rate)?;
        adam.keep(&best)?;
        adam.restore(state)?;
        self.adam = Some(adam);
        Ok(())
    }

    fn images(&self) -> Option<Images<'_>> {
        let adam = self.adam.as_ref()?;
        Some(Images {
            image: adam.image(),
            best: Some(adam.best_image()),
        })
    }

    fn runs_ahead(&self) -> bool {
        true
    }
}

/// One iteration: evaluates, moves the image, and writes the losses down.
struct Iteration<'a> {
    scene: &'a Scene<'a>,
    adam: &'a mut ResidentAdam,
    ring: &'a mut Option<LossRing>,
    readout: &'a mut Option<Readout>,
}

impl Work for Iteration<'_> {
    fn evaluate(&mut self) -> Result<Findings> {
        self.scene
            .evaluate_on_device(self.adam.image())?
            .findings(self.scene.preset, self.readout)
    }

    fn advance(&mut self, findings: &Findings) -> Result<()> {
        self.adam.step(&findings.gradient, &findings.total)?;
        let failures = self.adam.failures().f_to_kind(findings.row.f_kind()?)?;
        let row = Tensor::f_cat(&[&findings.row, &failures.f_view([1])?], 0)?;
        let ring = match &mut *self.ring {
            Some(ring) => ring,
            none => {
                let numbers = row.size1()?;
                none.insert(LossRing::new(KEPT, numbers, row.device())?)
            }
        };
        ring.push(&row)
    }

    fn state(&self) -> Vec<Tensor> {
        let ring = self.ring.as_ref().map(LossRing::state);
        self.adam.state().into_iter().chain(ring).collect()
    }
}
