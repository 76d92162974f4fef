//! A descent whose every iteration is read by the host.

use tch::{Device, Tensor};

use super::{Descent, Images, Outcome, Place, Scene, Told, image_of, is_gpu};
use crate::engine::Result;
use crate::engine::evaluate::{Evaluation, Findings};
use crate::engine::optimizer::Optimizer;
use crate::engine::recorder::{Recorder, Run, Work, copied};
use crate::engine::scalars::{Reading, Readout};
use crate::engine::state::State;
use crate::job::Size;

/// Evaluates, reads, and asks an optimizer.
pub struct Hosted {
    device: Device,
    optimizer: Box<dyn Optimizer>,
    /// The image to evaluate next.
    image: Option<Tensor>,
    best: Option<Best>,
    /// On a GPU: evaluations as one launch.
    recorded: Option<RecordedEvaluation>,
}

/// The best image since the beginning.
struct Best {
    image: Tensor,
    total: f64,
}

impl Hosted {
    pub fn new(optimizer: Box<dyn Optimizer>, place: Place) -> Self {
        Self {
            device: place.device,
            optimizer,
            image: None,
            best: None,
            recorded: is_gpu(place.device).then(|| RecordedEvaluation::new(place)),
        }
    }
}

impl Descent for Hosted {
    fn begin(&mut self, image: &Tensor, best: Option<&Tensor>) -> Result<()> {
        self.optimizer.restart();
        self.forget_scene();
        self.image = Some(image.shallow_clone());
        self.best = best.map(|image| Best {
            image: image.shallow_clone(),
            total: f64::INFINITY,
        });
        Ok(())
    }

    fn step(&mut self, scene: &Scene, iteration: u32) -> Result<Told> {
        let Some(image) = &self.image else {
            return Ok(Told::default());
        };
        let mut notices = Vec::new();
        let Evaluation {
            losses,
            weighted,
            gradient,
            finite,
        } = match &mut self.recorded {
            Some(recorded) => {
                let evaluation = recorded.evaluate(scene, image)?;
                notices.extend(recorded.recorder.take_notice());
                evaluation
            }
            None => scene.evaluate(image)?,
        };
        if finite {
            let best = self.best.as_ref();
            if best.is_none_or(|best| weighted.total < best.total) {
                self.best = Some(Best {
                    image: image.shallow_clone(),
                    total: weighted.total,
                });
            }
            let proposal = self.optimizer.step(image, weighted.total, &gradient)?;
            self.image = Some(proposal.image);
            notices.extend(proposal.notice.map(str::to_owned));
        } else {
            self.optimizer.soften();
            if let Some(best) = &self.best {
                self.image = Some(best.image.shallow_clone());
            }
        }
        Ok(Told {
            outcomes: vec![Outcome {
                iteration,
                reading: Reading {
                    losses,
                    weighted,
                    finite,
                },
            }],
            notices,
        })
    }

    fn drain(&mut self) -> Result<Told> {
        Ok(Told::default())
    }

    fn forget_scene(&mut self) {
        if let Some(recorded) = &mut self.recorded {
            recorded.forget();
        }
    }

    fn limit_history(&mut self, history: usize) {
        self.optimizer.limit_history(history);
    }

    fn restart(&mut self) -> Result<()> {
        self.optimizer.restart();
        // It was best by another measure: the next evaluation replaces it,
        // whatever it brings.
        if let Some(best) = &mut self.best {
            best.total = f64::INFINITY;
        }
        Ok(())
    }

    fn save(&self, state: &mut State) -> Result<()> {
        if let Some(image) = &self.image {
            state.put("image", image)?;
        }
        if let Some(best) = &self.best {
            state.put("best", &best.image)?;
            state.put_number("best.total", best.total);
        }
        self.optimizer.save(state)
    }

    fn restore(&mut self, state: &State, size: Size) -> Result<()> {
        self.forget_scene();
        let image = image_of(state, "image", size, self.device)?;
        self.best = None;
        if state.has("best") {
            self.best = Some(Best {
                image: image_of(state, "best", size, self.device)?,
                total: state.number("best.total")?,
            });
        }
        self.optimizer.restore(state, &image)?;
        self.image = Some(image);
        Ok(())
    }

    fn images(&self) -> Option<Images<'_>> {
        Some(Images {
            image: self.image.as_ref()?,
            best: self.best.as_ref().map(|best| &best.image),
        })
    }

    fn runs_ahead(&self) -> bool {
        false
    }
}

/// Evaluations of one scene, replayed from a graph once there is one.
pub(super) struct RecordedEvaluation {
    pub recorder: Recorder,
    /// What the graph evaluates: images are copied into it.
    input: Option<Tensor>,
    readout: Option<Readout>,
}

impl RecordedEvaluation {
    pub fn new(place: Place) -> Self {
        Self {
            recorder: Recorder::new(place.stream),
            input: None,
            readout: None,
        }
    }

    pub fn forget(&mut self) {
        self.recorder.forget();
        self.input = None;
        self.readout = None;
    }

    /// Evaluates an image and reads what was found, which waits once.
    pub fn evaluate(&mut self, scene: &Scene, image: &Tensor) -> Result<Evaluation> {
        if !scene.recordable() {
            return scene.evaluate(image);
        }
        let input = match &mut self.input {
            Some(input) if input.size() == image.size() => {
                input.f_copy_(image)?;
                input
            }
            input => input.insert(copied(image)?),
        };
        let mut work = Evaluate {
            scene,
            input,
            readout: &mut self.readout,
        };
        let run = self.recorder.run(&mut work, true)?;
        let gradient = match &run {
            Run::Eager(findings) => findings.gradient.shallow_clone(),
            // Optimizers remember gradients.
            Run::Replayed(findings) => copied(&findings.gradient)?,
        };
        let row = run.findings().row.f_to_device(Device::Cpu)?;
        let row = Vec::<f32>::try_from(row)?;
        let Some(readout) = &self.readout else {
            return scene.evaluate(image);
        };
        let reading = readout.read(&row);
        Ok(Evaluation {
            losses: reading.losses,
            weighted: reading.weighted,
            gradient,
            finite: reading.finite,
        })
    }
}

struct Evaluate<'a> {
    scene: &'a Scene<'a>,
    input: &'a Tensor,
    readout: &'a mut Option<Readout>,
}

impl Work for Evaluate<'_> {
    fn evaluate(&mut self) -> Result<Findings> {
        self.scene
            .evaluate_on_device(self.input)?
            .findings(self.scene.preset, self.readout)
    }

    fn advance(&mut self, _: &Findings) -> Result<()> {
        Ok(())
    }

    fn state(&self) -> Vec<Tensor> {
        Vec::new()
    }
}
