//! What `torch.save` wrote from 2017 until PyTorch 1.6, torchvision's own VGG
//! files among them: five pickles (a magic number, the version, facts about
//! the machine, the state dict, the keys of its storages), then each storage
//! as its number of elements and their bytes.

use std::io::{Read, Seek};

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};
use super::pickle::{Node, Pickle};
use super::source::Source;
use super::state_dict::{self, Storage, Storages};
use super::tensor::{Region, Tensor};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: u64 = 1001;

/// Whether a file that begins so is of this kind: a pickle of version 2 or
/// later whose first value is a number of ten bytes.
pub(super) fn recognise(beginning: &[u8; 512]) -> bool {
    beginning[0] == 0x80
        && (beginning[..32].windows(10)).any(|bytes| bytes == &MAGIC.to_le_bytes()[..10])
}

/// The tensors of a file.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<Vec<Tensor>, WeightsErrorKind> {
    let mut stream = source.stream(0)?;
    let magic = Pickle::read(&mut stream)?;
    if !matches!(magic.get(magic.root()), Node::Int(MAGIC)) {
        return Err(WeightsErrorKind::UnknownFormat);
    }
    let version = Pickle::read(&mut stream)?;
    if version.count(version.root()) != Some(VERSION) {
        return Err(unsupported(
            "it has another version of PyTorch's old format",
        ));
    }
    // The machine's facts say whether its numbers begin with the lowest byte;
    // PyTorch turned those of other machines around before it wrote them.
    Pickle::read(&mut stream)?;
    let pickle = Pickle::read(&mut stream)?;
    let keys = Pickle::read(&mut stream)?;
    let mut position = stream.stream_position()?;

    let mut described = state_dict::storages(&pickle)?;
    let mut stored = Storages::default();
    let listed = keys
        .list(keys.root())
        .ok_or_else(|| damaged("its list of storages is missing"))?;
    for &key in listed {
        let key = keys
            .text(key)
            .ok_or_else(|| damaged("a storage has no name"))?;
        let wrong = |what: &str| damaged(format!("storage {} {what}", quoted(key)));
        let (element, count) = described
            .remove(key)
            .ok_or_else(|| wrong("is not the state dict's"))?;
        if u64::from_le_bytes(source.array(position)?) != count {
            return Err(wrong("does not have its size"));
        }
        let length =
            (count.checked_mul(element.bytes)).ok_or_else(|| wrong("does not have its size"))?;
        let start = position + 8;
        source.check(start, length)?;
        position = start + length;
        let storage = Storage {
            dtype: element.dtype,
            bytes: element.bytes,
            region: Region {
                start,
                length,
                crc32: None,
            },
        };
        stored.storages.insert(key.to_owned(), storage);
    }
    if !described.is_empty() {
        return Err(damaged("some of its storages are missing"));
    }
    state_dict::tensors(&pickle, &stored)
}
