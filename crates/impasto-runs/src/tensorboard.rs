//! A run as an event file, which `tensorboard --logdir` shows.
//!
//! | tag | what it is |
//! | --- | --- |
//! | `loss/total`, `loss/content`, `loss/style`, `loss/smoothness` | the weighted losses |
//! | `content/LAYER`, `style/LAYER`, `content/laplacian` | each layer's loss before any weight |
//! | `rejected_total` | the total of an image that the optimizer tried and rejected |
//! | `picture` | the finished picture, the bytes of `result.png` |
//! | `preset` | the preset as YAML |
//! | `_hparams_/…` | the preset's keys, for the table of hyperparameters |
//!
//! TensorBoard keeps scalars as float32, and marks those that are NaN or infinite: they are
//! written as they are. An event's time is that of painting, pauses left out.
//!
//! The file is a sequence of TFRecords, each an `Event` in the [protobuf encoding](protobuf):
//! 8 bytes of length, their checksum, the event, its checksum. Fields have the numbers of
//! `event.proto`, `summary.proto` and `tensor.proto` of TensorFlow, and of
//! `plugins/hparams/plugin_data.proto` of TensorBoard.

mod protobuf;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Cursor, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader};
use impasto_core::picture::{MAX_FILE_BYTES, PictureError};
use impasto_core::preset::Preset;
use impasto_core::protocol::Step;
use impasto_core::text::{display_path, display_reason};
use serde_json::Value;
use thiserror::Error;

use self::protobuf::Message;
use super::{Result, Run, RunError, RunStatus, files};

/// How the name of an event file begins, and how that of this program's ends. TensorBoard
/// reads every file with `tfevents` in its name.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".impasto";
/// What the first event of every file says.
const VERSION: &str = "brain.Event:2";

/// Values of `DataType`.
const DT_FLOAT: u64 = 1;
const DT_STRING: u64 = 7;
/// `DATA_CLASS_TENSOR` of `DataClass`.
const TENSOR: u64 = 2;
/// The `colorspace` of an RGB image.
const RGB: u64 = 3;
/// Values of the hparams plugin's `Status`.
const SUCCESS: u64 = 1;
const FAILURE: u64 = 2;

/// Why a run was not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    #[error(transparent)]
    Run(#[from] RunError),

    #[error(
        "{file} holds the events of something else, which TensorBoard would draw with those of \
         this run. Remove it, or name another folder"
    )]
    OtherEvents { file: String },
}

/// What of a run goes into its event file.
struct Contents<'a> {
    preset: &'a Preset,
    steps: &'a [Step],
    picture: Option<Png>,
    status: RunStatus,
    /// When the run began, in seconds after the beginning of 1970.
    created: f64,
    /// When it ended or came as far as it is, and in which iteration.
    ended: f64,
    iteration: u32,
}

/// A picture as it is in its file.
struct Png {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

/// Writes the event file of a run into the folder of the run's name in `folder`, both of
/// which are made if they are not there. The file that an earlier export wrote is replaced.
/// Returns where it is.
///
/// # Errors
/// When the run cannot be read or the file not written, and
/// [`OtherEvents`](ExportError::OtherEvents).
pub fn export(run: &Run, folder: &Path) -> std::result::Result<PathBuf, ExportError> {
    let steps = run.metrics()?;
    let progress = run.state();
    let record = run.record();
    let last = steps.last();
    let elapsed = last.map_or(0.0, |step| step.elapsed).max(progress.elapsed);
    let contents = Contents {
        preset: &record.preset,
        steps: &steps,
        picture: finished_picture(run)?,
        status: run.status(),
        created: record.created as f64,
        ended: record.created as f64 + elapsed,
        // Of a long run not every step is written down.
        iteration: last
            .map_or(0, |step| step.iteration)
            .max(progress.iteration),
    };
    let place = folder.join(run.name().as_str());
    let unwritten = |cause| RunError::not_written(&place, cause);
    fs::create_dir_all(&place).map_err(unwritten)?;
    let name = format!("{PREFIX}{:010}{SUFFIX}", record.created);
    if let Some(other) = other_events(&place, &name).map_err(unwritten)? {
        let file = display_path(&place.join(other));
        return Err(ExportError::OtherEvents { file });
    }
    let path = place.join(&name);
    let write = || {
        // Dropped before it takes its name, it removes itself. Unlike the run's own folder it
        // is as public as any new file.
        let mut staging = tempfile::Builder::new()
            .prefix(files::STAGING_PREFIX)
            .suffix(".part")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&place)?;
        let mut out = BufWriter::new(staging.as_file_mut());
        contents.write(&mut out)?;
        out.flush()?;
        drop(out);
        staging.as_file().sync_all()?;
        staging.persist(&path)?;
        Ok(())
    };
    write().map_err(|cause| RunError::not_written(&path, cause))?;
    Ok(path)
}

/// An event file in a folder other than the one of this name.
fn other_events(folder: &Path, name: &str) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let found = entry?.file_name();
        if found != name && found.to_string_lossy().contains("tfevents") {
            return Ok(Some(found.into()));
        }
    }
    Ok(None)
}

/// The picture of a run that has ended. One that goes on may have the picture of where it was
/// stopped before.
fn finished_picture(run: &Run) -> Result<Option<Png>> {
    if let RunStatus::Painting | RunStatus::Paused | RunStatus::Interrupted = run.status() {
        return Ok(None);
    }
    let path = run.result_path();
    let bytes = match run.open_folder()?.read(Run::RESULT, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(RunError::unreadable(&path, cause)),
    };
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Png);
    let size = reader.into_dimensions();
    let (width, height) = size.map_err(|error| PictureError::Damaged {
        file: display_path(&path),
        reason: display_reason(&error),
    })?;
    Ok(Some(Png {
        width,
        height,
        bytes,
    }))
}

impl Contents<'_> {
    fn write(self, out: &mut impl Write) -> io::Result<()> {
        let event = |time: f64, step: u32| {
            let event = Message::default().double(1, time);
            event.integer(2, step.into())
        };
        let mut record = |event: Message| write_record(event.as_bytes(), out);
        record(Message::default().double(1, self.created).bytes(3, VERSION))?;
        let start = Message::default().message(1, self.session_start());
        let start = start.message(1, text("preset", &self.preset()?));
        record(event(self.created, 0).message(5, start))?;
        for step in self.steps {
            let time = self.created + step.elapsed;
            record(event(time, step.iteration).message(5, scalars(step)))?;
        }
        let mut end = Message::default();
        if let Some(status) = match self.status {
            RunStatus::Finished | RunStatus::Stopped => Some(SUCCESS),
            RunStatus::Failed => Some(FAILURE),
            _ => None,
        } {
            end = end.message(1, self.session_end(status));
        }
        if let Some(picture) = self.picture {
            end = end.message(1, picture.into_summary());
        }
        record(event(self.ended, self.iteration).message(5, end))
    }

    /// The preset as Markdown, which TensorBoard reads texts as: a block of code, each line of
    /// it indented.
    fn preset(&self) -> io::Result<String> {
        let yaml = self.preset.to_yaml().map_err(io::Error::other)?;
        Ok(yaml.lines().map(|line| format!("    {line}\n")).collect())
    }

    fn session_start(&self) -> Message {
        let mut keys = BTreeMap::new();
        // A preset is plain data: it always can be written as JSON.
        if let Ok(preset) = serde_json::to_value(self.preset) {
            flatten("", &preset, &mut keys);
        }
        // A sentence is no setting.
        keys.remove("description");
        let mut start = Message::default();
        for (key, value) in keys {
            start = start.message(1, Message::default().bytes(1, key).message(2, value));
        }
        let start = start.double(5, self.created);
        hparams(
            "_hparams_/session_start_info",
            Message::default().message(3, start),
        )
    }

    fn session_end(&self, status: u64) -> Message {
        let end = Message::default().integer(1, status).double(2, self.ended);
        hparams(
            "_hparams_/session_end_info",
            Message::default().message(4, end),
        )
    }
}

/// Every key in a value with its `google.protobuf.Value`: `style.layers.relu1_1`. Lists are
/// written as JSON.
fn flatten(key: &str, value: &Value, keys: &mut BTreeMap<String, Message>) {
    let flat = Message::default();
    let flat = match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                match key {
                    "" => flatten(name, value, keys),
                    key => flatten(&format!("{key}.{name}"), value, keys),
                }
            }
            return;
        }
        Value::Null => return,
        Value::Number(number) => flat.double(2, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => flat.bytes(3, text),
        Value::Bool(on) => flat.integer(4, u64::from(*on)),
        Value::Array(_) => flat.bytes(3, value.to_string()),
    };
    keys.insert(key.to_owned(), flat);
}

/// A `Summary` of all losses of a step.
fn scalars(step: &Step) -> Message {
    let layers = &step.layers;
    let losses = [
        ("total", step.total),
        ("content", step.content),
        ("style", step.style),
        ("smoothness", step.smoothness),
    ];
    let losses = losses.map(|(name, loss)| (format!("loss/{name}"), loss));
    let rejected = step.rejected_total.into_iter();
    let content = layers.content.iter();
    let style = layers.style.iter();
    let laplacian = layers.laplacian.into_iter();
    losses
        .into_iter()
        .chain(rejected.map(|loss| ("rejected_total".to_owned(), loss)))
        .chain(content.map(|(layer, loss)| (format!("content/{layer}"), *loss)))
        .chain(laplacian.map(|loss| ("content/laplacian".to_owned(), loss)))
        .chain(style.map(|(layer, loss)| (format!("style/{layer}"), *loss)))
        .fold(Message::default(), |summary, (tag, loss)| {
            let value = Message::default().bytes(1, tag).float(2, loss as f32);
            summary.message(1, value)
        })
}

impl Png {
    /// A value of a `Summary`.
    fn into_summary(self) -> Message {
        let image = Message::default()
            .integer(1, self.height.into())
            .integer(2, self.width.into())
            .integer(3, RGB)
            .bytes(4, self.bytes);
        Message::default().bytes(1, "picture").message(4, image)
    }
}

/// A value of a `Summary` that the text plugin shows.
fn text(tag: &str, text: &str) -> Message {
    // Of no dimensions.
    let tensor = Message::default()
        .integer(1, DT_STRING)
        .message(2, Message::default())
        .bytes(8, text);
    plugin(tag, "text", Message::default(), tensor)
}

/// A value of a `Summary` for the hparams plugin: all of it is in its metadata.
fn hparams(tag: &str, content: Message) -> Message {
    // Of one dimension, and no elements.
    let shape = Message::default().message(2, Message::default());
    let nothing = Message::default().integer(1, DT_FLOAT).message(2, shape);
    plugin(tag, "hparams", content, nothing)
}

fn plugin(tag: &str, name: &str, content: Message, tensor: Message) -> Message {
    let plugin = Message::default().bytes(1, name).message(2, content);
    let metadata = Message::default().message(1, plugin).integer(4, TENSOR);
    Message::default()
        .bytes(1, tag)
        .message(9, metadata)
        .message(8, tensor)
}

/// Writes a TFRecord.
fn write_record(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&checksum(&length).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&checksum(bytes).to_le_bytes())
}

/// CRC-32C, masked: a checksum of bytes that contain checksums would be weak.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests;
