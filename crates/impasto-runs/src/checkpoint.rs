//! Checkpoints: all that a painter needs to continue, on the disk.
//!
//! A checkpoint is one file that describes all arrays and holds those that change,
//! and any number of `frozen` files with arrays that never change, such as the
//! steps that L-BFGS remembers: each of those is written once. The two newest
//! checkpoints are kept, so that a torn or rotten one costs seconds and not the
//! run. Everything is checked by SHA-256 before it is used.
//!
//! `generation-0`, `generation-1`: the magic bytes, the SHA-256 of all that
//! follows, the length of a JSON header (eight bytes, little-endian), the
//! header, and the arrays one after another, little-endian.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use impasto_core::checkpoint::{Array, Checkpoint, CheckpointStore, Contents, Position};
use impasto_core::job::Size;
use impasto_core::picture::Picture;
use impasto_core::preset::{Optimizer, OutputSettings, Preset};
use impasto_core::text::display_path;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::pictures::save_in;
use super::{Folder, files};

/// The folder of the checkpoints in a run's folder.
pub(super) const FOLDER: &str = "checkpoint";
const MAGIC: &[u8; 8] = b"IMPASTO\x01";
/// The longest header that is read.
const MAX_HEADER: u64 = 16 << 20;
/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 30;
/// The most arrays that an optimizer has, besides those that never change.
const MAX_ARRAYS: usize = 64;
const GENERATIONS: u64 = 2;
const FROZEN: &str = "frozen-";

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// Grows with every checkpoint of a run.
    number: u64,
    position: Position,
    numbers: BTreeMap<String, u64>,
    arrays: Vec<ArrayHeader>,
    frozen: Vec<Frozen>,
}

/// An array among those that follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ArrayHeader {
    name: String,
    shape: Vec<i64>,
    wide: bool,
    bytes: u64,
}

/// An array in a file of its own kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Frozen {
    #[serde(flatten)]
    entry: ArrayHeader,
    /// The number of the file, and where in it the array begins.
    file: u64,
    offset: u64,
    sha256: String,
}

/// The checkpoints of one run, in a folder of their own in the run's.
#[derive(Debug)]
pub struct Checkpoints {
    run: Folder,
    /// The number of the next one.
    next: u64,
    /// The frozen arrays of each generation.
    generations: [Vec<Frozen>; GENERATIONS as usize],
}

impl Checkpoints {
    /// Those in the folder of a run. Theirs is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(run: &Folder) -> io::Result<Self> {
        let folder = run.make_folder(FOLDER)?;
        let mut checkpoints = Self {
            run: run.clone(),
            next: 0,
            generations: Default::default(),
        };
        for generation in 0..GENERATIONS {
            if let Ok((header, _)) = read_header(&folder, &generation_name(generation)) {
                checkpoints.next = checkpoints.next.max(header.number + 1);
                let slot = (header.number % GENERATIONS) as usize;
                checkpoints.generations[slot] = header.frozen;
            }
        }
        Ok(checkpoints)
    }

    /// Whether there is none, not even a broken one.
    pub fn is_empty(&self) -> bool {
        !any_in(&self.run)
    }

    /// Writes the frozen arrays that are new into one file, and returns where
    /// each of them is.
    fn write_frozen(
        &self,
        folder: &Folder,
        number: u64,
        frozen: &[Array],
    ) -> io::Result<Vec<Frozen>> {
        let known: BTreeMap<&str, &Frozen> = self
            .generations
            .iter()
            .flatten()
            .map(|frozen| (frozen.entry.name.as_str(), frozen))
            .collect();
        let (mut all, mut offset) = (Vec::with_capacity(frozen.len()), 0);
        let mut new = Vec::new();
        for array in frozen {
            if let Some(known) = known.get(array.name.as_str()) {
                all.push((*known).clone());
                continue;
            }
            all.push(Frozen {
                entry: entry(array),
                file: number,
                offset,
                sha256: hex(&Sha256::digest(&array.bytes)),
            });
            offset += array.bytes.len() as u64;
            new.push(array);
        }
        if !new.is_empty() {
            folder.write_with(&frozen_name(number), true, |file| {
                new.iter()
                    .try_for_each(|array| file.write_all(&array.bytes))
            })?;
            folder.sync()?;
        }
        Ok(all)
    }

    /// Removes what no checkpoint refers to any more, and what was left half
    /// written when the power went.
    fn sweep(&self, folder: &Folder) {
        let used: BTreeSet<String> = self
            .generations
            .iter()
            .flatten()
            .map(|frozen| frozen_name(frozen.file))
            .collect();
        for name in folder.names().unwrap_or_default() {
            let ours = name.starts_with(FROZEN) || Folder::is_staging(&name);
            if ours && !used.contains(&name) {
                // Another try follows.
                let _ = folder.remove(&name);
            }
        }
    }

    /// The newest one that is whole. The next one follows upon it: what a newer
    /// one holds is forgotten. `sizes` gives the sizes of a preset in this run;
    /// a checkpoint that holds more than they need is not read.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub fn read(&mut self, sizes: &dyn Fn(&Preset) -> Vec<Size>) -> Result<Checkpoint, String> {
        let folder = self.run.folder(FOLDER).map_err(|error| error.to_string())?;
        let mut found: Vec<(u64, String)> = (0..GENERATIONS)
            .map(generation_name)
            // A header that cannot be read is worth a word too.
            .filter(|name| folder.has(name))
            .map(|name| {
                let header = read_header(&folder, &name);
                (header.map_or(u64::MAX, |(header, _)| header.number), name)
            })
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        if found.is_empty() {
            return Err("it has no checkpoint yet".to_owned());
        }
        let mut broken = Vec::new();
        for (number, name) in found {
            match read_generation(&folder, &name, sizes) {
                Ok(mut checkpoint) => {
                    if !broken.is_empty() {
                        checkpoint.notice = Some(format!(
                            "the newest checkpoint is broken ({}); going on from the one before",
                            broken.join("; ")
                        ));
                    }
                    let slot = (number % GENERATIONS) as usize;
                    self.next = number.saturating_add(1);
                    self.generations[1 - slot] = Vec::new();
                    if checkpoint.contents.frozen.is_empty() {
                        self.generations[slot] = Vec::new();
                    }
                    return Ok(checkpoint);
                }
                Err(error) => broken.push(error.to_string()),
            }
        }
        Err(format!(
            "none of the checkpoints can be used in {} ({}). Begin a new run with the pictures in \
             the run's folder `inputs`, or remove the folder of the checkpoints: `impasto resume` \
             then paints from the beginning",
            display_path(folder.path()),
            broken.join("; ")
        ))
    }
}

impl CheckpointStore for Checkpoints {
    fn frozen(&self) -> BTreeSet<String> {
        let all = self.generations.iter().flatten();
        all.map(|frozen| frozen.entry.name.clone()).collect()
    }

    /// Writes one, in the older one's place. If that fails, both that were there
    /// stay as they were.
    fn write(&mut self, position: &Position, contents: &Contents) -> io::Result<()> {
        let number = self.next;
        // Somebody may have tidied up. If the run's own folder is gone, this is no
        // place to resume from.
        let folder = self.run.make_folder(FOLDER)?;
        let frozen = self.write_frozen(&folder, number, &contents.frozen)?;
        let header = Header {
            number,
            position: position.clone(),
            numbers: contents.numbers.clone(),
            arrays: contents.arrays.iter().map(entry).collect(),
            frozen,
        };
        let text = serde_json::to_vec(&header)?;
        let mut digest = Sha256::new();
        let length = (text.len() as u64).to_le_bytes();
        let parts = || {
            let arrays = contents.arrays.iter().map(|array| array.bytes.as_slice());
            [length.as_slice(), &text].into_iter().chain(arrays)
        };
        parts().for_each(|part| digest.update(part));
        let digest = digest.finalize();
        folder.write_with(&generation_name(number), true, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&digest)?;
            parts().try_for_each(|part| file.write_all(part))
        })?;
        folder.sync()?;
        self.generations[(number % GENERATIONS) as usize] = header.frozen;
        self.next = number + 1;
        self.sweep(&folder);
        Ok(())
    }

    fn write_preview(&mut self, picture: &Picture) -> Result<(), String> {
        let settings = OutputSettings::default();
        save_in(&self.run, files::PREVIEW, picture, None, &settings).map(drop)
    }
}

fn read_generation(
    folder: &Folder,
    name: &str,
    sizes: &dyn Fn(&Preset) -> Vec<Size>,
) -> io::Result<Checkpoint> {
    let (header, mut data) = read_header(folder, name)?;
    let limits = SizeLimits::of(&header.position, sizes);
    let entries = || header.arrays.iter();
    let frozen = || header.frozen.iter().map(|frozen| &frozen.entry);
    if !limits.allow(entries(), MAX_ARRAYS) || !limits.allow(frozen(), limits.frozen) {
        return Err(damaged("it holds more data than this run can need"));
    }
    let mut digest = Sha256::new();
    digest.update(&data.hashed);
    let mut arrays = Vec::with_capacity(header.arrays.len());
    for entry in header.arrays {
        let mut bytes = vec![0; bounded(entry.bytes, data.left)?];
        data.left -= entry.bytes;
        fill(&mut data.file, &mut bytes)?;
        digest.update(&bytes);
        arrays.push(array(entry, bytes));
    }
    if data.left != 0 || digest.finalize().as_slice() != data.sha256 {
        return Err(damaged("its checksum does not match"));
    }
    // Without the frozen arrays the run continues, only less well informed.
    let (frozen, notice) = match read_frozen(folder, header.frozen) {
        Ok(frozen) => (frozen, None),
        Err(error) => (
            Vec::new(),
            Some(format!(
                "the optimizer's history is broken ({error}); it starts anew"
            )),
        ),
    };
    Ok(Checkpoint {
        position: header.position,
        contents: Contents {
            numbers: header.numbers,
            arrays,
            frozen,
        },
        notice,
    })
}

fn read_frozen(folder: &Folder, frozen: Vec<Frozen>) -> io::Result<Vec<Array>> {
    let mut files: BTreeMap<u64, File> = BTreeMap::new();
    let mut arrays = Vec::with_capacity(frozen.len());
    for Frozen {
        entry,
        file,
        offset,
        sha256,
    } in frozen
    {
        let open = match files.remove(&file) {
            Some(open) => open,
            None => folder.file(&frozen_name(file))?,
        };
        let open = files.entry(file).or_insert(open);
        let length = open.metadata()?.len();
        let mut bytes = vec![0; bounded(entry.bytes, length.saturating_sub(offset))?];
        open.seek(SeekFrom::Start(offset))?;
        fill(open, &mut bytes)?;
        if hex(&Sha256::digest(&bytes)) != sha256 {
            return Err(damaged("a checksum does not match"));
        }
        arrays.push(array(entry, bytes));
    }
    Ok(arrays)
}

/// Where the newest checkpoint says that a run stands. Its check sum is not looked
/// at.
pub(super) fn newest_position(run: &Folder) -> Option<Position> {
    let folder = run.folder(FOLDER).ok()?;
    let headers = (0..GENERATIONS).filter_map(|number| {
        let (header, _) = read_header(&folder, &generation_name(number)).ok()?;
        Some(header)
    });
    let newest = headers.max_by_key(|header| header.number)?;
    Some(newest.position)
}

/// The most that a checkpoint of a run can need.
struct SizeLimits {
    /// Bytes of an array: a picture in float64 with what rows of it are padded by,
    /// or a square matrix over all the pairs of a history.
    array: u64,
    /// Arrays that never change: two for every step that is remembered.
    frozen: usize,
}

impl SizeLimits {
    fn of(position: &Position, sizes: &dyn Fn(&Preset) -> Vec<Size>) -> Self {
        let pixels = |size: &Size| u64::from(size.width) * u64::from(size.height);
        let most = sizes(&position.preset).iter().map(pixels).max();
        let picture = most.unwrap_or(0).saturating_mul(3 * 8 * 2);
        let history = Optimizer::MAX_HISTORY;
        let matrix = 8 * (2 * history as u64).pow(2);
        Self {
            array: picture.max(matrix),
            frozen: 2 * (history + 1),
        }
    }

    fn allow<'a>(&self, mut entries: impl Iterator<Item = &'a ArrayHeader>, most: usize) -> bool {
        let mut count = 0;
        entries.all(|entry| {
            count += 1;
            entry.bytes <= self.array && count <= most
        })
    }
}

/// Whether a run's folder has a checkpoint, be it a broken one.
pub fn any_in(run: &Folder) -> bool {
    let Ok(folder) = run.folder(FOLDER) else {
        return false;
    };
    (0..GENERATIONS).any(|number| folder.has(&generation_name(number)))
}

fn generation_name(number: u64) -> String {
    format!("generation-{}", number % GENERATIONS)
}

fn frozen_name(number: u64) -> String {
    format!("{FROZEN}{number}")
}

/// What follows a header.
struct Data {
    file: File,
    sha256: [u8; 32],
    /// What the check sum has to begin with.
    hashed: Vec<u8>,
    left: u64,
}

fn read_header(folder: &Folder, name: &str) -> io::Result<(Header, Data)> {
    let mut file = folder.file(name)?;
    let size = file.metadata()?.len().min(MAX_BYTES);
    let (mut magic, mut sha256, mut length) = ([0; 8], [0; 32], [0; 8]);
    fill(&mut file, &mut magic)?;
    if &magic != MAGIC {
        return Err(damaged("it is no checkpoint of this version of impasto"));
    }
    fill(&mut file, &mut sha256)?;
    fill(&mut file, &mut length)?;
    let count = u64::from_le_bytes(length);
    let left = size.saturating_sub(48);
    let mut text = vec![0; bounded(count, left.min(MAX_HEADER))?];
    fill(&mut file, &mut text)?;
    let header = serde_json::from_slice(&text)?;
    let hashed = [length.as_slice(), &text].concat();
    let left = left - count;
    Ok((
        header,
        Data {
            file,
            sha256,
            hashed,
            left,
        },
    ))
}

/// Reads as many bytes as there is place for.
fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<()> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
        _ => error,
    })
}

/// A length stated in a file, if the file is that long.
fn bounded(length: u64, left: u64) -> io::Result<usize> {
    match usize::try_from(length) {
        Ok(count) if length <= left => Ok(count),
        _ => Err(damaged("it is cut short")),
    }
}

fn damaged(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, how)
}

fn entry(array: &Array) -> ArrayHeader {
    ArrayHeader {
        name: array.name.clone(),
        shape: array.shape.clone(),
        wide: array.wide,
        bytes: array.bytes.len() as u64,
    }
}

fn array(entry: ArrayHeader, bytes: Vec<u8>) -> Array {
    Array {
        name: entry.name,
        shape: entry.shape,
        wide: entry.wide,
        bytes,
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
