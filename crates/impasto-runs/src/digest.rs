//! SHA-256 of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use impasto_core::picture::MAX_FILE_BYTES;
use sha2::{Digest, Sha256};

use super::files;

/// The SHA-256 of an ordinary file of at most [`MAX_FILE_BYTES`].
pub fn digest_at(path: &Path) -> io::Result<String> {
    digest(files::open(path)?)
}

/// The SHA-256 of what is left of a file, which has [`MAX_FILE_BYTES`] at the most.
pub(super) fn digest(file: File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let count = io::copy(&mut file.take(MAX_FILE_BYTES + 1), &mut hasher)?;
    match count > MAX_FILE_BYTES {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(format!("{:x}", hasher.finalize())),
    }
}
