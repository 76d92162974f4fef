//! The distribution of each channel (Risser, Wilmot & Barnes 2017): every feature is
//! compared with the style's feature of the same rank, mean((F − R)²). It is the
//! squared Wasserstein-2 distance of the two histograms; several styles are averaged
//! rank by rank. R depends on F by its rank alone, so its derivative is nothing.

use tch::{Kind, Tensor};

use super::{Comparison, Needs, Slope, Statistic, Sums, Target};
use crate::Result;
use crate::kernels::{self, Instructions};
use crate::layout::CHANNELS_LAST;
use crate::network::{rows, unrows};
use crate::slices::{filled, floats};

pub(super) struct Histogram;

/// The channels of a map `[1, C, H, W]` as rows in ascending order, `[C, N]` float32,
/// with the positions that they come from.
fn sorted(map: &Tensor) -> Result<(Tensor, Tensor)> {
    let channels = rows(map)?.f_tr()?.f_to_kind(Kind::Float)?.f_contiguous()?;
    // Stable, so that equal values are in the same order everywhere.
    Ok(channels.f_sort_stable(true, 1, false)?)
}

/// The value of ascending rows `[C, M]` at each of the places `[C or 1, N]`, which lie
/// between 0 and M − 1.
fn interpolated(rows: &Tensor, places: &Tensor) -> Result<Tensor> {
    let (channels, length) = rows.size2()?;
    let (_, count) = places.size2()?;
    let places = places.f_clamp(0.0, (length - 1) as f64)?;
    let below = places.f_floor()?;
    let share = places.f_sub(&below)?.f_to_kind(Kind::Float)?;
    let below = below
        .f_to_kind(Kind::Int64)?
        .f_expand([channels, count], false)?;
    let above = below.f_add_scalar(1)?.f_clamp_max(length - 1)?;
    let low = rows.f_gather(1, &below, false)?;
    let high = rows.f_gather(1, &above, false)?;
    Ok(low.f_add(&high.f_sub(&low)?.f_mul(&share)?)?)
}

/// Where each of N values with these weights `[C, N]`, float64, stands among all: the
/// share of the weight before it, plus half of its own.
fn ranks(weights: &Tensor) -> Result<Tensor> {
    let sums = weights.f_cumsum(1, Kind::Double)?;
    let total = sums.f_narrow(1, sums.size()[1] - 1, 1)?;
    let middle = sums.f_sub(&weights.f_mul_scalar(0.5)?)?;
    Ok(middle.f_div(&total.f_clamp_min(f64::MIN_POSITIVE)?)?)
}

/// The weights of positions `[1, 1, H, W]` in the order of each channel, `[C, N]` float64.
fn in_order(weights: &Tensor, order: &Tensor) -> Result<Tensor> {
    let (channels, count) = order.size2()?;
    let weights = weights.f_reshape([1, -1])?.f_to_kind(Kind::Double)?;
    Ok(weights
        .f_expand([channels, count], false)?
        .f_gather(1, order, false)?)
}

impl Statistic for Histogram {
    fn needs(&self) -> Needs {
        Needs {
            map: true,
            ..Needs::default()
        }
    }

    /// The style's values at the N ranks of the image, `[C, N]`.
    fn target(&self, style: &Sums, positions: i64) -> Result<Target> {
        let (map, weights) = style.map()?;
        let (values, order) = match (weights, sorted_by_our_kernels(map)?) {
            (None, Some(values)) => (values, None),
            _ => {
                let (values, order) = sorted(map)?;
                (values, Some(order))
            }
        };
        let (channels, length) = values.size2()?;
        let options = (Kind::Double, values.device());
        let wanted = Tensor::f_arange(positions, options)?
            .f_add_scalar(0.5)?
            .f_div_scalar(positions as f64)?;
        let places = match weights.zip(order) {
            None => wanted
                .f_mul_scalar(length as f64)?
                .f_sub_scalar(0.5)?
                .f_unsqueeze(0)?,
            Some((weights, order)) => {
                let ranks = ranks(&in_order(weights, &order)?)?.f_contiguous()?;
                let wanted = wanted
                    .f_unsqueeze(0)?
                    .f_expand([channels, positions], false)?;
                let wanted = wanted.f_contiguous()?;
                let above = wanted.f_searchsorted(&ranks, false, false, "left", None::<&Tensor>)?;
                // Of a single value, both are that one.
                let above = above.f_clamp_max(length - 1)?;
                let below = above.f_sub_scalar(1)?.f_clamp_min(0)?;
                let low = ranks.f_gather(1, &below, false)?;
                let high = ranks.f_gather(1, &above, false)?;
                let gap = high.f_sub(&low)?.f_clamp_min(f64::MIN_POSITIVE)?;
                let share = wanted.f_sub(&low)?.f_div(&gap)?.f_clamp(0.0, 1.0)?;
                below.f_to_kind(Kind::Double)?.f_add(&share)?
            }
        };
        Ok(Target(vec![interpolated(&values, &places)?]))
    }

    fn compare(&self, image: &Sums, target: &Target, factor: f64) -> Result<Comparison> {
        let (map, weights) = image.map()?;
        let table = &target.0[0];
        // d mean(w·(F − R)²) / dF = 2·w·(F − R) / (C·N)
        let scale = factor * 2.0 / image.elements();
        if weights.is_none()
            && let Some(found) = by_our_kernels(map, table, scale)?
        {
            return Ok(found);
        }
        let (values, order) = sorted(map)?;
        let (matched, weights) = match weights {
            None => (table.shallow_clone(), None),
            Some(weights) => {
                let weights = in_order(weights, &order)?;
                let places = ranks(&weights)?
                    .f_mul_scalar(table.size()[1] as f64)?
                    .f_sub_scalar(0.5)?;
                let weights = weights.f_to_kind(Kind::Float)?;
                (interpolated(table, &places)?, Some(weights))
            }
        };
        let difference = values.f_sub(&matched)?;
        let weighted = match &weights {
            None => difference.shallow_clone(),
            Some(weights) => difference.f_mul(weights)?,
        };
        let loss = weighted.f_mul(&difference)?.f_mean(Kind::Float)?;
        if scale == 0.0 {
            return Ok(Comparison { loss, slope: None });
        }
        let mut share = weighted.f_zeros_like()?;
        let share = share.f_scatter_(1, &order, &weighted.f_mul_scalar(scale)?)?;
        let share = unrows(&share.f_tr()?.f_contiguous()?, map)?;
        Ok(Comparison {
            loss,
            slope: Some(Slope::Map(share)),
        })
    }
}

/// The values of [`sorted`] by our own kernel where it can.
fn sorted_by_our_kernels(map: &Tensor) -> Result<Option<Tensor>> {
    let Some((values, _)) = floats(map, CHANNELS_LAST).zip(Instructions::detect()) else {
        return Ok(None);
    };
    let (_, channels, height, width) = map.size4()?;
    let count = height * width;
    filled(&[channels, count], |out| {
        kernels::sort_channels(values, channels as usize, count as usize, out)
    })
    .map(Some)
}

/// As [`Histogram::compare`], by our own kernel where it can.
fn by_our_kernels(map: &Tensor, table: &Tensor, scale: f64) -> Result<Option<Comparison>> {
    let values = floats(map, CHANNELS_LAST).zip(floats(table, &[0, 1]));
    let Some(((values, ranked), _)) = values.zip(Instructions::detect()) else {
        return Ok(None);
    };
    let (_, channels, height, width) = map.size4()?;
    let (channels, count) = (channels as usize, (height * width) as usize);
    let mut sums = vec![0.0; channels];
    let share = filled(&[height * width, channels as i64], |out| {
        kernels::match_histograms(
            values,
            ranked,
            channels,
            count,
            scale as f32,
            out,
            &mut sums,
        )
    })?;
    let loss = sums.iter().sum::<f64>() / (channels * count) as f64;
    Ok(Some(Comparison {
        loss: Tensor::from(loss as f32),
        slope: match scale == 0.0 {
            true => None,
            false => Some(Slope::Map(unrows(&share, map)?)),
        },
    }))
}
