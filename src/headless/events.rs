//! `--events`: everything that happens as JSON, one object a line.
//!
//! A thread of its own writes, so that a pipe that nobody reads holds up neither
//! the painter nor a signal nor the end of the program.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use impasto_core::paths::is_same_file;
use impasto_core::protocol::Event;
use impasto_core::text::display_path;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde::Serialize;

use crate::outcome::Failure;

/// How many lines wait for a slow reader before steps are left out, and before
/// everything is.
const MAX_STEPS: usize = 4096;
const MAX_LINES: usize = 2 * MAX_STEPS;
/// How long the end waits for a reader that takes nothing.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where events are written to.
#[derive(Debug)]
pub struct EventSink {
    shared: Arc<Shared>,
    is_stdout: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// Lines that were left out since the reader was behind.
    left_out: u64,
    /// Lines that were written, to see whether the reader takes any.
    written: u64,
    /// No more lines come.
    closed: bool,
    /// The thread is done: everything is written, or nothing can be any more.
    done: bool,
    error: Option<io::Error>,
}

impl EventSink {
    /// Opens the file to append to, which is made if it is not there; `-` is
    /// stdout. It must be none of the files in `forbidden`.
    ///
    /// # Errors
    /// When it cannot be written to, or holds something other than events.
    pub fn open(path: &Path, forbidden: &[PathBuf]) -> Result<Self, Failure> {
        let is_stdout = path.as_os_str() == "-";
        let file = match is_stdout {
            true => {
                let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3);
                File::from(stdout.map_err(io::Error::from)?)
            }
            false => open_file(path, forbidden)?,
        };
        let shared = Arc::new(Shared::default());
        thread::Builder::new().name("events".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.write_all(file)
        })?;
        Ok(Self { shared, is_stdout })
    }

    /// Looks whether [`open`](Self::open) would succeed, for another process that
    /// will do it. A pipe is left to that one: its reader ends when it is closed.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn check(path: &Path, forbidden: &[PathBuf]) -> Result<(), Failure> {
        match path.as_os_str() == "-" || is_pipe(path) {
            true => Ok(()),
            false => open_file(path, forbidden).map(drop),
        }
    }

    /// Whether stdout is taken.
    pub fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Has one event written as one line. Does not wait: where the reader is far
    /// behind, steps are left out.
    ///
    /// # Errors
    /// When an earlier one could not be written.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        // What happens before and between iterations is news for people only:
        // a program's first line is `started`.
        if matches!(event, Event::Preparing { .. }) {
            return Ok(());
        }
        self.write_json(event, matches!(event, Event::Step(_)))
    }

    /// Has anything written as one line, as [`write`](Self::write) does. Where the reader
    /// is behind, a step is left out sooner.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_json(&mut self, event: &impl Serialize, is_step: bool) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut queue = self.shared.lock();
        if let Some(error) = queue.error.take() {
            return Err(error);
        }
        let most = match is_step {
            true => MAX_STEPS,
            false => MAX_LINES,
        };
        if queue.lines.len() < most {
            queue.lines.push_back(line);
            self.shared.changed.notify_all();
        } else {
            queue.left_out += 1;
        }
        Ok(())
    }

    /// Waits until everything is written, as long as the reader takes something
    /// every two seconds and `go_on` says so. Returns how many events were left
    /// out, now or before.
    ///
    /// # Errors
    /// When the last ones could not be written.
    pub fn finish(self, mut go_on: impl FnMut() -> bool) -> io::Result<u64> {
        let mut queue = self.shared.lock();
        queue.closed = true;
        self.shared.changed.notify_all();
        let (mut written, mut since) = (queue.written, Instant::now());
        while !queue.done && since.elapsed() < TIMEOUT && go_on() {
            let turn = Duration::from_millis(50);
            let waited = self.shared.changed.wait_timeout(queue, turn);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.written > written {
                (written, since) = (queue.written, Instant::now());
            }
        }
        match queue.error.take() {
            Some(error) => Err(error),
            None if queue.done => Ok(queue.left_out),
            // The one that is being written is not in the queue.
            None => Ok(queue.left_out + queue.lines.len() as u64 + 1),
        }
    }
}

impl Drop for EventSink {
    fn drop(&mut self) {
        // The thread goes when it has written what there is.
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes line after line until the queue is closed and empty.
    fn write_all(&self, mut file: File) {
        let mut queue = self.lock();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                drop(queue);
                let outcome = write_line(&mut file, &line);
                queue = self.lock();
                match outcome {
                    Ok(()) => queue.written += 1,
                    Err(error) => {
                        queue.error = Some(error);
                        break;
                    }
                }
            } else if queue.closed {
                break;
            } else {
                let woken = self.changed.wait(queue);
                queue = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
        queue.done = true;
        self.changed.notify_all();
    }
}

/// Writes a line, also where whoever started the program has made the pipe one that
/// does not wait.
fn write_line(file: &mut File, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match file.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut wait = [PollFd::new(file, PollFlags::OUT)];
                match poll(&mut wait, None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// Opens a file to append events to. A wrong name costs nobody a file.
fn open_file(path: &Path, forbidden: &[PathBuf]) -> Result<File, Failure> {
    let refused = |why: String| {
        Failure::Usage(format!(
            "cannot write events to {}: {why}",
            display_path(path)
        ))
    };
    if forbidden.iter().any(|other| is_same_file(path, other)) {
        return Err(refused(
            "it is a picture of this run. Name another file".to_owned(),
        ));
    }
    let mut options = OpenOptions::new();
    let options = options.append(true).create(true);
    // Opening a pipe would wait for its reader.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let open = |readable: bool| {
        let mut options = options.clone();
        options.read(readable).custom_flags(nonblocking).open(path)
    };
    let is_file = std::fs::metadata(path).map_or(true, |found| found.is_file());
    let mut file = open(is_file).map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) if is_pipe(path) => {
            refused("nobody reads this pipe. Start its reader first".to_owned())
        }
        _ => refused(error.to_string()),
    })?;
    let found = file
        .metadata()
        .map_err(|error| refused(error.to_string()))?;
    if found.is_file() && found.len() > 0 {
        let mut first = [0];
        let read = file.read(&mut first);
        if !matches!((read, first), (Ok(1), [b'{'])) {
            return Err(refused(
                "it holds something other than events. Name another file".to_owned(),
            ));
        }
    }
    let waits = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags - OFlags::NONBLOCK));
    waits.map_err(|error| refused(io::Error::from(error).to_string()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn notice(iteration: u32) -> Event {
        Event::Notice {
            iteration,
            message: "x".repeat(100),
        }
    }

    #[test]
    fn everything_is_appended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for _ in 0..2 {
            let mut sink = EventSink::open(&path, &[]).unwrap();
            for iteration in 0..100 {
                sink.write(&notice(iteration)).unwrap();
            }
            assert_eq!(sink.finish(|| true).unwrap(), 0);
        }
        let text = fs::read_to_string(&path).unwrap();
        let iterations: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|event| event["iteration"].as_u64().unwrap())
            .collect();
        let wanted: Vec<u64> = (0..100).chain(0..100).collect();
        assert_eq!(iterations, wanted);
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let error = EventSink::open(&path, &[]).unwrap_err();
        assert!(format!("{error:?}").contains("reader first"), "{error:?}");

        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let reader = options.read(true).custom_flags(flags).open(&path).unwrap();
        EventSink::check(&path, &[]).unwrap();
        let mut sink = EventSink::open(&path, &[]).unwrap();
        let began = Instant::now();
        for iteration in 0..2 * MAX_LINES as u32 {
            sink.write(&notice(iteration)).unwrap();
        }
        let left_out = sink.finish(|| true).unwrap();
        assert!(began.elapsed() < 10 * TIMEOUT);
        assert!(left_out > MAX_LINES as u64, "{left_out}");
        drop(reader);
    }

    #[test]
    fn events_are_appended_to_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("picture.png");
        fs::write(&picture, b"\x89PNG").unwrap();
        let link = folder.path().join("link.jsonl");
        std::os::unix::fs::symlink(&picture, &link).unwrap();
        let fresh = folder.path().join("fresh.png");
        for (path, forbidden) in [
            (&picture, &[][..]),
            (&link, &[]),
            (&picture, std::slice::from_ref(&picture)),
            (&fresh, std::slice::from_ref(&fresh)),
            (&folder.path().to_owned(), &[]),
            (&folder.path().join("no/events"), &[]),
        ] {
            let error = EventSink::check(path, forbidden).unwrap_err();
            let Failure::Usage(message) = error else {
                panic!("{error:?}");
            };
            assert!(message.contains("cannot write events to"), "{message}");
        }
        assert_eq!(fs::read(&picture).unwrap(), b"\x89PNG");
        assert!(!fresh.exists());
    }
}
