//! Which input a network's weights expect.
//!
//! Names and shapes do not say, and neither does magnitude: one might think
//! that a network trained on ±128 has a first layer some fifty times smaller
//! than one trained on ±2.6, but Caffe's VGG-16 has 0.21 there (root mean
//! square), and printed filters of torchvision's have 0.09 to 0.37. So the
//! convention is either stated, by the user or in a safetensors header, or the
//! weights are known ones: by the SHA-256 of the file, or by the values
//! themselves, which a new file of the same weights keeps.

use std::collections::BTreeMap;

use super::error::quoted;
use super::{Convention, UnknownConvention, WeightsErrorKind};

/// The key in a safetensors header that states the convention.
const KEY: &str = "convention";

/// Weights that many people have.
struct Known {
    what: &'static str,
    convention: Convention,
    /// How the SHA-256 of the published file begins, which its name carries.
    sha256: &'static str,
    /// Some values of conv1_1's weight: output, input, row, column.
    values: &'static [([usize; 4], f32)],
}

static KNOWN: [Known; 4] = [
    Known {
        what: "VGG-16 converted from Caffe",
        convention: Convention::BgrMinusMean,
        sha256: "00b39a1b",
        values: &[
            ([0, 0, 0, 0], 0.429_47),
            ([0, 0, 0, 1], 0.373_47),
            ([0, 0, 0, 2], -0.061_36),
            ([0, 0, 1, 0], 0.274_77),
            ([0, 0, 1, 1], 0.038_68),
            ([0, 0, 1, 2], -0.367_22),
            ([0, 0, 2, 0], -0.057_47),
            ([0, 0, 2, 1], -0.262_25),
            ([0, 0, 2, 2], -0.350_10),
        ],
    },
    // Published listings of these print the corner of the first filters, in
    // red, green, blue.
    Known {
        what: "VGG-19 converted from Caffe",
        convention: Convention::BgrMinusMean,
        sha256: "d01eb7cb",
        values: &[
            ([0, 2, 0, 0], 0.394_17),
            ([1, 2, 0, 0], -0.084_20),
            ([2, 2, 0, 0], -0.036_31),
            ([0, 1, 0, 0], 0.464_18),
            ([1, 1, 0, 0], 0.033_56),
            ([2, 1, 0, 0], 0.102_45),
            ([0, 0, 0, 0], 0.341_20),
            ([1, 0, 0, 0], 0.095_63),
            ([2, 0, 0, 0], 0.017_74),
        ],
    },
    Known {
        what: "torchvision's VGG-16",
        convention: Convention::RgbImageNet,
        sha256: "397923af",
        values: &[
            ([0, 0, 0, 0], -0.553_7),
            ([0, 0, 0, 1], 0.142_7),
            ([0, 0, 0, 2], 0.529_0),
            ([0, 0, 1, 0], -0.583_1),
            ([0, 0, 1, 1], 0.356_6),
            ([0, 0, 1, 2], 0.765_7),
            ([0, 0, 2, 0], -0.690_2),
            ([0, 0, 2, 1], -0.048_0),
            ([0, 0, 2, 2], 0.484_1),
        ],
    },
    Known {
        what: "torchvision's VGG-19",
        convention: Convention::RgbImageNet,
        sha256: "dcbb9e9d",
        values: &[
            ([0, 0, 0, 0], -0.053_474),
            ([0, 0, 0, 1], -0.049_257),
            ([0, 0, 0, 2], -0.067_942),
            ([0, 0, 1, 0], 0.015_314),
            ([0, 0, 1, 1], 0.045_068),
            ([0, 0, 1, 2], 0.002_144),
            ([0, 0, 2, 0], 0.036_226),
            ([0, 0, 2, 1], 0.019_999),
            ([0, 0, 2, 2], 0.019_864),
        ],
    },
];

impl Known {
    /// Whether these are the weights. The values may have been rounded to
    /// bfloat16, which moves them by up to 0.4 %.
    fn is(&self, sha256: &str, first: &[f32]) -> bool {
        sha256.starts_with(self.sha256)
            || self.values.iter().all(|&(place, value)| {
                let [output, input, row, column] = place;
                let place = ((output * 3 + input) * 3 + row) * 3 + column;
                (first.get(place))
                    .is_some_and(|found| (found - value).abs() < 0.005 * value.abs() + 1e-4)
            })
    }
}

/// The convention of the weights in a file whose conv1_1 has the weight
/// `first`, `[64, 3, 3, 3]`.
///
/// # Errors
/// When nothing says so, when the header states one that is not known, and when
/// `stated` is not that of weights that are known.
pub(super) fn identify(
    stated: Option<Convention>,
    metadata: &BTreeMap<String, String>,
    sha256: &str,
    first: &[f32],
) -> Result<Convention, WeightsErrorKind> {
    let known = KNOWN.iter().find(|known| known.is(sha256, first));
    match (known, stated, metadata.get(KEY)) {
        (Some(known), Some(stated), _) if known.convention != stated => {
            Err(WeightsErrorKind::OtherConvention {
                what: known.what,
                known: known.convention,
                stated,
            })
        }
        (Some(known), ..) => Ok(known.convention),
        (None, Some(stated), _) => Ok(stated),
        (None, None, Some(name)) => (name.parse())
            .map_err(|UnknownConvention| WeightsErrorKind::StrangeConvention(quoted(name))),
        (None, None, None) => Err(WeightsErrorKind::UnknownConvention),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first layer that has only the values by which it is known.
    fn first(known: &Known, round: impl Fn(f32) -> f32) -> Vec<f32> {
        let mut values = vec![0.0; 64 * 27];
        for &([output, input, row, column], value) in known.values {
            values[output * 27 + input * 9 + row * 3 + column] = round(value);
        }
        values
    }

    fn identify_by_values(first: &[f32]) -> Result<Convention, WeightsErrorKind> {
        identify(None, &BTreeMap::new(), "", first)
    }

    #[test]
    fn known_weights_are_known_by_their_values_in_every_precision() {
        let roundings: [fn(f32) -> f32; 3] = [
            |value| value,
            |value| half::f16::from_f32(value).to_f32(),
            |value| half::bf16::from_f32(value).to_f32(),
        ];
        for known in &KNOWN {
            for round in roundings {
                let first = first(known, round);
                assert_eq!(identify_by_values(&first).unwrap(), known.convention);
                let others = KNOWN.iter().filter(|other| other.is("", &first));
                assert_eq!(others.count(), 1, "{}", known.what);
            }
        }
    }

    #[test]
    fn known_files_are_known_by_their_digest() {
        let identify = |sha256| identify(None, &BTreeMap::new(), sha256, &[]);
        assert_eq!(identify("d01eb7cb00").unwrap(), Convention::BgrMinusMean);
        assert_eq!(identify("dcbb9e9d00").unwrap(), Convention::RgbImageNet);
        assert!(identify("00d01eb7cb").is_err());
    }

    #[test]
    fn other_weights_must_say_what_they_expect() {
        let mut altered = first(&KNOWN[0], |value| value);
        altered[0] *= -1.0;
        for first in [&altered[..], &[0.0; 64 * 27], &[], &[f32::NAN; 64 * 27]] {
            assert!(matches!(
                identify_by_values(first),
                Err(WeightsErrorKind::UnknownConvention)
            ));
            for convention in Convention::ALL {
                let none = BTreeMap::new();
                assert_eq!(
                    identify(Some(convention), &none, "", first).unwrap(),
                    convention
                );
                let header = BTreeMap::from([(KEY.to_owned(), convention.to_string())]);
                assert_eq!(identify(None, &header, "", first).unwrap(), convention);
                // The user's word stands above the header's.
                let other = Convention::ALL[usize::from(convention == Convention::ALL[0])];
                assert_eq!(identify(Some(other), &header, "", first).unwrap(), other);
            }
        }
        let header = BTreeMap::from([(KEY.to_owned(), "rgb\u{1b}".to_owned())]);
        let error = identify(None, &header, "", &altered)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`rgb\\u{1b}`"), "{error}");
    }

    #[test]
    fn a_statement_against_known_weights_is_refused() {
        let first = first(&KNOWN[2], |value| value);
        let none = BTreeMap::new();
        let error = identify(Some(Convention::BgrMinusMean), &none, "", &first).unwrap_err();
        assert_eq!(
            error.to_string(),
            "these are known weights (torchvision's VGG-16), whose convention is rgb-imagenet, \
             not bgr-minus-mean. Leave the convention out."
        );
        let same = identify(Some(Convention::RgbImageNet), &none, "", &first);
        assert_eq!(same.unwrap(), Convention::RgbImageNet);
    }
}
