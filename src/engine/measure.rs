//! The losses of any picture, without painting.

use super::Result;
use super::device;
use super::loss::{Losses, Targets, Weighted, evaluate};
use super::painter::network_for;
use super::pixels::tensor_of;
use crate::job::DeviceChoice;
use crate::picture::{Picture, fit_long_side};
use crate::preset::Preset;

/// Measures `image` against `content` and `style` by the terms of `preset`.
///
/// Pictures of one size are compared as they are. Otherwise the content takes
/// the image's size, and the style's long side the image's long side.
///
/// # Errors
/// When the device is not there or memory runs out.
pub fn measure(
    image: &Picture,
    content: &Picture,
    style: &Picture,
    preset: &Preset,
    choice: DeviceChoice,
) -> Result<(Losses, Weighted)> {
    let device = device::resolve(choice)?;
    let vgg = network_for(preset, device)?;
    let (width, height) = image.size();
    let (content, style) = if content.size() == image.size() && style.size() == image.size() {
        (content.clone(), style.clone())
    } else {
        let style_size = fit_long_side(style.width(), style.height(), width.max(height));
        (
            content.resized(width, height),
            style.resized(style_size.0, style_size.1),
        )
    };
    let content = tensor_of(&content, device)?;
    let style = tensor_of(&style, device)?;
    let targets = Targets::new(&vgg, preset, &content, &style)?;
    let evaluation = evaluate(&vgg, preset, &targets, &tensor_of(image, device)?)?;
    Ok((evaluation.losses, evaluation.weighted))
}
