//! What can be wrong with a weights file, each with a way out.

use std::io;
use std::path::Path;

use impasto_core::text::display_path;
use thiserror::Error;

use super::Convention;

/// Why a weights file cannot be used.
#[derive(Debug, Error)]
#[error("Cannot use the weights in {file}: {kind}")]
pub struct WeightsError {
    /// The file's name, fit for a terminal.
    pub file: String,
    pub kind: WeightsErrorKind,
}

/// What is wrong with a weights file. Names that come out of the file are cut
/// short and fit for a terminal.
#[derive(Debug, Error)]
pub enum WeightsErrorKind {
    #[error("there is no such file. Check the name and the folder you are in.")]
    NotFound,

    #[error("it is not an ordinary file. Name a file that ends in .safetensors, .pth or .pt.")]
    NotOrdinary,

    #[error("{0}. Check the file's permissions and its disk.")]
    Unreadable(io::Error),

    #[error(
        "it is in none of the known formats. safetensors files and PyTorch's .pth and .pt are."
    )]
    UnknownFormat,

    #[error("the file is cut short or damaged ({0}). Copy or download it again.")]
    Damaged(String),

    #[error(
        "{0}. Nothing in a file is ever run, and only plain state dicts are read: load the model \
         in PyTorch and save it anew with torch.save(model.state_dict(), \"weights.pth\")."
    )]
    Unsupported(String),

    #[error("it does not hold the convolutions of VGG-16 or VGG-19 ({0}). Choose another file.")]
    NotVgg(String),

    #[error(
        "{0} holds values that are infinite or not a number. Copy or download the file again, or \
         save it with float32."
    )]
    NotFinite(String),

    #[error(
        "it does not say which input its network expects. State the convention: {} for weights \
         trained with torchvision, {} for weights that were converted from Caffe.",
        Convention::RgbImageNet,
        Convention::BgrMinusMean
    )]
    UnknownConvention,

    #[error(
        "these are known weights ({what}), whose convention is {known}, not {stated}. \
         Leave the convention out."
    )]
    OtherConvention {
        what: &'static str,
        known: Convention,
        stated: Convention,
    },

    #[error("its header says the convention is {0}, which is not known. State the convention.")]
    StrangeConvention(String),
}

impl WeightsErrorKind {
    pub(super) fn of(self, path: &Path) -> WeightsError {
        WeightsError {
            file: display_path(path),
            kind: self,
        }
    }
}

impl From<io::Error> for WeightsErrorKind {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends too early".to_owned()),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            _ => Self::Unreadable(error),
        }
    }
}

pub(super) fn damaged(reason: impl Into<String>) -> WeightsErrorKind {
    WeightsErrorKind::Damaged(reason.into())
}

pub(super) fn unsupported(what: impl Into<String>) -> WeightsErrorKind {
    WeightsErrorKind::Unsupported(what.into())
}

/// A name out of a file, between backticks: at most 80 characters, none of
/// which can speak to the terminal.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", shown(name, 80))
}

/// Text from elsewhere, cut to `limit` characters, none of which can speak to
/// the terminal.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let cut: String = text.chars().take(limit).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", display_path(Path::new(&cut)))
}
