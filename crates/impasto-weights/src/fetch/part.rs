//! What has come of a file so far: `NAME.part`, and beside it `NAME.part.json`,
//! which says where it comes from and how much of it can be relied upon.

//!
//! The folder may be on a disk that fills up and on a machine that is turned
//! off: what is not on the disk for certain is fetched again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use impasto_core::text::display_path;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FetchError;
use crate::networks::{NetworkError, Networks};

/// After how many bytes what came is put on the disk for certain.
const SECURE: u64 = 16 << 20;

/// The longest note that is read.
const MAX_NOTE: u64 = 64 << 10;

/// Where a part comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Without secrets.
    pub url: String,
    /// Which version of the file it is of. Without one nothing can be added to
    /// it later.
    pub validator: Option<String>,
    /// The size of the whole file at that address, if it is known.
    pub size: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct KeptBytes {
    #[serde(flatten)]
    note: Note,
    /// How many bytes are on the disk for certain: after a loss of power there
    /// may be zeros behind them.
    secured: u64,
}

/// A part, which no other process has at the same time.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
    note: Note,
    length: u64,
    secured: u64,
}

impl Part {
    /// Opens the part of the network `name`, which may be empty, for this
    /// process alone. The folder is made if need be.
    pub fn open(networks: &Networks, name: &str) -> Result<Self, FetchError> {
        let path = networks.path(name)?.with_file_name(format!("{name}.part"));
        let file = match lock(&path) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let name = name.to_owned();
                return Err(FetchError::Busy { name });
            }
            Err(cause) => return Err(FetchError::not_written(&path, 0, cause)),
        };
        let mut part = Self {
            path,
            file,
            note: Note::default(),
            length: 0,
            secured: 0,
        };
        // A note that cannot be read leads to a fresh start.
        if let Some(KeptBytes { note, secured }) = part.read_note()
            && part
                .file
                .metadata()
                .is_ok_and(|found| found.len() >= secured)
            && part.file.set_len(secured).is_ok()
        {
            part.note = note;
            part.length = secured;
            part.secured = secured;
        }
        Ok(part)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn note(&self) -> &Note {
        &self.note
    }

    /// How many bytes have come.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the part begins with these bytes.
    pub fn begins_with(&self, opening: &[u8]) -> bool {
        let mut found = vec![0; opening.len()];
        self.length >= opening.len() as u64
            && self.file.read_exact_at(&mut found, 0).is_ok()
            && found == opening
    }

    /// Starts anew, with nothing but these bytes.
    pub fn begin(&mut self, note: Note, opening: &[u8]) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.note = note;
        self.append(opening)?;
        self.secure()
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        if self.length >= self.secured.saturating_add(SECURE) {
            self.secure()?;
        }
        Ok(())
    }

    /// Says how large the whole file is, which is known at its end.
    pub fn set_size(&mut self, size: u64) {
        self.note.size = Some(size);
    }

    /// Puts what came on the disk, and a note of it.
    pub fn secure(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let kept = KeptBytes {
            note: self.note.clone(),
            secured: self.length,
        };
        let mut staging = tempfile::Builder::new()
            .prefix(".impasto-")
            .suffix(".part")
            .tempfile_in(self.path.parent().unwrap_or(&self.path))?;
        staging.write_all(serde_json::to_string(&kept)?.as_bytes())?;
        staging.persist(note_path(&self.path))?;
        self.secured = self.length;
        Ok(())
    }

    /// Refuses to continue if the disk has not room for this many bytes more.
    pub fn check_room(&self, needed: u64) -> Result<(), FetchError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        // Where it cannot be asked, writing will show.
        let Ok(disk) = rustix::fs::statvfs(folder) else {
            return Ok(());
        };
        if enough(disk.f_bavail.saturating_mul(disk.f_frsize), needed) {
            return Ok(());
        }
        Err(FetchError::Network(NetworkError::DiskFull {
            folder: display_path(folder),
            needed,
        }))
    }

    /// SHA-256 of the whole. None if `stop` says so.
    pub fn sha256(&self, mut stop: impl FnMut(u64) -> bool) -> io::Result<Option<String>> {
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; 1 << 20];
        let mut place = 0;
        loop {
            if stop(place) {
                return Ok(None);
            }
            match self.file.read_at(&mut chunk, place)? {
                0 => return Ok(Some(format!("{:x}", hasher.finalize()))),
                size => {
                    hasher.update(&chunk[..size]);
                    place += size as u64;
                }
            }
        }
    }

    /// Removes the part and its note.
    pub fn remove(mut self) {
        self.forget();
    }

    /// Has nothing of the part be kept unless it is begun anew.
    pub fn forget(&mut self) {
        self.note = Note::default();
        self.length = 0;
        self.secured = 0;
    }

    fn read_note(&self) -> Option<KeptBytes> {
        let mut bytes = Vec::new();
        let file = File::open(note_path(&self.path)).ok()?;
        file.take(MAX_NOTE).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl Drop for Part {
    /// Keeps what came for the next time, if anything did. What goes wrong
    /// here costs room or another download, but does no harm.
    fn drop(&mut self) {
        if self.length == 0 {
            let _ = fs::remove_file(note_path(&self.path));
            let _ = fs::remove_file(&self.path);
        } else if self.length != self.secured {
            let _ = self.secure();
        }
    }
}

fn note_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Whether `free` bytes are room for `needed` more, with a little to spare.
fn enough(free: u64, needed: u64) -> bool {
    needed.saturating_add(1 << 20) <= free
}

/// Opens a file, or makes it, for this process alone. None if another has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    loop {
        let mut options = File::options();
        let file = (options.read(true).write(true).create(true).truncate(false)).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it may have removed it in between; then this is a file
        // without a name, and another process may have the next one.
        let ours = file.metadata()?;
        match fs::metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => {
                return Ok(Some(file));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
