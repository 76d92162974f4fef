//! Pixels to files, and the recipe inside a PNG.

use std::io::{self, Cursor};
use std::path::Path;

use image::codecs::{
    bmp::BmpEncoder,
    jpeg::{JpegEncoder, PixelDensity},
    webp::WebPEncoder,
};
use image::{ExtendedColorType, ImageEncoder, ImageResult};
use tiff::encoder::colortype;

use super::colour::SRGB_PROFILE;
use super::decode::read_file;
use super::destination::write_whole;
use super::format::{OutputFormat, output_format};
use super::{MAX_RECIPE_BYTES, Picture, PictureError};
use crate::preset::OutputSettings;
use crate::text::{display_path, display_reason};

/// The keyword of the PNG text chunk that holds the recipe.
const RECIPE_KEYWORD: &str = "impasto";

/// What reading the text of a PNG may allocate.
const PNG_TEXT_BYTES: usize = 16 << 20;

const METRES_PER_INCH: f64 = 0.0254;

/// Writes a picture in the format that the path's extension names, whole or
/// not at all: an older file of that name stays as it was until the new one is
/// complete and on the disk.
///
/// A PNG keeps `recipe` (JSON text), where [`read_recipe`] finds it; other
/// formats drop it. Missing folders are not created. All but BMP say that their colours
/// are sRGB.
///
/// # Errors
/// If the extension is unknown, the picture too large for the format, the
/// recipe longer than [`MAX_RECIPE_BYTES`], or the file cannot be written
/// (folder missing or closed, disk full). No partial file is left behind.
pub fn save(picture: &Picture, path: &Path, recipe: Option<&str>) -> Result<(), PictureError> {
    save_with(picture, path, recipe, &OutputSettings::default())
}

/// As [`save`], with other than the default settings.
///
/// # Errors
/// As [`save`].
pub fn save_with(
    picture: &Picture,
    path: &Path,
    recipe: Option<&str>,
    settings: &OutputSettings,
) -> Result<(), PictureError> {
    write_whole(path, &encode(picture, path, recipe, settings)?)
}

/// The recipe that [`save`] stored in a PNG: JSON text, not yet parsed.
///
/// # Errors
/// If the file cannot be read, is no PNG, carries no recipe, or carries one
/// that is damaged or longer than [`MAX_RECIPE_BYTES`].
pub fn read_recipe(path: &Path) -> Result<String, PictureError> {
    let bytes = read_file(path)?;
    let file = display_path(path);
    if !matches!(image::guess_format(&bytes), Ok(image::ImageFormat::Png)) {
        return Err(PictureError::RecipeNeedsPng { file });
    }
    let damaged = |error: png::DecodingError| PictureError::Damaged {
        file: file.clone(),
        reason: display_reason(&error),
    };
    let limits = png::Limits {
        bytes: PNG_TEXT_BYTES,
    };
    let mut reader = png::Decoder::new_with_limits(Cursor::new(&bytes), limits)
        .read_info()
        .map_err(damaged)?;
    if find_recipe(&reader).is_none() {
        // Other programs may move text behind the pixels.
        reader.finish().map_err(damaged)?;
    }
    let Some(mut chunk) = find_recipe(&reader) else {
        return Err(PictureError::NoRecipe { file });
    };
    // Other programs may also compress it, and a few bytes unpack to many.
    chunk
        .decompress_text_with_limit(MAX_RECIPE_BYTES)
        .map_err(damaged)?;
    let recipe = chunk.get_text().map_err(damaged)?;
    if recipe.len() > MAX_RECIPE_BYTES {
        return Err(PictureError::RecipeTooLarge { file });
    }
    Ok(recipe)
}

fn find_recipe<R: io::BufRead + io::Seek>(
    reader: &png::Reader<R>,
) -> Option<png::text_metadata::ITXtChunk> {
    let chunks = &reader.info().utf8_text;
    chunks
        .iter()
        .find(|chunk| chunk.keyword == RECIPE_KEYWORD)
        .cloned()
}

/// The bytes of the file that [`save`] writes. They are made in memory, so that what can go wrong
/// with the disk is apart from what can go wrong with the picture.
///
/// # Errors
/// Those of [`save`], but for those of the disk.
pub fn encode(
    picture: &Picture,
    path: &Path,
    recipe: Option<&str>,
    settings: &OutputSettings,
) -> Result<Vec<u8>, PictureError> {
    let format = output_format(path)?;
    let file = display_path(path);
    if recipe.is_some_and(|recipe| recipe.len() > MAX_RECIPE_BYTES) {
        return Err(PictureError::RecipeTooLarge { file });
    }
    let (width, height) = picture.size();
    if let Some((limit, format)) = format.side_limit()
        && width.max(height) > limit
    {
        return Err(PictureError::TooLargeForFormat {
            file,
            format,
            limit,
        });
    }
    let mut bytes = Cursor::new(Vec::new());
    let encoded = match format {
        OutputFormat::Png => encode_png(picture, recipe, settings, &mut bytes)
            .map_err(|error| display_reason(&error)),
        OutputFormat::Tiff => {
            encode_tiff(picture, settings, &mut bytes).map_err(|error| display_reason(&error))
        }
        other => encode_other(picture, settings, other, &mut bytes)
            .map_err(|error| display_reason(&error)),
    };
    match encoded {
        Ok(()) => Ok(bytes.into_inner()),
        Err(reason) => Err(PictureError::NotEncoded { file, reason }),
    }
}

/// Through the png crate itself, since the image crate writes no text chunks.
fn encode_png(
    picture: &Picture,
    recipe: Option<&str>,
    settings: &OutputSettings,
    bytes: &mut Cursor<Vec<u8>>,
) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    if settings.dpi > 0.0 {
        let per_metre = (settings.dpi / METRES_PER_INCH).round() as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: per_metre,
            yppu: per_metre,
            unit: png::Unit::Meter,
        }));
    }
    let software = concat!("impasto ", env!("CARGO_PKG_VERSION"));
    encoder.add_text_chunk("Software".to_owned(), software.to_owned())?;
    if let Some(recipe) = recipe {
        encoder.add_itxt_chunk(RECIPE_KEYWORD.to_owned(), recipe.to_owned())?;
    }
    let samples = match settings.depth {
        16 => {
            encoder.set_depth(png::BitDepth::Sixteen);
            let wide = picture.to_rgb16();
            wide.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        _ => {
            encoder.set_depth(png::BitDepth::Eight);
            picture.to_rgb8()
        }
    };
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&samples)?;
    writer.finish()
}

/// Through the tiff crate itself, since the image crate writes no resolution.
fn encode_tiff(
    picture: &Picture,
    settings: &OutputSettings,
    bytes: &mut Cursor<Vec<u8>>,
) -> Result<(), tiff::TiffError> {
    let mut encoder = tiff::encoder::TiffEncoder::new(bytes)?;
    match settings.depth {
        16 => write_tiff::<colortype::RGB16>(&mut encoder, picture, settings, &picture.to_rgb16()),
        _ => write_tiff::<colortype::RGB8>(&mut encoder, picture, settings, &picture.to_rgb8()),
    }
}

fn write_tiff<C: colortype::ColorType>(
    encoder: &mut tiff::encoder::TiffEncoder<&mut Cursor<Vec<u8>>>,
    picture: &Picture,
    settings: &OutputSettings,
    samples: &[C::Inner],
) -> Result<(), tiff::TiffError>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let (width, height) = picture.size();
    let mut image = encoder.new_image::<C>(width, height)?;
    let tag = tiff::tags::Tag::IccProfile;
    image.encoder().write_tag(tag, SRGB_PROFILE.as_slice())?;
    if settings.dpi > 0.0 {
        let dpi = tiff::encoder::Rational {
            n: (settings.dpi * 100.0).round() as u32,
            d: 100,
        };
        image.resolution(tiff::tags::ResolutionUnit::Inch, dpi);
    }
    image.write_data(samples)
}

fn encode_other(
    picture: &Picture,
    settings: &OutputSettings,
    format: OutputFormat,
    bytes: &mut Cursor<Vec<u8>>,
) -> ImageResult<()> {
    let colour = ExtendedColorType::Rgb8;
    let (width, height) = picture.size();
    let rgb = picture.to_rgb8();
    match format {
        OutputFormat::Jpeg => {
            // Within 1 to 100, as it was read.
            let quality = settings.quality.clamp(1, 100) as u8;
            let mut encoder = JpegEncoder::new_with_quality(bytes, quality);
            if settings.dpi > 0.0 {
                // A JPEG has 16 bits for it.
                let dpi = settings.dpi.round() as u16;
                encoder.set_pixel_density(PixelDensity::dpi(dpi.max(1)));
            }
            with_profile(encoder, &rgb, (width, height))
        }
        OutputFormat::WebP => with_profile(WebPEncoder::new_lossless(bytes), &rgb, (width, height)),
        OutputFormat::Bmp | OutputFormat::Png | OutputFormat::Tiff => {
            BmpEncoder::new(bytes).write_image(&rgb, width, height, colour)
        }
    }
}

fn with_profile(
    mut encoder: impl ImageEncoder,
    rgb: &[u8],
    (width, height): (u32, u32),
) -> ImageResult<()> {
    // An encoder that has no place for it writes a picture all the same.
    let _ = encoder.set_icc_profile(SRGB_PROFILE.clone());
    encoder.write_image(rgb, width, height, ExtendedColorType::Rgb8)
}

#[cfg(test)]
mod tests;
