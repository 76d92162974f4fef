//! Scores of a finished picture by what VGG-16 and its colours say of it.
//!
//! None of them is optimised: the layers are others than those that presets compare, and
//! pictures are looked at at one size, so that results of different presets and programs
//! can be compared. Lower is nearer. No score alone says whether a picture is good: an
//! unchanged photograph has the best content scores, and the style itself the best style
//! scores.

use impasto_core::picture::{Picture, fit_long_side};
use impasto_core::preset::{Layer, Network, Pooling};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::Result;
use super::network::{Vgg, rows};
use super::network_pool::PooledVgg;
use super::pixels::tensor_of;
use super::precision::Precision;
use super::products::products;

/// The long side that pictures are looked at, at the most.
const SIZE: u32 = 512;
/// Where style and content are compared: the ends of four blocks, which Gatys et al.
/// do not use.
const LAYERS: [(u8, u8); 4] = [(1, 2), (2, 2), (3, 3), (4, 3)];
/// The deepest of them, which sees shapes rather than strokes.
const SHAPES: [(u8, u8); 2] = [(3, 3), (4, 3)];
/// The side of the grid whose places are compared with each other.
const GRID: i64 = 32;

/// How near a picture is to its style and to its content.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// ‖G − A‖ / ‖A‖ of the Gram matrices, the mean over the layers. Textures, colours
    /// included.
    pub style_gram: f64,
    /// The Wasserstein-2 distance of the Gaussians with the features' means and
    /// covariances, over the root of the style's variance, the mean over the layers.
    pub style_wasserstein: f64,
    /// The Fréchet distance of the features of `relu4_3` (as SIFID has it, with VGG-16 in
    /// the place of Inception).
    pub style_frechet: f64,
    /// The mean distance of sorted colour values, channel by channel, 0 to 1.
    pub style_colours: f64,
    /// 1 − cosine of the features in the same place, the mean over the layers.
    pub content_features: f64,
    /// How differently places resemble each other (STROTSS's self-distance, which CFSD
    /// follows): the mean |difference| of the distance matrices, whose columns add up to
    /// 1, over the mean distance; the mean over `relu3_3` and `relu4_3`.
    pub content_self_similarity: f64,
    /// As `style_colours`.
    pub content_colours: f64,
}

impl Scores {
    /// Each score's name and value.
    pub fn all(&self) -> [(&'static str, f64); 7] {
        [
            ("style_gram", self.style_gram),
            ("style_wasserstein", self.style_wasserstein),
            ("style_frechet", self.style_frechet),
            ("style_colours", self.style_colours),
            ("content_features", self.content_features),
            ("content_self_similarity", self.content_self_similarity),
            ("content_colours", self.content_colours),
        ]
    }
}

/// Scores `image` against its content and its styles with their shares, on the CPU.
/// Pictures of more than 512 pixels are looked at smaller.
///
/// # Errors
/// When a picture is too small for the network, or memory runs out.
pub fn scores(image: &Picture, content: &Picture, styles: &[(&Picture, f64)]) -> Result<Scores> {
    let deepest = Layer::new(4, 3);
    let vgg = PooledVgg::new(
        Network::VGG16,
        Pooling::Max,
        deepest,
        Device::Cpu,
        Precision::Float32,
    )?;
    let long_side = image.width().max(image.height()).min(SIZE);
    let fitted = |picture: &Picture| {
        let (width, height) = fit_long_side(picture.width(), picture.height(), long_side);
        picture.resized(width, height)
    };
    let image = fitted(image);
    // Place by place: the content has the image's size.
    let content = content.resized(image.width(), image.height());
    let seen = Seen::of(&vgg, &image)?;
    let seen_content = Seen::of(&vgg, &content)?;
    let mut scores = Scores {
        style_gram: 0.0,
        style_wasserstein: 0.0,
        style_frechet: 0.0,
        style_colours: 0.0,
        content_features: seen.feature_distance(&seen_content)?,
        content_self_similarity: seen.self_similarity(&seen_content)?,
        content_colours: colour_distance(&image, &content),
    };
    for (style, share) in styles {
        let style = fitted(style);
        let seen_style = Seen::of(&vgg, &style)?;
        let mut frechet = 0.0;
        let mut wasserstein = 0.0;
        let mut gram = 0.0;
        for (own, other) in seen.maps.iter().zip(&seen_style.maps) {
            let (own, other) = (Moments::of(own)?, Moments::of(other)?);
            gram += number(&own.second.f_sub(&other.second)?.f_norm()?)?
                / number(&other.second.f_norm()?)?.max(f64::MIN_POSITIVE);
            frechet = own.frechet(&other)?;
            let variance = number(&other.covariance()?.f_trace()?)?;
            wasserstein += (frechet / variance.max(f64::MIN_POSITIVE)).sqrt();
        }
        let layers = LAYERS.len() as f64;
        scores.style_gram += share * gram / layers;
        scores.style_wasserstein += share * wasserstein / layers;
        // Of the last, which is the deepest.
        scores.style_frechet += share * frechet;
        scores.style_colours += share * colour_distance(&image, &style);
    }
    Ok(scores)
}

/// The feature maps of a picture in [`LAYERS`], `[1, C, H, W]`.
struct Seen {
    maps: Vec<Tensor>,
}

impl Seen {
    fn of(vgg: &Vgg, picture: &Picture) -> Result<Self> {
        let mut maps = Vec::new();
        vgg.visit(&tensor_of(picture, Device::Cpu)?, |layer, map| {
            if LAYERS.contains(&(layer.block(), layer.index())) {
                maps.push(map.shallow_clone());
            }
            Ok(())
        })?;
        Ok(Self { maps })
    }

    fn feature_distance(&self, other: &Self) -> Result<f64> {
        let mut sum = 0.0;
        for (own, other) in self.maps.iter().zip(&other.maps) {
            let cosine = unit(&rows(own)?)?.f_mul(&unit(&rows(other)?)?)?;
            let cosine = cosine.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
            sum += 1.0 - number(&cosine.f_mean(Kind::Float)?)?;
        }
        Ok(sum / LAYERS.len() as f64)
    }

    fn self_similarity(&self, other: &Self) -> Result<f64> {
        let mut sum = 0.0;
        let deep = LAYERS.len() - SHAPES.len();
        for (own, other) in self.maps.iter().zip(&other.maps).skip(deep) {
            let (own, other) = (self_distances(own)?, self_distances(other)?);
            let difference = own.f_sub(&other)?.f_abs()?.f_mean(Kind::Float)?;
            sum +=
                number(&difference)? / number(&other.f_mean(Kind::Float)?)?.max(f64::MIN_POSITIVE);
        }
        Ok(sum / SHAPES.len() as f64)
    }
}

/// Mean and second moment of features, float64.
struct Moments {
    mean: Tensor,
    second: Tensor,
}

impl Moments {
    fn of(map: &Tensor) -> Result<Self> {
        let features = rows(map)?;
        let count = features.size()[0] as f64;
        let second = products(&features)?
            .f_to_kind(Kind::Double)?
            .f_div_scalar(count)?;
        Ok(Self {
            mean: features.f_mean_dim([0i64].as_slice(), false, Kind::Double)?,
            second,
        })
    }

    fn covariance(&self) -> Result<Tensor> {
        let mean = self.mean.f_unsqueeze(1)?;
        Ok(self.second.f_sub(&mean.f_mm(&mean.f_tr()?)?)?)
    }

    /// |μ − μ'|² + tr(Σ + Σ' − 2(Σ^½·Σ'·Σ^½)^½)
    fn frechet(&self, other: &Self) -> Result<f64> {
        let (own, others) = (self.covariance()?, other.covariance()?);
        let (values, vectors) = own.f_linalg_eigh("L")?;
        let roots = values.f_clamp_min(0.0)?.f_sqrt()?;
        let root = vectors.f_mul(&roots)?.f_mm(&vectors.f_tr()?)?;
        let between = root.f_mm(&others)?.f_mm(&root)?.f_linalg_eigvalsh("L")?;
        let between = between.f_clamp_min(0.0)?.f_sqrt()?.f_sum(Kind::Double)?;
        let mean = self
            .mean
            .f_sub(&other.mean)?
            .f_square()?
            .f_sum(Kind::Double)?;
        let traces = number(&own.f_trace()?)? + number(&others.f_trace()?)?;
        Ok((number(&mean)? + traces - 2.0 * number(&between)?).max(0.0))
    }
}

/// Rows of length 1.
fn unit(rows: &Tensor) -> Result<Tensor> {
    let length = rows.f_norm_scalaropt_dim(2.0, [1i64].as_slice(), true)?;
    Ok(rows.f_div(&length.f_clamp_min(1e-8)?)?)
}

/// 1 − cosine between all places of a grid over a map, each column divided by its sum.
fn self_distances(map: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = map.size4()?;
    let size = [height.min(GRID), width.min(GRID)];
    let places = unit(&rows(&map.f_adaptive_avg_pool2d(size)?)?)?;
    let distances = places.f_mm(&places.f_tr()?)?.f_neg()?.f_add_scalar(1.0)?;
    let distances = distances.f_clamp_min(0.0)?;
    let sums = distances.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Float)?;
    Ok(distances.f_div(&sums.f_clamp_min(1e-8)?)?)
}

/// The Wasserstein-1 distance of the distributions of each channel, their mean.
fn colour_distance(picture: &Picture, other: &Picture) -> f64 {
    const SAMPLES: usize = 4096;
    let quantiles = |picture: &Picture, channel: usize| {
        let values = picture.pixels().iter().skip(channel).step_by(3);
        let mut values: Vec<f32> = values.copied().collect();
        values.sort_by(f32::total_cmp);
        let at = move |sample: usize| values[(2 * sample + 1) * values.len() / (2 * SAMPLES)];
        (0..SAMPLES).map(at).collect::<Vec<f32>>()
    };
    let mut sum = 0.0;
    for channel in 0..3 {
        let pairs = quantiles(picture, channel)
            .into_iter()
            .zip(quantiles(other, channel));
        sum += pairs.map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
    }
    sum / (3 * SAMPLES) as f64
}

fn number(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, seed: u32) -> Picture {
        let bytes: Vec<u8> = (0..3 * width * height)
            .map(|i| ((i * (7 + seed) + i / (5 + seed) * 13) % 251) as u8)
            .collect();
        Picture::from_rgb8(width, height, &bytes).unwrap()
    }

    #[test]
    fn a_picture_is_at_no_distance_from_itself() {
        let (content, style) = (picture(120, 90, 1), picture(100, 100, 4));
        let copy = scores(&content, &content, &[(&style, 1.0)]).unwrap();
        assert!(copy.content_features.abs() < 1e-4);
        assert!(copy.content_self_similarity < 1e-4);
        assert_eq!(copy.content_colours, 0.0);
        assert!(copy.style_gram > 0.01 && copy.style_frechet > 0.0);
        let own = scores(&style, &content, &[(&style, 1.0)]).unwrap();
        assert!(own.style_gram < 1e-4, "{own:?}");
        assert!(own.style_wasserstein < 2e-2, "{own:?}");
        assert_eq!(own.style_colours, 0.0);
        assert!(own.content_features > copy.content_features);
        let half = scores(&style, &content, &[(&style, 0.5), (&content, 0.5)]).unwrap();
        assert!(half.style_gram > own.style_gram);
    }

    #[test]
    fn gaussians_are_compared_as_the_closed_form_says() {
        // In one channel each: means 1 and 4, deviations 2 and 5.
        let moments = |mean: f64, deviation: f64| Moments {
            mean: Tensor::from_slice(&[mean]),
            second: Tensor::from_slice(&[deviation * deviation + mean * mean]).view([1, 1]),
        };
        let found = moments(1.0, 2.0).frechet(&moments(4.0, 5.0)).unwrap();
        assert!((found - 18.0).abs() < 1e-9, "{found}");
    }
}
