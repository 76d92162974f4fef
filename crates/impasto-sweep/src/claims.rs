//! Who paints which cell: leases in a folder that several machines share.
//!
//! A claim on a cell is a file `NNNN.G` in the folder `claims`. G counts the takeovers:
//! the claim with the highest G holds. A file that is not there yet is made with `O_EXCL`,
//! which is atomic on local file systems and on NFS from version 3 on, so two processes
//! never make the same claim. Its owner writes it anew every [`BEAT`].
//!
//! A claim is dead when its process is, which others on the same machine can see, or when
//! it did not change for [`TIMEOUT`] while somebody watched it. Clocks are not compared:
//! every watcher measures with its own. A dead claim is taken over by making the next
//! one; an owner that was only suspended finds out at its next beat, and stops.
//!
//! The run itself is locked too (`flock`): where that works across machines, as on NFS
//! with its lock service, it protects a cell even from an owner that wakes up late.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use serde::{Deserialize, Serialize};

/// How often an owner renews its claims.
pub const BEAT: Duration = Duration::from_secs(10);
/// How long a claim may stay the same before it counts as dead.
pub const TIMEOUT: Duration = Duration::from_secs(90);
/// No claim is longer.
const MAX_BYTES: u64 = 4096;

/// Who made a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub host: String,
    pub pid: u32,
    /// When the process started, in clock ticks after the machine did: process numbers
    /// are used again.
    started: u64,
    /// Names the start of the machine and the namespace of process numbers: within both,
    /// others can see whether the process lives.
    place: String,
}

/// A claim as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    owner: Owner,
    /// Grows with every beat.
    beat: u64,
}

impl Owner {
    /// This process.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        Self {
            host: read("/proc/sys/kernel/hostname").trim().to_owned(),
            pid: std::process::id(),
            started: started(std::process::id()).unwrap_or(0),
            place: format!("{} {}", boot.trim(), namespace.display()),
        }
    }

    /// Whether the process runs on this machine, and can be sent signals.
    pub fn is_here(&self) -> bool {
        !self.place.is_empty() && self.place == Self::here().place
    }

    /// Whether the process is known to be gone. What runs elsewhere is not.
    fn is_gone(&self, here: &Self) -> bool {
        !self.place.is_empty()
            && self.place == here.place
            && started(self.pid) != Some(self.started)
    }
}

/// When a process started; none if there is no such process.
fn started(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold blanks and brackets.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie paints nothing.
    let state = fields.next()?;
    match state {
        "Z" | "X" => None,
        // Field 22; the first here is field 3.
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// What became of a try to claim a cell.
#[derive(Debug)]
pub enum Claimed {
    /// It is this process's until the guard is dropped.
    Yes(ClaimGuard),
    /// Somebody else has it.
    By(Owner),
}

/// The claims of a sweep as one process sees and makes them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Claims {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    here: Owner,
    timeout: Duration,
    /// The claims of this process, and whether each was lost.
    own: Mutex<HashMap<usize, Own>>,
    /// Others' claims as they were last seen to change.
    seen: Mutex<HashMap<usize, (u32, u64, Instant)>>,
    /// Ends the thread that renews claims when it is dropped.
    beats: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

#[derive(Debug)]
struct Own {
    generation: u32,
    beat: u64,
    lost: bool,
}

/// A claim that this process holds, until dropped.
#[derive(Debug)]
pub struct ClaimGuard {
    inner: Arc<Inner>,
    number: usize,
}

impl Claims {
    /// The claims in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::open_with(folder, Owner::here(), BEAT, TIMEOUT)
    }

    fn open_with(
        folder: &Path,
        here: Owner,
        beat: Duration,
        timeout: Duration,
    ) -> io::Result<Self> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let inner = Arc::new(Inner {
            folder: folder.to_owned(),
            here,
            timeout,
            own: Mutex::default(),
            seen: Mutex::default(),
            beats: Mutex::default(),
        });
        let (stop, stopped) = bounded(0);
        // It must not keep alive what it renews.
        let renewed = Arc::downgrade(&inner);
        let thread = std::thread::Builder::new()
            .name("claims".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                    match renewed.upgrade() {
                        Some(inner) => inner.renew(),
                        None => return,
                    }
                }
            })?;
        *lock(&inner.beats) = Some((stop, thread));
        Ok(Self { inner })
    }

    /// Tries to claim a cell.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn claim(&self, number: usize) -> io::Result<Claimed> {
        let inner = &self.inner;
        let next = match inner.newest(number)? {
            None => 0,
            Some((generation, None)) if inner.is_stale(number, generation, 0) => generation + 1,
            Some((generation, Some(claim)))
                if claim.owner.is_gone(&inner.here)
                    || inner.is_stale(number, generation, claim.beat) =>
            {
                generation.saturating_add(1)
            }
            Some((_, claim)) => return Ok(Claimed::By(claim.map_or_else(unknown, |it| it.owner))),
        };
        let claim = Claim {
            owner: inner.here.clone(),
            beat: 0,
        };
        let path = inner.path(number, next);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        match options.open(&path) {
            Ok(mut file) => {
                if let Err(error) = write(&mut file, &claim) {
                    let _ = fs::remove_file(&path);
                    return Err(error);
                }
            }
            // Somebody was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let owner = read(&path).ok().flatten();
                return Ok(Claimed::By(owner.map_or_else(unknown, |it| it.owner)));
            }
            Err(error) => return Err(error),
        }
        let own = Own {
            generation: next,
            beat: 0,
            lost: false,
        };
        lock(&inner.own).insert(number, own);
        lock(&inner.seen).remove(&number);
        for generation in 0..next {
            let _ = fs::remove_file(inner.path(number, generation));
        }
        Ok(Claimed::Yes(ClaimGuard {
            inner: inner.clone(),
            number,
        }))
    }

    /// The cells that have a claim.
    fn claimed(&self) -> io::Result<BTreeSet<usize>> {
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(&self.inner.folder)? {
            let name = entry?.file_name();
            let number: Option<usize> = name
                .to_str()
                .and_then(|name| name.split_once('.')?.0.parse().ok());
            numbers.extend(number);
        }
        Ok(numbers)
    }

    /// Removes what processes of this machine left behind that were killed right after
    /// they had painted a cell. Claims on other cells are taken over when they are claimed.
    pub fn clean(&self, is_done: impl Fn(usize) -> bool) {
        let Ok(numbers) = self.claimed() else { return };
        for number in numbers.into_iter().filter(|number| is_done(*number)) {
            if let Ok(Some((generation, Some(claim)))) = self.inner.newest(number)
                && claim.owner.is_gone(&self.inner.here)
            {
                let _ = fs::remove_file(self.inner.path(number, generation));
            }
        }
    }

    /// Every process that holds a cell, as far as the files say, each once. One on another
    /// machine may have died within the last [`TIMEOUT`] or long ago.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn holders(&self) -> io::Result<Vec<Owner>> {
        let numbers = self.claimed()?;
        let mut owners: Vec<Owner> = Vec::new();
        for owner in numbers.into_iter().filter_map(|number| self.holder(number)) {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        Ok(owners)
    }

    /// Who holds a cell, as far as the files say.
    pub fn holder(&self, number: usize) -> Option<Owner> {
        let (_, claim) = self.inner.newest(number).ok()??;
        let owner = claim?.owner;
        (!owner.is_gone(&self.inner.here)).then_some(owner)
    }
}

fn unknown() -> Owner {
    Owner {
        host: "another machine".to_owned(),
        pid: 0,
        started: 0,
        place: String::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn path(&self, number: usize, generation: u32) -> PathBuf {
        self.folder.join(format!("{number:04}.{generation}"))
    }

    /// The claim that holds, with its generation; without its text while that is being
    /// written.
    fn newest(&self, number: usize) -> io::Result<Option<(u32, Option<Claim>)>> {
        // Most cells have one claim or none; a listing of all would take longer.
        let mut newest = None;
        for generation in 0..u32::MAX {
            match read(&self.path(number, generation)) {
                Ok(claim) => newest = Some((generation, claim)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    // Older claims are removed, the oldest first.
                    if newest.is_some() || generation >= self.highest(number)? {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// One more than the highest generation that is there.
    fn highest(&self, number: usize) -> io::Result<u32> {
        let prefix = format!("{number:04}.");
        let mut highest = 0;
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let generation = name
                .to_str()
                .and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
            highest =
                highest.max(generation.map_or(0, |generation: u32| generation.saturating_add(1)));
        }
        Ok(highest)
    }

    /// Whether a claim has not changed for so long that its owner must be dead.
    fn is_stale(&self, number: usize, generation: u32, beat: u64) -> bool {
        let mut seen = lock(&self.seen);
        match seen.get(&number) {
            Some((known, last, since)) if (*known, *last) == (generation, beat) => {
                since.elapsed() >= self.timeout
            }
            _ => {
                seen.insert(number, (generation, beat, Instant::now()));
                false
            }
        }
    }

    /// Renews every claim of this process.
    fn renew(&self) {
        let mut own = lock(&self.own);
        for (number, claim) in own.iter_mut() {
            let path = self.path(*number, claim.generation);
            // Without `create`: a claim that was taken over is gone.
            let mut options = OpenOptions::new();
            options
                .write(true)
                .truncate(true)
                .custom_flags(libc_nofollow());
            match options.open(&path) {
                Ok(mut file) => {
                    claim.beat += 1;
                    let text = Claim {
                        owner: self.here.clone(),
                        beat: claim.beat,
                    };
                    // On a full disk it may come too late; the run's lock still holds.
                    let _ = write(&mut file, &text);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => claim.lost = true,
                Err(_) => {}
            }
            if self
                .path(*number, claim.generation.saturating_add(1))
                .exists()
            {
                claim.lost = true;
            }
        }
    }
}

/// `O_NOFOLLOW`.
fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits() as i32
}

fn write(file: &mut File, claim: &Claim) -> io::Result<()> {
    let mut text = serde_json::to_vec(claim).map_err(io::Error::other)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// Reads a claim; none while it is being written.
fn read(path: &Path) -> io::Result<Option<Claim>> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc_nofollow())
        .open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes).ok())
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((stop, thread)) = lock(&self.beats).take() {
            drop(stop);
            // The last claim may be dropped by that very thread.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl ClaimGuard {
    /// Whether somebody else took the cell over, because this process was silent for too
    /// long.
    pub fn is_lost(&self) -> bool {
        lock(&self.inner.own)
            .get(&self.number)
            .is_none_or(|own| own.lost)
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let own = lock(&self.inner.own).remove(&self.number);
        if let Some(own) = own
            && !own.lost
        {
            let _ = fs::remove_file(self.inner.path(self.number, own.generation));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn elsewhere(name: &str) -> Owner {
        Owner {
            host: name.to_owned(),
            pid: 1,
            started: 1,
            place: name.to_owned(),
        }
    }

    fn claims(folder: &Path, owner: Owner, beat: Duration) -> Claims {
        Claims::open_with(folder, owner, beat, 10 * SHORT).unwrap()
    }

    fn claimed(claims: &Claims, number: usize) -> Option<ClaimGuard> {
        match claims.claim(number).unwrap() {
            Claimed::Yes(guard) => Some(guard),
            Claimed::By(_) => None,
        }
    }

    #[test]
    fn a_cell_is_claimed_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let one = claims(folder.path(), elsewhere("one"), SHORT);
        let other = claims(folder.path(), elsewhere("other"), SHORT);
        let guard = claimed(&one, 3).unwrap();
        assert!(matches!(other.claim(3).unwrap(), Claimed::By(owner) if owner.host == "one"));
        assert_eq!(other.holders().unwrap(), [elsewhere("one")]);
        assert!(claimed(&other, 4).is_some());
        // As long as it beats it is not taken, however long it takes.
        std::thread::sleep(15 * SHORT);
        assert!(claimed(&other, 3).is_none());
        std::thread::sleep(15 * SHORT);
        assert!(claimed(&other, 3).is_none());
        assert!(!guard.is_lost());
        drop(guard);
        assert!(claimed(&other, 3).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_silent_claim_is_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let silent = claims(
            folder.path(),
            elsewhere("silent"),
            Duration::from_secs(3600),
        );
        let guard = claimed(&silent, 0).unwrap();
        let one = claims(folder.path(), elsewhere("one"), SHORT);
        let other = claims(folder.path(), elsewhere("other"), SHORT);
        // It has to be watched for a while first.
        assert!(claimed(&one, 0).is_none());
        assert!(claimed(&other, 0).is_none());
        std::thread::sleep(12 * SHORT);
        let taken = claimed(&one, 0).unwrap();
        assert!(claimed(&other, 0).is_none());
        // It wakes up.
        silent.inner.renew();
        assert!(guard.is_lost());
        drop(guard);
        assert!(claimed(&other, 0).is_none(), "the new claim stays");
        assert!(!taken.is_lost());
        drop(taken);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_process_of_this_machine_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let here = Owner::here();
        assert!(here.started > 0 && !here.is_gone(&here));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = Owner {
            pid: child.id(),
            started: 1,
            ..here.clone()
        };
        child.wait().unwrap();
        assert!(dead.is_gone(&here));
        let gone = claims(folder.path(), dead, Duration::from_secs(3600));
        std::mem::forget(claimed(&gone, 7).unwrap());
        let alive = claims(folder.path(), here, SHORT);
        assert!(alive.holder(7).is_none());
        alive.clean(|number| number != 7);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        alive.clean(|_| true);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        std::mem::forget(claimed(&gone, 7));
        assert!(claimed(&alive, 7).is_some());
    }

    #[test]
    fn of_many_threads_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<Claims> = (0..8)
            .map(|index| claims(folder.path(), elsewhere(&index.to_string()), SHORT))
            .collect();
        for number in 0..20 {
            let guards: Vec<Option<ClaimGuard>> = std::thread::scope(|scope| {
                let threads: Vec<_> = all
                    .iter()
                    .map(|claims| scope.spawn(move || claimed(claims, number)))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            assert_eq!(guards.iter().flatten().count(), 1);
        }
    }
}
