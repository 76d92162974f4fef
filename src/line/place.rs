//! Where the sockets lie.
//!
//! A run's own folder may be too deep for a socket's address, or on a disk that
//! has no sockets. So all of a user's lie in one folder under `/tmp`, by names
//! that follow from the folders of their runs. Not under `XDG_RUNTIME_DIR`: it
//! is removed when its user logs out, and a run goes on then.

use std::fmt::Write;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::picture::display_path;

/// How many bytes a socket's path may have: Linux gives it 108, the last of
/// which is zero.
pub(super) const MAX_PATH: usize = 107;

/// The place of the socket of the run in `folder`, in a folder that is made if
/// need be.
///
/// # Errors
/// When there is no such run folder, or the sockets' folder cannot be had or is
/// not safe: not ours, a link, or open for others to write to.
pub fn socket_for(folder: &Path) -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    socket_in(Path::new(&format!("/tmp/impasto-{user}")), folder)
}

/// As [`socket_for`], with a sockets' folder of the caller's.
pub(super) fn socket_in(sockets: &Path, folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.canonicalize().map_err(|error| {
        let message = format!(
            "{}: {error}. Check the name of the run",
            display_path(folder)
        );
        io::Error::new(error.kind(), message)
    })?;
    make(sockets)?;
    let digest = Sha256::digest(folder.as_os_str().as_bytes());
    let mut name = String::new();
    for byte in &digest[..8] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    let socket = sockets.join(name + ".sock");
    check_length(&socket)?;
    Ok(socket)
}

/// Makes the sockets' folder unless it is there, and looks whether it is safe.
///
/// # Errors
/// When it cannot be made, or is not safe.
pub(super) fn make(sockets: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(sockets) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let message = format!(
                "cannot make the folder {}, where front ends meet the engine: {error}",
                display_path(sockets)
            );
            Err(io::Error::new(error.kind(), message))
        }
        _ => check(sockets),
    }
}

/// Looks whether nobody else can put a socket into this folder.
fn check(sockets: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(sockets)?;
    let flaw = if !found.is_dir() {
        "is no folder"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "is open for others to write to"
    } else {
        return Ok(());
    };
    let message = format!(
        "{} {flaw}, so no run can be talked to safely there. Remove it, or have it removed; \
         impasto makes it anew",
        display_path(sockets)
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Looks whether a socket can have this path.
pub(super) fn check_length(socket: &Path) -> io::Result<()> {
    let length = socket.as_os_str().len();
    if length <= MAX_PATH {
        return Ok(());
    }
    let message = format!(
        "the path of the socket {} has {length} bytes; {MAX_PATH} is the most there may be",
        display_path(socket)
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refused(sockets: &Path, folder: &Path, word: &str) {
        let message = socket_in(sockets, folder).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }

    #[test]
    fn a_place_follows_from_the_folder_however_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let other = dir.path().join("other");
        fs::create_dir(&run).unwrap();
        fs::create_dir(&other).unwrap();
        symlink(&run, dir.path().join("link")).unwrap();
        let sockets = dir.path().join("sockets");
        let place = |folder: &Path| socket_in(&sockets, folder).unwrap();
        let first = place(&run);
        assert_eq!(first, place(&other.join("../run")));
        assert_eq!(first, place(&dir.path().join("link")));
        assert_ne!(first, place(&other));
        assert_eq!(first.file_name().unwrap().len(), 16 + 5);
        let mode = fs::metadata(&sockets).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_place_that_is_not_safe_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path();
        let sockets = dir.path().join("sockets");
        fs::create_dir(&sockets).unwrap();
        for mode in [0o777, 0o770, 0o702] {
            fs::set_permissions(&sockets, Permissions::from_mode(mode)).unwrap();
            refused(&sockets, run, "others to write");
        }
        fs::set_permissions(&sockets, Permissions::from_mode(0o700)).unwrap();
        socket_in(&sockets, run).unwrap();
        let link = dir.path().join("link");
        symlink(&sockets, &link).unwrap();
        refused(&link, run, "no folder");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        refused(&file, run, "no folder");
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        // Unless we are root, to whom this belongs, and then nobody's is.
        let sockets = Path::new("/proc/self");
        let strange = Path::new("/usr");
        if fs::metadata(strange).unwrap().uid() != rustix::process::geteuid().as_raw() {
            refused(strange, sockets, "another user");
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = dir.path().join("x".repeat(90));
        refused(&sockets, dir.path(), "107");
    }

    #[test]
    fn a_run_that_is_not_there_is_told_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = dir.path().join("sockets");
        refused(&sockets, &dir.path().join("no-such-run"), "no-such-run");
    }
}
