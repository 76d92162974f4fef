//! safetensors: eight bytes of header length, a JSON header, the tensors.
//!
//! The `safetensors` crate wants the whole file in memory, and refuses a file
//! for a type it does not know in a tensor that nobody asked for; and it writes
//! metadata in another order each time. The header is plain JSON, so serde
//! reads and writes it here.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek};
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::json;

use super::WeightsErrorKind;
use super::error::{damaged, quoted};
use super::source::Source;
use super::tensor::{Dtype, Layout, Region, Tensor};

/// The longest header that is read: a network of a thousand layers needs a
/// tenth of it.
const MAX_HEADER: u64 = 4 << 20;

/// Whether a file that begins so is a safetensors file: the header is shorter
/// than 16 MiB and opens a JSON object.
pub(super) fn recognise(beginning: &[u8; 512]) -> bool {
    beginning[3..8] == [0; 5] && beginning[8] == b'{'
}

/// The tensors of a file and the metadata of its header.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
) -> Result<(Vec<Tensor>, BTreeMap<String, String>), WeightsErrorKind> {
    let length = header_length(source.array(0)?)?;
    parse(&source.bytes(8, length)?, source.length())
}

/// How long the header is, by a file's first eight bytes.
pub(super) fn header_length(beginning: [u8; 8]) -> Result<u64, WeightsErrorKind> {
    let length = u64::from_le_bytes(beginning);
    if length > MAX_HEADER {
        return Err(damaged("its header is too long"));
    }
    Ok(length)
}

/// The tensors and the metadata that a header speaks of, which all lie within
/// a file of `size` bytes.
pub(super) fn parse(
    header: &[u8],
    size: u64,
) -> Result<(Vec<Tensor>, BTreeMap<String, String>), WeightsErrorKind> {
    let data = 8 + header.len() as u64;
    let header: Header = serde_json::from_slice(header)
        .map_err(|_| damaged("its header is not that of a safetensors file"))?;

    let mut tensors = Vec::with_capacity(header.tensors.len());
    for (name, entry) in header.tensors {
        let wrong = |what: &str| damaged(format!("tensor {}: {what}", quoted(&name)));
        let (begin, end) = entry.data_offsets;
        let length = end
            .checked_sub(begin)
            .ok_or_else(|| wrong("it ends before it begins"))?;
        let start = data
            .checked_add(begin)
            .ok_or_else(|| wrong("its offset is out of range"))?;
        if start.checked_add(length).is_none_or(|end| end > size) {
            return Err(damaged("it ends too early"));
        }
        let dtype = match entry.dtype.as_str() {
            "F64" => Dtype::Float64,
            "F32" => Dtype::Float32,
            "F16" => Dtype::Float16,
            "BF16" => Dtype::BFloat16,
            _ => Dtype::Other,
        };
        let tensor = Tensor {
            dtype,
            shape: entry.shape,
            layout: Layout {
                strides: None,
                start,
                region: Region {
                    start,
                    length,
                    crc32: None,
                },
            },
            name,
        };
        if tensor.bytes().is_some_and(|bytes| bytes != length) {
            return Err(damaged(format!(
                "tensor {}: its size does not fit its shape and type",
                quoted(&tensor.name)
            )));
        }
        tensors.push(tensor);
    }
    Ok((tensors, header.metadata))
}

/// What stands before the tensors of a file: eight bytes and the header, a
/// multiple of eight long, the same for the same content. Each tensor has a
/// name, a type, a shape and its place among the bytes that follow.
///
/// None if there is a type other than floats.
pub(super) fn opening<'a>(
    tensors: impl IntoIterator<Item = (String, Dtype, &'a [u64], Range<u64>)>,
    metadata: &BTreeMap<String, String>,
) -> Option<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(metadata));
    }
    for (name, dtype, shape, place) in tensors {
        let dtype = match dtype {
            Dtype::Float64 => "F64",
            Dtype::Float32 => "F32",
            Dtype::Float16 => "F16",
            Dtype::BFloat16 => "BF16",
            Dtype::Other => return None,
        };
        let place = [place.start, place.end];
        entries.insert(
            name,
            json!({"dtype": dtype, "shape": shape, "data_offsets": place}),
        );
    }
    let mut header = serde_json::Value::Object(entries).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut opening = (header.len() as u64).to_le_bytes().to_vec();
    opening.extend(header.bytes());
    Some(opening)
}

#[derive(serde::Deserialize)]
struct TensorHeader {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

struct Header {
    /// In the header's order, and with names that may come twice: whoever
    /// looks a tensor up has to refuse those.
    tensors: Vec<(String, TensorHeader)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header {
                    tensors: Vec::new(),
                    metadata: BTreeMap::new(),
                };
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}
