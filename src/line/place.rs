//! Where the sockets lie.
//!
//! A run's own folder may be too deep for a socket's address, or on a disk that
//! has no sockets. So all of a user's lie in one folder, by names that follow
//! from the folders of their runs: in the user's runtime folder, and where there
//! is none, or it is removed because its user logged out, under `/tmp`. A run
//! goes on then, so the engine may move from one to the other, and whoever looks
//! for it looks in all of them.

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

/// The places where the socket of the run in `folder` may be, the best first.
///
/// # Errors
/// When there is no such run folder.
pub fn sockets_for(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = folder.canonicalize().map_err(|error| {
        let message = format!(
            "{}: {error}. Check the name of the run",
            display_path(folder)
        );
        io::Error::new(error.kind(), message)
    })?;
    let digest = Sha256::digest(folder.as_os_str().as_bytes());
    let mut name = String::new();
    for byte in &digest[..8] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name += ".sock";
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folders = folders(runtime.as_deref());
    Ok(folders.iter().map(|folder| folder.join(&name)).collect())
}

/// The folders that sockets may be in, `runtime` being the environment's runtime
/// folder. They need not be there: a runtime folder comes back when its user does.
fn folders(runtime: Option<&Path>) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let usual = PathBuf::from(format!("/run/user/{user}"));
    // As left behind by `su` or `sudo`: nothing of ours belongs there.
    let strange = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.uid() != user);
    let mut folders: Vec<PathBuf> = runtime
        .filter(|folder| folder.is_absolute() && *folder != usual)
        .map(Path::to_path_buf)
        .into_iter()
        .chain([usual])
        .filter(|folder| !strange(folder))
        .map(|folder| folder.join("impasto"))
        .collect();
    folders.push(format!("/tmp/impasto-{user}").into());
    folders
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

    fn refused(sockets: &Path, word: &str) {
        let message = make(sockets).unwrap_err().to_string();
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
        let places = |folder: &Path| sockets_for(folder).unwrap();
        let first = places(&run);
        assert_eq!(first, places(&other.join("../run")));
        assert_eq!(first, places(&dir.path().join("link")));
        assert_ne!(first, places(&other));
        let last = first.last().unwrap();
        assert!(last.starts_with("/tmp"), "{last:?}");
        assert_eq!(last.file_name().unwrap().len(), 16 + 5);
    }

    #[test]
    fn the_runtime_folder_comes_first_unless_it_is_another_user_s() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = |folder: &Path| folders(Some(folder));
        assert_eq!(runtime(dir.path())[0], dir.path().join("impasto"));
        // One that is gone may come back.
        let gone = dir.path().join("gone");
        assert_eq!(runtime(&gone)[0], gone.join("impasto"));
        assert_eq!(runtime(Path::new("relative")), folders(None));
        let strange = Path::new("/usr");
        if fs::metadata(strange).unwrap().uid() != rustix::process::geteuid().as_raw() {
            assert_eq!(runtime(strange), folders(None));
        }
    }

    #[test]
    fn a_folder_for_sockets_is_its_owner_s_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = dir.path().join("sockets");
        make(&sockets).unwrap();
        let mode = fs::metadata(&sockets).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        make(&sockets).unwrap();
    }

    #[test]
    fn a_place_that_is_not_safe_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = dir.path().join("sockets");
        fs::create_dir(&sockets).unwrap();
        for mode in [0o777, 0o770, 0o702] {
            fs::set_permissions(&sockets, Permissions::from_mode(mode)).unwrap();
            refused(&sockets, "others to write");
        }
        fs::set_permissions(&sockets, Permissions::from_mode(0o700)).unwrap();
        make(&sockets).unwrap();
        let link = dir.path().join("link");
        symlink(&sockets, &link).unwrap();
        refused(&link, "no folder");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        refused(&file, "no folder");
        // Unless we are root, to whom this belongs.
        let strange = Path::new("/usr");
        if fs::metadata(strange).unwrap().uid() != rustix::process::geteuid().as_raw() {
            refused(strange, "another user");
        }
    }

    #[test]
    fn a_run_that_is_not_there_is_told_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = sockets_for(&dir.path().join("no-such-run")).unwrap_err();
        assert!(error.to_string().contains("no-such-run"), "{error}");
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let long = PathBuf::from(format!("/{}", "x".repeat(MAX_PATH)));
        let error = check_length(&long).unwrap_err();
        assert!(error.to_string().contains("107"), "{error}");
    }
}
