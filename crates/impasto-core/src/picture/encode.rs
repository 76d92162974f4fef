//! Pixels to files, and the recipe inside a PNG.

use std::io::{self, Cursor};
use std::path::Path;

use image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, tiff::TiffEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageResult};

use super::decode::read_file;
use super::destination::write_whole;
use super::format::{OutputFormat, output_format};
use super::{MAX_RECIPE_BYTES, Picture, PictureError};
use crate::text::{display_path, display_reason};

/// The keyword of the PNG text chunk that holds the recipe.
const RECIPE_KEYWORD: &str = "impasto";

/// What reading the text of a PNG may allocate.
const PNG_TEXT_BYTES: usize = 16 << 20;

const JPEG_QUALITY: u8 = 95;

/// Writes a picture in the format that the path's extension names, whole or
/// not at all: an older file of that name stays as it was until the new one is
/// complete and on the disk.
///
/// A PNG keeps `recipe` (JSON text), where [`read_recipe`] finds it; other
/// formats drop it. Missing folders are not created.
///
/// # Errors
/// If the extension is unknown, the picture too large for the format, the
/// recipe longer than [`MAX_RECIPE_BYTES`], or the file cannot be written
/// (folder missing or closed, disk full). No partial file is left behind.
pub fn save(picture: &Picture, path: &Path, recipe: Option<&str>) -> Result<(), PictureError> {
    write_whole(path, &encode(picture, path, recipe)?)
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
    let rgb = picture.to_rgb8();
    let mut bytes = Cursor::new(Vec::new());
    let encoded = match format {
        OutputFormat::Png => encode_png(&rgb, picture.size(), recipe, &mut bytes)
            .map_err(|error| display_reason(&error)),
        other => encode_other(&rgb, picture.size(), other, &mut bytes)
            .map_err(|error| display_reason(&error)),
    };
    match encoded {
        Ok(()) => Ok(bytes.into_inner()),
        Err(reason) => Err(PictureError::NotEncoded { file, reason }),
    }
}

/// Through the png crate itself, since the image crate writes no text chunks.
fn encode_png(
    rgb: &[u8],
    (width, height): (u32, u32),
    recipe: Option<&str>,
    bytes: &mut Cursor<Vec<u8>>,
) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let software = concat!("impasto ", env!("CARGO_PKG_VERSION"));
    encoder.add_text_chunk("Software".to_owned(), software.to_owned())?;
    if let Some(recipe) = recipe {
        encoder.add_itxt_chunk(RECIPE_KEYWORD.to_owned(), recipe.to_owned())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

fn encode_other(
    rgb: &[u8],
    (width, height): (u32, u32),
    format: OutputFormat,
    bytes: &mut Cursor<Vec<u8>>,
) -> ImageResult<()> {
    let colour = ExtendedColorType::Rgb8;
    match format {
        OutputFormat::Jpeg => JpegEncoder::new_with_quality(bytes, JPEG_QUALITY)
            .write_image(rgb, width, height, colour),
        OutputFormat::WebP => {
            WebPEncoder::new_lossless(bytes).write_image(rgb, width, height, colour)
        }
        OutputFormat::Bmp => BmpEncoder::new(bytes).write_image(rgb, width, height, colour),
        OutputFormat::Png | OutputFormat::Tiff => {
            TiffEncoder::new(bytes).write_image(rgb, width, height, colour)
        }
    }
}

#[cfg(test)]
mod tests;
