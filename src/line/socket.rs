//! The socket itself: its file, who comes to it, and whose process that is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::place;
use crate::picture::display_path;

/// How often it is looked whether the file is still there, in seconds.
const LOOK_EVERY: i64 = 2;

/// A socket that others can find. Its file goes when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    /// Where it may lie, the best place first.
    places: Vec<PathBuf>,
    path: PathBuf,
    listener: UnixListener,
    /// Device and inode of its file.
    file: (u64, u64),
}

impl Socket {
    /// Binds a socket at the first of these places that takes one. A socket
    /// that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When somebody listens at one of them, or none takes it: why the last did
    /// not.
    pub(super) fn bind(places: &[PathBuf]) -> io::Result<Self> {
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for path in places {
            outcome = Self::bind_at(path, places);
            match &outcome {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {}
                _ => break,
            }
        }
        outcome
    }

    fn bind_at(path: &Path, places: &[PathBuf]) -> io::Result<Self> {
        place::check_length(path)?;
        place::make(path.parent().unwrap_or(Path::new(".")))?;
        check_free(path)?;
        // Bound beside its place and renamed: whoever finds it finds it ready,
        // and with its permissions.
        let fresh = path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        fs::rename(&fresh, path)?;
        Ok(Self {
            places: places.to_vec(),
            file: identity(path)?,
            path: path.to_path_buf(),
            listener,
        })
    }

    /// Waits for somebody to come. None when `end` is closed.
    pub(super) fn accept(&mut self, end: &UnixStream) -> Option<io::Result<UnixStream>> {
        loop {
            let mut wait = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::new(end, PollFlags::IN),
            ];
            let patience = Timespec {
                tv_sec: LOOK_EVERY,
                tv_nsec: 0,
            };
            match poll(&mut wait, Some(&patience)) {
                Ok(0) => self.tend(),
                Ok(_) if !wait[1].revents().is_empty() => return None,
                Ok(_) => match self.listener.accept() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    accepted => {
                        return Some(accepted.and_then(|(stream, _)| {
                            stream.set_nonblocking(false)?;
                            Ok(stream)
                        }));
                    }
                },
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }

    /// Binds anew where the file was removed, as by what cleans up `/tmp` or
    /// takes away the runtime folder of a user who logged out: a run may take
    /// days.
    fn tend(&mut self) {
        let gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if identity(&self.path).is_err_and(gone)
            && let Ok(mut socket) = Self::bind(&self.places)
        {
            // The old one, dropped now, leaves the new one's file alone.
            std::mem::swap(self, &mut socket);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the process at the other end belongs to our user or to root.
pub(super) fn is_trusted(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

/// Looks whether a socket can be put here.
fn check_free(path: &Path) -> io::Result<()> {
    let taken = |kind, what: &str| {
        let message = format!("{} {what}", display_path(path));
        Err(io::Error::new(kind, message))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return taken(
                io::ErrorKind::AlreadyExists,
                "is in the way of a socket. Remove it",
            );
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => taken(
            io::ErrorKind::AddrInUse,
            "is in use: the run is being painted already",
        ),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        },
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn only_its_owner_may_open_it_and_its_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let socket = Socket::bind(slice::from_ref(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        // As after a crash: the listener is gone, the files are not.
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(path.with_extension("new")).unwrap());
        let socket = Socket::bind(slice::from_ref(&path)).unwrap();
        let error = Socket::bind(slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        fs::write(&path, "").unwrap();
        let error = Socket::bind(slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_folder_that_others_may_write_to_has_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let error = Socket::bind(&[dir.path().join("a.sock")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_that_was_removed_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sockets/a.sock");
        let mut socket = Socket::bind(slice::from_ref(&path)).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        socket.tend();
        UnixStream::connect(&path).unwrap();
        // One of somebody else's is left alone, also at the end.
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        socket.tend();
        drop(socket);
        UnixStream::connect(&path).unwrap();
        drop(other);
    }

    #[test]
    fn where_one_place_goes_another_serves() {
        let dir = tempfile::tempdir().unwrap();
        let places = ["user/impasto", "tmp"].map(|folder| dir.path().join(folder).join("a.sock"));
        // The first one's folder is made by the login.
        let runtime = dir.path().join("user");
        let mut socket = Socket::bind(&places).unwrap();
        assert_eq!(socket.path, places[1]);
        drop(socket);
        fs::create_dir(&runtime).unwrap();
        socket = Socket::bind(&places).unwrap();
        assert_eq!(socket.path, places[0]);
        fs::remove_dir_all(&runtime).unwrap();
        socket.tend();
        assert_eq!(socket.path, places[1]);
        UnixStream::connect(&places[1]).unwrap();
    }
}
