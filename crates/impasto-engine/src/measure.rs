//! The losses of any picture, without painting.

use impasto_core::job::{DeviceChoice, PrecisionChoice};
use impasto_core::picture::{Picture, fit_long_side};
use impasto_core::preset::Preset;

use super::Result;
use super::accelerator::Stream;
use super::evaluate::evaluate;
use super::loss::{Losses, Targets, Weighted};
use super::painter::network_for;
use super::pixels::tensor_of;
use super::precision;
use super::{device, kernel_check};

/// The sizes at which the content and the style are compared with an image:
/// their own where all three have one size; else the content takes the image's
/// size, and the style's long side the image's long side.
pub fn sizes(image: &Picture, content: &Picture, style: &Picture) -> [(u32, u32); 2] {
    let (width, height) = image.size();
    if content.size() == image.size() && style.size() == image.size() {
        return [content.size(), style.size()];
    }
    let long_side = width.max(height);
    [
        image.size(),
        fit_long_side(style.width(), style.height(), long_side),
    ]
}

/// Measures `image` against `content` and `style`, brought to [`sizes`], by the
/// terms of `preset`.
///
/// # Errors
/// When the device is not there, a picture is too small for the network, or
/// memory runs out.
pub fn measure(
    image: &Picture,
    content: &Picture,
    style: &Picture,
    preset: &Preset,
    choice: DeviceChoice,
) -> Result<(Losses, Weighted)> {
    let device = device::resolve(choice)?;
    let precision = precision::resolve(PrecisionChoice::Float32, device)?;
    kernel_check::prepare(device);
    let [content_size, style_size] = sizes(image, content, style);
    Stream::side(device)?.run(|| {
        let vgg = network_for(preset, device, precision)?;
        let content = tensor_of(&content.resized(content_size.0, content_size.1), device)?;
        let style = tensor_of(&style.resized(style_size.0, style_size.1), device)?;
        let targets = Targets::new(&vgg, preset, &content, &style, None, &mut |_| {})?;
        let evaluation = evaluate(&vgg, preset, &targets, &tensor_of(image, device)?, None)?;
        Ok((evaluation.losses, evaluation.weighted))
    })
}
