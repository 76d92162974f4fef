//! The socket itself: its file, who comes to it, and whose process that is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use impasto_core::text::display_path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::place::{self, Reachable};

/// How often it is looked whether the file is still there, in seconds.
const LOOK_INTERVAL: i64 = 2;

/// Told where the socket is each time that it is bound, and at first also why it
/// could be bound nowhere.
pub type Announce = Box<dyn FnMut(Result<&Path, &io::Error>) + Send>;

/// A socket that others can find. Its file goes when it is dropped. While no
/// place takes one, it is tried again every two seconds.
pub(super) struct Socket {
    /// Where it may lie, the best place first.
    places: Vec<PathBuf>,
    bound: Option<BoundSocket>,
    announce: Announce,
}

/// A socket with its file.
#[derive(Debug)]
struct BoundSocket {
    path: PathBuf,
    listener: UnixListener,
    /// Device and inode of its file.
    file: (u64, u64),
}

impl Socket {
    /// Binds a socket at the first of these places that takes one. A socket
    /// that nobody listens at any more is replaced. Where none takes it,
    /// `announce` receives the reason.
    ///
    /// # Errors
    /// When somebody listens at one of them.
    pub(super) fn open(places: &[PathBuf], mut announce: Announce) -> io::Result<Self> {
        let bound = match BoundSocket::new(places) {
            Ok(bound) => {
                announce(Ok(&bound.path));
                Some(bound)
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => {
                announce(Err(&error));
                None
            }
        };
        Ok(Self {
            places: places.to_vec(),
            bound,
            announce,
        })
    }

    /// Waits for somebody to come. None when `end` is closed.
    pub(super) fn accept(&mut self, end: &UnixStream) -> Option<io::Result<UnixStream>> {
        loop {
            let mut wait = vec![PollFd::new(end, PollFlags::IN)];
            let listener = self.bound.as_ref().map(|bound| &bound.listener);
            wait.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
            let patience = Timespec {
                tv_sec: LOOK_INTERVAL,
                tv_nsec: 0,
            };
            let polled = poll(&mut wait, Some(&patience));
            let ended = wait.first().is_some_and(|end| !end.revents().is_empty());
            match (polled, listener) {
                (Ok(0), _) => self.tend(),
                (Ok(_), _) if ended => return None,
                (Ok(_), None) => {}
                (Ok(_), Some(listener)) => match listener.accept() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    accepted => {
                        return Some(accepted.and_then(|(stream, _)| {
                            stream.set_nonblocking(false)?;
                            Ok(stream)
                        }));
                    }
                },
                (Err(rustix::io::Errno::INTR), _) => {}
                (Err(error), _) => return Some(Err(error.into())),
            }
        }
    }

    /// Binds anew where the file was removed, as by what cleans up `/tmp` or
    /// takes away the runtime folder of a user who logged out: a run may take
    /// days. So too where no place took a socket before.
    fn tend(&mut self) {
        if self.bound.as_ref().is_some_and(|bound| !bound.is_gone()) {
            return;
        }
        if let Ok(bound) = BoundSocket::new(&self.places) {
            (self.announce)(Ok(&bound.path));
            // The old one, dropped now, leaves the new one's file alone.
            self.bound = Some(bound);
        }
    }
}

impl BoundSocket {
    /// A socket at the first of these places that takes one.
    fn new(places: &[PathBuf]) -> io::Result<Self> {
        let mut problems: Vec<io::Error> = Vec::new();
        for path in places {
            match Self::at(path) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => problems.push(error),
                outcome => return outcome,
            }
        }
        let kind = problems
            .last()
            .map_or(io::ErrorKind::NotFound, io::Error::kind);
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Err(io::Error::new(kind, words.join("; ")))
    }

    fn at(path: &Path) -> io::Result<Self> {
        place::make(path.parent().unwrap_or(Path::new(".")))?;
        let reported = |error: io::Error| {
            let message = format!("no socket can be made at {}: {error}", display_path(path));
            io::Error::new(error.kind(), message)
        };
        check_free(path)?;
        // BoundSocket beside its place and renamed: whoever finds it finds it ready,
        // and with its permissions.
        let fresh = path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(reported(error)),
            _ => {}
        }
        let reachable = Reachable::to(&fresh).map_err(reported)?;
        let listener = UnixListener::bind(&reachable.path).map_err(reported)?;
        let ready = || {
            fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            fs::rename(&fresh, path)?;
            identity(path)
        };
        let file = ready().map_err(reported)?;
        Ok(Self {
            path: path.to_path_buf(),
            listener,
            file,
        })
    }

    /// Whether its file was removed.
    fn is_gone(&self) -> bool {
        identity(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

impl Drop for BoundSocket {
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
    match UnixStream::connect(&Reachable::to(path)?.path) {
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

    fn open(places: &[PathBuf]) -> Socket {
        Socket::open(places, Box::new(|_| {})).unwrap()
    }

    fn place(socket: &Socket) -> &Path {
        &socket.bound.as_ref().unwrap().path
    }

    #[test]
    fn only_its_owner_may_open_it_and_its_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let socket = BoundSocket::new(slice::from_ref(&path)).unwrap();
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
        let socket = BoundSocket::new(slice::from_ref(&path)).unwrap();
        let error = BoundSocket::new(slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        fs::write(&path, "").unwrap();
        let error = BoundSocket::new(slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_folder_that_others_may_write_to_has_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let error = BoundSocket::new(&[dir.path().join("a.sock")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_that_was_removed_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sockets/a.sock");
        let mut socket = open(slice::from_ref(&path));
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
        let mut socket = open(&places);
        assert_eq!(place(&socket), places[1]);
        drop(socket);
        fs::create_dir(&runtime).unwrap();
        socket = open(&places);
        assert_eq!(place(&socket), places[0]);
        fs::remove_dir_all(&runtime).unwrap();
        socket.tend();
        assert_eq!(place(&socket), places[1]);
        UnixStream::connect(&places[1]).unwrap();
    }

    #[test]
    fn without_a_place_it_waits_for_one_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sockets/a.sock");
        fs::write(dir.path().join("sockets"), "a file in the way").unwrap();
        let (outbox, reported) = std::sync::mpsc::channel();
        let announce: Announce = Box::new(move |where_to| {
            let words = where_to.map(Path::to_owned).map_err(ToString::to_string);
            outbox.send(words).unwrap();
        });
        let mut socket = Socket::open(slice::from_ref(&path), announce).unwrap();
        let why = reported.recv().unwrap().unwrap_err();
        assert!(why.contains("sockets is no folder"), "{why}");
        socket.tend();
        assert!(socket.bound.is_none() && reported.try_recv().is_err());
        fs::remove_file(dir.path().join("sockets")).unwrap();
        socket.tend();
        assert_eq!(reported.recv().unwrap(), Ok(path.clone()));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_for_an_address_takes_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        fs::set_permissions(&deep, Permissions::from_mode(0o700)).unwrap();
        let path = deep.join("engine.sock");
        assert!(UnixListener::bind(&path).is_err(), "it is not too long");
        let socket = open(slice::from_ref(&path));
        assert_eq!(place(&socket), path);
        UnixStream::connect(Reachable::to(&path).unwrap().path).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
    }
}
