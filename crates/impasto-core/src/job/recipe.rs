//! How a picture was made, as it is stored in its PNG.

use serde::{Deserialize, Serialize};

use super::in_order;
use crate::picture::Source;
use crate::preset::Preset;

/// One picture that went into a run, identified by its content rather than by
/// where it lay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The file's name, without its folders.
    pub file: String,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    pub width: u32,
    pub height: u32,
}

/// How a picture was made. It travels in the metadata of the PNG, and
/// `impasto run --recipe` reads it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The version of impasto that painted.
    pub impasto: String,
    /// The preset as it was when the run ended.
    pub preset: Preset,
    pub content: Input,
    /// The first style, and the others in their order.
    pub style: Input,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_styles: Vec<Input>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Input>,
    /// The pictures of the preset's masks, each followed by that of its region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Input>,
    /// The processor that painted: `cpu` or `cuda:N`.
    pub device: String,
    /// What the network computed in: `float32`, `tf32` or `bfloat16`.
    #[serde(default = "float32")]
    pub precision: String,
    /// The version of libtorch, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libtorch: Option<String>,
    /// SHA-256 of the file that the network's weights came from.
    pub weights: String,
    /// What that file expects as its input, such as `bgr-minus-mean`.
    #[serde(default)]
    pub convention: String,
}

impl Recipe {
    /// The pictures, each with its role, as [`Job::pictures`](super::Job::pictures) has
    /// them.
    pub fn inputs(&self) -> Vec<(String, &Input)> {
        let styles = std::iter::once(&self.style).chain(&self.more_styles);
        let mut pictures = self.masks.iter();
        // A recipe of another program may have fewer.
        let masks = self.preset.masks.iter().map_while(|mask| {
            let file = pictures.next()?;
            let region = match mask.region {
                Some(_) => Some(pictures.next()?),
                None => None,
            };
            Some((file, region))
        });
        in_order(&self.content, styles, self.start.as_ref(), masks)
    }
}

/// The precision of recipes that do not state one.
fn float32() -> String {
    "float32".to_owned()
}

/// What a recipe records of the machine and the network.
#[derive(Clone, Debug, Default)]
pub struct Painted {
    pub device: String,
    pub precision: String,
    pub libtorch: Option<String>,
    pub weights: String,
    pub convention: String,
}

impl Input {
    /// What a recipe says of a picture.
    pub fn of(source: &Source) -> Self {
        Self {
            file: source
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            sha256: source.sha256.clone(),
            width: source.picture.width(),
            height: source.picture.height(),
        }
    }
}
