//! The convolutions of VGG-16 and VGG-19, from the files people have.
//!
//! [`read`] takes a safetensors file or what PyTorch's `torch.save` writes or
//! ever wrote of a state dict, says which of the two networks it holds, and
//! reads its convolutions as float32, whatever else is in the file.
//!
//! Three steps, of which only the last reads numbers. A format ([`safetensors`],
//! [`pytorch`], [`legacy`], [`tar`]) gives the names, types, shapes and places
//! of all tensors: an [`Archive`]. [`vgg`] finds the convolutions among them and
//! checks their shapes. Then each is read from its place in the file.
//!
//! Weights are untrusted. PyTorch's files are programs for Python's pickle
//! machine, which may do anything; the reader here ([`pickle`]) runs nothing
//! and refuses what no state dict needs. Sizes are checked against the file's
//! length before anything is allocated.
//!
//! Around that stands where networks are kept. [`Networks`] is the folder of
//! those a user has installed, in one form ([`store`]); [`OFFERS`] says which
//! can be obtained from the network, and [`fetch`] gets them.
//!
//! This crate does not depend on libtorch.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek};
use std::path::Path;

use sha2::{Digest, Sha256};

mod convention;
mod error;
pub mod fetch;
mod known_weights;
mod legacy;
mod networks;
mod offers;
mod pickle;
mod pytorch;
mod safetensors;
mod source;
mod state_dict;
mod store;
mod tar;
mod tensor;
mod vgg;
mod zip;

pub use convention::{Convention, UnknownConvention};
pub use error::{WeightsError, WeightsErrorKind};
pub use impasto_core::preset::Architecture;
pub use networks::{
    BUILT_IN, Installed, NetworkEntry, NetworkError, NetworkStatus, Networks, Verified,
    check_network,
};
pub use offers::{OFFERS, Offer};
pub use store::About;
pub use tensor::{Dtype, Tensor};

use source::Source;

/// What a weights file gives.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// VGG-16 also where a file ends before the two networks differ, at conv3_3
    /// or earlier.
    pub architecture: Architecture,
    /// From the picture inwards, without gaps; at least one. A file may end
    /// before the network does.
    pub convolutions: Vec<Convolution>,
    pub convention: Convention,
    pub format: Format,
    /// SHA-256 of the whole file, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

impl File {
    /// The last convolution, such as `conv5_4`.
    pub fn deepest(&self) -> Option<&Convolution> {
        self.convolutions.last()
    }
}

/// One 3×3 convolution with padding 1, which a ReLU follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// The block, counted from 1: 4 for `conv4_2`.
    pub block: u8,
    /// The convolution within its block, counted from 1: 2 for `conv4_2`.
    pub index: u8,
    /// out, in, 3, 3
    pub shape: [usize; 4],
    /// out × in × 3 × 3 values, the last dimension innermost. All are finite.
    pub weight: Vec<f32>,
    /// One value for each output. All are finite.
    pub bias: Vec<f32>,
}

impl Convolution {
    /// The name, such as `conv4_2`.
    pub fn name(&self) -> String {
        format!("conv{}_{}", self.block, self.index)
    }

    /// The layer whose feature map it makes, such as `relu4_2`.
    pub fn layer(&self) -> String {
        format!("relu{}_{}", self.block, self.index)
    }
}

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Safetensors,
    /// PyTorch's zip file, since 1.6 (2020).
    PyTorch,
    /// PyTorch's row of pickles, from 2017 until then.
    PyTorchLegacy,
    /// PyTorch's tar file, before that.
    PyTorchTar,
}

/// Reads the convolutions of VGG-16 or VGG-19 from a file. What it holds
/// decides how it is read, not its name.
///
/// Besides the result, which is 80 MB for VGG-19, this takes little memory: as
/// much again as the largest layer where a file keeps it in another order.
///
/// `stated` is the user's word on which input the network expects. It is
/// needed if neither a safetensors header says so (as `convention` in its
/// metadata) nor the weights are known ones.
///
/// # Errors
/// When the file cannot be read, is of no known format, is damaged, or asks
/// for anything but tensors; when it does not hold the convolutions of either
/// network from the first one on, with their shapes and finite values; and when
/// the convention is not known, or not the one that was stated.
pub fn read(path: &Path, stated: Option<Convention>) -> Result<File, WeightsError> {
    let read = read_file(path, stated).map_err(|kind| kind.of(path));
    read.map(|(file, _)| file)
}

/// A file and what its header says besides.
fn read_file(
    path: &Path,
    stated: Option<Convention>,
) -> Result<(File, BTreeMap<String, String>), WeightsErrorKind> {
    // Asked before it is opened, since opening a pipe waits for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(WeightsErrorKind::NotOrdinary);
    }
    let mut file = fs::File::open(path)?;
    // The header first: a large file that is no network is refused at once.
    let mut archive = Archive::open(file.try_clone()?)?;
    let (architecture, planned) = vgg::plan(&archive.tensors)?;
    let mut hasher = Sha256::new();
    file.rewind()?;
    io::copy(&mut file, &mut hasher)?;
    let sha256 = format!("{:x}", hasher.finalize());
    let mut convolutions = Vec::with_capacity(planned.len());
    for planned in planned {
        let convolution = Convolution {
            block: planned.block,
            index: planned.index,
            shape: planned.shape,
            weight: planned.weight.values(&mut archive.source)?,
            bias: planned.bias.values(&mut archive.source)?,
        };
        let values = [&convolution.weight, &convolution.bias];
        if !values.into_iter().flatten().all(|value| value.is_finite()) {
            return Err(WeightsErrorKind::NotFinite(convolution.name()));
        }
        convolutions.push(convolution);
    }
    let first = convolutions.first().map_or(&[][..], |first| &first.weight);
    let convention = known_weights::identify(stated, &archive.metadata, &sha256, first)?;
    let file = File {
        architecture,
        convolutions,
        convention,
        format: archive.format,
        sha256,
    };
    Ok((file, archive.metadata))
}

/// A file of named tensors, of which none has been read yet.
#[derive(Debug)]
pub struct Archive<R> {
    source: Source<R>,
    pub format: Format,
    /// In the file's order. Two may have the same name.
    pub tensors: Vec<Tensor>,
    /// What the header of a safetensors file says besides.
    pub metadata: BTreeMap<String, String>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads which tensors a file holds.
    ///
    /// # Errors
    /// When it cannot be read, is of no known format, is damaged, or asks for
    /// anything but tensors.
    pub fn open(reader: R) -> Result<Self, WeightsErrorKind> {
        let mut source = Source::new(reader)?;
        let beginning = source.beginning()?;
        let mut metadata = BTreeMap::new();
        let (format, tensors) = if zip::recognise(&beginning) {
            (Format::PyTorch, pytorch::read(&mut source)?)
        } else if legacy::recognise(&beginning) {
            (Format::PyTorchLegacy, legacy::read(&mut source)?)
        } else if tar::recognise(&beginning) {
            (Format::PyTorchTar, tar::read(&mut source)?)
        } else if safetensors::recognise(&beginning) {
            let (tensors, header) = safetensors::read(&mut source)?;
            metadata = header;
            (Format::Safetensors, tensors)
        } else {
            return Err(WeightsErrorKind::UnknownFormat);
        };
        Ok(Self {
            source,
            format,
            tensors,
            metadata,
        })
    }

    /// The values of one of [`tensors`](Self::tensors) as float32, the last
    /// dimension innermost.
    ///
    /// # Errors
    /// When the tensor is of another type than a float, does not fit into the
    /// file, has gaps, or does not match its checksum.
    pub fn values(&mut self, tensor: &Tensor) -> Result<Vec<f32>, WeightsErrorKind> {
        tensor.values(&mut self.source)
    }
}

#[cfg(test)]
mod tests;
