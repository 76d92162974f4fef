//! The bytes of a file, read piece by piece from wherever they are needed.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::WeightsErrorKind;
use super::error::damaged;

/// How many bytes are held at a time while a tensor is read; a multiple of the
/// size of every type.
const CHUNK: usize = 64 << 10;

/// A file of known length.
#[derive(Debug)]
pub(super) struct Source<R> {
    reader: R,
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    pub fn new(mut reader: R) -> Result<Self, WeightsErrorKind> {
        let length = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, length })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Refuses a region that reaches beyond the file's end.
    pub fn check(&self, start: u64, length: u64) -> Result<(), WeightsErrorKind> {
        match start.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(damaged("it ends too early")),
        }
    }

    /// As many bytes as the array holds, from `start` on.
    pub fn array<const N: usize>(&mut self, start: u64) -> Result<[u8; N], WeightsErrorKind> {
        let mut bytes = [0; N];
        self.reader.seek(SeekFrom::Start(start))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a region, which the caller has found to be small.
    pub fn bytes(&mut self, start: u64, length: u64) -> Result<Vec<u8>, WeightsErrorKind> {
        self.check(start, length)?;
        let length = usize::try_from(length).map_err(|_| damaged("a size is out of range"))?;
        let mut bytes = vec![0; length];
        self.reader.seek(SeekFrom::Start(start))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Shows `visit` the bytes of a region, at most [`CHUNK`] at a time.
    pub fn visit(
        &mut self,
        start: u64,
        length: u64,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(), WeightsErrorKind> {
        self.check(start, length)?;
        self.reader.seek(SeekFrom::Start(start))?;
        let mut chunk = vec![0; CHUNK];
        let mut left = length;
        while left > 0 {
            let size = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            self.reader.read_exact(&mut chunk[..size])?;
            visit(&chunk[..size]);
            left -= size as u64;
        }
        Ok(())
    }

    /// A stream that begins at `start`; its `stream_position` is the file's.
    pub fn stream(&mut self, start: u64) -> Result<BufReader<&mut R>, WeightsErrorKind> {
        self.reader.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(&mut self.reader))
    }

    /// The first bytes, with zeros after the end of a shorter file.
    pub fn beginning<const N: usize>(&mut self) -> Result<[u8; N], WeightsErrorKind> {
        let mut bytes = [0; N];
        let length = usize::try_from(self.length).map_or(N, |length| length.min(N));
        self.reader.seek(SeekFrom::Start(0))?;
        self.reader.read_exact(&mut bytes[..length])?;
        Ok(bytes)
    }
}
