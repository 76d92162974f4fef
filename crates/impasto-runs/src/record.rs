//! `run.json`: what a run was asked for, written once when it begins.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use impasto_core::job::{Compute, Overrides, in_order};
use impasto_core::preset::{Preset, Start, StyleTerm};
use impasto_core::text::display_path;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::inputs::Copied;
use super::{FORMAT, Folder, RunError, RunName, files};

/// Its name in the run's folder.
const FILE: &str = "run.json";

/// What a run was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u64,
    /// The version of impasto that began the run.
    pub impasto: String,
    pub name: RunName,
    /// When it was begun, in seconds after the beginning of 1970.
    pub created: u64,
    pub content: Copied,
    /// The first style, and the others in their order.
    pub style: Copied,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_styles: Vec<Copied>,
    /// The picture that painting began from, where the preset's `start` names
    /// a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Copied>,
    /// The pictures of the preset's masks, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<CopiedMask>,
    /// The preset as the run began.
    pub preset: Preset,
    /// Where the preset was found: its name or its file.
    pub preset_name: Option<String>,
    pub overrides: Overrides,
    pub compute: Compute,
    /// Where the finished picture goes, as an absolute path.
    #[serde(with = "path")]
    pub output: PathBuf,
    /// SHA-256 of the file that was there when the run began, which it was asked to
    /// replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_sha256: Option<String>,
}

/// The pictures of a mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedMask {
    pub mask: Copied,
    /// The region of the style, where the mask names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Copied>,
}

impl Record {
    /// Reads `run.json` in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, RunError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let path = folder.join(FILE);
        let bytes = Folder::open(folder)
            .and_then(|folder| folder.read(FILE, files::MAX_TEXT))
            .map_err(|cause| match cause.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => RunError::NotARun {
                    folder: display_path(folder),
                },
                ErrorKind::InvalidData => RunError::damaged(&path, &cause),
                _ => RunError::unreadable(&path, cause),
            })?;
        // What else another version writes nobody knows: its number comes first.
        let Format { format } =
            serde_json::from_slice(&bytes).map_err(|error| RunError::damaged(&path, &error))?;
        if !(1..=FORMAT).contains(&format) {
            return Err(RunError::OtherVersion {
                folder: display_path(folder),
                format,
            });
        }
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|error| RunError::damaged(&path, &error))?;
        record
            .check_pictures()
            .map_err(|reason| RunError::damaged(&path, &reason))?;
        Ok(record)
    }

    /// Checks that the pictures are those that the preset asks for, each in a copy of its
    /// own name. A preset has a bounded number of masks.
    fn check_pictures(&self) -> Result<(), String> {
        let (styles, most) = (self.styles().count(), StyleTerm::MAX_STYLES);
        if styles > most {
            return Err(format!(
                "{styles} styles, of which a run has {most} at most"
            ));
        }
        let wanted = matches!(self.preset.start, Start::File(_));
        if self.start.is_some() != wanted {
            return Err("the preset's `start` and the picture of it do not agree".to_owned());
        }
        let masks = &self.preset.masks;
        let regions = masks.iter().map(|mask| mask.region.is_some());
        if !regions.eq(self.masks.iter().map(|copied| copied.region.is_some())) {
            return Err("the preset's `masks` and the pictures of them do not agree".to_owned());
        }
        for (role, copied) in self.pictures() {
            if !super::inputs::is_copy_of(&role, &copied.copy) {
                return Err(format!("{} is no copy's name", copied.copy));
            }
        }
        Ok(())
    }

    /// Writes `run.json` anew where it has an earlier format: who paints on writes files
    /// beside it that a version of that format cannot read.
    pub(super) fn update(&self, folder: &Folder) -> Result<(), RunError> {
        if self.format == FORMAT {
            return Ok(());
        }
        let format = FORMAT;
        Self {
            format,
            ..self.clone()
        }
        .write(folder)
    }

    /// Writes `run.json` into a folder.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), RunError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| RunError::Unwritable {
            reason: error.to_string(),
        })?;
        let written = folder.write(FILE, &bytes, true);
        written.map_err(|cause| RunError::not_written(&folder.path().join(FILE), cause))
    }

    /// The styles, in their order.
    pub fn styles(&self) -> impl Iterator<Item = &Copied> {
        std::iter::once(&self.style).chain(&self.more_styles)
    }

    /// The pictures with their roles, in the order of
    /// [`Plan::inputs`](impasto_core::job::Plan::inputs).
    pub fn pictures(&self) -> Vec<(String, &Copied)> {
        let masks = self.masks.iter();
        let masks = masks.map(|copied| (&copied.mask, copied.region.as_ref()));
        in_order(&self.content, self.styles(), self.start.as_ref(), masks)
    }
}

/// A path: as text, or byte by byte where it is none, so that every place on
/// a disk can be written down.
pub(super) mod path {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let form = match path.to_str() {
            Some(text) => Form::Text(text.to_owned()),
            None => Form::Bytes(path.as_os_str().as_bytes().to_vec()),
        };
        form.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::Text(text) => PathBuf::from(text),
            Form::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        })
    }

    /// A path that may be left out.
    pub mod optional {
        use super::*;

        #[derive(Serialize, Deserialize)]
        struct Present(#[serde(with = "super")] PathBuf);

        pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
            path.clone().map(Present).serialize(to)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<PathBuf>, D::Error> {
            Ok(Option::<Present>::deserialize(from)?.map(|Present(path)| path))
        }
    }
}
