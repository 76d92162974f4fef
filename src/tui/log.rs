//! Where stderr goes while the dashboard has the screen.
//!
//! libtorch and others write warnings to file descriptor 2 as they please,
//! which would tear the screen. They are kept in a file instead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

/// A log longer than this is set aside when the next one starts.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Stderr as it was; there while it is redirected.
static REAL_STDERR: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Sends stderr to a file until dropped.
#[derive(Debug)]
pub struct Log {
    /// None where stderr went to a file of the user's choice already.
    path: Option<PathBuf>,
}

impl Log {
    /// Sends all that this process writes to stderr to the log, which only its
    /// owner may read. Where the usual place cannot be written to, it is the
    /// cache directory, else a new temporary file. A stderr that is no terminal
    /// cannot tear the screen, and is left alone.
    ///
    /// # Errors
    /// When no file can be written at all, or a log was started already.
    pub fn start() -> io::Result<Self> {
        if !io::stderr().is_terminal() {
            return Ok(Self { path: None });
        }
        let mut real = lock_real_stderr();
        if real.is_some() {
            return Err(io::Error::other("stderr goes to the log already"));
        }
        let (mut file, path) = open_somewhere(&places())?;
        let _ = writeln!(
            file,
            "-- impasto {}, process {}",
            env!("CARGO_PKG_VERSION"),
            std::process::id()
        );
        let before = io::stderr().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stderr(file)?;
        *real = Some(before);
        Ok(Self { path: Some(path) })
    }

    /// The file that is written to; none where stderr was left alone.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes stderr what it was before [`Log::start`]. Does nothing if it is; may
/// be called from anywhere and any number of times.
pub fn give_back() {
    if let Some(real) = lock_real_stderr().take() {
        // If that fails, stderr stays in the log.
        let _ = rustix::stdio::dup2_stderr(real);
    }
}

/// Where the log usually is; none without a home directory.
pub fn log_path() -> Option<PathBuf> {
    places().into_iter().next()
}

fn lock_real_stderr() -> MutexGuard<'static, Option<OwnedFd>> {
    REAL_STDERR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The places for the log, the best first.
fn places() -> Vec<PathBuf> {
    let Ok(directories) = Xdg::new() else {
        return Vec::new();
    };
    [directories.state_dir(), Some(directories.cache_dir())]
        .into_iter()
        .flatten()
        .map(|directory| directory.join("impasto").join("impasto.log"))
        .collect()
}

fn open_somewhere(places: &[PathBuf]) -> io::Result<(File, PathBuf)> {
    for path in places {
        if let Ok(file) = open(path) {
            return Ok((file, path.clone()));
        }
    }
    // A name that nobody can foresee, for a directory that others write to.
    let file = tempfile::Builder::new()
        .prefix("impasto-")
        .suffix(".log")
        .tempfile()?;
    file.keep().map_err(|kept| kept.error)
}

/// Opens the log to append to, after setting aside one that is too long.
fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    match fs::metadata(path) {
        // Opening a pipe would wait for its reader.
        Ok(found) if !found.is_file() => {
            return Err(io::Error::other("the log's place is taken"));
        }
        Ok(found) if found.len() > MAX_LENGTH => fs::rename(path, path.with_extension("log.old"))?,
        _ => {}
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_log_is_private_and_appended_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep").join("impasto.log");
        open(&path).unwrap().write_all(b"one\n").unwrap();
        open(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_long_log_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("impasto.log");
        let old = directory.path().join("impasto.log.old");
        let file = open(&path).unwrap();
        file.set_len(MAX_LENGTH).unwrap();
        drop(open(&path).unwrap());
        assert!(!old.exists());
        file.set_len(MAX_LENGTH + 1).unwrap();
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 0);
        assert_eq!(fs::metadata(&old).unwrap().len(), MAX_LENGTH + 1);
    }

    #[test]
    fn an_unusable_place_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let free = directory.path().join("impasto.log");
        let (_, path) = open_somewhere(&[taken.clone(), free.clone()]).unwrap();
        assert_eq!(path, free);
        let (_, path) = open_somewhere(&[taken]).unwrap();
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn giving_back_what_was_not_taken_does_nothing() {
        give_back();
        give_back();
        assert!(lock_real_stderr().is_none());
    }
}
