//! How things are written on the line: `u32` length of the payload, little
//! endian; `u8` kind; payload.
//!
//! The payload of a preview is its iteration, width and height, each a `u32`
//! in little endian, and its pixels; of a refusal a sentence; of a role one
//! byte, 1 for who controls the run; of all else JSON.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use impasto_core::preset::{Preset, Start};
use impasto_core::protocol::{Command, Event, Preview, Step};
use serde::Serialize;
use thiserror::Error;

/// The longest side of a preview, in pixels.
pub(super) const MAX_PREVIEW_SIDE: u32 = 4096;

/// Bytes before a payload.
const HEADER: usize = 5;
/// Bytes of a preview before its pixels.
const PREVIEW_HEADER: usize = 12;

/// A frame from its length to the end of its payload. Clones share the bytes:
/// what all clients receive is encoded once.
pub(super) type Frame = Arc<Vec<u8>>;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello = 1,
    Command = 2,
    Greeting = 16,
    HandshakeError = 17,
    Event = 18,
    Preview = 19,
    Role = 20,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Hello,
        Self::Command,
        Self::Greeting,
        Self::HandshakeError,
        Self::Event,
        Self::Preview,
        Self::Role,
    ];

    /// The longest payload, in bytes.
    fn limit(self) -> usize {
        match self {
            Self::Hello => 4 << 10,
            Self::Command => 1 << 20,
            Self::Greeting => 64 << 10,
            Self::HandshakeError => 4 << 10,
            Self::Event => 4 << 20,
            Self::Preview => PREVIEW_HEADER + 3 * (MAX_PREVIEW_SIDE as usize).pow(2),
            Self::Role => 1,
        }
    }
}

/// Why no frame could be read.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    /// The other end is gone, or kept silent for too long.
    #[error("{0}")]
    Broken(#[from] io::Error),
    /// What came is not what is spoken here. A sentence without its full stop.
    #[error("{0}")]
    InvalidFrame(String),
}

/// Reads one frame, which must be of one of these kinds.
///
/// # Errors
/// When the line ends, or the frame is of another kind or too long.
pub(super) fn read(line: &mut impl Read, kinds: &[Kind]) -> Result<(Kind, Vec<u8>), FrameError> {
    let mut header = [0; HEADER];
    line.read_exact(&mut header)?;
    let [a, b, c, d, kind] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let known = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
    let Some(kind) = known.filter(|kind| kinds.contains(kind)) else {
        return Err(FrameError::InvalidFrame(format!(
            "a frame of kind {kind} has no place here"
        )));
    };
    if length > kind.limit() {
        return Err(FrameError::InvalidFrame(format!(
            "a frame of {length} bytes is longer than the {} that its kind may have",
            kind.limit()
        )));
    }
    // Grows with what really comes: a length alone costs no memory.
    let mut payload = Vec::with_capacity(length.min(64 << 10));
    line.take(length as u64).read_to_end(&mut payload)?;
    if payload.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok((kind, payload))
}

/// The value that a payload of JSON holds.
///
/// # Errors
/// When it is another.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(
    payload: &[u8],
    what: &str,
) -> Result<T, FrameError> {
    // What the reader found at fault could quote the payload: only its place
    // is told.
    serde_json::from_slice(payload).map_err(|error| {
        FrameError::InvalidFrame(format!(
            "{what} cannot be read (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// A frame around bytes that are known to be few enough.
pub(super) fn plain(kind: Kind, payload: &[u8]) -> Frame {
    let payload = &payload[..payload.len().min(kind.limit())];
    let mut bytes = begun(payload.len());
    bytes.extend_from_slice(payload);
    Arc::new(finished(bytes, kind))
}

/// A frame around a value as JSON; none where it cannot be written as such, or
/// is too long.
pub(super) fn json<T: Serialize>(kind: Kind, value: &T) -> Option<Frame> {
    let mut bytes = begun(1024);
    serde_json::to_writer(&mut bytes, value).ok()?;
    (bytes.len() - HEADER <= kind.limit()).then(|| Arc::new(finished(bytes, kind)))
}

/// An event's frame; none for a step whose losses are not all finite, which
/// JSON has no words for.
pub(super) fn event(event: &Event) -> Option<Frame> {
    if let Event::Step(step) = event
        && !is_finite(step)
    {
        return None;
    }
    json(Kind::Event, event).or_else(|| json(Kind::Event, &event_in_unicode(event.clone())))
}

/// A command's frame; none where it would be too long.
pub(super) fn command(command: &Command) -> Option<Frame> {
    json(Kind::Command, command)
        .or_else(|| json(Kind::Command, &command_in_unicode(command.clone())))
}

/// A preview's frame; none where its pixels do not fit its size, or its size
/// is out of bounds.
pub(super) fn preview(preview: &Preview) -> Option<Frame> {
    if preview_length(preview.width, preview.height) != Some(preview.rgb.len()) {
        return None;
    }
    let mut bytes = begun(PREVIEW_HEADER + preview.rgb.len());
    for number in [preview.iteration, preview.width, preview.height] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&preview.rgb);
    Some(Arc::new(finished(bytes, Kind::Preview)))
}

/// The preview that a payload holds.
///
/// # Errors
/// When its size is out of bounds, or its pixels do not fit it.
pub(super) fn parsed_preview(mut payload: Vec<u8>) -> Result<Preview, FrameError> {
    let rubbish = || FrameError::InvalidFrame("a preview's pixels do not fit its size".to_owned());
    let (numbers, _) = payload
        .split_first_chunk::<PREVIEW_HEADER>()
        .ok_or_else(rubbish)?;
    let number =
        |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte: usize| numbers[4 * at + byte]));
    let (iteration, width, height) = (number(0), number(1), number(2));
    if preview_length(width, height) != Some(payload.len() - PREVIEW_HEADER) {
        return Err(rubbish());
    }
    payload.drain(..PREVIEW_HEADER);
    Ok(Preview {
        iteration,
        width,
        height,
        rgb: payload,
    })
}

/// How many bytes the pixels of a preview take, if it may be of this size.
fn preview_length(width: u32, height: u32) -> Option<usize> {
    let sides = 1..=MAX_PREVIEW_SIDE;
    (sides.contains(&width) && sides.contains(&height))
        .then(|| 3 * width as usize * height as usize)
}

/// Room for a header, and for a payload of about this length.
fn begun(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.resize(HEADER, 0);
    bytes
}

/// The same with its header filled in. The payload keeps its kind's limit,
/// which is less than a `u32` can say.
fn finished(mut bytes: Vec<u8>, kind: Kind) -> Vec<u8> {
    let length = (bytes.len() - HEADER) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4] = kind as u8;
    bytes
}

fn is_finite(step: &Step) -> bool {
    let layers = step
        .layers
        .content
        .values()
        .chain(step.layers.style.values())
        .chain(&step.layers.laplacian);
    [
        step.content,
        step.style,
        step.smoothness,
        step.total,
        step.elapsed,
    ]
    .iter()
    .chain(&step.rejected_total)
    .chain(layers)
    .all(|number| number.is_finite())
}

/// The event with file names that JSON can say: better a name with a mark in
/// it than an end of the run that nobody receives.
fn event_in_unicode(mut event: Event) -> Event {
    match &mut event {
        Event::Started { job, output, .. } => {
            preset_in_unicode(&mut job.preset);
            path_in_unicode(output);
        }
        Event::Changed { preset, .. } => preset_in_unicode(preset),
        Event::Saved { output, .. }
        | Event::Restarting {
            output: Some(output),
        }
        | Event::Finished {
            output: Some(output),
            ..
        }
        | Event::Failed {
            output: Some(output),
            ..
        } => path_in_unicode(output),
        _ => {}
    }
    event
}

/// As [`event_in_unicode`]. A file of that name will not be found, and the
/// engine says so.
fn command_in_unicode(mut command: Command) -> Command {
    match &mut command {
        Command::Change(preset) => preset_in_unicode(preset),
        Command::Snapshot { output } => path_in_unicode(output),
        Command::Restart { preset, output, .. } => {
            preset_in_unicode(preset);
            path_in_unicode(output);
        }
        _ => {}
    }
    command
}

fn preset_in_unicode(preset: &mut Preset) {
    if let Start::File(path) = &mut preset.start {
        path_in_unicode(path);
    }
}

fn path_in_unicode(path: &mut PathBuf) {
    *path = PathBuf::from(path.to_string_lossy().into_owned());
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;

    fn decoded(event: &Event) -> Event {
        let frame = super::event(event).unwrap();
        let (_, payload) = read(&mut &frame[..], &[Kind::Event]).unwrap();
        parsed(&payload, "the event").unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let event = Event::Notice {
            iteration: 7,
            message: "näher".to_owned(),
        };
        assert_eq!(decoded(&event), event);
        let preview = Preview {
            iteration: 9,
            width: 2,
            height: 3,
            rgb: (0..18).collect(),
        };
        let frame = super::preview(&preview).unwrap();
        let (_, payload) = read(&mut &frame[..], &[Kind::Preview]).unwrap();
        assert_eq!(parsed_preview(payload).unwrap(), preview);
    }

    #[test]
    fn what_has_no_place_here_is_not_read() {
        let rubbish = |bytes: &[u8]| {
            let read = read(&mut &bytes[..], &[Kind::Command]);
            assert!(
                matches!(read, Err(FrameError::InvalidFrame(_))),
                "{bytes:?}"
            );
        };
        rubbish(&[0, 0, 0, 0, 0]);
        rubbish(&[0, 0, 0, 0, Kind::Hello as u8]);
        rubbish(&[0xff, 0xff, 0xff, 0xff, Kind::Command as u8]);
        rubbish(&[1, 0, 16, 0, Kind::Command as u8]);
        let short = read(
            &mut &[9, 0, 0, 0, Kind::Command as u8, b'{'][..],
            &[Kind::Command],
        );
        assert!(matches!(short, Err(FrameError::Broken(_))));
    }

    #[test]
    fn previews_have_exactly_their_pixels() {
        let payload = |width: u32, height: u32, pixels: usize| {
            let mut payload = Vec::new();
            for number in [1, width, height] {
                payload.extend_from_slice(&number.to_le_bytes());
            }
            payload.resize(payload.len() + pixels, 0);
            parsed_preview(payload)
        };
        assert!(payload(2, 1, 6).is_ok());
        for (width, height, pixels) in [
            (2, 1, 5),
            (2, 1, 7),
            (0, 1, 0),
            (4097, 1, 3 * 4097),
            (u32::MAX, u32::MAX, 3),
        ] {
            assert!(payload(width, height, pixels).is_err());
        }
        assert!(parsed_preview(vec![0; 11]).is_err());
    }

    #[test]
    fn the_end_is_reported_whatever_the_file_is_called() {
        let output = Path::new(OsStr::from_bytes(b"a\xff.png")).to_path_buf();
        let event = Event::Finished {
            output: Some(output),
            iterations: 3,
            elapsed: 1.0,
            stopped: false,
            saved: None,
        };
        let Event::Finished { output, .. } = decoded(&event) else {
            panic!("another event");
        };
        assert_eq!(output, Some(PathBuf::from("a\u{fffd}.png")));
    }

    #[test]
    fn a_step_that_json_has_no_words_for_is_left_out() {
        let step = |total| event(&Event::Step(crate::ipc::tests::step_with_total(1, total)));
        assert!(step(1.5).is_some());
        assert!(step(f64::NAN).is_none());
        assert!(step(f64::INFINITY).is_none());
    }
}
