//! 2×2 max pooling with stride 2, and its gradient.
//!
//! Nothing is remembered in between: who won is seen again in the map that was
//! pooled. As in PyTorch the first of equal values wins, in the order of the
//! rows, and a value that is not a number wins over all before it. An odd last
//! row or column is dropped. There is next to no arithmetic in this, so plain
//! loops are as fast as the memory.

use super::lanes::LANES;
use super::scratch::Shared;
use super::threads::parallel;
use super::{Result, check, check_multiple};

/// Whether `value` beats the best so far.
#[inline(always)]
fn beats(value: f32, best: f32) -> bool {
    value > best || value.is_nan()
}

/// Pools `input`, `[height, width, channels]`, into `output`,
/// `[height / 2, width / 2, channels]`.
///
/// # Errors
/// When a slice has the wrong length or `channels` is not a multiple of 16.
pub fn max_pool(
    input: &[f32],
    (height, width): (usize, usize),
    channels: usize,
    output: &mut [f32],
) -> Result<()> {
    check_multiple("channels", LANES, channels)?;
    check("the input map", height * width * channels, input.len())?;
    let (rows, columns) = (height / 2, width / 2);
    check("the pooled map", rows * columns * channels, output.len())?;
    let line = width * channels;
    let pooled = columns * channels;
    if pooled == 0 {
        return Ok(());
    }
    let shared = Shared::new(output);
    parallel(rows, |y| {
        // SAFETY: each part has a row of its own.
        let output = unsafe { shared.part(y * pooled..(y + 1) * pooled) };
        let (upper, lower) = input[2 * y * line..][..2 * line].split_at(line);
        let upper = upper.chunks_exact(2 * channels);
        let lower = lower.chunks_exact(2 * channels);
        for ((upper, lower), output) in upper.zip(lower).zip(output.chunks_exact_mut(channels)) {
            let [a, b, c, d] = quarters(upper, lower);
            for (i, output) in output.iter_mut().enumerate() {
                let mut best = a[i];
                for value in [b[i], c[i], d[i]] {
                    best = if beats(value, best) { value } else { best };
                }
                *output = best;
            }
        }
    });
    Ok(())
}

/// The four places of a window, each half of a line's part.
#[inline(always)]
fn quarters<'a>(upper: &'a [f32], lower: &'a [f32]) -> [&'a [f32]; 4] {
    let (a, b) = upper.split_at(upper.len() / 2);
    let (c, d) = lower.split_at(a.len());
    // All of one length, so that no loop has to check.
    [a, &b[..a.len()], &c[..a.len()], &d[..a.len()]]
}

/// The values from `start` on. Fixed lengths let the compiler see that results
/// overlap nothing, and use vectors.
#[inline(always)]
fn lanes(values: &[f32], start: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&values[start..start + LANES]);
    lanes
}

/// What each of the four places of some windows gets of their gradients.
#[inline(always)]
fn share([a, b, c, d]: [[f32; LANES]; 4], gradient: [f32; LANES]) -> [[f32; LANES]; 4] {
    let mut shares = [[0.0; LANES]; 4];
    for i in 0..LANES {
        let b_wins = beats(b[i], a[i]);
        let best = if b_wins { b[i] } else { a[i] };
        let c_wins = beats(c[i], best);
        let best = if c_wins { c[i] } else { best };
        let d_wins = beats(d[i], best);
        let all = gradient[i].to_bits();
        let give = |wins: bool| f32::from_bits(if wins { all } else { 0 });
        shares[0][i] = give(!b_wins & !c_wins & !d_wins);
        shares[1][i] = give(b_wins & !c_wins & !d_wins);
        shares[2][i] = give(c_wins & !d_wins);
        shares[3][i] = give(d_wins);
    }
    shares
}

/// Hands each gradient of a pooled value, `[height / 2, width / 2, channels]`,
/// to the value that won, in `out`, which is shaped as the map `before` pooling,
/// `[height, width, channels]`. All others get zero.
///
/// # Errors
/// When a slice has the wrong length or `channels` is not a multiple of 16.
pub fn max_pool_backward(
    before: &[f32],
    gradient: &[f32],
    (height, width): (usize, usize),
    channels: usize,
    out: &mut [f32],
) -> Result<()> {
    check_multiple("channels", LANES, channels)?;
    check(
        "the map before pooling",
        height * width * channels,
        before.len(),
    )?;
    let (rows, columns) = (height / 2, width / 2);
    check("the gradient", rows * columns * channels, gradient.len())?;
    check("the output", before.len(), out.len())?;
    let line = width * channels;
    let pooled = columns * channels;
    if line == 0 {
        return Ok(());
    }
    let shared = Shared::new(out);
    parallel(height.div_ceil(2), |y| {
        let range = 2 * y * line..(2 * y + 2).min(height) * line;
        // SAFETY: each part has two rows of its own.
        let out = unsafe { shared.part(range.clone()) };
        if y >= rows || pooled == 0 {
            out.fill(0.0);
            return;
        }
        let (upper, lower) = before[range].split_at(line);
        let (upper_out, lower_out) = out.split_at_mut(line);
        upper_out[2 * pooled..].fill(0.0);
        lower_out[2 * pooled..].fill(0.0);
        let window = 2 * channels;
        let lines = upper.chunks_exact(window).zip(lower.chunks_exact(window));
        let outs = upper_out
            .chunks_exact_mut(window)
            .zip(lower_out.chunks_exact_mut(window));
        let gradient = gradient[y * pooled..][..pooled].chunks_exact(channels);
        for (((upper, lower), (upper_out, lower_out)), gradient) in lines.zip(outs).zip(gradient) {
            let [a, b, c, d] = quarters(upper, lower);
            let (a_out, b_out) = upper_out.split_at_mut(channels);
            let (c_out, d_out) = lower_out.split_at_mut(channels);
            for start in (0..channels).step_by(LANES) {
                let window = [a, b, c, d].map(|values| lanes(values, start));
                let shares = share(window, lanes(gradient, start));
                for (out, share) in [&mut *a_out, &mut *b_out, &mut *c_out, &mut *d_out]
                    .into_iter()
                    .zip(shares)
                {
                    out[start..start + LANES].copy_from_slice(&share);
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;

    #[test]
    fn pooling_and_its_gradient_by_hand() {
        // 3 × 5, one channel; ties in the second window.
        #[rustfmt::skip]
        let map = [
            1.0, 2.0,  7.0, 7.0,  9.0,
            4.0, 3.0,  7.0, 7.0,  9.0,
            9.0, 9.0,  9.0, 9.0,  9.0,
        ];
        let mut pooled = [f32::NAN; 2 * 16];
        max_pool(&spread(&map), (3, 5), 16, &mut pooled).unwrap();
        assert_eq!(pooled[..], spread(&[4.0, 7.0]));
        let mut out = [f32::NAN; 15 * 16];
        let gradient = spread(&[10.0, 20.0]);
        max_pool_backward(&spread(&map), &gradient, (3, 5), 16, &mut out).unwrap();
        let mut expected = [0.0; 15];
        expected[5] = 10.0;
        expected[2] = 20.0;
        assert_eq!(out[..], spread(&expected));
    }

    /// The same values in each of 16 channels.
    fn spread(values: &[f32]) -> Vec<f32> {
        values.iter().flat_map(|value| [*value; 16]).collect()
    }

    #[test]
    fn each_gradient_goes_to_one_winner() {
        for (height, width) in [(1, 1), (1, 4), (5, 7), (17, 33), (64, 48)] {
            let channels = 32;
            let map = noise(height * width * channels, 1);
            let pooled = (height / 2) * (width / 2) * channels;
            let mut output = vec![f32::NAN; pooled];
            max_pool(&map, (height, width), channels, &mut output).unwrap();
            let gradient: Vec<f32> = (1..=pooled).map(|i| i as f32).collect();
            let mut out = vec![f32::NAN; map.len()];
            max_pool_backward(&map, &gradient, (height, width), channels, &mut out).unwrap();
            let mut seen = 0;
            for (place, &value) in out.iter().enumerate() {
                assert!(!value.is_nan());
                if value != 0.0 {
                    let (y, x) = (place / channels / width, place / channels % width);
                    let at = ((y / 2) * (width / 2) + x / 2) * channels + place % channels;
                    assert_eq!(value, gradient[at]);
                    assert_eq!(map[place], output[at]);
                    seen += 1;
                }
            }
            assert_eq!(seen, pooled);
        }
    }

    #[test]
    fn what_is_not_a_number_wins() {
        for bad in 0..4 {
            let mut map = [1.0; 4];
            map[bad] = f32::NAN;
            let map = spread(&map);
            let mut pooled = [0.0; 16];
            max_pool(&map, (2, 2), 16, &mut pooled).unwrap();
            assert!(pooled.iter().all(|value| value.is_nan()));
            let mut out = [0.0; 64];
            max_pool_backward(&map, &[5.0; 16], (2, 2), 16, &mut out).unwrap();
            assert_eq!(out[bad * 16..][..16], [5.0; 16]);
            assert_eq!(out.iter().sum::<f32>(), 80.0);
        }
    }
}
