//! Command lines of neural-style as presets: jcjohnson/neural-style (`neural_style.lua`)
//! and its successor ProGamerGov/neural-style-pt (`neural_style.py`).
//!
//! A flag that is missing has their default, not impasto's. The formulas below are those
//! of the two programs' sources; ours are in the documentation of [`preset`](crate::preset).
//!
//! **Content and style.** F, P and A are feature maps (C×M, M = H·W) of the image, the
//! content and the style. Both programs use mean square criteria, once for F − P and once
//! for Gram matrices F·Fᵀ that are divided by the number of elements, C·M:
//!
//! ```text
//! theirs:  content_weight · mean((F − P)²)      style_weight · mean((G − T)²)
//! ours:    content.weight · mean((F − P)²)      style.weight · mean((G − T)²)
//! ```
//!
//! with T = Σ bᵢ·G(Aᵢ) / Σ bᵢ on both sides (`blend: target`). So the weights stand as
//! they are, for every layer alike.
//!
//! **Pixels.** With p a pixel from 0 to 1 their image is x = 256·p − mean, in BGR; ours is
//! 255·p − mean. The descent of either program moves its own variable, but the balance of
//! the terms is the same for both: by the chain rule the gradient of every term with respect
//! to p is 256 times the one with respect to x. With 255 in place of 256, VGG-16's losses are
//! 0.7 % (content) and 1.4 % (style) smaller, which is left as it is.
//!
//! **Smoothness.** `neural_style.py` adds tv·(Σ|dx| + Σ|dy|) of x, a sum; ours is a mean
//! over 3·H·W of p. With dx = 256·dp:
//!
//! ```text
//! smoothness.norm = l1        smoothness.weight = tv · 256 · 3·H·W
//! ```
//!
//! `neural_style.lua` adds no loss but a gradient: tv times the differences themselves,
//! without their signs. That is the gradient of tv/2·(Σdx² + Σdy²), where the differences
//! that begin in the last row or column are left out:
//!
//! ```text
//! smoothness.norm = l2        smoothness.weight = tv/2 · 256² · 3·H·W
//! ```
//!
//! **Average pooling.** impasto doubles what it has averaged, so that its features have
//! 2^(b−1) times the size of theirs in block b, but for the biases. Content losses go by the
//! square of that, style losses by the fourth power; layer weights divide by it.
//!
//! **Normalisation.** `-normalize_gradients` of the Lua program is our
//! `normalize_gradients`; after average pooling what is left of the factor above is
//! 2^(b−1) for both terms, from the layer back to the pixels. The Python program applies
//! its function to the loss, a single number: the gradient becomes weight²·∇loss, which is
//! a squared weight. `-normalize_weights` divides a weight by the longest axis of the
//! layer's target: C for a Gram matrix, max(C, H, W) for a feature map.
//!
//! **Adam** takes steps of about its rate, in x: `rate = learning_rate / 256`.
//!
//! **Noise.** `-init random` is x = 0.001·N(0, 1): the mean colour, with noise that no eye
//! sees. Ours is 0.4 to 0.6, evenly, of standard deviation 0.2/√12; the share of it
//! that has theirs is 0.001/256 · √12/0.2.

mod convert;
mod document;
mod error;
mod flags;
mod layers;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::error::ImportError;
use self::flags::Flags;
use crate::preset::Preset;

/// The longest command line, in bytes.
pub const MAX_BYTES: usize = 32 * 1024;

/// What a command line of neural-style means to impasto.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The settings, size and iterations included.
    pub preset: Preset,
    /// `-content_image`, where it is given.
    pub content: Option<PathBuf>,
    /// `-style_image`, in its order.
    pub styles: Vec<PathBuf>,
    /// `-output_image`, where it is given.
    pub output: Option<PathBuf>,
    /// Sentences about what was converted approximately or not at all, and why. They are
    /// safe to print.
    pub notes: Vec<String>,
    /// The words that were imported.
    command: Vec<String>,
}

/// Imports a command line as it would be typed into a POSIX shell: quotes, comments and
/// backslashes before line breaks have their meaning. Nothing is executed, no variable is
/// replaced and no file is opened.
///
/// # Errors
/// When the quotes do not match, a flag is unknown, or a value is wrong or out of a preset's
/// range.
///
/// ```
/// use impasto_core::neural_style::import;
///
/// let imported = import("python neural_style.py -style_weight 500 -image_size 768")?;
/// assert_eq!(imported.preset.style.weight, 500.0);
/// assert_eq!(imported.preset.schedule[0].size, 768);
/// # Ok::<(), impasto_core::neural_style::ImportError>(())
/// ```
pub fn import(command: &str) -> Result<Imported, ImportError> {
    import_words(&split(command)?, |_| None)
}

/// The words of a command line, by the rules of a POSIX shell.
///
/// # Errors
/// When it is too long or a quote is not closed.
pub fn split(command: &str) -> Result<Vec<String>, ImportError> {
    if command.len() > MAX_BYTES {
        return Err(ImportError::TooLong);
    }
    // A shell would take the carriage return of a Windows file for a letter.
    shlex::split(&command.replace("\r\n", "\n")).ok_or(ImportError::Quotes)
}

/// Imports a command line that is already split. `shape` says how many pixels a picture
/// is wide and high, if that can be known; the smoothness depends on it.
///
/// # Errors
/// As [`import`], but for the quotes.
pub fn import_words(
    words: &[String],
    shape: impl Fn(&Path) -> Option<(u32, u32)>,
) -> Result<Imported, ImportError> {
    if words.iter().map(String::len).sum::<usize>() > MAX_BYTES {
        return Err(ImportError::TooLong);
    }
    convert::convert(Flags::read(words)?, words, &shape)
}
