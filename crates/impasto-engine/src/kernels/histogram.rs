//! Matching histograms: each channel of a map is sorted and compared with a sorted row
//! of the same length.

use super::lanes::LANES;
use super::parallel;
use super::scratch::{Shared, make_room, with_scratch};
use super::{Result, check};

/// Channels that are read together: a cache line of floats.
const BLOCK: usize = 16;
/// Rows whose lines stay in the cache while their columns are read.
const ROWS: usize = 64;
/// The bits of one digit of the radix sort, and how many digits a key has.
const BITS: u32 = 11;
const DIGITS: usize = 3;
const BUCKETS: usize = 1 << BITS;

/// Sorts each of `channels` channels of `rows`, `[count, channels]`, and compares its
/// values with those of the same rank in `ranked`, `[channels, count]`, each row
/// ascending. Writes `scale` times the differences where the values came from, to
/// `out`, `[count, channels]`, and the sums of the squared differences to `sums`.
///
/// Of equal values the one that comes first has the lower rank. Every value that is not
/// above zero counts as zero, as behind a ReLU.
///
/// # Errors
/// When a slice has the wrong length, or `count` is 2³² or more.
pub fn match_histograms(
    rows: &[f32],
    ranked: &[f32],
    channels: usize,
    count: usize,
    scale: f32,
    out: &mut [f32],
    sums: &mut [f64],
) -> Result<()> {
    check("the rows", channels * count, rows.len())?;
    check("the sorted rows", channels * count, ranked.len())?;
    check("the differences", channels * count, out.len())?;
    check("the sums", channels, sums.len())?;
    check("positions", count, count.min(u32::MAX as usize))?;
    let out = Shared::new(out);
    let sums = Shared::new(sums);
    by_columns(
        rows,
        channels,
        count,
        |channel, values, sorter| {
            let ranked = &ranked[channel * count..(channel + 1) * count];
            let sum = sorter.match_channel(values, ranked, scale);
            // SAFETY: each channel has one place, and belongs to one block.
            unsafe { sums.part(channel..channel + 1)[0] = sum };
        },
        |first, width, columns, stride| {
            for row in 0..count {
                let from = row * channels + first;
                // SAFETY: blocks write to different columns.
                let target = unsafe { out.part(from..from + width) };
                let column = columns[row..].iter().step_by(stride);
                for (value, from) in target.iter_mut().zip(column) {
                    *value = *from;
                }
            }
        },
    );
    Ok(())
}

/// The channels of `rows`, `[count, channels]`, each in ascending order: `[channels, count]`.
/// Values that are not above zero become zero.
///
/// # Errors
/// As [`match_histograms`].
pub fn sort_channels(rows: &[f32], channels: usize, count: usize, out: &mut [f32]) -> Result<()> {
    check("the rows", channels * count, rows.len())?;
    check("the sorted rows", channels * count, out.len())?;
    check("positions", count, count.min(u32::MAX as usize))?;
    let out = Shared::new(out);
    by_columns(
        rows,
        channels,
        count,
        |channel, values, sorter| {
            // SAFETY: each channel has one row, and belongs to one block.
            let row = unsafe { out.part(channel * count..(channel + 1) * count) };
            sorter.sort_channel(values, row);
        },
        |_, _, _, _| {},
    );
    Ok(())
}

/// Gives `each` the channels of `rows`, `[count, channels]`, one by one, as a column of its
/// own that it may change; then `all` the columns of a block: the first channel, how many
/// there are, the columns, and how far apart they lie.
fn by_columns(
    rows: &[f32],
    channels: usize,
    count: usize,
    each: impl Fn(usize, &mut [f32], &mut Sorter) + Sync,
    all: impl Fn(usize, usize, &[f32], usize) + Sync,
) {
    parallel(channels.div_ceil(BLOCK), |block| {
        let first = block * BLOCK;
        let width = BLOCK.min(channels - first);
        // A multiple of a page apart, all of them would want the same lines of the cache.
        let stride = count.next_multiple_of(LANES) + 3 * LANES;
        with_scratch(width * stride, |columns| {
            for top in (0..count).step_by(ROWS) {
                let height = ROWS.min(count - top);
                let rows = &rows[top * channels + first..];
                for column in 0..width {
                    let from = rows[column..].iter().step_by(channels);
                    let to = &mut columns[column * stride + top..][..height];
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = *from;
                    }
                }
            }
            let mut sorter = Sorter::default();
            for column in 0..width {
                let values = &mut columns[column * stride..column * stride + count];
                each(first + column, values, &mut sorter);
            }
            all(first, width, columns, stride);
        });
    });
}

/// Sorts keys with the positions that they come from.
#[derive(Default)]
struct Sorter {
    pairs: Vec<u64>,
    spare: Vec<u64>,
}

impl Sorter {
    /// Replaces values by `scale` times their differences from what has their rank, and
    /// gives the sum of the squared differences.
    fn match_channel(&mut self, values: &mut [f32], ranked: &[f32], scale: f32) -> f64 {
        self.pairs.clear();
        make_room(&mut self.pairs, values.len());
        make_room(&mut self.spare, values.len());
        let mut zeros = 0;
        let mut sum = 0.0;
        for (position, value) in values.iter_mut().enumerate() {
            if *value > 0.0 {
                // The bits of positive floats have the order of the floats.
                self.pairs
                    .push(u64::from(value.to_bits()) << 32 | position as u64);
            } else {
                if value.is_nan() {
                    sum = f64::NAN;
                }
                let difference = -ranked[zeros];
                sum += f64::from(difference) * f64::from(difference);
                *value = difference * scale;
                zeros += 1;
            }
        }
        self.sort();
        for (pair, ranked) in self.pairs.iter().zip(&ranked[zeros..]) {
            let position = *pair as u32 as usize;
            let difference = f32::from_bits((pair >> 32) as u32) - ranked;
            sum += f64::from(difference) * f64::from(difference);
            values[position] = difference * scale;
        }
        sum
    }

    /// Writes the values in ascending order.
    fn sort_channel(&mut self, values: &[f32], out: &mut [f32]) {
        self.pairs.clear();
        make_room(&mut self.pairs, values.len());
        make_room(&mut self.spare, values.len());
        let above = values.iter().filter(|value| **value > 0.0);
        self.pairs
            .extend(above.map(|value| u64::from(value.to_bits()) << 32));
        self.sort();
        let zeros = values.len() - self.pairs.len();
        out[..zeros].fill(0.0);
        for (value, pair) in out[zeros..].iter_mut().zip(&self.pairs) {
            *value = f32::from_bits((pair >> 32) as u32);
        }
    }

    /// Radix sort by the upper 32 bits, from the lowest digit to the highest; stable.
    fn sort(&mut self) {
        let digit =
            |pair: u64, index: usize| (pair >> (32 + BITS * index as u32)) as usize & (BUCKETS - 1);
        let mut counts = vec![[0u32; BUCKETS]; DIGITS];
        for pair in &self.pairs {
            for (index, counts) in counts.iter_mut().enumerate() {
                counts[digit(*pair, index)] += 1;
            }
        }
        self.spare.resize(self.pairs.len(), 0);
        for (index, counts) in counts.iter_mut().enumerate() {
            let mut next = 0;
            for count in counts.iter_mut() {
                next += std::mem::replace(count, next);
            }
            for pair in &self.pairs {
                let place = &mut counts[digit(*pair, index)];
                self.spare[*place as usize] = *pair;
                *place += 1;
            }
            std::mem::swap(&mut self.pairs, &mut self.spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::noise;

    #[test]
    fn every_value_is_compared_with_the_one_of_its_rank() {
        for (channels, count) in [(1, 1), (16, 100), (40, 333), (3, 5000)] {
            let rows: Vec<f32> = noise(channels * count, 3)
                .into_iter()
                // Half of them zero, and some of them equal.
                .map(|value| (value * 200.0).round().max(0.0) / 7.0)
                .collect();
            let mut ranked = noise(channels * count, 5);
            for row in ranked.chunks_exact_mut(count) {
                row.sort_by(f32::total_cmp);
            }
            let mut sorted = vec![f32::NAN; rows.len()];
            sort_channels(&rows, channels, count, &mut sorted).unwrap();
            for (channel, sorted) in sorted.chunks_exact(count).enumerate() {
                let mut wanted: Vec<f32> = (0..count)
                    .map(|position| rows[position * channels + channel])
                    .collect();
                wanted.sort_by(f32::total_cmp);
                assert_eq!(sorted, wanted);
            }
            let mut out = vec![f32::NAN; rows.len()];
            let mut sums = vec![f64::NAN; channels];
            match_histograms(&rows, &ranked, channels, count, 0.5, &mut out, &mut sums).unwrap();
            for channel in 0..channels {
                let value = |position: usize| rows[position * channels + channel];
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
                let mut sum = 0.0;
                for (rank, position) in order.into_iter().enumerate() {
                    let difference = value(position) - ranked[channel * count + rank];
                    let found = out[position * channels + channel];
                    assert!((found - 0.5 * difference).abs() < 1e-6);
                    sum += f64::from(difference).powi(2);
                }
                assert!((sums[channel] - sum).abs() <= 1e-6 * sum);
            }
        }
    }

    #[test]
    fn what_is_no_number_shows() {
        let mut sums = [0.0];
        let rows = [1.0, f32::NAN, 2.0];
        let mut out = [0.0; 3];
        match_histograms(&rows, &[0.0, 1.0, 2.0], 1, 3, 1.0, &mut out, &mut sums).unwrap();
        assert!(sums[0].is_nan());
        assert!(match_histograms(&rows, &[0.0; 2], 1, 3, 1.0, &mut out, &mut sums).is_err());
    }
}
