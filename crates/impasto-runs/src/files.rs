//! What is done with paths of runs: their own files are opened through
//! [`Folder`](super::Folder).

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The longest text that is read: 1 MiB.
pub(super) const MAX_TEXT: u64 = 1 << 20;

/// How names begin that are nobody's but this program's for a moment.
pub(super) const STAGING_PREFIX: &str = ".impasto-";

/// The names of a run's pictures in its folder, and of the folder of snapshots.
pub(super) const RESULT: &str = "result.png";
pub(super) const PREVIEW: &str = "preview.png";
pub(super) const SNAPSHOTS: &str = "snapshots";

/// The usual folder of all runs; none without a home folder.
pub(super) fn runs_folder() -> Option<PathBuf> {
    let xdg = etcetera::base_strategy::Xdg::new().ok()?;
    Some(xdg.data_dir().join("impasto").join("runs"))
}

/// Opens an ordinary file. What it is is asked first: opening a pipe waits for
/// a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    File::open(path)
}

/// Makes a folder that only its owner may enter.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// What all the files in a folder take, in bytes; links are not followed, and
/// what cannot be read counts as nothing.
pub(super) fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// Whether nothing is there, or an empty folder.
pub(super) fn is_free(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
