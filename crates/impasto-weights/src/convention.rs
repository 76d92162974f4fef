//! The inputs that networks expect.

use std::fmt;
use std::str::FromStr;

/// What the picture must be turned into before the first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// Caffe: blue, green, red in 0..255, minus 103.939, 116.779 and 123.68.
    BgrMinusMean,
    /// torchvision: red, green, blue in 0..1, minus 0.485, 0.456 and 0.406,
    /// divided by 0.229, 0.224 and 0.225.
    RgbImageNet,
}

impl Convention {
    pub(super) const ALL: [Self; 2] = [Self::BgrMinusMean, Self::RgbImageNet];

    /// The name in options and in a safetensors header.
    pub fn name(self) -> &'static str {
        match self {
            Self::BgrMinusMean => "bgr-minus-mean",
            Self::RgbImageNet => "rgb-imagenet",
        }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is that of no convention.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown convention; one of bgr-minus-mean (Caffe) and rgb-imagenet (torchvision)")]
pub struct UnknownConvention;

impl FromStr for Convention {
    type Err = UnknownConvention;

    fn from_str(name: &str) -> Result<Self, UnknownConvention> {
        (Self::ALL.into_iter())
            .find(|convention| convention.name() == name)
            .ok_or(UnknownConvention)
    }
}
