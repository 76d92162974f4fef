//! What of a style layer's features is compared: one file for each statistic.
//!
//! A statistic names which sums over the positions of a feature map it needs
//! ([`Needs`]), what of a style it keeps as its target, and how an image's sums compare
//! with that: its loss and, beside it, the loss's derivative ([`Slope`]). Everything
//! else is the same for all of them: sums add up over tiles and may be weighted by
//! a mask, targets of several styles are averaged, slopes are applied to features.
//!
//! With features F `[N, C]`, a row for each position, and weights w `[N]` whose mean is
//! 1 (all 1 without a mask):
//!
//! | Statistic | Loss |
//! | --- | --- |
//! | `gram` | mean((G − A)²), G = Σ w·FᵀF / (C·N) |
//! | `mean_std` | mean((μ − μₐ)²) + mean((σ − σₐ)²) |
//! | `covariance` | mean((μ − μₐ)²) + tr(Σₐ + Σ − 2(Σₐ^½·Σ·Σₐ^½)^½) / C |
//! | `histogram` | mean over channels of Σ w·(F − R)² / N, R the style's value at F's rank |
//!
//! Each is multiplied by a constant of the layer (`balance`), so that one can be
//! exchanged for another without new weights.

mod balance;
mod covariance;
mod gram;
mod histogram;
mod mean_std;
#[cfg(test)]
mod tests;

use impasto_core::preset::{self, Layer};
use tch::{Kind, Tensor};

use super::network::rows;
use super::products::{add_product, products};
use super::tiles::Part;
use super::{EngineError, Result};

/// Which sums a statistic needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    /// Σ w·FᵀF, `[C, C]`.
    pub products: bool,
    /// Σ w·F, `[C]`.
    pub sums: bool,
    /// Σ w·F², `[C]`.
    pub squares: bool,
    /// The feature map itself.
    pub map: bool,
}

/// The sums of a feature map over its positions, or over those of some tiles.
#[derive(Debug)]
pub(super) struct Sums {
    /// C and N.
    pub channels: i64,
    pub positions: i64,
    pub products: Option<Tensor>,
    pub sums: Option<Tensor>,
    pub squares: Option<Tensor>,
    /// The map of these positions `[1, C, H, W]`, and the weights `[1, 1, H, W]` of all
    /// positions of the whole map if there are any.
    pub map: Option<(Tensor, Option<Tensor>)>,
}

/// What a style's features are reduced to. Targets of several styles are averaged
/// tensor by tensor.
#[derive(Debug)]
pub(super) struct Target(pub Vec<Tensor>);

/// The derivative of a loss with respect to the features `[N, C]`.
#[derive(Debug)]
pub(super) enum Slope {
    /// w·(F·matrix + F·scale + offset), with `[C, C]`, `[C]` and `[C]`, float32.
    Affine {
        matrix: Option<Tensor>,
        scale: Option<Tensor>,
        offset: Option<Tensor>,
    },
    /// Given for each position of the whole map, `[1, C, H, W]`.
    Map(Tensor),
}

/// How an image's sums compare with a target.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The loss, 0-dimensional, float32.
    pub loss: Tensor,
    /// None where it is not wanted.
    pub slope: Option<Slope>,
}

/// One statistic of the features of a layer.
pub(super) trait Statistic: Send + Sync {
    fn needs(&self) -> Needs;

    /// Whether a comparison on the CPU is long and gains little by several threads: then
    /// those of several layers are done at the same time.
    fn compares_slowly(&self) -> bool {
        false
    }

    /// What is kept of a style, for an image with `positions` positions in this layer.
    ///
    /// # Errors
    /// When libtorch fails.
    fn target(&self, style: &Sums, positions: i64) -> Result<Target>;

    /// What the comparison needs of an averaged target, computed once.
    ///
    /// # Errors
    /// When libtorch fails.
    fn prepare(&self, target: Target) -> Result<Target> {
        Ok(target)
    }

    /// The loss of an image, and `factor` times its derivative unless that is 0.
    ///
    /// # Errors
    /// When libtorch fails.
    fn compare(&self, image: &Sums, target: &Target, factor: f64) -> Result<Comparison>;
}

/// The statistic that a preset compares in this layer.
pub(super) fn of(style: &preset::StyleTerm, layer: Layer) -> Box<dyn Statistic> {
    match style.statistic.of(layer) {
        preset::Statistic::Gram => Box::new(gram::Gram { shift: style.shift }),
        preset::Statistic::MeanStd => Box::new(mean_std::MeanStd),
        preset::Statistic::Covariance => Box::new(covariance::Covariance),
        preset::Statistic::Histogram => Box::new(histogram::Histogram),
    }
}

/// What a layer's loss is multiplied by, so that it counts for as much as that of the
/// Gram matrix would.
pub fn balance(style: &preset::StyleTerm, layer: Layer) -> f64 {
    balance::balance(style.statistic.of(layer), layer)
}

impl Sums {
    /// The sums over the part `own` of a map `[1, C, H, W]`, which is the part `place` of
    /// a whole map. `guide` holds the weights of the whole map's
    /// positions, `[1, 1, H, W]`, if there are any.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn of(
        needs: Needs,
        map: &Tensor,
        (own, place): (Part, Part),
        guide: Option<&Tensor>,
    ) -> Result<Self> {
        let part = own.of(map)?;
        let features = rows(&part)?;
        let weights = guide.map(|guide| part_weights(guide, place)).transpose()?;
        let (positions, channels) = features.size2()?;
        let weighted = |power: f64| -> Result<Tensor> {
            Ok(match &weights {
                None => features.shallow_clone(),
                Some(weights) => {
                    let weights = weights.f_pow_tensor_scalar(power)?;
                    features.f_mul(&weights.f_to_kind(features.f_kind()?)?)?
                }
            })
        };
        let column_sum =
            |rows: &Tensor| rows.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        Ok(Self {
            channels,
            positions,
            products: match needs.products {
                true => Some(products(&weighted(0.5)?)?),
                false => None,
            },
            sums: match needs.sums {
                true => Some(column_sum(&weighted(1.0)?)?),
                false => None,
            },
            squares: match needs.squares {
                true => {
                    let square = weighted(0.5)?.f_to_kind(Kind::Float)?.f_square()?;
                    Some(column_sum(&square)?)
                }
                false => None,
            },
            map: match needs.map {
                false => None,
                true => Some((part, guide.map(Tensor::shallow_clone))),
            },
        })
    }

    /// Makes room for the positions of other tiles: the map becomes one of the `whole`, in
    /// which these positions are the part `place`. `shared` is the map that the sums of
    /// other regions of the same tiles have already, if any.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn widen(&mut self, place: Part, whole: Part, shared: &mut Option<Tensor>) -> Result<()> {
        let Some((map, _)) = self.map.as_mut().filter(|_| place != whole) else {
            return Ok(());
        };
        let all = match shared {
            Some(all) => all.shallow_clone(),
            none => {
                let shape = [1, whole.height, whole.width, self.channels];
                let empty = Tensor::f_zeros(shape, (map.f_kind()?, map.device()))?;
                let all = empty.f_permute([0, 3, 1, 2])?;
                place.of(&all)?.f_copy_(map)?;
                none.insert(all).shallow_clone()
            }
        };
        *map = all;
        Ok(())
    }

    /// Adds the sums over other positions, those of the part `place` of the whole map,
    /// which there is [room](Sums::widen) for.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn add(&mut self, other: &Self, place: Part) -> Result<()> {
        self.positions += other.positions;
        for (own, other) in [
            (&mut self.products, &other.products),
            (&mut self.sums, &other.sums),
            (&mut self.squares, &other.squares),
        ] {
            if let (Some(own), Some(other)) = (own, other) {
                let _ = own.f_add_(other)?;
            }
        }
        if let (Some((own, _)), Some((other, _))) = (&self.map, &other.map) {
            place.of(own)?.f_copy_(other)?;
        }
        Ok(())
    }

    /// The same sums, which share their memory.
    pub fn shared(&self) -> Self {
        let share = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
        let map = self.map.as_ref();
        Self {
            channels: self.channels,
            positions: self.positions,
            products: share(&self.products),
            sums: share(&self.sums),
            squares: share(&self.squares),
            map: map.map(|(map, weights)| (map.shallow_clone(), share(weights))),
        }
    }

    /// C·N.
    fn elements(&self) -> f64 {
        (self.channels * self.positions) as f64
    }

    fn need(sum: Option<&Tensor>) -> Result<&Tensor> {
        // Whoever asks has said so in its needs.
        sum.ok_or_else(|| EngineError::Torch("a statistic lacks a sum that it needs".to_owned()))
    }

    fn products(&self) -> Result<&Tensor> {
        Self::need(self.products.as_ref())
    }

    fn sums(&self) -> Result<&Tensor> {
        Self::need(self.sums.as_ref())
    }

    fn squares(&self) -> Result<&Tensor> {
        Self::need(self.squares.as_ref())
    }

    fn map(&self) -> Result<(&Tensor, Option<&Tensor>)> {
        let (map, weights) = self
            .map
            .as_ref()
            .map_or((None, None), |(map, weights)| (Some(map), weights.as_ref()));
        Ok((Self::need(map)?, weights))
    }
}

impl Target {
    /// The same target, which shares its memory.
    pub fn shared(&self) -> Self {
        Self(self.0.iter().map(Tensor::shallow_clone).collect())
    }

    /// The average of targets, each with its share.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn average(targets: Vec<(f64, Self)>) -> Result<Self> {
        let mut sum: Option<Vec<Tensor>> = None;
        for (share, Self(tensors)) in targets {
            let weighted = tensors.iter().map(|tensor| tensor.f_mul_scalar(share));
            let weighted = weighted.collect::<std::result::Result<Vec<_>, _>>()?;
            match &mut sum {
                None => sum = Some(weighted),
                Some(sum) => {
                    for (sum, tensor) in sum.iter_mut().zip(&weighted) {
                        let _ = sum.f_add_(tensor)?;
                    }
                }
            }
        }
        Ok(Self(sum.unwrap_or_default()))
    }
}

impl Slope {
    /// Adds the derivative for the part `own` of a map `[1, C, H, W]` to the `gradient` of
    /// that part's rows, whose memory is used again; `place` is that part in the whole
    /// map, and `guide` the weights of the whole map's positions.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn add_to(
        &self,
        gradient: Option<Tensor>,
        features: &Tensor,
        place: Part,
        guide: Option<&Tensor>,
    ) -> Result<Tensor> {
        let kind = features.f_kind()?;
        let (matrix, scale, offset) = match self {
            Self::Map(map) => {
                let share = rows(&place.of(map)?)?.f_to_kind(kind)?;
                return Ok(match gradient {
                    Some(mut gradient) => gradient.f_add_(&share)?,
                    // The map may be read again.
                    None => super::layout::copied(&share)?,
                });
            }
            Self::Affine {
                matrix,
                scale,
                offset,
            } => (matrix, scale, offset),
        };
        let weights = guide.map(|guide| part_weights(guide, place)).transpose()?;
        let weights = weights.map(|it| it.f_to_kind(kind)).transpose()?;
        let weighted = match &weights {
            None => features.shallow_clone(),
            Some(weights) => features.f_mul(weights)?,
        };
        let mut gradient = match matrix {
            Some(matrix) => add_product(gradient, &weighted, matrix)?,
            None => match gradient {
                Some(gradient) => gradient,
                None => features.f_zeros_like()?,
            },
        };
        if let Some(scale) = scale {
            let _ = gradient.f_addcmul_(&weighted, &scale.f_to_kind(kind)?)?;
        }
        if let Some(offset) = offset {
            let offset = offset.f_to_kind(kind)?;
            match &weights {
                None => drop(gradient.f_add_(&offset)?),
                Some(weights) => drop(gradient.f_addcmul_(weights, &offset)?),
            }
        }
        Ok(gradient)
    }
}

/// The weights of the part `place` of a map's positions, `[N, 1]`.
fn part_weights(guide: &Tensor, place: Part) -> Result<Tensor> {
    Ok(place.of(guide)?.f_reshape([-1, 1])?)
}
