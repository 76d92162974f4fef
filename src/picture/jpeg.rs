//! JPEG files. They are decoded here rather than through the image crate,
//! which accepts files that are cut short and drops the ink values of CMYK
//! pictures before their profile can be applied.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, Rgb32FImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::decode::{Decoded, check_size};
use super::error::display_reason;
use super::{PictureError, colour};

/// Decodes a JPEG and turns it upright. CMYK is converted to sRGB on the way,
/// so that what comes back is grey or RGB.
pub(super) fn decode(bytes: &[u8], file: &str) -> Result<Decoded, PictureError> {
    let refuse = |error| refusal(error, file);
    // Strict: the decoder would otherwise paint what is missing in grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refuse)?;
    let (width, height) = decoder.info().map_or((0, 0), |info| {
        (u32::from(info.width), u32::from(info.height))
    });
    check_size(width, height, file)?;

    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let wanted = match stored {
        ColorSpace::Luma | ColorSpace::CMYK | ColorSpace::YCCK => stored,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let mut samples = decoder.decode().map_err(refuse)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let mut icc_profile = decoder.icc_profile();

    let image = match wanted {
        ColorSpace::Luma => GrayImage::from_raw(width, height, samples).map(Into::into),
        ColorSpace::RGB => RgbImage::from_raw(width, height, samples).map(Into::into),
        _ => {
            if wanted == ColorSpace::YCCK {
                colour::ycck_to_cmyk(&mut samples);
            }
            let rgb = colour::cmyk_to_srgb(&samples, icc_profile.take().as_deref());
            Rgb32FImage::from_raw(width, height, rgb).map(Into::into)
        }
    };
    let mut image: DynamicImage = image.ok_or_else(|| PictureError::Damaged {
        file: file.to_owned(),
        reason: "it holds fewer pixels than it says".to_owned(),
    })?;
    image.apply_orientation(orientation);
    Ok(Decoded { image, icc_profile })
}

fn refusal(error: DecodeErrors, file: &str) -> PictureError {
    let file = file.to_owned();
    match error {
        DecodeErrors::ZeroError => PictureError::NoPixels { file },
        DecodeErrors::Unsupported(what) => PictureError::Unsupported {
            file,
            what: display_reason(&format!("{what:?}")),
        },
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => PictureError::Damaged {
            file,
            reason: "it ends too early".to_owned(),
        },
        other => PictureError::Damaged {
            file,
            reason: display_reason(&other),
        },
    }
}
