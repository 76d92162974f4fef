//! The first layer: from a picture's three channels to many, and the gradient
//! back to the picture.
//!
//! With three channels there is too little to gain from Winograd's method. Both
//! ways are one small matrix product per place, and the memory's speed is the
//! limit.

use super::lanes::{Instructions, LANES, Simd, SimdTask};
use super::product::{Left, OutputMode, PANEL, multiply};
use super::scratch::{Aligned, Shared, with_scratch};
use super::threads::{parallel, threads};
use super::{Result, check, check_multiple};

/// From RGB in 0..1 to what the network expects.
const SCALE: f32 = 255.0;
/// Weights of one output: 3 channels of 3 × 3.
const TAPS: usize = 27;
/// The taps and a one, for the bias.
const DEPTH: usize = TAPS + 1;
/// Columns of a block: some full tiles of the matrix product.
const BLOCK: usize = 112;

/// The filters of the first convolution, in both directions.
#[derive(Debug)]
pub struct FirstFilters {
    instructions: Instructions,
    outputs: usize,
    /// The network's channels: blue, green, red.
    mean: [f32; 3],
    /// `[outputs / PANEL, DEPTH, PANEL]`, the bias last.
    forward: Aligned,
    /// `[outputs, PANEL]`: the taps of each output, scaled; the rest is zero.
    backward: Aligned,
}

impl FirstFilters {
    /// The filters of a convolution from a picture to `outputs` channels;
    /// `weight` is `[outputs, 3, 3, 3]` for BGR in 0..255 minus `mean_bgr`.
    ///
    /// # Errors
    /// When a slice has the wrong length or `outputs` is not a multiple of 32.
    pub fn new(
        instructions: Instructions,
        weight: &[f32],
        bias: &[f32],
        mean_bgr: [f32; 3],
    ) -> Result<Self> {
        let outputs = bias.len();
        check_multiple("output channels", PANEL, outputs)?;
        check("weights", outputs * TAPS, weight.len())?;
        let mut forward = Aligned::new(outputs * DEPTH);
        let mut backward = Aligned::new(outputs * PANEL);
        let (to, back) = (forward.as_mut_slice(), backward.as_mut_slice());
        for (o, (weight, bias)) in weight.chunks_exact(TAPS).zip(bias).enumerate() {
            let panel = &mut to[o / PANEL * DEPTH * PANEL..];
            for (tap, weight) in weight.iter().enumerate() {
                panel[tap * PANEL + o % PANEL] = *weight;
                back[o * PANEL + tap] = weight * SCALE;
            }
            panel[TAPS * PANEL + o % PANEL] = *bias;
        }
        Ok(Self {
            instructions,
            outputs,
            mean: mean_bgr,
            forward,
            backward,
        })
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The first feature map, `[height, width, outputs]`, after bias and ReLU,
    /// of a `picture`, `[3, height, width]`, RGB in 0..1.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn forward(
        &self,
        picture: &[f32],
        (height, width): (usize, usize),
        output: &mut [f32],
    ) -> Result<()> {
        check("the picture", 3 * height * width, picture.len())?;
        check(
            "the output map",
            height * width * self.outputs,
            output.len(),
        )?;
        let line = width * self.outputs;
        let shared = Shared::new(output);
        parallel(height, |y| {
            with_scratch(DEPTH * BLOCK, |taps| {
                self.instructions.run(ForwardRow {
                    filters: self,
                    picture,
                    size: (height, width),
                    y,
                    taps,
                    // SAFETY: each part has a row of its own.
                    output: unsafe { shared.part(y * line..(y + 1) * line) },
                });
            });
        });
        Ok(())
    }

    /// The gradient with respect to the picture, `[3, height, width]`, from that
    /// with respect to the feature map, `[height, width, outputs]`, which counts
    /// as zero where `mask` is not above zero.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn backward(
        &self,
        gradient: &[f32],
        (height, width): (usize, usize),
        mask: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<()> {
        check(
            "the gradient",
            height * width * self.outputs,
            gradient.len(),
        )?;
        if let Some(mask) = mask {
            check("the mask", gradient.len(), mask.len())?;
        }
        check("the output picture", 3 * height * width, output.len())?;
        // The row above and below each band is looked at twice.
        let band = (height / (threads() * 4)).clamp(8, 32);
        let shared = Shared::new(output);
        parallel(height.div_ceil(band), |part| {
            let floats = BLOCK * (self.outputs + PANEL);
            with_scratch(floats, |scratch| {
                let (rows, shares) = scratch.split_at_mut(BLOCK * self.outputs);
                self.instructions.run(BackwardBand {
                    filters: self,
                    gradient,
                    mask,
                    size: (height, width),
                    band: (part * band, ((part + 1) * band).min(height)),
                    rows,
                    shares,
                    output: &shared,
                });
            });
        });
        Ok(())
    }
}

/// One row of the feature map.
struct ForwardRow<'a> {
    filters: &'a FirstFilters,
    picture: &'a [f32],
    size: (usize, usize),
    y: usize,
    /// `[DEPTH, BLOCK]`
    taps: &'a mut [f32],
    output: &'a mut [f32],
}

impl SimdTask for ForwardRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (_, width) = self.size;
        let Self { filters, taps, .. } = self;
        let outputs = filters.outputs;
        taps[TAPS * BLOCK..].fill(1.0);
        for left in (0..width).step_by(BLOCK) {
            let count = BLOCK.min(width - left);
            for (tap, line) in taps[..TAPS * BLOCK].chunks_exact_mut(BLOCK).enumerate() {
                tap_line(
                    self.picture,
                    self.size,
                    filters.mean,
                    (self.y, left),
                    tap,
                    line,
                );
            }
            let values = Left::<'_, 1, 4> {
                values: taps,
                step: BLOCK,
                group: 4 * BLOCK,
            };
            let panels = filters.forward.as_slice().chunks_exact(DEPTH * PANEL);
            for (i, panel) in panels.enumerate() {
                let out = &mut self.output[left * outputs + i * PANEL..];
                multiply(simd, values, count, panel, out, outputs, OutputMode::Relu);
            }
        }
    }
}

/// What one tap sees of the picture from place (y, left) on; zero, the padding,
/// beyond its edges.
#[inline(always)]
fn tap_line(
    picture: &[f32],
    (height, width): (usize, usize),
    mean: [f32; 3],
    (y, left): (usize, usize),
    tap: usize,
    line: &mut [f32],
) {
    let (channel, dy, dx) = (tap / 9, tap / 3 % 3, tap % 3);
    line.fill(0.0);
    let Some(y) = (y + dy).checked_sub(1).filter(|y| *y < height) else {
        return;
    };
    let row = &picture[((2 - channel) * height + y) * width..][..width];
    let skip = usize::from(left + dx == 0);
    let from = (left + skip + dx).saturating_sub(1).min(width);
    for (place, value) in line[skip..].iter_mut().zip(&row[from..]) {
        *place = value * SCALE - mean[channel];
    }
}

/// Some rows of the picture's gradient.
struct BackwardBand<'a> {
    filters: &'a FirstFilters,
    gradient: &'a [f32],
    mask: Option<&'a [f32]>,
    size: (usize, usize),
    /// The first row, and the one after the last.
    band: (usize, usize),
    /// `[outputs / LANES, places, LANES]`
    rows: &'a mut [f32],
    /// What each place gives to each tap, `[places, PANEL]`.
    shares: &'a mut [f32],
    output: &'a Shared<'a>,
}

impl SimdTask for BackwardBand<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (height, width) = self.size;
        for plane in 0..3 {
            for y in self.band.0..self.band.1 {
                self.line(plane, y, 0, width).fill(0.0);
            }
        }
        let (from, to) = (self.band.0.saturating_sub(1), (self.band.1 + 1).min(height));
        for y in from..to {
            // A block gives to all but its outermost columns.
            for left in (0..width).step_by(BLOCK - 2) {
                let first = left.saturating_sub(1);
                let last = (left + BLOCK - 1).min(width);
                self.collect(simd, y, first, last);
                self.hand_out(y, (left, (left + BLOCK - 2).min(width)), (first, last));
            }
        }
    }
}

impl BackwardBand<'_> {
    /// Part of a line of the output.
    #[inline(always)]
    fn line(&mut self, plane: usize, y: usize, from: usize, to: usize) -> &mut [f32] {
        let (height, width) = self.size;
        let start = (plane * height + y) * width;
        // SAFETY: each band has rows of its own, and `self` lends one line at
        // a time.
        unsafe { self.output.part(start + from..start + to) }
    }

    /// Computes the shares of the places `first..last` of row `y`.
    #[inline(always)]
    fn collect<S: Simd>(&mut self, simd: S, y: usize, first: usize, last: usize) {
        let outputs = self.filters.outputs;
        let count = last - first;
        let range = (y * self.size.1 + first) * outputs..(y * self.size.1 + last) * outputs;
        let gradient = self.gradient[range.clone()].as_chunks().0;
        let mask = self.mask.map(|mask| mask[range].as_chunks().0);
        let (rows, _) = self.rows.as_chunks_mut();
        let groups = outputs / LANES;
        for place in 0..count {
            for group in 0..groups {
                let mut value = simd.load(&gradient[place * groups + group]);
                if let Some(mask) = mask {
                    let mask = simd.load(&mask[place * groups + group]);
                    value = simd.keep_where_positive(value, mask);
                }
                simd.store(value, &mut rows[group * count + place]);
            }
        }
        let left = Left::<'_, LANES, LANES> {
            values: &self.rows[..count * outputs],
            step: 1,
            group: count * LANES,
        };
        let taps = self.filters.backward.as_slice();
        multiply(
            simd,
            left,
            count,
            taps,
            self.shares,
            PANEL,
            OutputMode::Replace,
        );
    }

    /// Adds the shares of row `y` to the columns `columns.0..columns.1` of the
    /// three rows that it gives to; the shares of `places.0..places.1` are there.
    #[inline(always)]
    fn hand_out(&mut self, y: usize, columns: (usize, usize), places: (usize, usize)) {
        for channel in 0..3 {
            for dy in 0..3 {
                let Some(to) = (y + dy).checked_sub(1) else {
                    continue;
                };
                if to < self.band.0 || to >= self.band.1 {
                    continue;
                }
                let shares = std::mem::take(&mut self.shares);
                let line = self.line(2 - channel, to, columns.0, columns.1);
                for dx in 0..3 {
                    let tap = channel * 9 + dy * 3 + dx;
                    // Column x gets tap dx's share of place x + 1 − dx.
                    let from = (columns.0 + 1).saturating_sub(dx).max(places.0);
                    let skip = (from + dx) - 1 - columns.0;
                    let shares = shares[(from - places.0) * PANEL..(places.1 - places.0) * PANEL]
                        .chunks_exact(PANEL);
                    for (sum, shares) in line[skip..].iter_mut().zip(shares) {
                        *sum += shares[tap];
                    }
                }
                self.shares = shares;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{convolve, error, noise, turned};
    use super::*;

    const MEAN: [f32; 3] = [103.9, 116.8, 123.7];

    /// Wide enough for two blocks, and the edges.
    const SIZES: [(usize, usize); 6] = [(1, 1), (2, 3), (5, 7), (17, 33), (9, 111), (40, 230)];

    fn filters() -> (Vec<f32>, Vec<f32>, Vec<FirstFilters>) {
        let (weight, bias) = (noise(64 * TAPS, 1), noise(64, 2));
        let filters = Instructions::all()
            .into_iter()
            .map(|instructions| FirstFilters::new(instructions, &weight, &bias, MEAN).unwrap())
            .collect();
        (weight, bias, filters)
    }

    #[test]
    fn forward_agrees_with_the_plain_convolution() {
        let (weight, bias, all) = filters();
        for filters in all {
            for (height, width) in SIZES {
                let places = height * width;
                let picture = noise(3 * places, 3);
                let mut bgr = vec![0.0; 3 * places];
                for place in 0..places {
                    for c in 0..3 {
                        bgr[place * 3 + c] = picture[(2 - c) * places + place] * 255.0 - MEAN[c];
                    }
                }
                let mut expected = convolve(&bgr, (height, width), &weight, (3, 64));
                for (i, value) in expected.iter_mut().enumerate() {
                    *value = (*value + f64::from(bias[i % 64])).max(0.0);
                }
                let mut output = vec![f32::NAN; expected.len()];
                filters
                    .forward(&picture, (height, width), &mut output)
                    .unwrap();
                assert!(error(&output, &expected) < 1e-6);
            }
        }
    }

    #[test]
    fn backward_agrees_with_the_turned_convolution() {
        let (weight, _, all) = filters();
        let turned = turned(&weight, 3, 64);
        for filters in all {
            for (height, width) in SIZES {
                let places = height * width;
                let mut gradient = noise(64 * places, 3);
                let mask = noise(64 * places, 4);
                let mut output = vec![f32::NAN; 3 * places];
                filters
                    .backward(&gradient, (height, width), Some(&mask), &mut output)
                    .unwrap();
                let mut plain = vec![f32::NAN; 3 * places];
                for (value, mask) in gradient.iter_mut().zip(&mask) {
                    *value = if *mask > 0.0 { *value } else { 0.0 };
                }
                filters
                    .backward(&gradient, (height, width), None, &mut plain)
                    .unwrap();
                assert_eq!(output, plain);
                let bgr = convolve(&gradient, (height, width), &turned, (64, 3));
                let mut expected = vec![0.0; 3 * places];
                for place in 0..places {
                    for c in 0..3 {
                        expected[(2 - c) * places + place] = bgr[place * 3 + c] * 255.0;
                    }
                }
                assert!(error(&output, &expected) < 1e-6, "{height} {width}");
            }
        }
    }
}
