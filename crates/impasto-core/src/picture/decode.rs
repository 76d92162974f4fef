//! Files to pixels.

use std::fs::{self, File};
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, Limits};
use sha2::{Digest, Sha256};

use super::decoded::{Decoded, check_size};
use super::{MAX_FILE_BYTES, Picture, PictureError, colour, jpeg};
use crate::text::{display_path, display_reason};

/// What a decoder may allocate besides the pixels: rows, palettes, metadata.
const SPARE_BYTES: u64 = 64 << 20;

/// A picture and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub picture: Picture,
    /// The path as it was given.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// Reads a picture file. What it holds decides how it is decoded, not its
/// extension; of an animation or a document with pages, the first is read.
///
/// Transparent pictures are laid on white. The blending is done on
/// sRGB-encoded values, as browsers and viewers do it.
///
/// # Errors
/// If the file is missing, not an ordinary file, not readable, empty, larger
/// than [`MAX_FILE_BYTES`], or refused by [`load_bytes`].
pub fn load(path: &Path) -> Result<Source, PictureError> {
    load_bytes(&read_file(path)?, path)
}

/// Looks whether a file is there and begins as a picture does: enough to know
/// most wrong names at once, and quick whatever the size.
///
/// # Errors
/// As [`load`], but for damage further on.
pub fn check(path: &Path) -> Result<(), PictureError> {
    let file = display_path(path);
    let mut bytes = Vec::new();
    open(path, &file)?
        .take(64)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(error, &file))?;
    match image::guess_format(&bytes) {
        _ if bytes.is_empty() => Err(PictureError::Empty { file }),
        Ok(
            ImageFormat::Jpeg
            | ImageFormat::Png
            | ImageFormat::WebP
            | ImageFormat::Tiff
            | ImageFormat::Bmp,
        ) => Ok(()),
        _ => Err(PictureError::UnknownKind { file }),
    }
}

/// Decodes a picture from the bytes of a file. `name` stands for it in
/// messages and in [`Source::path`].
///
/// # Errors
/// If the bytes are not a picture of a known kind, cut short or damaged, or
/// have no pixels or more than [`MAX_PIXELS`]. A broken or unsuitable ICC
/// profile is ignored.
pub fn load_bytes(bytes: &[u8], name: &Path) -> Result<Source, PictureError> {
    let file = display_path(name);
    if bytes.is_empty() {
        return Err(PictureError::Empty { file });
    }
    let decoded = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::decode(bytes, &file),
        Ok(format) => decode(bytes, format, &file),
        Err(_) => Err(PictureError::UnknownKind { file: file.clone() }),
    }?;
    let picture = colour::to_srgb(&decoded.image, decoded.icc_profile.as_deref());
    Ok(Source {
        // Every decoder above has refused pictures without pixels.
        picture: picture.ok_or(PictureError::NoPixels { file })?,
        path: name.to_owned(),
        sha256: format!("{:x}", Sha256::digest(bytes)),
    })
}

/// The bytes of an ordinary file of bounded size.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, PictureError> {
    let file = display_path(path);
    let mut bytes = Vec::new();
    // A file may grow between the look at its size and the reading, and files
    // under /proc say that their size is zero.
    open(path, &file)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(error, &file))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PictureError::FileTooLarge { file });
    }
    if bytes.is_empty() {
        return Err(PictureError::Empty { file });
    }
    Ok(bytes)
}

/// Opens an ordinary file of bounded size. The kind of file is asked before it
/// is opened, since opening a pipe waits for a writer.
fn open(path: &Path, file: &str) -> Result<File, PictureError> {
    let metadata = fs::metadata(path).map_err(|error| refused(error, file))?;
    let file = file.to_owned();
    if metadata.is_dir() {
        return Err(PictureError::IsFolder { file });
    }
    if !metadata.is_file() {
        return Err(PictureError::NotOrdinary { file });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(PictureError::FileTooLarge { file });
    }
    File::open(path).map_err(|error| refused(error, &file))
}

fn refused(cause: std::io::Error, file: &str) -> PictureError {
    let file = file.to_owned();
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => PictureError::NotFound { file },
        _ => PictureError::Unreadable { file, cause },
    }
}

fn decode(bytes: &[u8], format: ImageFormat, file: &str) -> Result<Decoded, PictureError> {
    let refuse = |error| refusal(error, file);
    let stream = Cursor::new(bytes);
    // Named one by one, so that the kinds read do not depend on what other
    // crates ask of the image crate.
    let mut decoder: Box<dyn ImageDecoder> = match format {
        ImageFormat::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(SPARE_BYTES);
            Box::new(PngDecoder::with_limits(stream, limits).map_err(refuse)?)
        }
        ImageFormat::WebP => Box::new(WebPDecoder::new(stream).map_err(refuse)?),
        ImageFormat::Tiff => Box::new(TiffDecoder::new(stream).map_err(refuse)?),
        ImageFormat::Bmp => Box::new(BmpDecoder::new(stream).map_err(refuse)?),
        _ => {
            return Err(PictureError::UnknownKind {
                file: file.to_owned(),
            });
        }
    };
    let (width, height) = decoder.dimensions();
    check_size(width, height, file)?;

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(decoder.total_bytes() * 2 + SPARE_BYTES);
    decoder.set_limits(limits).map_err(refuse)?;
    // Metadata that cannot be read is no reason to refuse the picture.
    let icc_profile = decoder.icc_profile().ok().flatten();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);

    let mut image = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    image.apply_orientation(orientation);
    Ok(Decoded { image, icc_profile })
}

fn refusal(error: ImageError, file: &str) -> PictureError {
    let file = file.to_owned();
    match error {
        ImageError::Unsupported(what) => PictureError::Unsupported {
            file,
            what: display_reason(&what),
        },
        ImageError::Limits(_) => PictureError::TooMuchMemory { file },
        // The bytes are in memory: reading them fails only at their end.
        ImageError::IoError(_) => PictureError::Damaged {
            file,
            reason: "it ends too early".to_owned(),
        },
        other => PictureError::Damaged {
            file,
            reason: display_reason(&other),
        },
    }
}

#[cfg(test)]
mod tests;
