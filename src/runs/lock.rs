//! Who paints a run: a lock on a file in its folder, that the system takes
//! back whenever the process ends, however it does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::files;

/// Who only looks holds the lock for an instant, which is worth waiting for.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The right to paint a run, until dropped.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

/// Why there is no lock to be had.
pub(super) enum NoLock {
    Taken,
    Io(io::Error),
}

impl RunLock {
    /// Takes the lock in a run's folder and writes this process's number there.
    pub(super) fn take(folder: &Path) -> Result<Self, NoLock> {
        let path = path(folder);
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            let error = io::Error::other("it is not an ordinary file");
            return Err(NoLock::Io(error));
        }
        let mut options = OpenOptions::new();
        // Cut to nothing only once the lock is had.
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(&path).map_err(NoLock::Io)?;
        for number in 1..=TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if number < TRIES => sleep(BETWEEN_TRIES),
                Err(Errno::WOULDBLOCK) => return Err(NoLock::Taken),
                Err(error) => return Err(NoLock::Io(error.into())),
            }
        }
        // The number is for people; the lock holds without it, on a full disk too.
        let _ = file.set_len(0);
        let _ = file.seek(SeekFrom::Start(0));
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing gives the lock back; nobody's number should stay.
        let _ = self.file.set_len(0);
    }
}

/// Whether a process holds the lock.
pub(super) fn is_taken(folder: &Path) -> bool {
    let Ok(file) = files::open(&path(folder)) else {
        return false;
    };
    // Shared, so that those who look do not see each other. Closing the file
    // gives it back at once.
    matches!(
        flock(&file, FlockOperation::NonBlockingLockShared),
        Err(Errno::WOULDBLOCK)
    )
}

/// The process that holds the lock, if one does and its number can be read.
pub(super) fn holder(folder: &Path) -> Option<u32> {
    if !is_taken(folder) {
        return None;
    }
    let bytes = files::read(&path(folder), 32).ok()?;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

fn path(folder: &Path) -> PathBuf {
    folder.join("lock")
}
