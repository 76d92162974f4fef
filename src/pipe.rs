//! Pictures through a pipe: `-` on a command line is stdin or stdout.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use impasto_core::job::PictureFile;
use impasto_core::picture::{MAX_FILE_BYTES, PictureError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use crate::outcome::{Failure, Outcome};

/// What the picture on stdin goes by.
const STDIN: &str = "stdin";
/// A pipe that is ready takes this much at once without waiting.
const CHUNK: usize = 4096;
/// How soon it is noticed that nobody waits for the reader of stdout any more.
const TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Whether a path is stdin or stdout. A file of that name is `./-`.
pub fn is_dash(path: impl AsRef<OsStr>) -> bool {
    path.as_ref() == "-"
}

/// The pictures of these paths, in their order. One of them may be `-`: it is read here.
///
/// # Errors
/// When more than one is `-`, and when stdin is a terminal, empty, larger than
/// [`MAX_FILE_BYTES`] or cannot be read.
pub fn pictures<'a>(
    paths: impl IntoIterator<Item = &'a Path, IntoIter: Clone>,
) -> Result<Vec<PictureFile>, Failure> {
    let paths = paths.into_iter();
    if paths.clone().filter(|path| is_dash(path)).count() > 1 {
        return Err(Failure::Usage(
            "- is given more than once, and stdin holds one picture; name a file for the others"
                .to_owned(),
        ));
    }
    let open = |path: &Path| match is_dash(path) {
        true => read_stdin(),
        false => Ok(PictureFile::At(path.to_owned())),
    };
    paths.map(open).collect()
}

/// The picture on stdin, to the end.
fn read_stdin() -> Result<PictureFile, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::Usage(
            "- reads a picture from stdin, and stdin is the terminal; pipe a picture in, as with \
             `curl -s URL | impasto run - painting.jpg`, or name a file"
                .to_owned(),
        ));
    }
    let mut bytes = Vec::new();
    let mut source = stdin.lock().take(MAX_FILE_BYTES + 1);
    while let Err(error) = source.read_to_end(&mut bytes) {
        if error.kind() != ErrorKind::WouldBlock {
            return Err(Failure::Usage(format!(
                "cannot read a picture from stdin: {error}; pipe one in, or name a file"
            )));
        }
        // Whoever started the program has made the pipe one that does not wait.
        is_ready(stdin.as_fd(), PollFlags::IN, None)?;
    }
    if bytes.is_empty() {
        return Err(Failure::Usage(
            "stdin is empty: the program before the pipe wrote no picture; run it alone to see \
             why, or name a file"
                .to_owned(),
        ));
    }
    let name = STDIN.to_owned();
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PictureError::FileTooLarge { file: name }.into());
    }
    Ok(PictureFile::Read {
        name,
        bytes: bytes.into(),
    })
}

/// Looks whether a picture can be written to stdout.
///
/// # Errors
/// When stdout is a terminal, or the events go there.
pub fn check_stdout(events: Option<&Path>) -> Outcome {
    if events.is_some_and(is_dash) {
        return Err(Failure::Usage(
            "-o - and --events - both write to stdout; name a file for one of them".to_owned(),
        ));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "-o - writes the picture to stdout, and the picture would go to the terminal; name a \
             file, or redirect with > picture.png"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Writes a picture to stdout. While its reader takes nothing, `go_on` says whether to
/// wait for it.
///
/// # Errors
/// When it cannot be written. [`ErrorKind::BrokenPipe`] and, where `go_on` said so,
/// [`ErrorKind::TimedOut`] are the reader's doing.
pub fn write_stdout(mut bytes: &[u8], mut go_on: impl FnMut() -> bool) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        if !is_ready(stdout.as_fd(), PollFlags::OUT, Some(&TIMEOUT))? {
            match go_on() {
                true => continue,
                false => return Err(ErrorKind::TimedOut.into()),
            }
        }
        let chunk = bytes.get(..CHUNK).unwrap_or(bytes);
        match rustix::io::write(&stdout, chunk) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What to tell of a picture that stdout did not take; `elsewhere` says where it is.
pub fn not_written(error: &io::Error, elsewhere: &str) -> String {
    match error.kind() {
        ErrorKind::BrokenPipe => format!("the reader of stdout is gone; {elsewhere}"),
        ErrorKind::TimedOut => format!("the reader of stdout takes nothing; {elsewhere}"),
        _ => format!("cannot write the picture to stdout ({error}); {elsewhere}"),
    }
}

/// A folder that only this user can enter, for a picture on its way to stdout.
///
/// # Errors
/// When there is no room for one.
pub fn temporary_folder() -> Result<TempDir, Failure> {
    let mut folder = tempfile::Builder::new();
    let folder = folder
        .prefix("impasto-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir();
    folder.map_err(|error| {
        Failure::Failed(format!(
            "cannot make a temporary folder: {error}; set TMPDIR to a folder with room"
        ))
    })
}

/// Waits until something can be read or written. Says whether it can, or the time is
/// over.
fn is_ready(file: impl AsFd, flags: PollFlags, timeout: Option<&Timespec>) -> io::Result<bool> {
    match poll(&mut [PollFd::new(&file, flags)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
