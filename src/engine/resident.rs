//! Adam whose state stays where the image is: no number of it is read by the
//! host, so the host never waits, and a step can be part of a CUDA graph.

use tch::{Kind, Tensor};

use crate::engine::recorder::copied;
use crate::engine::state::State;
use crate::engine::{EngineError, Result};

/// As in the plain Adam.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// What a checkpoint calls the tensors of [`ResidentAdam::state`].
const NAMES: [&str; 8] = [
    "image",
    "adam.first",
    "adam.second",
    "adam.steps",
    "best",
    "best.total",
    "adam.softened",
    "adam.failures",
];

/// Adam over an image, with every tensor in place: each keeps its memory for as
/// long as this lives, so a captured step finds it again.
///
/// It computes what the plain Adam does. Losses and gradients that are not
/// finite are met here too, since the host sees them many steps later: such a
/// step is counted, goes back to the best image and starts again with steps
/// half as large.
#[derive(Debug)]
pub struct ResidentAdam {
    /// `[1, 3, H, W]`, RGB in 0..1.
    image: Tensor,
    /// The running means of the gradient and of its square.
    first: Tensor,
    second: Tensor,
    /// How many steps the moments have seen; 0-dimensional, like all that
    /// follow but the betas. In float64 for the bias corrections.
    steps: Tensor,
    best_image: Tensor,
    /// The total loss of `best_image`, infinite before the first.
    best_total: Tensor,
    /// The size of a step at most.
    rate: Tensor,
    /// How many steps met something that was not finite.
    failures: Tensor,
    /// Constants, on the device so that no step has to bring them there:
    /// β₁ and β₂, 1 − β₁ and 1 − β₂ in the moments' kind, and 0.
    betas: Tensor,
    weights: Tensor,
    zero: Tensor,
}

impl ResidentAdam {
    /// Starts from a copy of `image`, float32 of any shape, on its device.
    /// `rate` is the size of a step at most, on pixels in 0..1.
    ///
    /// # Errors
    /// When the image is not float32 or memory runs out.
    pub fn new(image: &Tensor, rate: f64) -> Result<Self> {
        if image.f_kind()? != Kind::Float {
            return Err(EngineError::Torch("Adam needs a float32 image".into()));
        }
        let device = image.device();
        let scalar = |value: f64| Tensor::f_full([0i64; 0], value, (Kind::Double, device));
        let pair = |values: [f64; 2], kind| {
            Tensor::f_from_slice(&values)?
                .f_to_kind(kind)?
                .f_to_device(device)
        };
        Ok(Self {
            image: copied(image)?,
            first: image.f_zeros_like()?,
            second: image.f_zeros_like()?,
            steps: scalar(0.0)?,
            best_image: copied(image)?,
            best_total: scalar(f64::INFINITY)?,
            rate: scalar(rate)?,
            failures: scalar(0.0)?,
            betas: pair([BETA1, BETA2], Kind::Double)?,
            weights: pair([1.0 - BETA1, 1.0 - BETA2], Kind::Float)?,
            zero: Tensor::f_zeros([0i64; 0], (Kind::Float, device))?,
        })
    }

    /// Moves the image against `gradient`, which has its shape. `total` is the
    /// loss of the image as it is before the step, of one element; if it is the
    /// lowest so far, that image is kept as the best. Both must be on the
    /// image's device. Waits for nothing.
    ///
    /// # Errors
    /// When shapes differ, memory runs out or libtorch fails.
    pub fn step(&mut self, gradient: &Tensor, total: &Tensor) -> Result<()> {
        let total = total.f_to_kind(Kind::Double)?.f_view([0i64; 0])?;
        // float32 numbers cannot overflow a float64 sum: it is finite if and
        // only if all of them are.
        let finite = gradient.f_sum(Kind::Double)?.f_add(&total)?.f_isfinite()?;
        let better = total
            .f_lt_tensor(&self.best_total)?
            .f_logical_and(&finite)?;
        replace(&self.best_total, &better, &total)?;
        replace(&self.best_image, &better, &self.image)?;

        let failed = finite.f_logical_not()?;
        let gradient = gradient
            .f_to_kind(Kind::Float)?
            .f_where_self(&finite, &self.zero)?;
        let (to_first, to_second) = (self.weights.f_select(0, 0)?, self.weights.f_select(0, 1)?);
        let _ = self.first.f_lerp_tensor_(&gradient, &to_first)?;
        let _ = self
            .second
            .f_lerp_tensor_(&gradient.f_square()?, &to_second)?;
        let _ = self.steps.f_add_scalar_(1.0)?;
        for forgotten in [&mut self.first, &mut self.second, &mut self.steps] {
            let _ = forgotten.f_masked_fill_(&failed, 0.0)?;
        }
        let _ = self.failures.f_add_(&failed)?;
        let softer = self.rate.f_mul_scalar(0.5)?;
        replace(&self.rate, &failed, &softer)?;

        // 1 − βⁿ; at least one step, so that a failed one divides by something.
        let steps = self.steps.f_clamp_min(1.0)?;
        let bias = self.betas.f_pow(&steps)?.f_neg_()?.f_add_scalar_(1.0)?;
        let spread = self
            .second
            .f_div(&bias.f_select(0, 1)?)?
            .f_sqrt_()?
            .f_add_scalar_(EPSILON)?;
        let rate = self.rate.f_div(&bias.f_select(0, 0)?)?;
        let step = self.first.f_div(&spread)?.f_mul_(&rate)?;
        let _ = self.image.f_sub_(&step)?.f_clamp_(0.0, 1.0)?;
        replace(&self.image, &failed, &self.best_image)
    }

    /// Forgets what the gradients were, and lets the next finite loss be the
    /// lowest one: from here on the loss is another. The images, the rate and
    /// the count of failures stay.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn restart(&mut self) -> Result<()> {
        for tensor in [&mut self.first, &mut self.second, &mut self.steps] {
            let _ = tensor.f_zero_()?;
        }
        let _ = self.best_total.f_fill_(f64::INFINITY)?;
        Ok(())
    }

    /// Takes an image of the same shape for the best one, until there is a
    /// finite loss.
    ///
    /// # Errors
    /// When the shape differs or libtorch fails.
    pub fn keep(&mut self, best: &Tensor) -> Result<()> {
        if best.size() != self.image.size() {
            return Err(EngineError::Torch(format!(
                "an image of shape {:?} is none of the images of {:?}",
                best.size(),
                self.image.size()
            )));
        }
        self.best_image.f_copy_(best)?;
        let _ = self.best_total.f_fill_(f64::INFINITY)?;
        Ok(())
    }

    /// All that a step changes, as the tensors themselves.
    pub fn state(&self) -> [Tensor; 8] {
        [
            &self.image,
            &self.first,
            &self.second,
            &self.steps,
            &self.best_image,
            &self.best_total,
            &self.rate,
            &self.failures,
        ]
        .map(Tensor::shallow_clone)
    }

    /// Puts down all that a step changes.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn save(&self, state: &mut State) -> Result<()> {
        NAMES
            .iter()
            .zip(self.state())
            .try_for_each(|(name, tensor)| state.put(name, &tensor))
    }

    /// Takes up what was put down of images of the same shape.
    ///
    /// # Errors
    /// When something is missing or of another shape.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        for (name, mut tensor) in NAMES.iter().zip(self.state()) {
            let kept = state.tensor(name, tensor.device())?;
            if kept.size() != tensor.size() || kept.f_kind()? != tensor.f_kind()? {
                return Err(EngineError::Torch(format!(
                    "{name} in the checkpoint has another shape"
                )));
            }
            tensor.f_copy_(&kept)?;
        }
        Ok(())
    }

    /// The image to evaluate next: always the same tensor, changed in place.
    pub fn image(&self) -> &Tensor {
        &self.image
    }

    /// The image with the lowest total loss so far; the first before any loss.
    pub fn best_image(&self) -> &Tensor {
        &self.best_image
    }

    /// The lowest total loss, float64 on the device; infinite before any loss.
    pub fn best_total(&self) -> &Tensor {
        &self.best_total
    }

    /// How many steps met something that was not finite, float64 on the device.
    pub fn failures(&self) -> &Tensor {
        &self.failures
    }
}

/// Puts the values of `new` into `target` where `condition` holds.
fn replace(target: &Tensor, condition: &Tensor, new: &Tensor) -> Result<()> {
    let _ = new.f_where_self_out(target, condition, target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::accelerator::{Graph, Stream, graphs_available};
    use crate::engine::device;
    use crate::engine::loss_ring::LossRing;
    use tch::Device;

    /// A bowl whose bottom is partly outside 0..1, its loss and its slope.
    fn bowl(image: &Tensor) -> (Tensor, Tensor) {
        let away = image - bottom(image.device());
        let loss = away.square().sum(Kind::Float);
        (loss, away * 2.0)
    }

    fn bottom(device: Device) -> Tensor {
        Tensor::linspace(-0.3, 1.2, 48, (Kind::Float, device)).view([1, 3, 4, 4])
    }

    fn start(device: Device) -> Tensor {
        Tensor::full([1, 3, 4, 4], 0.5, (Kind::Float, device))
    }

    /// The plain formula, every number on the host.
    fn plain(image: &Tensor, rate: f64, steps: i32) -> Tensor {
        let (mut image, mut first, mut second) =
            (image.copy(), image.zeros_like(), image.zeros_like());
        for step in 1..=steps {
            let (_, gradient) = bowl(&image);
            let _ = first.lerp_(&gradient, 1.0 - BETA1);
            let _ = second.lerp_(&gradient.square(), 1.0 - BETA2);
            let spread = (&second / (1.0 - BETA2.powi(step))).sqrt() + EPSILON;
            let moved = &first / spread * (rate / (1.0 - BETA1.powi(step)));
            image = (image - moved).clamp(0.0, 1.0);
        }
        image
    }

    fn most(difference: Tensor) -> f64 {
        difference.abs().max().double_value(&[])
    }

    fn devices() -> Vec<Device> {
        let mut devices = vec![Device::Cpu];
        match device::enable_cuda() {
            Ok(()) => devices.push(Device::Cuda(0)),
            Err(why) => eprintln!("on the CPU alone: {why}"),
        }
        devices
    }

    #[test]
    fn it_walks_as_the_plain_formula_does() {
        for device in devices() {
            let mut adam = ResidentAdam::new(&start(device), 0.02).unwrap();
            for steps in 1..=50 {
                let (total, gradient) = bowl(adam.image());
                adam.step(&gradient, &total).unwrap();
                let wanted = plain(&start(device), 0.02, steps);
                let off = most(adam.image() - wanted);
                assert!(off < 1e-6, "{device:?}: off by {off} after {steps}");
            }
            assert_eq!(adam.failures().double_value(&[]), 0.0);
            assert!(most(adam.image() - start(device)) > 0.3);
        }
    }

    #[test]
    fn what_is_not_finite_leads_back_to_the_best_image_with_smaller_steps() {
        for device in devices() {
            let broken = |gradient: &Tensor, value: f64| {
                let gradient = gradient.copy();
                let _ = gradient.view([-1]).get(7).fill_(value);
                gradient
            };
            let number = |value: f64| Tensor::full([0i64; 0], value, (Kind::Float, device));
            for (in_gradient, in_total) in [
                (f64::NAN, 1.0),
                (f64::INFINITY, 1.0),
                (f64::NEG_INFINITY, 1.0),
                (0.0, f64::NAN),
                (0.0, f64::NEG_INFINITY),
            ] {
                let mut adam = ResidentAdam::new(&start(device), 0.04).unwrap();
                let (_, slope) = bowl(adam.image());
                let bad = (broken(&slope, in_gradient), number(in_total));
                // The very first step, before there are moments or a best image.
                adam.step(&bad.0, &bad.1).unwrap();
                assert_eq!(adam.image(), &start(device));
                assert_eq!(adam.failures().double_value(&[]), 1.0);
                assert!(adam.best_total().double_value(&[]).is_infinite());
                // From there on it goes as if it had begun with half the rate.
                for steps in 1..=10 {
                    let (total, gradient) = bowl(adam.image());
                    adam.step(&gradient, &total).unwrap();
                    let off = most(adam.image() - plain(&start(device), 0.02, steps));
                    assert!(off < 1e-6, "{device:?}: off by {off} after {steps}");
                }
                // The best image is the one before the last step.
                let best = plain(&start(device), 0.02, 9);
                adam.step(&bad.0, &bad.1).unwrap();
                assert!(most(adam.image() - &best) < 1e-6);
                for steps in 1..=5 {
                    let (total, gradient) = bowl(adam.image());
                    adam.step(&gradient, &total).unwrap();
                    let off = most(adam.image() - plain(&best, 0.01, steps));
                    assert!(off < 1e-5, "{device:?}: off by {off} after {steps}");
                }
                assert_eq!(adam.failures().double_value(&[]), 2.0);
            }
        }
    }

    #[test]
    fn large_but_finite_gradients_are_steps() {
        let mut adam = ResidentAdam::new(&start(Device::Cpu), 0.02).unwrap();
        let gradient = start(Device::Cpu) * 6e18;
        let total = Tensor::from(3e38f32);
        adam.step(&gradient, &total).unwrap();
        assert!((adam.image().double_value(&[0, 0, 0, 0]) - 0.48).abs() < 1e-6);
        // The sum of these is beyond float32.
        let huge = start(Device::Cpu).fill_(3e38);
        adam.step(&huge, &total).unwrap();
        assert_eq!(adam.failures().double_value(&[]), 0.0);
        // What the moments cannot hold is forgotten after a failure.
        let nothing = Tensor::from(f32::NAN);
        adam.step(&gradient, &nothing).unwrap();
        assert_eq!(adam.first.abs().max().double_value(&[]), 0.0);
        assert_eq!(adam.second.abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn the_best_image_is_the_one_whose_loss_was_lowest() {
        for device in devices() {
            let mut adam = ResidentAdam::new(&start(device), 0.05).unwrap();
            let totals = [5.0, 3.0, 4.0, 3.0, 2.5, 9.0];
            let mut best = start(device);
            for (number, total) in totals.into_iter().enumerate() {
                if [0, 1, 4].contains(&number) {
                    best = adam.image().copy();
                }
                let (_, gradient) = bowl(adam.image());
                let total = Tensor::full([1], total, (Kind::Float, device));
                adam.step(&gradient, &total).unwrap();
                assert_eq!(adam.best_image(), &best, "after {number}");
            }
            assert_eq!(adam.best_total().double_value(&[]), 2.5);
            // By another measure the next one is the best, whatever it brings.
            adam.restart().unwrap();
            assert_eq!(adam.best_image(), &best);
            let before = adam.image().copy();
            let (_, gradient) = bowl(adam.image());
            let total = Tensor::full([1], 100.0, (Kind::Float, device));
            adam.step(&gradient, &total).unwrap();
            assert_eq!(adam.best_image(), &before);
            // A first step is as long as the rate.
            let length = most(adam.image() - &before);
            assert!((length - 0.05).abs() < 1e-5, "{length}");
        }
    }

    #[test]
    fn tensors_stay_where_they_are() {
        let image = start(Device::Cpu);
        let mut adam = ResidentAdam::new(&image, 0.02).unwrap();
        let places = |adam: &ResidentAdam| adam.state().map(|tensor| tensor.data_ptr());
        let before = places(&adam);
        let (total, gradient) = bowl(adam.image());
        adam.step(&gradient, &total).unwrap();
        adam.step(&gradient, &Tensor::from(f32::NAN)).unwrap();
        adam.restart().unwrap();
        adam.keep(&bottom(Device::Cpu)).unwrap();
        assert_eq!(places(&adam), before);
        assert_eq!(image, start(Device::Cpu), "the caller's image was changed");
        assert!(
            adam.keep(&Tensor::zeros([1], tch::kind::FLOAT_CPU))
                .is_err()
        );
        assert!(ResidentAdam::new(&image.to_kind(Kind::Half), 0.02).is_err());
    }

    #[test]
    fn channels_last_images_keep_their_layout() {
        let plain = Tensor::rand([1, 3, 4, 5], tch::kind::FLOAT_CPU);
        let image = plain
            .permute([0, 2, 3, 1])
            .contiguous()
            .permute([0, 3, 1, 2]);
        let adam = ResidentAdam::new(&image, 0.02).unwrap();
        for tensor in [&adam.image, &adam.first, &adam.best_image] {
            assert_eq!(tensor.stride(), image.stride());
        }
    }

    #[test]
    fn a_captured_step_is_a_step() {
        if let Err(why) = device::enable_cuda()
            .map_err(str::to_owned)
            .and_then(|()| graphs_available().map_err(|error| error.to_string()))
        {
            eprintln!("skipped: {why}");
            return;
        }
        let device = Device::Cuda(0);
        let stream = Stream::side(device).unwrap();
        let image = start(device);
        let goal = bottom(device);
        let mut adam = ResidentAdam::new(&image, 0.02).unwrap();
        let mut ring = LossRing::new(64, 1, device).unwrap();
        stream.wait_for(&Stream::current(device).unwrap()).unwrap();
        let mut iteration = || -> Result<()> {
            let away = adam.image().f_sub(&goal)?;
            let total = away.f_square()?.f_sum(Kind::Float)?;
            adam.step(&away.f_mul_scalar(2.0)?, &total)?;
            ring.push(&total)
        };
        stream.run(|| (0..3).try_for_each(|_| iteration())).unwrap();
        let mut graph = Graph::capture(&stream, &mut iteration).unwrap();
        for _ in 3..50 {
            graph.replay().unwrap();
        }
        stream.synchronize().unwrap();
        let off = most(adam.image() - plain(&start(device), 0.02, 50));
        assert!(off < 1e-6, "off by {off}");
        assert_eq!(adam.failures().double_value(&[]), 0.0);
        let mut copy = ring.start_copy(&stream).unwrap();
        stream.synchronize().unwrap();
        let rows = copy.poll().unwrap().expect("the copy is done");
        assert_eq!((rows.before, rows.rows.len()), (0, 50));
        assert!(rows.rows.windows(2).all(|pair| pair[1][0] < pair[0][0]));
    }
}
