//! The losses of any picture, without painting.

use impasto_core::job::{Job, PrecisionChoice};
use impasto_core::picture::Picture;

use super::Result;
use super::accelerator::Stream;
use super::evaluate::evaluate;
use super::loss::{Losses, Weighted};
use super::painter::network_for;
use super::pictures::Pictures;
use super::pixels::tensor_of;
use super::precision;
use super::targets::Targets;
use super::{device, kernel_check};

/// Measures `image` against the content and the styles of `job`, by the terms of its
/// preset. The content is brought to the image's size, and the long side of each style
/// to its long side, times the preset's style scale.
///
/// # Errors
/// When the device is not there, a picture is too small for the network, or
/// memory runs out.
pub fn measure(image: &Picture, job: &Job) -> Result<(Losses, Weighted)> {
    let device = device::resolve(job.compute.device)?;
    let precision = precision::resolve(PrecisionChoice::Float32, device)?;
    kernel_check::prepare(device);
    Stream::side(device)?.run(|| {
        let preset = &job.preset;
        let vgg = network_for(preset, device, precision)?;
        let images = Pictures::new(job, device)?.at(preset, image.size())?;
        let targets = Targets::new(&vgg, preset, &images, None, &mut |_| {})?.for_composed();
        let evaluation = evaluate(&vgg, preset, &targets, &tensor_of(image, device)?, None)?;
        Ok((evaluation.losses, evaluation.weighted))
    })
}
