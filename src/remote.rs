//! Engines in other processes: starting one, and finding the one that paints a
//! run.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::line::{Connection, LineError, Role, connect, place};
use crate::runs::Run;

/// How long an engine may take until it can be talked to.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(20);
/// How much of an engine's last words is read.
const LAST_WORDS: u64 = 4096;

/// Why an engine cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("cannot start the engine: {0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Ended(String),
    #[error(transparent)]
    Line(#[from] LineError),
}

/// Connects to the engine that paints a run.
///
/// # Errors
/// When there is none, or it cannot be reached.
pub fn reach(run: &Run, role: Role) -> Result<Connection, RemoteError> {
    Ok(connect(&place::sockets_for(run.folder())?, role)?)
}

/// Starts an engine that paints a run, from its last checkpoint if it has one,
/// and connects to it. The engine appends all that happens to the file `events`,
/// if there is one, and does not end with this process.
///
/// # Errors
/// When it cannot be started, or ends at once.
pub fn launch(run: &Run, events: Option<&Path>) -> Result<Connection, RemoteError> {
    let words = run.folder().join("stderr.txt");
    let mut options = OpenOptions::new();
    let stderr = options.append(true).create(true).mode(0o600).open(&words)?;
    let before = stderr.metadata()?.len();
    // The program as it runs now, even if its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    // As lists of processes show it.
    command.arg0("impasto").arg("engine").arg(run.folder());
    if let Some(events) = events {
        command.arg("--events").arg(events);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()?;
    let places = place::sockets_for(run.folder())?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            let words = last_words(&words, before);
            return Err(RemoteError::Ended(
                words.unwrap_or_else(|| format!("the engine ended at once ({status})")),
            ));
        }
        match connect(&places, Role::Steer) {
            Ok(connection) => {
                reap(child)?;
                return Ok(connection);
            }
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => std::thread::sleep(TRY_EVERY),
        }
    }
}

/// Waits for an engine beside everything else, so that nothing stays of one
/// that ends before this process does.
fn reap(mut child: Child) -> io::Result<()> {
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || drop(child.wait()))
        .map(drop)
}

/// The last line that an engine wrote to its stderr.
fn last_words(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(LAST_WORDS))))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.trim_start_matches("impasto: ");
    Some(line.chars().filter(|c| !c.is_control()).collect())
}
