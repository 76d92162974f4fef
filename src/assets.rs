//! The pictures that are part of the program; `assets/README.md` says where
//! they come from.

use impasto_core::job::PictureFile;

/// A photograph of a Chinese tower.
pub const PHOTOGRAPH: PictureFile =
    PictureFile::Bundled("china.jpg", include_bytes!("../assets/china.jpg"));
/// A painting of a night sky.
pub const PAINTING: PictureFile =
    PictureFile::Bundled("night.jpg", include_bytes!("../assets/night.jpg"));
