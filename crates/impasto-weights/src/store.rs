//! The form in which a network is installed: safetensors with the convolutions
//! as float32 under our own names (`conv4_2.weight`, `conv4_2.bias`) and in the
//! header's metadata
//!
//! - `convention` and `architecture`, what the network is,
//! - `source`, `source_sha256` and `licence`, where it comes from,
//! - `scale.relu4_2` and so on, for each layer what its feature map is
//!   multiplied with,
//! - `tensors_sha256`, by which bit rot is found, and
//! - `impasto`, the version that wrote it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{damaged, shown};
use super::tensor::Dtype;
use super::{Architecture, Archive, Convolution, File, WeightsErrorKind, safetensors, vgg};

/// What a feature map may be multiplied with.
pub(super) const SCALES: RangeInclusive<f64> = 1e-6..=1e6;

/// Texts in a header are cut to this many characters.
const MAX_TEXT: usize = 1000;

/// Where a network comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// An address or a file's name, fit for a terminal.
    pub source: String,
    /// SHA-256 of the file it comes from, 64 hexadecimal digits in lower case.
    /// None if only parts of that file were read.
    pub source_sha256: Option<String>,
    /// The licence's name, fit for a terminal, if it is known.
    pub licence: Option<String>,
}

/// What an installed file holds.
pub(super) struct Stored {
    pub file: File,
    pub about: About,
    pub version: String,
    pub scales: Vec<f64>,
    pub tensors_sha256: String,
}

/// What an installed file says it holds.
pub(super) struct StoredHeader {
    pub about: About,
    pub architecture: Architecture,
    /// The deepest layer, such as `relu5_4`.
    pub deepest: String,
}

/// Writes an installed file. There is a scale for each convolution.
pub(super) fn write(
    file: &fs::File,
    network: &File,
    about: &About,
    scales: &[f64],
) -> io::Result<()> {
    let mut metadata = BTreeMap::from([
        ("convention".to_owned(), network.convention.to_string()),
        (
            "architecture".to_owned(),
            network.architecture.name().to_owned(),
        ),
        ("source".to_owned(), about.source.clone()),
        ("impasto".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (
            "tensors_sha256".to_owned(),
            tensors_sha256(&network.convolutions),
        ),
    ]);
    let optional = [
        ("source_sha256", &about.source_sha256),
        ("licence", &about.licence),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    for (convolution, scale) in network.convolutions.iter().zip(scales) {
        metadata.insert(scale_key(convolution), scale.to_string());
    }

    let shapes: Vec<[u64; 4]> = (network.convolutions.iter())
        .map(|convolution| convolution.shape.map(|side| side as u64))
        .collect();
    let mut end = 0;
    let mut place = |shape: &[u64]| {
        let begin = end;
        end += 4 * shape.iter().product::<u64>();
        begin..end
    };
    let tensors = network.convolutions.iter().zip(&shapes);
    let tensors = tensors.flat_map(|(convolution, shape)| {
        [("weight", &shape[..]), ("bias", &shape[..1])].map(|(part, shape)| {
            let name = format!("{}.{part}", convolution.name());
            (name, Dtype::Float32, shape, place(shape))
        })
    });
    let opening = safetensors::opening(tensors, &metadata)
        .ok_or_else(|| io::Error::other("a tensor has no type"))?;

    let mut writer = BufWriter::with_capacity(1 << 20, file);
    writer.write_all(&opening)?;
    for convolution in &network.convolutions {
        each_chunk(convolution, |bytes| writer.write_all(bytes))?;
    }
    writer.flush()
}

/// Reads and checks an installed file: all that [`read`](super::read) checks,
/// and that every value is the one that was written.
pub(super) fn read(path: &Path) -> Result<Stored, WeightsErrorKind> {
    let (file, metadata) = super::read_file(path, None)?;
    let Header { about, version } = header(&metadata, file.architecture)?;
    let scales: Result<Vec<f64>, WeightsErrorKind> = (file.convolutions.iter())
        .map(|convolution| scale(&metadata, convolution))
        .collect();
    let tensors_sha256 = tensors_sha256(&file.convolutions);
    if metadata.get("tensors_sha256") != Some(&tensors_sha256) {
        return Err(damaged("its values are not those that were written"));
    }
    Ok(Stored {
        file,
        about,
        version,
        scales: scales?,
        tensors_sha256,
    })
}

/// Reads an installed file's header only.
pub(super) fn glance(path: &Path) -> Result<StoredHeader, WeightsErrorKind> {
    if !fs::metadata(path)?.is_file() {
        return Err(WeightsErrorKind::NotOrdinary);
    }
    let archive = Archive::open(fs::File::open(path)?)?;
    let (architecture, planned) = vgg::plan(&archive.tensors)?;
    let Header { about, .. } = header(&archive.metadata, architecture)?;
    let deepest = planned.last().map(|last| (last.block, last.index));
    let (block, index) = deepest.unwrap_or_default();
    Ok(StoredHeader {
        about,
        architecture,
        deepest: format!("relu{block}_{index}"),
    })
}

struct Header {
    about: About,
    version: String,
}

/// What the metadata says besides convention and scales.
fn header(
    metadata: &BTreeMap<String, String>,
    architecture: Architecture,
) -> Result<Header, WeightsErrorKind> {
    let text = |key: &str| metadata.get(key).map(|value| shown(value, MAX_TEXT));
    let need = |key: &str| text(key).ok_or_else(|| damaged(format!("its header has no {key}")));
    if need("architecture")? != architecture.name() {
        return Err(damaged("its header names another architecture"));
    }
    let source_sha256 = text("source_sha256");
    if source_sha256.as_deref().is_some_and(|hex| !is_sha256(hex)) {
        return Err(damaged("its header's source_sha256 is none"));
    }
    Ok(Header {
        about: About {
            source: need("source")?,
            source_sha256,
            licence: text("licence"),
        },
        version: need("impasto")?,
    })
}

fn scale_key(convolution: &Convolution) -> String {
    format!("scale.{}", convolution.layer())
}

fn scale(
    metadata: &BTreeMap<String, String>,
    convolution: &Convolution,
) -> Result<f64, WeightsErrorKind> {
    let key = scale_key(convolution);
    let value = metadata.get(&key).and_then(|value| value.parse().ok());
    value
        .filter(|value| SCALES.contains(value))
        .ok_or_else(|| damaged(format!("its header has no usable {key}")))
}

fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && (hex.bytes()).all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256 of all values as they lie in the file.
fn tensors_sha256(convolutions: &[Convolution]) -> String {
    let mut hasher = Sha256::new();
    for convolution in convolutions {
        // Hashing cannot fail.
        let _: Result<(), ()> = each_chunk(convolution, |bytes| {
            hasher.update(bytes);
            Ok(())
        });
    }
    format!("{:x}", hasher.finalize())
}

/// The bytes of a convolution, its weight before its bias, in pieces.
fn each_chunk<E>(
    convolution: &Convolution,
    mut visit: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut bytes = Vec::new();
    for values in [&convolution.weight, &convolution.bias] {
        for chunk in values.chunks(16 << 10) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            visit(&bytes)?;
        }
    }
    Ok(())
}
