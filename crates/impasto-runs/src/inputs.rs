//! The pictures of a run: copied when it begins, read back when it continues.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use impasto_core::job::PictureFile;
use impasto_core::picture::{self, MAX_FILE_BYTES, Source};
use impasto_core::text::display_path;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Folder, RunError, files};

/// Endings that a copy keeps. Others are left out: what a file holds decides
/// how it is read.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"];

/// A picture that was copied into the run's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The original's name, without its folders.
    pub file: String,
    /// SHA-256 of the file's bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// The name of the copy in the folder `inputs`.
    pub copy: String,
}

/// The name of the copy of a picture: its role with the original's ending.
fn copy_name(role: &str, source: &Source) -> String {
    let ending = source.path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    let ending = ending.filter(|ending| ENDINGS.contains(&ending.as_str()));
    match ending {
        Some(ending) => format!("{role}.{ending}"),
        None => role.to_owned(),
    }
}

/// Copies a picture into `folder` byte for byte, as `role` with the original's
/// ending.
///
/// # Errors
/// When the bytes are not those that were decoded as `source`, or cannot be
/// read or written.
pub(super) fn copy(
    role: &str,
    source: &Source,
    from: &PictureFile,
    folder: &Path,
) -> Result<Copied, RunError> {
    let copy = copy_name(role, source);
    let to = folder.join(&copy);
    let written = |cause| RunError::not_written(&to, cause);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&to);
    let mut file = file.map_err(written)?;
    let sha256 = match from {
        PictureFile::At(path) => {
            let open = files::open(path).map_err(|cause| RunError::unreadable(path, cause))?;
            copy_bytes(open.take(MAX_FILE_BYTES), &mut file)
                .map_err(|cause| RunError::not_written(&to, cause))?
        }
        PictureFile::Bundled(_, bytes) => copy_bytes(*bytes, &mut file).map_err(written)?,
        PictureFile::Read { bytes, .. } => copy_bytes(&**bytes, &mut file).map_err(written)?,
    };
    file.sync_all().map_err(written)?;
    if sha256 != source.sha256 {
        return Err(RunError::Changed {
            file: display_path(from.path()),
        });
    }
    let name = source.path.file_name().unwrap_or_default();
    Ok(Copied {
        file: name.to_string_lossy().into_owned(),
        sha256,
        copy,
    })
}

/// As [`copy`], by a hard link to the picture's one copy in `shared`, which is made first
/// if it is not there. Where the file system has no links it is copied.
///
/// # Errors
/// As [`copy`].
pub(super) fn link(
    role: &str,
    source: &Source,
    from: &PictureFile,
    folder: &Path,
    shared: &Path,
) -> Result<Copied, RunError> {
    let kept = shared.join(&source.sha256);
    if !kept.exists() {
        let staging = tempfile::Builder::new()
            .prefix(files::STAGING_PREFIX)
            .tempdir_in(shared)
            .map_err(|cause| RunError::not_written(shared, cause))?;
        let copied = copy("picture", source, from, staging.path())?;
        let made = staging.path().join(copied.copy);
        // Unlike a rename this leaves a copy in place that another process has just made
        // and linked to.
        match fs::hard_link(&made, &kept) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                fs::rename(&made, &kept).map_err(|cause| RunError::not_written(&kept, cause))?;
            }
            _ => {}
        }
    }
    let name = source.path.file_name().unwrap_or_default();
    let copied = Copied {
        file: name.to_string_lossy().into_owned(),
        sha256: source.sha256.clone(),
        copy: copy_name(role, source),
    };
    match fs::hard_link(&kept, folder.join(&copied.copy)) {
        Ok(()) => Ok(copied),
        Err(_) => copy(role, source, from, folder),
    }
}

/// Copies to the end, and gives the SHA-256 of all that was copied.
fn copy_bytes(mut from: impl Read, to: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:x}", hasher.finalize())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // A reader fills no more than it was given.
        let bytes = buffer.get(..count).unwrap_or_default();
        hasher.update(bytes);
        to.write_all(bytes)?;
    }
}

/// Whether a copy of that role may have this name: nothing outside the folder
/// has.
pub(super) fn is_copy_of(role: &str, name: &str) -> bool {
    let ending = name.strip_prefix(role);
    ending.is_some_and(|ending| {
        ending.is_empty()
            || ending
                .strip_prefix('.')
                .is_some_and(|it| ENDINGS.contains(&it))
    })
}

/// Reads a copy. The source has the original's name.
///
/// # Errors
/// When it cannot be read, or is not what was copied.
pub(super) fn load(copied: &Copied, folder: &Folder) -> Result<Source, RunError> {
    let path = folder.path().join(&copied.copy);
    let changed = || RunError::NotTheCopy {
        file: display_path(&path),
    };
    let bytes = folder.read(&copied.copy, MAX_FILE_BYTES);
    let bytes = bytes.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => changed(),
        _ => RunError::unreadable(&path, cause),
    })?;
    let source = picture::load_bytes(&bytes, &path)?;
    if source.sha256 != copied.sha256 {
        return Err(changed());
    }
    Ok(Source {
        path: PathBuf::from(&copied.file),
        ..source
    })
}
