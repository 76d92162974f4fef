//! L-BFGS against one that decides on the host and recurses over its pairs.

use std::collections::VecDeque;

use super::*;
use crate::accelerator::{Graph, Stream};
use crate::optimizer::lbfgs::{Lbfgs, MAX_REJECTED};
use crate::optimizer::preconditioner::SpectralPreconditioner;

/// A long, narrow bowl whose bottom lies partly out of bounds: its value and
/// gradient, in float64.
fn narrow(image: &Tensor) -> (f64, Tensor) {
    let image = image.to_kind(Kind::Double).to_device(Device::Cpu);
    let count = image.numel() as i64;
    let double = (Kind::Double, Device::Cpu);
    let steepness = Tensor::arange(count, double).view_as(&image) * 4.0 + 1.0;
    let offset = &image - Tensor::linspace(-0.3, 0.9, count, double).view_as(&image);
    let loss = (&steepness * offset.square()).sum(Kind::Double);
    (loss.double_value(&[]), steepness * offset * 2.0)
}

fn lowest() -> f64 {
    let bottom = Tensor::linspace(-0.3, 0.9, 48, (Kind::Float, Device::Cpu));
    narrow(&bottom.view([1, 3, 4, 4]).clamp(0.0, 1.0)).0
}

/// The same method in float64 with the two-loop recursion (Nocedal & Wright,
/// "Numerical Optimization", algorithm 7.4), one decision after another.
struct Plain {
    capacity: usize,
    caution: f64,
    pairs: VecDeque<(Tensor, Tensor)>,
    accepted: Option<(Tensor, f64, Tensor)>,
    trial: Option<(Tensor, f64, u32)>,
    preconditioner: SpectralPreconditioner,
    status: Status,
    notified: bool,
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum(Kind::Double).double_value(&[])
}

impl Plain {
    fn new(image: &Tensor, capacity: usize) -> Self {
        Self {
            capacity,
            caution: 1.0,
            pairs: VecDeque::new(),
            accepted: None,
            trial: None,
            preconditioner: SpectralPreconditioner::for_image(image).unwrap(),
            status: Status::default(),
            notified: false,
        }
    }

    fn step(&mut self, image: &Tensor, loss: f64, gradient: &Tensor) -> Tensor {
        self.status.accepted = true;
        if let (Some((from, before, slope)), Some((direction, length, rejected))) =
            (self.accepted.take(), self.trial.take())
        {
            let s = image - &from;
            let promised = dot(&slope, &s);
            let slack = 1e-6 * before.abs();
            if loss <= before + 1e-4 * promised + slack {
                let y = gradient - &slope;
                if dot(&s, &y) > 1e-6 * (dot(&s, &s) * dot(&y, &y)).sqrt() {
                    self.pairs.push_back((s, y));
                    if self.pairs.len() > self.capacity {
                        self.pairs.pop_front();
                    }
                }
                self.caution = (2.0 * self.caution).min(1.0);
                self.notified &= loss >= before - slack;
            } else if rejected < MAX_REJECTED {
                self.status.accepted = false;
                let shorter = promised / (2.0 * (promised - (loss - before)));
                let length = length * shorter.clamp(0.1, 0.5);
                let next = (&from + &direction * length).clamp(0.0, 1.0);
                self.accepted = Some((from, before, slope));
                self.trial = Some((direction, length, rejected + 1));
                return next;
            } else {
                self.status.accepted = false;
                if self.pairs.is_empty() {
                    self.caution *= 0.1;
                    self.status.settled += u32::from(!self.notified);
                    self.notified = true;
                } else {
                    self.status.restarts += u32::from(!self.notified);
                    self.pairs.clear();
                }
                return self.go_on(from, before, slope);
            }
        }
        self.go_on(image.copy(), loss, gradient.copy())
    }

    fn go_on(&mut self, image: Tensor, loss: f64, gradient: Tensor) -> Tensor {
        let low = image.le(0.0).logical_and(&gradient.gt(0.0));
        let high = image.ge(1.0).logical_and(&gradient.lt(0.0));
        let free = low.logical_or(&high).logical_not();
        let downhill = -&gradient * &free;
        let mut direction = self.two_loop(&downhill) * &free;
        if dot(&direction, &downhill) <= 0.0 {
            self.pairs.clear();
            direction = self.two_loop(&downhill) * &free;
        }
        let root_mean_square = (dot(&direction, &direction) / image.numel() as f64).sqrt();
        let length = match self.pairs.is_empty() {
            true => self.caution * 0.02 / root_mean_square,
            false => self.caution,
        };
        let next = (&image + &direction * length).clamp(0.0, 1.0);
        self.accepted = Some((image, loss, gradient));
        self.trial = Some((direction, length, 0));
        next
    }

    fn two_loop(&self, vector: &Tensor) -> Tensor {
        let mut result = vector.copy();
        let mut shares = Vec::new();
        for (s, y) in self.pairs.iter().rev() {
            let share = dot(s, &result) / dot(s, y);
            result -= y * share;
            shares.push(share);
        }
        let mut result = self.preconditioner.apply(&result).unwrap();
        if let Some((s, y)) = self.pairs.back() {
            result *= 2.5 * dot(s, y) / dot(y, &self.preconditioner.apply(y).unwrap());
        }
        for ((s, y), share) in self.pairs.iter().zip(shares.iter().rev()) {
            let back = dot(y, &result) / dot(s, y);
            result += s * (share - back);
        }
        result
    }
}

fn take_step(lbfgs: &mut Lbfgs, loss: f64, gradient: &Tensor, device: Device) {
    let gradient = gradient.to_kind(Kind::Float).to_device(device);
    let total = Tensor::full([1], loss, (Kind::Double, device));
    lbfgs.step(&gradient, &total).unwrap();
}

#[test]
fn the_compact_form_walks_as_the_recursion_does() {
    for &device in devices().iter() {
        // A history that is never full, one that soon is, and one of one step.
        for (capacity, steps, tolerance) in [(40, 20, 2e-3), (5, 25, 2e-3), (1, 25, 2e-3)] {
            let begin = start(device);
            let mut lbfgs = Lbfgs::new(&begin, 1.0, capacity, Tracking::Lowest).unwrap();
            let mut image = start(Device::Cpu).to_kind(Kind::Double);
            let mut plain = Plain::new(&image, capacity);
            for step in 1..=steps {
                // Both are given what the plain one finds: rounding does not add up.
                let (loss, gradient) = narrow(&image);
                image = plain.step(&image, loss, &gradient);
                take_step(&mut lbfgs, loss, &gradient, device);
                assert_eq!(status(&lbfgs), plain.status, "{capacity}, {step}");
                let off = most(lbfgs.image().to_device(Device::Cpu) - &image);
                assert!(off < tolerance, "{capacity}: off by {off} after {step}");
            }
        }
    }
}

#[test]
fn it_finds_the_bottom_within_bounds() {
    let mut lbfgs = Lbfgs::new(&start(Device::Cpu), 1.0, 10, Tracking::Lowest).unwrap();
    let mut best = f64::INFINITY;
    for _ in 0..60 {
        let (loss, gradient) = narrow(lbfgs.image());
        best = best.min(loss);
        take_step(&mut lbfgs, loss, &gradient, Device::Cpu);
        let image = lbfgs.image();
        assert!(image.min().double_value(&[]) >= 0.0 && image.max().double_value(&[]) <= 1.0);
    }
    assert!(best <= lowest() * 1.001, "{best} against {}", lowest());
}

#[test]
fn a_bad_step_is_taken_back_and_counted() {
    for &device in devices().iter() {
        let mut lbfgs = Lbfgs::new(&start(device), 1.0, 10, Tracking::Lowest).unwrap();
        let (loss, gradient) = narrow(&start(device));
        take_step(&mut lbfgs, loss, &gradient, device);
        assert!(status(&lbfgs).accepted);
        // A loss that only ever rises, wherever it is asked for: each image comes
        // nearer to the start, and in the end that is reported, once.
        let mut distance = f64::INFINITY;
        for rejected in 0..2 * MAX_REJECTED {
            take_step(&mut lbfgs, loss + 1.0, &gradient, device);
            let now = (lbfgs.image() - start(device)).norm().double_value(&[]);
            let found = status(&lbfgs);
            assert!(!found.accepted);
            assert_eq!(found.settled, u32::from(rejected >= MAX_REJECTED));
            assert!(found.settled > 0 || now < distance);
            distance = now;
        }
    }
}

#[test]
fn a_history_that_misleads_is_dropped() {
    let mut lbfgs = Lbfgs::new(&start(Device::Cpu), 1.0, 10, Tracking::Lowest).unwrap();
    for _ in 0..6 {
        let (loss, gradient) = narrow(lbfgs.image());
        take_step(&mut lbfgs, loss, &gradient, Device::Cpu);
    }
    let (_, gradient) = narrow(lbfgs.image());
    for _ in 0..=MAX_REJECTED {
        assert_eq!(status(&lbfgs).restarts, 0);
        take_step(&mut lbfgs, 1e9, &gradient, Device::Cpu);
    }
    assert_eq!((status(&lbfgs).restarts, status(&lbfgs).settled), (1, 0));
    // It finds the bottom all the same.
    for _ in 0..60 {
        let (loss, gradient) = narrow(lbfgs.image());
        take_step(&mut lbfgs, loss, &gradient, Device::Cpu);
    }
    assert!(narrow(lbfgs.best_image()).0 <= lowest() * 1.001);
}

#[test]
fn what_is_not_finite_leads_back_to_the_best_image() {
    for &device in devices().iter() {
        let mut lbfgs = Lbfgs::new(&start(device), 1.0, 10, Tracking::Lowest).unwrap();
        let (_, slope) = bowl(lbfgs.image());
        // The very first step, before there is a best image.
        lbfgs
            .step(&broken(&slope, f64::NAN), &number(1.0, device))
            .unwrap();
        assert_eq!(lbfgs.image(), &start(device));
        assert_eq!(status(&lbfgs).failures, 1);
        for _ in 0..5 {
            let (loss, gradient) = narrow(lbfgs.image());
            take_step(&mut lbfgs, loss, &gradient, device);
        }
        let best = lbfgs.best_image().copy();
        let (_, slope) = bowl(lbfgs.image());
        for (in_gradient, in_total) in [(f64::INFINITY, 1.0), (0.0, f64::NAN)] {
            let total = number(in_total, device);
            lbfgs.step(&broken(&slope, in_gradient), &total).unwrap();
            assert!(!status(&lbfgs).accepted);
            assert_eq!(lbfgs.image(), &best);
        }
        assert_eq!(status(&lbfgs).failures, 3);
        // From there it continues with steps an eighth as long, and gets there.
        let (loss, gradient) = narrow(lbfgs.image());
        take_step(&mut lbfgs, loss, &gradient, device);
        assert!(status(&lbfgs).accepted);
        let moved = (lbfgs.image() - &best).square().mean(Kind::Double).sqrt();
        assert!(moved.double_value(&[]) < 0.02 / 8.0 + 1e-6);
        for _ in 0..120 {
            let (loss, gradient) = narrow(lbfgs.image());
            take_step(&mut lbfgs, loss, &gradient, device);
        }
        assert!(narrow(lbfgs.best_image()).0 <= lowest() * 1.01);
    }
}

#[test]
fn nothing_to_gain_moves_nothing() {
    let begin = Tensor::full([1, 3, 4, 4], 0.25, tch::kind::FLOAT_CPU);
    let mut lbfgs = Lbfgs::new(&begin, 1.0, 10, Tracking::Lowest).unwrap();
    for _ in 0..5 {
        take_step(&mut lbfgs, 0.0, &begin.zeros_like(), Device::Cpu);
        assert_eq!(lbfgs.image(), &begin);
    }
}

#[test]
fn a_captured_step_is_a_step() {
    let Some(gpu) = gpu() else { return };
    let device = gpu.device;
    let stream = Stream::side(device).unwrap();
    let goal = bottom(device);
    let mut eager = Lbfgs::new(&start(device), 1.0, 5, Tracking::Lowest).unwrap();
    let mut captured = Lbfgs::new(&start(device), 1.0, 5, Tracking::Lowest).unwrap();
    stream.wait_for(&Stream::current(device).unwrap()).unwrap();
    let iteration = |lbfgs: &mut Lbfgs| -> Result<()> {
        let away = lbfgs.image().f_sub(&goal)?;
        let total = away.f_square()?.f_sum(Kind::Float)?;
        lbfgs.step(&away.f_mul_scalar(2.0)?, &total)
    };
    stream
        .run(|| {
            (0..20).try_for_each(|_| iteration(&mut eager))?;
            (0..2).try_for_each(|_| iteration(&mut captured))?;
            captured.prepare_capture()
        })
        .unwrap();
    let mut graph = Graph::capture(&stream, || iteration(&mut captured)).unwrap();
    for _ in 2..20 {
        graph.replay().unwrap();
    }
    stream.synchronize().unwrap();
    let off = most(captured.image() - eager.image());
    assert!(off < 1e-4, "off by {off}");
    assert_eq!(status(&captured), status(&eager));
}
