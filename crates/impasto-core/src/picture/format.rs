//! The kinds of pictures that can be written.

use std::path::Path;

use super::PictureError;
use crate::text::display_path;

/// A kind of picture that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Lossless; the only kind that carries a recipe.
    Png,
    Jpeg,
    /// Lossless.
    WebP,
    Tiff,
    Bmp,
}

impl OutputFormat {
    /// Whether [`save`](super::save) can keep a recipe in a picture of this kind.
    #[must_use]
    pub fn carries_recipe(self) -> bool {
        self == Self::Png
    }

    /// Whether it can have 16 bits a channel.
    #[must_use]
    pub fn has_16_bits(self) -> bool {
        matches!(self, Self::Png | Self::Tiff)
    }

    /// The longest side that the format can express, if it is one that a
    /// picture can have, and the format's name.
    pub(super) fn side_limit(self) -> Option<(u32, &'static str)> {
        match self {
            Self::Jpeg => Some((65_535, "JPEG")),
            Self::WebP => Some((16_383, "WebP")),
            Self::Png | Self::Tiff | Self::Bmp => None,
        }
    }
}

/// The kind of picture that [`save`](super::save) writes to this path, by its extension in
/// upper or lower case.
///
/// # Errors
/// [`PictureError::UnknownExtension`], which names the known ones.
pub fn output_format(path: &Path) -> Result<OutputFormat, PictureError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("png") => Ok(OutputFormat::Png),
        Some("jpg" | "jpeg") => Ok(OutputFormat::Jpeg),
        Some("webp") => Ok(OutputFormat::WebP),
        Some("tif" | "tiff") => Ok(OutputFormat::Tiff),
        Some("bmp") => Ok(OutputFormat::Bmp),
        _ => Err(PictureError::UnknownExtension {
            file: display_path(path),
        }),
    }
}
