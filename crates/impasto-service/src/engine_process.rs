//! Engines in other processes: starting one, and finding the one that paints a
//! run.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use impasto_core::job::DeviceChoice;
use impasto_core::picture::{MAX_PIXELS, Picture, Source};
use impasto_core::text::display_path;
use impasto_runs::{Folder, Run};

use crate::host::Output;
use crate::ipc::{Connection, LineError, Role, connect, place};

/// The file in a run's folder that an engine's stderr goes to.
pub const STDERR_FILE: &str = "stderr.txt";
/// How long an engine may take until it can be talked to.
const TIMEOUT: Duration = Duration::from_secs(60);
const TRY_INTERVAL: Duration = Duration::from_millis(20);
/// The longest request that an engine reads.
const MAX_REQUEST: u64 = 1 << 16;
/// Samples of a picture that are sent at once.
const SAMPLES_AT_ONCE: usize = 1 << 16;
/// How much of an engine's last words is read.
const LAST_WORDS: u64 = 4096;

/// Why an engine cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("cannot start the engine: {0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Ended(String),
    /// What was asked for is wrong: the engine ended with exit code 2.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(
        "{run} is being painted{by}, but cannot be reached: {why}. It continues to paint; {way_out}."
    )]
    Unreachable {
        run: String,
        by: String,
        why: String,
        way_out: String,
    },
}

/// Connects to the engine that paints a run.
///
/// # Errors
/// When there is none, or it cannot be reached.
pub fn reach(run: &Run, role: Role) -> Result<Connection, RemoteError> {
    match connect(&places(run)?, role) {
        // Its lock is held: somebody does paint it.
        Err(LineError::NotPainted) if run.is_painting() => Err(unreachable(run)?),
        Err(LineError::Unreachable(..) | LineError::NotOurs(_)) if has_no_socket(run) => {
            Err(unreachable(run)?)
        }
        connected => Ok(connected?),
    }
}

/// Where the socket of a run may be: first where its engine says it is.
fn places(run: &Run) -> io::Result<Vec<PathBuf>> {
    let usual = place::sockets_for(run.folder())?;
    let stated = run.address().and_then(|address| address.socket);
    let stated = stated.filter(|socket| place::is_ours(socket) && !usual.contains(socket));
    Ok(stated.into_iter().chain(usual).collect())
}

/// Whether the process that paints a run said that it could make no socket.
fn has_no_socket(run: &Run) -> bool {
    run.address()
        .is_some_and(|address| address.problem.is_some())
}

/// Why a run that is being painted cannot be talked to.
fn unreachable(run: &Run) -> io::Result<RemoteError> {
    let pid = run.painter_pid();
    let problem = run.address().and_then(|address| address.problem);
    let why = match problem {
        Some(problem) => problem,
        None => {
            let places = places(run)?;
            let places: Vec<String> = places.iter().map(|place| display_path(place)).collect();
            format!(
                "nobody listens at {}. If it has only just begun, try again; if it was begun in a \
                 container or on another machine, go there",
                places.join(" or ")
            )
        }
    };
    Ok(RemoteError::Unreachable {
        run: run.name().to_string(),
        by: pid.map_or_else(String::new, |pid| format!(" by process {pid}")),
        why,
        way_out: match pid {
            Some(pid) => format!("`kill {pid}` saves its picture and ends it"),
            None => "end its process to save its picture".to_owned(),
        },
    })
}

/// An engine process that waits for a request. It ends when this is dropped.
#[derive(Debug)]
pub struct IdleEngine(Child);

impl IdleEngine {
    /// Starts one: loading libtorch takes a while, in which there is other work. It
    /// gets `device` ready too, if that is known.
    ///
    /// # Errors
    /// When the system gives no process.
    pub fn start(device: Option<DeviceChoice>) -> io::Result<Self> {
        // The program as it runs now, even if its file was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        // Read by OpenMP when it is loaded: how often an idle thread looks for
        // work before it sleeps. The usual 300,000 keeps other runs from their
        // cores; 1,000 costs this one nothing that could be measured.
        if !["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"]
            .map(std::env::var_os)
            .iter()
            .any(Option::is_some)
        {
            command.env("GOMP_SPINCOUNT", "1000");
        }
        let child = command
            // As lists of processes show it.
            .arg0("impasto")
            .arg("engine")
            .args(device.map(|device| format!("--device={device}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for IdleEngine {
    fn drop(&mut self) {
        // One that received a request continues.
        if self.0.stdin.is_some() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The request to a waiting engine process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineRequest {
    /// The folder of the run.
    pub folder: PathBuf,
    /// The file to which events are appended.
    pub events: Option<PathBuf>,
    /// Where the picture is saved.
    pub output: Output,
}

/// Encodes [`Output::Replace`]; a path is absolute, so it cannot be mistaken for one.
const REPLACE: &str = "replace";

impl EngineRequest {
    /// A request to paint a run, with no file for events.
    pub fn new(run: &Run) -> Self {
        Self {
            folder: run.folder().to_owned(),
            events: None,
            output: Output::Own,
        }
    }

    /// The request that stdin brings, and the decoded pictures that follow it; none if
    /// it ends without one.
    ///
    /// # Errors
    /// When stdin cannot be read, or breaks off.
    pub fn read() -> io::Result<Option<(Self, Vec<Source>)>> {
        let mut stdin = io::stdin().lock();
        let mut length = [0; 4];
        match stdin.read(&mut length[..1])? {
            0 => return Ok(None),
            _ => stdin.read_exact(&mut length[1..])?,
        }
        let length = u32::from_le_bytes(length);
        if u64::from(length) > MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length as usize];
        stdin.read_exact(&mut bytes)?;
        let Some(request) = Self::parsed(&bytes) else {
            return Ok(None);
        };
        Ok(Some((request, read_pictures(&mut stdin)?)))
    }

    fn parsed(bytes: &[u8]) -> Option<Self> {
        let mut paths = bytes.split(|&byte| byte == 0);
        let mut next = || {
            let path = paths.next().filter(|path| !path.is_empty())?;
            Some(PathBuf::from(OsStr::from_bytes(path)))
        };
        Some(Self {
            folder: next()?,
            events: next(),
            output: match next() {
                None => Output::Own,
                Some(word) if word.as_os_str() == REPLACE => Output::Replace,
                Some(path) => Output::At(path),
            },
        })
    }

    /// Paths hold no zero.
    fn bytes(&self) -> Vec<u8> {
        let events = self.events.as_deref().unwrap_or(Path::new(""));
        let output = match &self.output {
            Output::Own => Path::new(""),
            Output::Replace => Path::new(REPLACE),
            Output::At(path) => path,
        };
        [self.folder.as_path(), events, output]
            .map(|path| path.as_os_str().as_bytes())
            .join(&0)
    }
}

/// Sends pictures that were decoded already, so that the engine need not do it again:
/// for each its path, its digest, its size and its samples.
fn write_pictures(pictures: &[&Source], out: &mut impl Write) -> io::Result<()> {
    for source in pictures {
        let path = source.path.as_os_str().as_bytes();
        let (width, height) = source.picture.size();
        for number in [path.len() as u32, width, height] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(path)?;
        out.write_all(source.sha256.as_bytes())?;
        let mut bytes = Vec::with_capacity(4 * SAMPLES_AT_ONCE);
        for samples in source.picture.pixels().chunks(SAMPLES_AT_ONCE) {
            bytes.clear();
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// The pictures that [`write_pictures`] sends, to the end of the stream.
///
/// # Errors
/// When the stream breaks off, or holds something else.
fn read_pictures(from: &mut impl Read) -> io::Result<Vec<Source>> {
    let mut pictures = Vec::new();
    loop {
        let mut header = [0; 12];
        match from.read(&mut header[..1])? {
            0 => return Ok(pictures),
            _ => from.read_exact(&mut header[1..])?,
        }
        let [length, width, height] = [0, 4, 8].map(|at| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u32::from_le_bytes(bytes)
        });
        let pixels = u64::from(width) * u64::from(height);
        if u64::from(length) > MAX_REQUEST || pixels > MAX_PIXELS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut path = vec![0; length as usize];
        from.read_exact(&mut path)?;
        let mut sha256 = [0; 64];
        from.read_exact(&mut sha256)?;
        let mut samples = Vec::with_capacity(3 * pixels as usize);
        let mut bytes = vec![0; 4 * SAMPLES_AT_ONCE];
        while samples.len() < 3 * pixels as usize {
            let count = (3 * pixels as usize - samples.len()).min(SAMPLES_AT_ONCE);
            let bytes = &mut bytes[..4 * count];
            from.read_exact(bytes)?;
            let floats = bytes.as_chunks::<4>().0;
            samples.extend(floats.iter().map(|&four| f32::from_le_bytes(four)));
        }
        let picture = Picture::new(width, height, samples);
        pictures.push(Source {
            picture: picture.ok_or(io::ErrorKind::InvalidData)?,
            path: PathBuf::from(OsStr::from_bytes(&path)),
            sha256: String::from_utf8_lossy(&sha256).into_owned(),
        });
    }
}

/// Lets an engine paint a run, from its last checkpoint if it has one, and
/// connects to it. The engine does as the request says, and does not end with this
/// process. `pictures` are those of the run's job, where they are decoded already; else the
/// engine reads the run's copies.
///
/// # Errors
/// When it cannot be started, or ends at once.
pub fn launch(
    run: &Run,
    request: EngineRequest,
    pictures: &[&Source],
    waiting: Option<IdleEngine>,
) -> Result<Connection, RemoteError> {
    let folder = run.open_folder().map_err(io::Error::other)?;
    let words = folder.file(STDERR_FILE).and_then(|words| words.metadata());
    let before = words.map_or(0, |words| words.len());
    let mut engine = match waiting {
        Some(engine) => engine,
        None => IdleEngine::start(None)?,
    };
    // One that waited for hours may have been killed meanwhile.
    if engine.0.try_wait()?.is_some() {
        engine = IdleEngine::start(None)?;
    }
    if let Some(mut stdin) = engine.0.stdin.take() {
        let request = request.bytes();
        let sent = stdin
            .write_all(&(request.len() as u32).to_le_bytes())
            .and_then(|()| stdin.write_all(&request))
            .and_then(|()| write_pictures(pictures, &mut stdin));
        match sent {
            // The engine has ended, and says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            sent => sent?,
        }
    }
    let began = Instant::now();
    loop {
        let places = places(run)?;
        if let Some(status) = engine.0.try_wait()? {
            let words = last_words(&folder, before);
            let words = words.unwrap_or_else(|| format!("the engine ended at once ({status})"));
            return Err(match status.code() {
                Some(2) => RemoteError::Refused(words),
                _ => RemoteError::Ended(words),
            });
        }
        match connect(&places, Role::Steer) {
            Ok(connection) => {
                reap(engine)?;
                return Ok(connection);
            }
            // It said why there is no way to it.
            Err(_) if has_no_socket(run) => {
                reap(engine)?;
                return Err(unreachable(run)?);
            }
            Err(error) if began.elapsed() > TIMEOUT => return Err(error.into()),
            Err(_) => std::thread::sleep(TRY_INTERVAL),
        }
    }
}

/// Waits for an engine beside everything else, so that nothing stays of one
/// that ends before this process does.
fn reap(mut engine: IdleEngine) -> io::Result<()> {
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || drop(engine.0.wait()))
        .map(drop)
}

/// The last line that an engine wrote to its stderr.
fn last_words(folder: &Folder, from: u64) -> Option<String> {
    let mut file = folder.file(STDERR_FILE).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_arrive_as_they_were_sent() {
        let source = |width: u32, height: u32, path: &[u8]| Source {
            picture: Picture::new(
                width,
                height,
                (0..3 * width * height).map(|i| i as f32 / 7.0).collect(),
            )
            .unwrap(),
            path: PathBuf::from(OsStr::from_bytes(path)),
            sha256: "a".repeat(64),
        };
        let pictures = [source(5, 3, b"a\xff.png"), source(300, 200, b"")];
        let mut bytes = Vec::new();
        write_pictures(&pictures.each_ref(), &mut bytes).unwrap();
        assert_eq!(read_pictures(&mut &bytes[..]).unwrap(), pictures);
        assert_eq!(read_pictures(&mut &[][..]).unwrap(), []);
        for length in [1, 11, 20, bytes.len() - 1] {
            assert!(read_pictures(&mut &bytes[..length]).is_err(), "{length}");
        }
        let huge = [[0; 4], [255; 4], [255; 4]].concat();
        assert!(read_pictures(&mut &huge[..]).is_err());
    }

    #[test]
    fn orders_hold_any_path() {
        let odd = PathBuf::from(OsStr::from_bytes(b"/a b/\xff\n"));
        for (events, output, wanted) in [
            (None, Output::Own, &b"/a b/\xff\n\0\0"[..]),
            (
                Some(PathBuf::from("e.json")),
                Output::Replace,
                b"/a b/\xff\n\0e.json\0replace",
            ),
            (
                None,
                Output::At("/replace".into()),
                b"/a b/\xff\n\0\0/replace",
            ),
        ] {
            let request = EngineRequest {
                folder: odd.clone(),
                events,
                output,
            };
            assert_eq!(request.bytes(), wanted);
            assert_eq!(EngineRequest::parsed(wanted), Some(request));
        }
        assert_eq!(EngineRequest::parsed(b""), None);
        assert_eq!(EngineRequest::parsed(b"\0"), None);
    }
}
