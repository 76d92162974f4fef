//! The list of contents of a zip file whose entries are stored as they are.
//!
//! PyTorch compresses nothing, so no decoder is needed, and an entry is simply
//! a piece of the file. General zip libraries go to great lengths to read what
//! is broken and make room for as many entries as the file claims; this reader
//! does neither.

use std::io::{Read, Seek};

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};
use super::source::Source;
use super::tensor::Region;

/// The longest list of contents, in bytes: some ten thousand entries.
const MAX_DIRECTORY: u64 = 1 << 20;

/// The end record without its comment, and the longest comment.
const END: u64 = 22;
const MAX_COMMENT: u64 = 0xffff;

/// The sizes of the fixed parts of the other records.
const END64_LOCATOR: u64 = 20;
const CENTRAL: usize = 46;
const LOCAL: u64 = 30;

/// One stored file.
#[derive(Debug)]
pub(super) struct ZipEntry {
    /// With its folders, separated by `/`.
    pub name: String,
    pub region: Region,
}

/// Whether a file that begins so is a zip file.
pub(super) fn recognise(beginning: &[u8; 512]) -> bool {
    beginning.starts_with(b"PK\x03\x04")
}

/// Every entry, in the order in which they lie in the file. No two overlap or
/// have the same name, and all lie within the file.
pub(super) fn entries<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<Vec<ZipEntry>, WeightsErrorKind> {
    let directory = directory(source)?;
    let bytes = source.bytes(directory.start, directory.length)?;
    let mut listed = Vec::new();
    let mut rest = &bytes[..];
    for _ in 0..directory.count {
        let (entry, after) = Listed::parse(rest)?;
        listed.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(broken());
    }

    listed.sort_by_key(|entry| entry.header);
    let mut free_from = 0;
    let mut entries = Vec::with_capacity(listed.len());
    for entry in listed {
        if entry.header < free_from {
            return Err(damaged("two of its entries overlap"));
        }
        let header: [u8; LOCAL as usize] = source.array(entry.header)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(broken());
        }
        let name_length = u64::from(u16_at(&header, 26)?);
        let extra_length = u64::from(u16_at(&header, 28)?);
        // The header has been read, so its end is no overflow.
        let name_start = entry.header + LOCAL;
        if source.bytes(name_start, name_length)? != entry.name.as_bytes() {
            return Err(broken());
        }
        let start = name_start + name_length + extra_length;
        free_from = (start.checked_add(entry.length))
            .filter(|&end| end <= directory.start)
            .ok_or_else(broken)?;
        entries.push(ZipEntry {
            name: entry.name,
            region: Region {
                start,
                length: entry.length,
                crc32: Some(entry.crc32),
            },
        });
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = quoted(twice[0]);
        return Err(damaged(format!("it holds two entries of the name {name}")));
    }
    Ok(entries)
}

/// Where the list of contents lies.
struct Directory {
    start: u64,
    length: u64,
    count: u64,
}

fn directory<R: Read + Seek>(source: &mut Source<R>) -> Result<Directory, WeightsErrorKind> {
    let length = source.length();
    let tail_start = length.saturating_sub(END + MAX_COMMENT);
    let tail = source.bytes(tail_start, length - tail_start)?;
    // The end record is the last one whose comment reaches to the file's end.
    let end = (0..tail.len().saturating_sub(END as usize - 1))
        .rev()
        .find(|&at| {
            let comment = tail.len() - at - END as usize;
            tail[at..].starts_with(b"PK\x05\x06")
                && u16_at(&tail, at + 20).is_ok_and(|length| usize::from(length) == comment)
        })
        .ok_or_else(|| damaged("its directory is missing"))?;
    let mut directory = Directory {
        start: u32_at(&tail, end + 16)?.into(),
        length: u32_at(&tail, end + 12)?.into(),
        count: u16_at(&tail, end + 10)?.into(),
    };
    let parts = [u16_at(&tail, end + 4)?, u16_at(&tail, end + 6)?];

    let mut end_start = tail_start + end as u64;
    if let Some(at) = end_start.checked_sub(END64_LOCATOR) {
        let locator: [u8; END64_LOCATOR as usize] = source.array(at)?;
        if locator.starts_with(b"PK\x06\x07") {
            end_start = u64_at(&locator, 8)?;
            source.check(end_start, 56)?;
            let record: [u8; 56] = source.array(end_start)?;
            if !record.starts_with(b"PK\x06\x06") {
                return Err(broken());
            }
            directory = Directory {
                start: u64_at(&record, 48)?,
                length: u64_at(&record, 40)?,
                count: u64_at(&record, 32)?,
            };
        }
    }
    if parts.iter().any(|&part| part != 0 && part != u16::MAX) {
        return Err(unsupported("it is one of several parts of a zip file"));
    }
    if directory.length > MAX_DIRECTORY {
        return Err(unsupported("its directory is far too long"));
    }
    if directory.start.checked_add(directory.length) != Some(end_start) {
        return Err(broken());
    }
    Ok(directory)
}

/// What the list of contents says of an entry.
struct Listed {
    name: String,
    crc32: u32,
    length: u64,
    /// Where its local header begins.
    header: u64,
}

impl Listed {
    /// The first entry in `bytes`, and the bytes after it.
    fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), WeightsErrorKind> {
        if !bytes.starts_with(b"PK\x01\x02") {
            return Err(broken());
        }
        let flags = u16_at(bytes, 8)?;
        let method = u16_at(bytes, 10)?;
        let crc32 = u32_at(bytes, 16)?;
        let mut sizes = [
            u32_at(bytes, 24)?.into(),
            u32_at(bytes, 20)?.into(),
            u32_at(bytes, 42)?.into(),
        ];
        let name_end = CENTRAL + usize::from(u16_at(bytes, 28)?);
        let extra_end = name_end + usize::from(u16_at(bytes, 30)?);
        let end = extra_end + usize::from(u16_at(bytes, 32)?);
        let name = bytes.get(CENTRAL..name_end).ok_or_else(broken)?;
        let name = std::str::from_utf8(name).map_err(|_| broken())?.to_owned();
        let extra = bytes.get(name_end..extra_end).ok_or_else(broken)?;
        enlarge(&mut sizes, extra)?;
        let [length, stored, header] = sizes;
        if flags & 1 != 0 {
            return Err(unsupported("it is encrypted"));
        }
        if method != 0 {
            return Err(unsupported(format!(
                "its entry {} is compressed, which PyTorch never does",
                quoted(&name)
            )));
        }
        if length != stored {
            return Err(broken());
        }
        let entry = Self {
            name,
            crc32,
            length,
            header,
        };
        Ok((entry, bytes.get(end..).ok_or_else(broken)?))
    }
}

/// Replaces sizes that do not fit 32 bits by those in the extra field.
fn enlarge(sizes: &mut [u64; 3], mut extra: &[u8]) -> Result<(), WeightsErrorKind> {
    if sizes.iter().all(|&size| size != u64::from(u32::MAX)) {
        return Ok(());
    }
    while !extra.is_empty() {
        let end = 4 + usize::from(u16_at(extra, 2)?);
        let field = extra.get(4..end).ok_or_else(broken)?;
        if u16_at(extra, 0)? == 1 {
            let mut at = 0;
            for size in sizes
                .iter_mut()
                .filter(|size| **size == u64::from(u32::MAX))
            {
                *size = u64_at(field, at)?;
                at += 8;
            }
            return Ok(());
        }
        extra = &extra[end..];
    }
    Err(broken())
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], WeightsErrorKind> {
    (bytes.get(at..))
        .and_then(|bytes| bytes.first_chunk())
        .copied()
        .ok_or_else(broken)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, WeightsErrorKind> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, WeightsErrorKind> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, WeightsErrorKind> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn broken() -> WeightsErrorKind {
    damaged("its directory is invalid")
}
