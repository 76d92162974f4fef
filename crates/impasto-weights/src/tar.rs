//! What `torch.save` wrote until early 2017, in a tar file: `storages` (their
//! number, then each as a pickle, a number of elements and their bytes),
//! `tensors` (their number, then each as a pickle, its shape and strides), and
//! the state dict as `pickle`. The first conversions of VGG from Caffe are of
//! this kind.

use std::collections::HashMap;
use std::io::{Read, Seek};

use super::WeightsErrorKind;
use super::error::{damaged, unsupported};
use super::pickle::class::Class;
use super::pickle::{Node, Pickle};
use super::source::Source;
use super::state_dict::{self, Storage, Storages, StoredTensor};
use super::tensor::{Region, Tensor};

const BLOCK: u64 = 512;

/// The most files in the tar file, of which four matter.
const MAX_FILES: usize = 32;

/// The most storages and tensors.
const MAX_TENSORS: u64 = 10_000;

/// The most dimensions of a tensor.
const MAX_DIMENSIONS: i32 = 16;

/// Whether a file that begins so is a tar file.
pub(super) fn recognise(beginning: &[u8; 512]) -> bool {
    beginning[257..].starts_with(b"ustar")
}

/// The tensors of a file.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<Vec<Tensor>, WeightsErrorKind> {
    let files = files(source)?;
    let find = |name: &str| {
        (files.get(name).copied())
            .ok_or_else(|| unsupported("it is a tar file, but not one by PyTorch"))
    };
    let mut stored = Storages::default();
    storages(source, find("storages")?, &mut stored)?;
    tensors(source, find("tensors")?, &mut stored)?;
    let file = find("pickle")?;
    let pickle = Piece::new(file).pickle(source)?;
    state_dict::tensors(&pickle, &stored)
}

fn storages<R: Read + Seek>(
    source: &mut Source<R>,
    file: Region,
    stored: &mut Storages,
) -> Result<(), WeightsErrorKind> {
    let mut piece = Piece::new(file);
    for _ in 0..piece.count(source)? {
        let pickle = piece.pickle(source)?;
        let Some([key, _, class]) = pickle.tuple(pickle.root()) else {
            return Err(broken());
        };
        let (Some(key), Node::Class(Class::Storage(element))) =
            (state_dict::key_text(&pickle, *key), pickle.get(*class))
        else {
            return Err(broken());
        };
        let count = u64::from_le_bytes(piece.array(source)?);
        let length = count.checked_mul(element.bytes).ok_or_else(broken)?;
        let storage = Storage {
            dtype: element.dtype,
            bytes: element.bytes,
            region: Region {
                start: piece.skip(length)?,
                length,
                crc32: None,
            },
        };
        if stored.storages.insert(key, storage).is_some() {
            return Err(damaged("two storages share a name"));
        }
    }
    let views = piece.pickle(source)?;
    match views.list(views.root()) {
        Some([]) => Ok(()),
        _ => Err(unsupported("it holds storages that are parts of others")),
    }
}

fn tensors<R: Read + Seek>(
    source: &mut Source<R>,
    file: Region,
    stored: &mut Storages,
) -> Result<(), WeightsErrorKind> {
    let mut piece = Piece::new(file);
    for _ in 0..piece.count(source)? {
        let pickle = piece.pickle(source)?;
        let Some([key, storage, _]) = pickle.tuple(pickle.root()) else {
            return Err(broken());
        };
        let key = state_dict::key_text(&pickle, *key).ok_or_else(broken)?;
        let storage = (state_dict::key_text(&pickle, *storage))
            .and_then(|storage| stored.storages.get(&storage))
            .ok_or_else(broken)?;
        let dimensions = i32::from_le_bytes(piece.array(source)?);
        if !(0..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(broken());
        }
        let _: [u8; 4] = piece.array(source)?;
        let mut counts = || {
            (0..dimensions)
                .map(|_| Ok(u64::from_le_bytes(piece.array(source)?)))
                .collect::<Result<Vec<u64>, WeightsErrorKind>>()
        };
        let shape = counts()?;
        let strides = counts()?;
        let offset = u64::from_le_bytes(piece.array(source)?);
        let tensor = StoredTensor::new(storage, offset, shape, strides)?;
        if stored.tensors.insert(key, tensor).is_some() {
            return Err(damaged("two tensors share a name"));
        }
    }
    Ok(())
}

/// One of the files, read from its beginning on.
struct Piece {
    position: u64,
    end: u64,
}

impl Piece {
    fn new(file: Region) -> Self {
        Self {
            position: file.start,
            // The file has been found to lie within the tar file.
            end: file.start + file.length,
        }
    }

    /// Skips this many bytes and returns where they begin.
    fn skip(&mut self, length: u64) -> Result<u64, WeightsErrorKind> {
        let start = self.position;
        self.position = (start.checked_add(length))
            .filter(|&position| position <= self.end)
            .ok_or_else(broken)?;
        Ok(start)
    }

    fn array<R: Read + Seek, const N: usize>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<[u8; N], WeightsErrorKind> {
        source.array(self.skip(N as u64)?)
    }

    fn pickle<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<Pickle, WeightsErrorKind> {
        let mut stream = source.stream(self.position)?;
        let pickle = Pickle::read(&mut stream)?;
        let length = stream.stream_position()? - self.position;
        self.skip(length)?;
        Ok(pickle)
    }

    /// A pickled number of things.
    fn count<R: Read + Seek>(&mut self, source: &mut Source<R>) -> Result<u64, WeightsErrorKind> {
        let pickle = self.pickle(source)?;
        (pickle.count(pickle.root()))
            .filter(|&count| count <= MAX_TENSORS)
            .ok_or_else(broken)
    }
}

/// The files in the tar file, by name.
fn files<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<HashMap<String, Region>, WeightsErrorKind> {
    let mut files = HashMap::new();
    let mut position = 0;
    for _ in 0..MAX_FILES {
        let header: [u8; BLOCK as usize] = source.array(position)?;
        // Empty blocks end the file.
        if header.iter().all(|&byte| byte == 0) {
            return Ok(files);
        }
        let sum: u64 = (0..).zip(header).fold(0, |sum, (at, byte)| {
            // The sum itself counts as spaces.
            sum + u64::from(if (148..156).contains(&at) { b' ' } else { byte })
        });
        if octal(&header[148..156]) != Some(sum) {
            return Err(broken());
        }
        let start = position + BLOCK;
        let length = octal(&header[124..136]).ok_or_else(broken)?;
        source.check(start, length)?;
        position = start + length.next_multiple_of(BLOCK);
        let name = header[..100].split(|&byte| byte == 0).next().unwrap_or(&[]);
        let name = std::str::from_utf8(name).map_err(|_| broken())?;
        let region = Region {
            start,
            length,
            crc32: None,
        };
        // Other types carry attributes, or are links and folders.
        if matches!(header[156], b'0' | 0) && files.insert(name.to_owned(), region).is_some() {
            return Err(damaged("two of its files share a name"));
        }
    }
    Err(unsupported("it is a tar file, but not one by PyTorch"))
}

/// A number in octal digits, with spaces or zeros around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

fn broken() -> WeightsErrorKind {
    damaged("its list of tensors is invalid")
}
