//! Pictures as tensors, and back.

use impasto_core::picture::Picture;
use tch::{Device, Kind, Tensor};

use super::{EngineError, Result};

/// The picture as a tensor `[1, 3, H, W]`, RGB in 0..1, on `device`.
///
/// # Errors
/// When the memory is not there.
pub fn tensor_of(picture: &Picture, device: Device) -> Result<Tensor> {
    let (height, width) = (i64::from(picture.height()), i64::from(picture.width()));
    let rows = Tensor::f_from_slice(picture.pixels())?;
    // A GPU puts the channels in order a hundred times as fast as the host.
    let rows = rows.f_view([1, height, width, 3])?.f_to_device(device)?;
    Ok(rows.f_permute([0, 3, 1, 2])?.f_contiguous()?)
}

/// The tensor `[1, 3, H, W]` as a picture.
///
/// # Errors
/// When the tensor has another shape, or libtorch fails.
pub fn picture_of(tensor: &Tensor) -> Result<Picture> {
    let (width, height) = size_of(tensor)?;
    let rows = tensor
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_to_kind(Kind::Float)?;
    let rows = rows.f_to_device(Device::Cpu)?;
    let mut pixels = vec![0f32; 3 * width as usize * height as usize];
    let count = pixels.len();
    rows.f_copy_data(&mut pixels, count)?;
    Picture::new(width, height, pixels)
        .ok_or_else(|| EngineError::Torch(format!("a picture of {width}×{height} pixels")))
}

/// The picture at another size: bicubic, kept within 0..1.
///
/// # Errors
/// When libtorch fails.
pub fn rescaled(tensor: &Tensor, width: u32, height: u32) -> Result<Tensor> {
    let size = [i64::from(height), i64::from(width)];
    Ok(tensor
        .f_upsample_bicubic2d(size, false, None, None)?
        .f_clamp(0.0, 1.0)?)
}

/// Width and height of a tensor `[1, 3, H, W]`.
pub(super) fn size_of(tensor: &Tensor) -> Result<(u32, u32)> {
    let shape = tensor.size();
    if let [1, 3, height, width] = shape[..]
        && let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height))
    {
        return Ok((width, height));
    }
    Err(EngineError::Torch(format!(
        "expected a picture, got a tensor of shape {shape:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Picture {
        let bytes: Vec<u8> = (0..3 * width * height)
            .map(|i| (i * 7 % 256) as u8)
            .collect();
        Picture::from_rgb8(width, height, &bytes).unwrap()
    }

    #[test]
    fn a_picture_survives_the_way_there_and_back() {
        let picture = ramp(5, 3);
        let tensor = tensor_of(&picture, Device::Cpu).unwrap();
        assert_eq!(tensor.size(), [1, 3, 3, 5]);
        // Channel 1 of the pixel in row 2, column 4.
        assert_eq!(
            tensor.double_value(&[0, 1, 2, 4]) as f32,
            picture.pixels()[(2 * 5 + 4) * 3 + 1]
        );
        assert_eq!(picture_of(&tensor).unwrap(), picture);
    }
}
