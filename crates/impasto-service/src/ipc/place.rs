//! Where the sockets lie.
//!
//! A run's own folder may be on a disk that has no sockets. So all of a user's lie
//! in one folder, by names that follow from the folders of their runs: in the
//! user's runtime folder, and where there is none, or it is removed because its
//! user logged out, under `/tmp`. Where neither can be obtained, the run's own folder is
//! tried. A run continues meanwhile, so the engine may move from one to the other,
//! and whoever looks for it looks in all of them.

use std::fmt::Write;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use impasto_core::text::display_path;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

/// How many bytes a socket's path may have: Linux gives it 108, the last of
/// which is zero.
const MAX_PATH: usize = 107;
/// The socket in a run's own folder.
const IN_THE_RUN: &str = "engine.sock";
/// How many hexadecimal digits name a socket elsewhere.
const DIGITS: usize = 16;

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
    for byte in &digest[..DIGITS / 2] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name += ".sock";
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folders = folders(runtime.as_deref());
    let mut places: Vec<PathBuf> = folders.iter().map(|folder| folder.join(&name)).collect();
    places.push(folder.join(IN_THE_RUN));
    Ok(places)
}

/// Whether a path from a file is one that an engine gives its socket.
/// Other sockets on a machine are no business of ours.
pub fn is_ours(socket: &Path) -> bool {
    let Some(name) = socket.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let digits = name.strip_suffix(".sock").unwrap_or_default();
    let is_digest = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    socket.is_absolute() && (is_digest || name == IN_THE_RUN)
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
                "cannot create the socket folder {}: {error}",
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

/// A path by which the system finds a socket, however long its own path is.
pub(super) struct Reachable {
    pub path: PathBuf,
    /// The folder that a short path leads through.
    _folder: Option<OwnedFd>,
}

impl Reachable {
    /// The socket's own path where that is short enough for an address, else one
    /// through a descriptor of its folder.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn to(socket: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= MAX_PATH {
            return Ok(Self {
                path: socket.to_owned(),
                _folder: None,
            });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let short = format!("/proc/self/fd/{}", folder.as_raw_fd());
        Ok(Self {
            path: Path::new(&short).join(name),
            _folder: Some(folder),
        })
    }
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
        let [.., shared, last] = first.as_slice() else {
            panic!("{first:?}");
        };
        assert!(shared.starts_with("/tmp"), "{shared:?}");
        assert_eq!(shared.file_name().unwrap().len(), 16 + 5);
        assert_eq!(*last, run.canonicalize().unwrap().join("engine.sock"));
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
    fn a_run_that_is_not_there_is_reported_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = sockets_for(&dir.path().join("no-such-run")).unwrap_err();
        assert!(error.to_string().contains("no-such-run"), "{error}");
    }

    #[test]
    fn only_sockets_of_engines_are_believed() {
        for (path, ours) in [
            ("/run/user/7/impasto/0123456789abcdef.sock", true),
            ("/home/a/runs/b/engine.sock", true),
            ("impasto/0123456789abcdef.sock", false),
            ("/var/run/docker.sock", false),
            ("/tmp/0123456789abcdeg.sock", false),
            ("/", false),
        ] {
            assert_eq!(is_ours(Path::new(path)), ours, "{path}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(
            sockets_for(dir.path())
                .unwrap()
                .iter()
                .all(|it| is_ours(it))
        );
    }
}
