//! What the contact sheet wants from the disk, read on threads of their own: the index,
//! and the pictures of the cells in sight.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use impasto_runs::Run;
use impasto_sweep::{CellEntry, CellState, Index, SweepFolder};

use super::sheet::{Look, Stamp, Wanted};
use crate::tui::start::read_thumbnail;

/// How often files are looked at that may have changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(700);
/// The longest side of a picture among others, and of one alone, in pixels.
const SMALL_SIDE: u32 = 96;
const LARGE_SIDE: u32 = 480;
/// The most cells that are looked at one by one at once.
const MAX_ENTRIES: usize = 64;
/// Answers that wait to be taken in.
const MAX_WAITING: usize = 64;

/// An answer.
#[derive(Debug)]
pub enum Reading {
    Index(Result<Box<Index>, String>),
    /// Where a cell stands that is being painted.
    Entry(Box<CellEntry>),
    /// A picture that was asked for; none if there is none any more.
    Look {
        wanted: Wanted,
        look: Option<Look>,
    },
}

#[derive(Debug, Default)]
struct Requests {
    /// What to show, until the thread has taken it.
    pictures: Option<Vec<Wanted>>,
    /// Nobody waits for answers any more.
    over: bool,
}

#[derive(Debug, Default)]
struct Desk {
    requests: Mutex<Requests>,
    changed: Condvar,
}

impl Desk {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        // Nothing that could panic is done while it is held.
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a while, or until `wakes`. False when it is over.
    fn rest(&self, wakes: fn(&Requests) -> bool) -> bool {
        let requests = self.requests();
        let waits = |requests: &mut Requests| !requests.over && !wakes(requests);
        let waited = (self.changed).wait_timeout_while(requests, LOOK_INTERVAL, waits);
        let (requests, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !requests.over
    }
}

/// The readers. They end some time after this is dropped, when they are done with what
/// they have in hand.
#[derive(Debug)]
pub struct Reader {
    desk: Arc<Desk>,
    readings: Receiver<Reading>,
    wanted: Vec<Wanted>,
}

impl Reader {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(folder: &SweepFolder) -> io::Result<Self> {
        let (sender, readings) = sync_channel(MAX_WAITING);
        // Dropping this ends the first thread if the second cannot start.
        let reader = Self {
            desk: Arc::default(),
            readings,
            wanted: Vec::new(),
        };
        let spawn = |name: &str, work: fn(&SweepFolder, &Desk, &SyncSender<Reading>)| {
            let (folder, desk, sender) = (folder.clone(), reader.desk.clone(), sender.clone());
            let thread = thread::Builder::new().name(name.to_owned());
            thread.spawn(move || work(&folder, &desk, &sender))
        };
        spawn("index", read_indexes)?;
        spawn("thumbnails", read_pictures)?;
        Ok(reader)
    }

    /// Says which pictures are in sight; those are looked after until others are.
    pub fn want(&mut self, wanted: Vec<Wanted>) {
        let key = |wanted: &Wanted| (wanted.number, wanted.large);
        if wanted.iter().map(key).eq(self.wanted.iter().map(key)) {
            return;
        }
        self.wanted.clone_from(&wanted);
        self.desk.requests().pictures = Some(wanted);
        self.desk.changed.notify_all();
    }

    /// The answers that are there; never waits.
    pub fn take(&self) -> Vec<Reading> {
        self.readings.try_iter().take(MAX_WAITING).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.desk.requests().over = true;
        self.desk.changed.notify_all();
    }
}

/// When a file was written last, and its length; none if it is not there.
fn stamp(path: &std::path::Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads the index whenever it was written, and where the cells stand that are being
/// painted.
fn read_indexes(folder: &SweepFolder, desk: &Desk, sender: &SyncSender<Reading>) {
    let path = folder.path().join("sweep.json");
    let mut read = None;
    let mut painting: Vec<CellEntry> = Vec::new();
    loop {
        let now = stamp(&path);
        if read.is_none() || read != Some(now) {
            // The first time whoever painted may be long gone, and have left states behind.
            let first = read.replace(now).is_none();
            let index = folder.written_index().and_then(|mut index| {
                if first {
                    folder.refresh_begun(&mut index)?;
                }
                Ok(index)
            });
            if let Ok(index) = &index {
                let active = |cell: &&CellEntry| {
                    matches!(cell.state, CellState::Painting | CellState::Paused)
                };
                let cells = index.cells.iter().filter(active).take(MAX_ENTRIES);
                painting = cells.cloned().collect();
            }
            let index = index.map(Box::new).map_err(|error| error.to_string());
            if sender.send(Reading::Index(index)).is_err() {
                return;
            }
        }
        for known in &mut painting {
            let Ok(entry) = folder.entry(known.number) else {
                continue;
            };
            // Whoever paints it may not have made its folder yet.
            if entry.state != CellState::Waiting && entry != *known {
                known.clone_from(&entry);
                if sender.send(Reading::Entry(Box::new(entry))).is_err() {
                    return;
                }
            }
        }
        if !desk.rest(|_| false) {
            return;
        }
    }
}

/// Reads the pictures in sight, and again when they were written.
fn read_pictures(folder: &SweepFolder, desk: &Desk, sender: &SyncSender<Reading>) {
    let mut wanted = Vec::new();
    loop {
        if let Some(new) = desk.requests().pictures.take() {
            wanted = new;
        }
        for picture in &mut wanted {
            if desk.requests().pictures.is_some() {
                break;
            }
            let (path, now) = picture_of(folder, picture.number);
            if now == picture.stamp {
                continue;
            }
            picture.stamp = now;
            let look = now.map(|_| {
                let side = if picture.large {
                    LARGE_SIDE
                } else {
                    SMALL_SIDE
                };
                match read_thumbnail(&path, side) {
                    Ok(thumbnail) => Look::Whole(thumbnail),
                    Err(error) => Look::Broken(error),
                }
            });
            let wanted = *picture;
            if sender.send(Reading::Look { wanted, look }).is_err() {
                return;
            }
        }
        if !desk.rest(|requests| requests.pictures.is_some()) {
            return;
        }
    }
}

/// The picture of a cell: the finished one or, before it is there, the preview.
fn picture_of(folder: &SweepFolder, number: usize) -> (PathBuf, Option<Stamp>) {
    let cell = folder.cell_folder(number);
    let result = cell.join(Run::RESULT);
    if let Some(stamp) = stamp(&result) {
        return (result, Some(stamp));
    }
    let preview = cell.join(Run::PREVIEW);
    let stamp = stamp(&preview);
    (preview, stamp)
}
