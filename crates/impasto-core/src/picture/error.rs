//! What can go wrong between a file and its pixels, each with a way out.

use std::io;

use thiserror::Error;

use super::{MAX_FILE_BYTES, MAX_PIXELS, MAX_RECIPE_BYTES};

/// Why a picture could not be read or written. Each message is one or two
/// sentences that name the file and say what to do next; names in them are
/// fit for a terminal (see [`display_path`](crate::text::display_path)).
#[derive(Debug, Error)]
pub enum PictureError {
    #[error("There is no file {file}. Check the name and the folder you are in.")]
    NotFound { file: String },

    #[error("{file} is a folder, not a picture. Name a picture file inside it.")]
    IsFolder { file: String },

    #[error(
        "{file} is a pipe, a device or some other special file. \
         Save the picture to an ordinary file first and name that."
    )]
    NotOrdinary { file: String },

    #[error("Cannot read {file}: {cause}. Check the file's permissions and its disk.")]
    Unreadable { file: String, cause: io::Error },

    #[error("{file} is empty. Copy or download the picture again.")]
    Empty { file: String },

    #[error(
        "{file} is larger than {} MB, which is the most that is read. \
         Save the picture as JPEG or PNG, or make it smaller.",
        MAX_FILE_BYTES >> 20
    )]
    FileTooLarge { file: String },

    #[error(
        "{file} is not a picture of a known kind. \
         JPEG, PNG, WebP, TIFF and BMP files can be read: convert it to one of these."
    )]
    UnknownKind { file: String },

    #[error(
        "{file} uses a part of its format that is not supported ({what}). \
         Open it in an image editor and save it as PNG or JPEG."
    )]
    Unsupported { file: String, what: String },

    #[error(
        "{file} is cut short or damaged ({reason}). \
         Copy or download it again, or save it anew from an image editor."
    )]
    Damaged { file: String, reason: String },

    #[error("{file} has no pixels: its width or height is zero. Choose another picture.")]
    NoPixels { file: String },

    #[error(
        "{file} has {width}×{height} pixels; at most {} million can be read. \
         Make it smaller with an image editor first.",
        MAX_PIXELS / 1_000_000
    )]
    TooManyPixels {
        file: String,
        width: u32,
        height: u32,
    },

    #[error(
        "{file} asks for far more memory than a picture of its size needs. \
         It may be damaged: save it anew from an image editor."
    )]
    TooMuchMemory { file: String },

    #[error(
        "Cannot tell from the name {file} which kind of picture to write. \
         End the name in .png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp."
    )]
    UnknownExtension { file: String },

    #[error(
        "Cannot write {file}: a {format} picture may be at most {limit} pixels on a side. \
         Use a name that ends in .png, or a smaller size."
    )]
    TooLargeForFormat {
        file: String,
        format: &'static str,
        limit: u32,
    },

    #[error(
        "Cannot write {file}: the folder {folder} does not exist. Create it or choose another."
    )]
    FolderMissing { file: String, folder: String },

    #[error(
        "Cannot write {file}: the folder {folder} may not be written to. \
         Choose another folder or change its permissions."
    )]
    FolderClosed { file: String, folder: String },

    #[error(
        "Cannot write {file}: the disk of the folder {folder} is full. \
         Free some space or choose another folder."
    )]
    DiskFull { file: String, folder: String },

    #[error("Cannot write {file}: there is a folder of that name. Choose another name.")]
    FolderInTheWay { file: String },

    #[error(
        "Cannot write {file}: a name that ends in / names a folder. Name a picture file, such as \
         picture.png."
    )]
    NameOfFolder { file: String },

    #[error(
        "Cannot write {file}: a pipe, a device or some other special file has that name. \
         Choose another name."
    )]
    NotOrdinaryInTheWay { file: String },

    #[error("Cannot write {file} in the folder {folder}: {cause}. Choose another name or folder.")]
    NotWritten {
        file: String,
        folder: String,
        cause: io::Error,
    },

    #[error("Cannot encode {file} ({reason}). Choose another kind of picture, such as .png.")]
    NotEncoded { file: String, reason: String },

    #[error(
        "{file} is not a PNG picture, and only PNG pictures painted by impasto carry a recipe. \
         Name the PNG that impasto wrote."
    )]
    RecipeNeedsPng { file: String },

    #[error(
        "{file} carries no recipe. Name a PNG that impasto wrote; \
         other programs may drop the recipe when they save a picture."
    )]
    NoRecipe { file: String },

    #[error(
        "The recipe for {file} is larger than {} KB. \
         impasto writes and reads no recipe of that size: use a preset file instead.",
        MAX_RECIPE_BYTES >> 10
    )]
    RecipeTooLarge { file: String },
}
