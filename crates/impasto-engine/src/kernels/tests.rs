//! The convolutions against plain ones in double precision.

use super::convolution::Epilogue;
use super::filters::Filters;
use super::lanes::Instructions;
use super::scratch::with_scratch;
use super::threads::parallel;
use super::{KernelError, Result, guard};

/// Numbers in −1..1 that look random and are always the same.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The largest difference over the largest expected value.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    let mut difference = 0f64;
    for (&found, &expected) in found.iter().zip(expected) {
        assert!(found.is_finite());
        difference = difference.max((f64::from(found) - expected).abs());
    }
    difference / largest.max(1e-30)
}

/// `[H, W, I]` with weights `[O, I, 3, 3]`.
pub fn convolve(
    input: &[f32],
    (height, width): (usize, usize),
    weight: &[f32],
    (inputs, outputs): (usize, usize),
) -> Vec<f64> {
    let mut result = vec![0f64; height * width * outputs];
    // [3, 3, I, O]: the innermost loop runs along the outputs.
    let mut taps = vec![0f64; weight.len()];
    for o in 0..outputs {
        for i in 0..inputs {
            for k in 0..9 {
                taps[(k * inputs + i) * outputs + o] = f64::from(weight[(o * inputs + i) * 9 + k]);
            }
        }
    }
    for y in 0..height {
        for x in 0..width {
            let sums = &mut result[(y * width + x) * outputs..][..outputs];
            for k in 0..9 {
                let (v, u) = (y + k / 3, x + k % 3);
                if v < 1 || v > height || u < 1 || u > width {
                    continue;
                }
                let place = ((v - 1) * width + u - 1) * inputs;
                for i in 0..inputs {
                    let value = f64::from(input[place + i]);
                    let taps = &taps[(k * inputs + i) * outputs..][..outputs];
                    for (sum, tap) in sums.iter_mut().zip(taps) {
                        *sum += value * tap;
                    }
                }
            }
        }
    }
    result
}

/// `[O, I, 3, 3]` to `[I, O, 3, 3]`, turned by 180°.
pub fn turned(weight: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let mut result = vec![0.0; weight.len()];
    for o in 0..outputs {
        for i in 0..inputs {
            for k in 0..9 {
                result[(i * outputs + o) * 9 + 8 - k] = weight[(o * inputs + i) * 9 + k];
            }
        }
    }
    result
}

const SIZES: [(usize, usize); 5] = [(1, 1), (5, 7), (4, 8), (17, 33), (64, 48)];

fn filters(weight: &[f32], (inputs, outputs): (usize, usize), transposed: bool) -> Vec<Filters> {
    Instructions::all()
        .into_iter()
        .map(|instructions| {
            let make = if transposed {
                Filters::transposed
            } else {
                Filters::new
            };
            make(instructions, weight, inputs, outputs).unwrap()
        })
        .collect()
}

#[test]
fn forward_agrees_with_the_plain_convolution() {
    for (inputs, outputs) in [(32, 64), (64, 32), (320, 32)] {
        let weight = noise(outputs * inputs * 9, 1);
        let bias = noise(outputs, 2);
        for filters in filters(&weight, (inputs, outputs), false) {
            for size in SIZES {
                if inputs > 64 && size.0 > 17 {
                    continue;
                }
                let input = noise(size.0 * size.1 * inputs, 3);
                let mut expected = convolve(&input, size, &weight, (inputs, outputs));
                let mut output = vec![f32::NAN; expected.len()];
                let convolve = |epilogue, output: &mut [f32]| {
                    filters
                        .convolve(&input, size, None, epilogue, output)
                        .unwrap();
                };
                convolve(Epilogue::Plain, &mut output);
                assert!(error(&output, &expected) < 5e-6, "{size:?}");
                convolve(Epilogue::Add, &mut output);
                let twice: Vec<f64> = expected.iter().map(|v| v * 2.0).collect();
                assert!(error(&output, &twice) < 5e-6);
                for (i, value) in expected.iter_mut().enumerate() {
                    *value += f64::from(bias[i % outputs]);
                }
                convolve(Epilogue::Bias(&bias), &mut output);
                assert!(error(&output, &expected) < 5e-6);
                for value in &mut expected {
                    *value = value.max(0.0);
                }
                convolve(Epilogue::BiasRelu(&bias), &mut output);
                assert!(error(&output, &expected) < 5e-6);
            }
        }
    }
}

#[test]
fn backward_is_the_adjoint_and_masks() {
    let (inputs, outputs) = (32, 64);
    let weight = noise(outputs * inputs * 9, 4);
    let turned = turned(&weight, inputs, outputs);
    let pairs = filters(&weight, (inputs, outputs), false)
        .into_iter()
        .zip(filters(&weight, (inputs, outputs), true));
    for (forward, backward) in pairs {
        for size in SIZES {
            let places = size.0 * size.1;
            let x = noise(places * inputs, 5);
            let gradient = noise(places * outputs, 6);
            let mask = noise(places * outputs, 7);

            let masked: Vec<f32> = gradient
                .iter()
                .zip(&mask)
                .map(|(g, m)| if *m > 0.0 { *g } else { 0.0 })
                .collect();
            let expected = convolve(&masked, size, &turned, (outputs, inputs));
            let mut back = vec![f32::NAN; places * inputs];
            backward
                .convolve(&gradient, size, Some(&mask), Epilogue::Plain, &mut back)
                .unwrap();
            assert!(error(&back, &expected) < 5e-6, "{size:?}");

            // <conv(x), g> = <x, convT(g)>
            let mut y = vec![f32::NAN; places * outputs];
            forward
                .convolve(&x, size, None, Epilogue::Plain, &mut y)
                .unwrap();
            let dot = |a: &[f32], b: &[f32]| -> (f64, f64) {
                let products = || a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
                (products().sum(), products().map(f64::abs).sum())
            };
            let (left, scale) = dot(&y, &masked);
            let (right, _) = dot(&x, &back);
            assert!((left - right).abs() < 1e-6 * scale, "{left} {right}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let (size, channels) = ((64, 64), 64);
    let weight = noise(channels * channels * 9, 1);
    let input = noise(size.0 * size.1 * channels, 2);
    for filters in filters(&weight, (channels, channels), false) {
        let run = || {
            let mut output = vec![f32::NAN; input.len()];
            filters
                .convolve(&input, size, None, Epilogue::Plain, &mut output)
                .unwrap();
            output
        };
        assert_eq!(run(), run());
    }
}

#[test]
fn what_is_not_finite_comes_out_so() {
    let weight = noise(32 * 32 * 9, 1);
    for filters in filters(&weight, (32, 32), false) {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut input = vec![1.0; 9 * 9 * 32];
            input[(4 * 9 + 4) * 32 + 7] = bad;
            let mut output = vec![0.0; input.len()];
            let bias = [0.5; 32];
            filters
                .convolve(&input, (9, 9), None, Epilogue::BiasRelu(&bias), &mut output)
                .unwrap();
            let place = &output[(4 * 9 + 4) * 32..][..32];
            assert!(place.iter().all(|value| !value.is_finite()));
        }
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let Some(instructions) = Instructions::detect() else {
        return;
    };
    assert!(Filters::new(instructions, &[0.0; 10], 32, 32).is_err());
    assert!(Filters::new(instructions, &[0.0; 9 * 9], 3, 3).is_err());
    assert!(Filters::new(instructions, &[], 0, 0).is_err());
    let filters = Filters::new(instructions, &[0.0; 32 * 32 * 9], 32, 32).unwrap();
    let (map, mut output) = ([0.0; 4 * 32], [0.0; 4 * 32]);
    let mut run = |size, mask, epilogue| filters.convolve(&map, size, mask, epilogue, &mut output);
    assert!(run((2, 2), None, Epilogue::Plain).is_ok());
    assert!(run((2, 3), None, Epilogue::Plain).is_err());
    assert!(run((2, 2), Some(&[0.0; 5]), Epilogue::Plain).is_err());
    assert!(run((2, 2), None, Epilogue::Bias(&[0.0; 5])).is_err());
}

#[test]
fn want_of_memory_is_an_error_on_any_thread() {
    let error = guard(|| {
        parallel(8, |part| {
            if part == 5 {
                with_scratch(usize::MAX / 64, |_| ());
            }
        });
        Ok(())
    });
    assert!(matches!(error, Err(KernelError::NoMemory { .. })));
    // Other panics go through.
    let panic = std::panic::catch_unwind(|| guard(|| -> Result<()> { panic!("a mistake") }));
    assert!(panic.is_err());
}
