//! What `torch.save` writes since PyTorch 1.6: a zip file with the pickled
//! state dict as `data.pkl` and each storage as `data/0`, `data/1` …, all in
//! one folder whose name does not matter.

use std::collections::HashMap;
use std::io::{Read, Seek};

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};
use super::pickle::{self, Pickle};
use super::source::Source;
use super::state_dict::{self, Storage, Storages};
use super::tensor::{Region, Tensor};
use super::zip;

/// The tensors of a file.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<Vec<Tensor>, WeightsErrorKind> {
    let entries = zip::entries(source)?;
    let folders: Vec<&str> = (entries.iter())
        .filter_map(|entry| entry.name.strip_suffix("data.pkl"))
        .filter(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
        .collect();
    let [folder] = folders[..] else {
        return Err(unsupported("it is a zip file, but not one by PyTorch"));
    };
    let files: HashMap<&str, Region> = (entries.iter())
        .filter_map(|entry| Some((entry.name.strip_prefix(folder)?, entry.region)))
        .collect();
    if files.contains_key("constants.pkl") {
        return Err(unsupported("it is a TorchScript program"));
    }
    if let Some(region) = files.get("byteorder")
        && contents(source, *region, 16)? != b"little"
    {
        return Err(unsupported("its numbers are big-endian"));
    }
    let file = files
        .get("data.pkl")
        .copied()
        .ok_or_else(|| damaged("it has no pickle"))?;
    let pickle = Pickle::read(&mut &contents(source, file, pickle::MAX_BYTES)?[..])?;

    let mut stored = Storages::default();
    for (key, (element, count)) in state_dict::storages(&pickle)? {
        let wrong = |what: &str| damaged(format!("storage {} {what}", quoted(&key)));
        let region = *files
            .get(format!("data/{key}").as_str())
            .ok_or_else(|| wrong("is missing"))?;
        if count.checked_mul(element.bytes) != Some(region.length) {
            return Err(wrong("does not have its size"));
        }
        let storage = Storage {
            dtype: element.dtype,
            bytes: element.bytes,
            region,
        };
        stored.storages.insert(key, storage);
    }
    state_dict::tensors(&pickle, &stored)
}

/// The bytes of a small entry, its checksum verified.
fn contents<R: Read + Seek>(
    source: &mut Source<R>,
    region: Region,
    limit: u64,
) -> Result<Vec<u8>, WeightsErrorKind> {
    if region.length > limit {
        return Err(unsupported(
            "one of its entries is far larger than a state dict's",
        ));
    }
    let bytes = source.bytes(region.start, region.length)?;
    if region
        .crc32
        .is_some_and(|crc32| crc32fast::hash(&bytes) != crc32)
    {
        return Err(damaged("a checksum does not match"));
    }
    Ok(bytes)
}
