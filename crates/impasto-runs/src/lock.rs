//! Who paints a run: a lock on a file in its folder, that the system takes
//! back whenever the process ends, however it does.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Folder;

/// Its name in the run's folder.
const FILE: &str = "lock";

/// Who only looks holds the lock for an instant, which is worth waiting for.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The right to paint a run, until dropped.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

/// Why there is no lock to be obtained.
pub(super) enum NoLock {
    Taken,
    Io(io::Error),
}

impl RunLock {
    /// Takes the lock in a run's folder and writes this process's number there.
    pub(super) fn take(folder: &Path) -> Result<Self, NoLock> {
        let open = || Folder::open(folder)?.read_write(FILE);
        let mut file = open().map_err(NoLock::Io)?;
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
    let Ok(file) = Folder::open(folder).and_then(|folder| folder.file(FILE)) else {
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
    let bytes = Folder::open(folder).ok()?.read(FILE, 32).ok()?;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}
