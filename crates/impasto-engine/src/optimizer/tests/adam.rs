//! Adam against the plain formula.

use super::*;
use crate::accelerator::{Graph, Stream};
use crate::loss_ring::LossRing;
use crate::optimizer::adam::{Adam, BETA1, BETA2, EPSILON};

/// Every number on the host.
fn plain(image: &Tensor, rate: f64, steps: i32) -> Tensor {
    let (mut image, mut first, mut second) = (image.copy(), image.zeros_like(), image.zeros_like());
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

#[test]
fn it_walks_as_the_plain_formula_does() {
    for &device in devices().iter() {
        let mut adam = Adam::new(&start(device), 0.02).unwrap();
        for steps in 1..=50 {
            let (total, gradient) = bowl(adam.image());
            adam.step(&gradient, &total).unwrap();
            let wanted = plain(&start(device), 0.02, steps);
            let off = most(adam.image() - wanted);
            assert!(off < 1e-6, "{device:?}: off by {off} after {steps}");
        }
        assert_eq!(status(&adam).failures, 0);
        assert!(most(adam.image() - start(device)) > 0.3);
    }
}

#[test]
fn what_is_not_finite_leads_back_to_the_best_image_with_smaller_steps() {
    for &device in devices().iter() {
        for (in_gradient, in_total) in [
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
            (f64::NEG_INFINITY, 1.0),
            (0.0, f64::NAN),
            (0.0, f64::NEG_INFINITY),
        ] {
            let mut adam = Adam::new(&start(device), 0.04).unwrap();
            let (_, slope) = bowl(adam.image());
            let bad = (broken(&slope, in_gradient), number(in_total, device));
            // The very first step, before there are moments or a best image.
            adam.step(&bad.0, &bad.1).unwrap();
            assert_eq!(adam.image(), &start(device));
            assert_eq!(status(&adam).failures, 1);
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
            assert_eq!(status(&adam).failures, 2);
        }
    }
}

#[test]
fn large_but_finite_gradients_are_steps() {
    let mut adam = Adam::new(&start(Device::Cpu), 0.02).unwrap();
    let gradient = start(Device::Cpu) * 6e18;
    let total = Tensor::from(3e38f32);
    adam.step(&gradient, &total).unwrap();
    assert!((adam.image().double_value(&[0, 0, 0, 0]) - 0.48).abs() < 1e-6);
    // The sum of these is beyond float32.
    let huge = start(Device::Cpu).fill_(3e38);
    adam.step(&huge, &total).unwrap();
    assert_eq!(status(&adam).failures, 0);
    // What the moments cannot hold is forgotten after a failure.
    adam.step(&gradient, &Tensor::from(f32::NAN)).unwrap();
    let mut state = StateDict::new(Default::default());
    adam.save(&mut state).unwrap();
    for moment in ["adam.first", "adam.second"] {
        let moment = state.tensor(moment, Device::Cpu).unwrap();
        assert_eq!(most(moment), 0.0);
    }
}

#[test]
fn a_captured_step_is_a_step() {
    let Some(gpu) = gpu() else { return };
    let device = gpu.device;
    let stream = Stream::side(device).unwrap();
    let image = start(device);
    let goal = bottom(device);
    let mut adam = Adam::new(&image, 0.02).unwrap();
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
    assert_eq!(status(&adam).failures, 0);
    let mut copy = ring.start_copy(&stream).unwrap();
    stream.synchronize().unwrap();
    let rows = copy.poll().unwrap().expect("the copy is done");
    assert_eq!((rows.before, rows.rows.len()), (0, 50));
    for (row, steps) in rows.rows.iter().zip(0..) {
        let (wanted, _) = bowl(&plain(&start(device), 0.02, steps));
        let off = f64::from(row[0]) / wanted.double_value(&[]) - 1.0;
        assert!(off.abs() < 1e-4, "off by {off} after {steps}");
    }
}
