//! Both optimizers on small functions, against plain formulas that decide on the
//! host.

mod adam;
mod lbfgs;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::state::StateDict;
use crate::test_device::{devices, gpu};

/// A bowl whose bottom is partly outside 0..1: its value and its gradient.
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

fn most(difference: Tensor) -> f64 {
    difference.abs().max().double_value(&[])
}

fn status(optimizer: &dyn Optimizer) -> Status {
    let numbers = Vec::<f32>::try_from(optimizer.status().unwrap()).unwrap();
    Status::read(numbers.try_into().unwrap())
}

fn number(value: f64, device: Device) -> Tensor {
    Tensor::full([1], value, (Kind::Float, device))
}

fn broken(gradient: &Tensor, value: f64) -> Tensor {
    let gradient = gradient.copy();
    let _ = gradient.view([-1]).get(7).fill_(value);
    gradient
}

fn both(image: &Tensor) -> [Box<dyn Optimizer>; 2] {
    [OptimizerKind::Adam, OptimizerKind::Lbfgs]
        .map(|kind| build(kind, image, 0.05, 4, Tracking::Lowest).unwrap())
}

#[test]
fn the_best_image_is_the_one_whose_loss_was_lowest() {
    for &device in devices().iter() {
        for mut optimizer in both(&start(device)) {
            let totals = [5.0, 3.0, 4.0, 3.0, 2.5, 9.0];
            let mut best = start(device);
            for (index, total) in totals.into_iter().enumerate() {
                if [0, 1, 4].contains(&index) {
                    best = optimizer.image().copy();
                }
                let (_, gradient) = bowl(optimizer.image());
                optimizer.step(&gradient, &number(total, device)).unwrap();
                assert_eq!(optimizer.best_image(), &best, "after {index}");
            }
            // By another measure the next one is the best, whatever it brings.
            optimizer.restart().unwrap();
            assert_eq!(optimizer.best_image(), &best);
            let before = optimizer.image().copy();
            let (_, gradient) = bowl(optimizer.image());
            optimizer.step(&gradient, &number(100.0, device)).unwrap();
            assert_eq!(optimizer.best_image(), &before);
            assert!(status(optimizer.as_ref()).accepted);
        }
    }
}

#[test]
fn tensors_stay_where_they_are() {
    let image = start(Device::Cpu);
    for mut optimizer in both(&image) {
        let places = |optimizer: &dyn Optimizer| -> Vec<_> {
            let tensors = optimizer.tensors();
            tensors.iter().map(Tensor::data_ptr).collect()
        };
        let before = places(optimizer.as_ref());
        for total in [3.0, 2.0, f64::NAN, 2.0, 5.0] {
            let (_, gradient) = bowl(optimizer.image());
            optimizer
                .step(&gradient, &number(total, Device::Cpu))
                .unwrap();
        }
        optimizer.prepare_capture().unwrap();
        optimizer.restart().unwrap();
        optimizer.keep(&bottom(Device::Cpu)).unwrap();
        assert_eq!(places(optimizer.as_ref()), before);
        assert_eq!(image, start(Device::Cpu), "the caller's image was changed");
        let other = Tensor::zeros([1], tch::kind::FLOAT_CPU);
        assert!(optimizer.keep(&other).is_err());
    }
    for kind in [OptimizerKind::Adam, OptimizerKind::Lbfgs] {
        assert!(build(kind, &image.to_kind(Kind::Half), 0.02, 4, Tracking::Lowest).is_err());
    }
}

#[test]
fn channels_last_images_keep_their_layout() {
    let plain = Tensor::rand([1, 3, 4, 5], tch::kind::FLOAT_CPU);
    let image = plain
        .permute([0, 2, 3, 1])
        .contiguous()
        .permute([0, 3, 1, 2]);
    for optimizer in both(&image) {
        for tensor in [optimizer.image(), optimizer.best_image()] {
            assert_eq!(tensor.stride(), image.stride());
        }
    }
}

#[test]
fn what_was_saved_goes_on_bit_by_bit() {
    for kind in [OptimizerKind::Adam, OptimizerKind::Lbfgs] {
        for after in [0, 1, 5, 12] {
            let mut unbroken = build(kind, &start(Device::Cpu), 0.5, 4, Tracking::Lowest).unwrap();
            let walk = |optimizer: &mut dyn Optimizer, steps: i32| {
                for _ in 0..steps {
                    let (total, gradient) = bowl(optimizer.image());
                    optimizer.step(&gradient, &total).unwrap();
                }
            };
            walk(unbroken.as_mut(), after);
            let mut state = StateDict::new(Default::default());
            unbroken.save(&mut state).unwrap();
            let state = StateDict::read(state.write().unwrap()).unwrap();
            let settings = preset::Optimizer::new(kind);
            let mut resumed =
                restored(&settings, &state, &start(Device::Cpu), Tracking::Lowest).unwrap();
            walk(unbroken.as_mut(), 10);
            walk(resumed.as_mut(), 10);
            assert_eq!(resumed.image(), unbroken.image(), "{kind:?} after {after}");
            assert_eq!(resumed.best_image(), unbroken.best_image());
            assert_eq!(status(resumed.as_ref()), status(unbroken.as_ref()));
        }
    }
}

#[test]
fn an_average_is_the_mean_of_the_images_without_its_beginnings_bias() {
    let decay = 0.8;
    for &device in devices().iter() {
        let image = start(device);
        let mut adam = build(
            OptimizerKind::Adam,
            &image,
            0.05,
            4,
            Tracking::Average(decay),
        )
        .unwrap();
        let (mut sum, mut weights) = (image.zeros_like(), 0.0);
        for step in 0..6 {
            sum = sum * decay + adam.image() * (1.0 - decay);
            weights = weights * decay + (1.0 - decay);
            let gradient = adam.image() - 0.3;
            adam.step(
                &gradient,
                &Tensor::from(1.0 + f64::from(step)).to_device(device),
            )
            .unwrap();
            let off = (adam.best_image() - &sum / weights).abs().max();
            assert!(off.double_value(&[]) < 1e-6, "after {step} steps");
        }
        // Another loss, another average.
        adam.restart().unwrap();
        let image = adam.image().copy();
        adam.step(&image.zeros_like(), &Tensor::from(9.0).to_device(device))
            .unwrap();
        let off = (adam.best_image() - image).abs().max();
        assert!(off.double_value(&[]) < 1e-6);
    }
}

#[test]
fn the_latest_image_is_kept_unless_its_total_is_far_higher() {
    let image = start(Device::Cpu);
    let mut lbfgs = build(OptimizerKind::Lbfgs, &image, 1.0, 4, Tracking::Latest).unwrap();
    let step = |lbfgs: &mut Box<dyn Optimizer>, total: f64| {
        let tried = lbfgs.image().copy();
        let gradient = &tried - 0.4;
        lbfgs.step(&gradient, &Tensor::from(total)).unwrap();
        (lbfgs.best_image() - tried).abs().max().double_value(&[]) == 0.0
    };
    assert!(step(&mut lbfgs, 100.0));
    assert!(step(&mut lbfgs, 105.0), "a little higher");
    assert!(!step(&mut lbfgs, 1e6), "it went wrong");
    assert!(step(&mut lbfgs, 104.0));
}

/// Without a kernel that keeps the latest image, what is remembered must be of a kind
/// that libtorch multiplies by.
#[test]
fn the_latest_image_is_kept_on_every_device() {
    for &device in devices().iter() {
        let walk = |optimizer: &mut dyn Optimizer| {
            for _ in 0..8 {
                let (total, gradient) = bowl(optimizer.image());
                optimizer.step(&gradient, &total).unwrap();
            }
        };
        let image = start(device);
        let mut lbfgs = build(OptimizerKind::Lbfgs, &image, 1.0, 4, Tracking::Latest).unwrap();
        walk(lbfgs.as_mut());
        let mut state = StateDict::new(Default::default());
        lbfgs.save(&mut state).unwrap();
        let state = StateDict::read(state.write().unwrap()).unwrap();
        let settings = preset::Optimizer::new(OptimizerKind::Lbfgs);
        let mut resumed = restored(&settings, &state, &image, Tracking::Latest).unwrap();
        walk(lbfgs.as_mut());
        walk(resumed.as_mut());
        assert!(most(resumed.image() - lbfgs.image()) < 1e-5, "{device:?}");
        assert!(most(lbfgs.image() - bottom(device).clamp(0.0, 1.0)) < 1e-2);
    }
}
