//! Where pictures are saved: proved before hours of painting, reserved while they
//! last, and written whole or not at all.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::PictureError;
use super::format::{OutputFormat, output_format};
use crate::text::display_path;

/// Checks, before hours of painting, what [`save`](super::save) will need: a known
/// extension, a name that the disk takes and that no folder, pipe or device has,
/// and a folder that exists and may be written to. Leaves nothing behind.
///
/// # Errors
/// The error that [`save`](super::save) would give.
pub fn check_destination(path: &Path) -> Result<OutputFormat, PictureError> {
    let format = output_format(path)?;
    check_place(path)?;
    staging_file(path).map_err(|cause| not_written(path, cause))?;
    Ok(format)
}

/// Makes an empty file under the first of these names that is free, so that nobody
/// else who looks for a free name takes it before the picture is saved there.
///
/// # Errors
/// When no file can be made, or none of the names is free.
pub fn reserve(names: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, PictureError> {
    let mut taken = PathBuf::new();
    for path in names {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => taken = path,
            Err(error) => return Err(not_written(&path, error)),
        }
    }
    Err(not_written(&taken, ErrorKind::AlreadyExists.into()))
}

/// Gives a name back that was [reserved](reserve), unless a picture was saved there.
pub fn release(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0) {
        let _ = fs::remove_file(path);
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PictureError> {
    check_place(path)?;
    let write = || {
        // Dropped before it takes its name, it removes itself.
        let mut staging = staging_file(path)?;
        staging.write_all(bytes)?;
        staging.as_file().sync_all()?;
        staging.persist(destination(path))?;
        Ok(())
    };
    write().map_err(|cause| not_written(path, cause))
}

/// Looks whether a picture can be in this place, whatever is there now.
fn check_place(path: &Path) -> Result<(), PictureError> {
    let file = display_path(path);
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(PictureError::NameOfFolder { file });
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(PictureError::FolderInTheWay { file }),
        Ok(found) if !found.is_file() => Err(PictureError::NotOrdinaryInTheWay { file }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(not_written(path, error)),
        _ => Ok(()),
    }
}

/// A new file beside the destination, with the permissions of the file that it
/// replaces, or those of any new file.
fn staging_file(path: &Path) -> io::Result<NamedTempFile> {
    let destination = destination(path);
    let before = fs::metadata(&destination);
    let mode = before.map_or(0o666, |before| before.permissions().mode() & 0o666);
    tempfile::Builder::new()
        .prefix(".impasto-")
        .suffix(".part")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(&destination))
}

/// Where the file really lies: a link to a picture stays a link.
fn destination(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether a folder was deleted while the program works in it, which it then still
/// sees as one.
fn is_deleted(folder: &Path, cause: &io::Error) -> bool {
    cause.kind() == ErrorKind::NotFound && folder.canonicalize().is_err()
}

fn not_written(path: &Path, cause: io::Error) -> PictureError {
    let destination = destination(path);
    let file = display_path(path);
    let folder = folder_of(&destination);
    // Some folders, such as /proc, exist and say "not found" to a new file.
    let missing = !folder.is_dir() || is_deleted(folder, &cause);
    let folder = display_path(folder);
    match cause.kind() {
        _ if missing => PictureError::FolderMissing { file, folder },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            PictureError::FolderClosed { file, folder }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            PictureError::DiskFull { file, folder }
        }
        _ => PictureError::NotWritten {
            file,
            folder,
            cause,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        let error = check_destination(path).unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with("Cannot write "), "{words}");
        let saved = write_whole(path, b"picture").unwrap_err();
        assert_eq!(saved.to_string(), words);
        words
    }

    #[test]
    fn every_cause_has_its_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("a.png");
        let shown = display_path(folder.path());
        let error = |kind: ErrorKind| not_written(path, kind.into()).to_string();
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            assert!(error(kind).contains(&format!("the folder {shown} may not be written to")));
        }
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(error(kind).contains(&format!("the disk of the folder {shown} is full")));
        }
        assert!(error(ErrorKind::TimedOut).contains("timed out"));
        let here = not_written(Path::new("a.png"), ErrorKind::StorageFull.into());
        assert!(here.to_string().contains("folder . is full"));
    }

    #[test]
    fn a_destination_is_checked_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpeg");
        assert_eq!(check_destination(&path).unwrap(), OutputFormat::Jpeg);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let odd = check_destination(&folder.path().join("a.gif"));
        assert!(matches!(odd, Err(PictureError::UnknownExtension { .. })));
    }

    #[test]
    fn what_no_picture_can_be_called_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder.png")).unwrap();
        assert!(refused(&at("folder.png")).contains("a folder of that name"));
        assert!(refused(&at("slash.png/")).contains("names a folder"));
        assert!(refused(&at(&format!("{}.png", "x".repeat(300)))).contains("too long"));
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.png"), 0o600.into()).unwrap();
        assert!(refused(&at("pipe.png")).contains("pipe"));
        fs::write(at("file"), "").unwrap();
        refused(&at("file/a.png"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_name_is_reserved_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let names = || (1..=3).map(|number| folder.path().join(format!("{number}.png")));
        let mut reserved: Vec<PathBuf> = std::thread::scope(|scope| {
            let threads: Vec<_> = names().map(|_| scope.spawn(|| reserve(names()))).collect();
            let reserved = threads.into_iter().map(|thread| thread.join().unwrap());
            reserved.map(Result::unwrap).collect()
        });
        reserved.sort();
        assert_eq!(reserved, names().collect::<Vec<_>>());
        assert!(reserve(names()).unwrap_err().to_string().contains("3.png"));
        write_whole(&reserved[0], b"picture").unwrap();
        reserved.iter().for_each(|path| release(path));
        assert_eq!(fs::read(&reserved[0]).unwrap(), b"picture");
        assert_eq!(reserve(names()).unwrap(), reserved[1]);
    }
}
