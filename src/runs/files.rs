//! Files that only their owner reads: taken in whole and bounded, written
//! whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The longest text that is read: 1 MiB.
pub(super) const LONGEST_TEXT: u64 = 1 << 20;

/// How names begin that are nobody's but this program's for a moment.
pub(super) const STAGING_PREFIX: &str = ".impasto-";

/// The bytes of an ordinary file that holds `longest` at most.
pub(super) fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {longest} bytes"),
        ));
    }
    Ok(bytes)
}

/// Opens an ordinary file. What it is is asked first: opening a pipe waits for
/// a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    File::open(path)
}

/// Writes a file that only its owner may read; an older one stays as it was
/// until this one is complete. `kept` waits until it is on the disk.
pub(super) fn write(path: &Path, bytes: &[u8], kept: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    // Dropped before it takes its name, it removes itself.
    let mut staging = tempfile::Builder::new()
        .prefix(STAGING_PREFIX)
        .suffix(".part")
        .tempfile_in(folder)?;
    staging.write_all(bytes)?;
    if kept {
        staging.as_file().sync_all()?;
    }
    staging.persist(path)?;
    Ok(())
}

/// Opens a file to read and append to, made if it is not there.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    // A pipe that lies there must not be waited for.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::other("it is not an ordinary file")),
        _ => options.open(path),
    }
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
