//! JPEG files. They are decoded here rather than through the image crate,
//! which accepts files that are cut short and drops the ink values of CMYK
//! pictures before their profile can be applied.

use std::thread;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, Rgb32FImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::decoded::{Decoded, check_size};
use super::{PictureError, colour};
use crate::text::display_reason;

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
    let options = options.jpeg_set_out_colorspace(wanted);
    decoder.set_options(options);
    let longer = with_more_data(bytes);
    let (samples, again) = thread::scope(|scope| {
        let again = longer.as_deref().map(|longer| {
            let decode =
                move || JpegDecoder::new_with_options(ZCursor::new(longer), options).decode();
            scope.spawn(decode)
        });
        let samples = decoder.decode();
        (samples, again.map(thread::ScopedJoinHandle::join))
    });
    let mut samples = samples.map_err(refuse)?;
    if again.is_some_and(|again| !matches!(again, Ok(Ok(again)) if again == samples)) {
        return Err(refuse(DecodeErrors::ExhaustedData));
    }
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

/// The same file with more data before its end marker; none if it has none.
///
/// Data that ends before the picture does, with an end marker after it, is no error
/// to the decoder: it takes zeros for what is missing. Of such a file this one is
/// decoded to other samples or to none, while of a whole one nothing past the last
/// block is looked at.
fn with_more_data(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = end_of_image(bytes)?;
    let (data, rest) = bytes.split_at_checked(end)?;
    // Bits without a pattern, and no byte that begins a marker.
    let more = (1..=64_u8).map(|number| number.wrapping_mul(151) ^ 0x35);
    let more = more.map(|byte| byte.min(0xFE));
    Some(
        data.iter()
            .copied()
            .chain(more)
            .chain(rest.iter().copied())
            .collect(),
    )
}

/// Where the end marker of a JPEG file's first picture stands. Other pictures, such
/// as a small one in its metadata, have markers of their own.
fn end_of_image(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        match *bytes.get(at + 1)? {
            0xD9 => return Some(at),
            0xFF => at += 1,
            // A byte of data, or a marker that stands alone.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
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
