//! `metrics.jsonl`: the losses of a run, a [`Step`] a line as `--events` writes
//! them.
//!
//! A long run would fill the disk with lines that look alike in a
//! chart, so that every power of ten above 10,000 iterations takes 9,000 lines.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use impasto_core::preset::Layer;
use impasto_core::protocol::{Event, Step};

use super::{Folder, Result, RunError};

/// Its name in the run's folder.
pub(super) const FILE: &str = "metrics.jsonl";
/// Up to here every iteration is written.
const ALL_UP_TO: u32 = 10_000;
/// Lines are handed to the system in portions of this many bytes.
const PORTION: usize = 32 << 10;
/// Lines that are kept in memory while they cannot be written.
const MAX_WAITING: usize = 4096;
/// What is read of a file, and of a line in it. Written files are far smaller.
const MAX_FILE: u64 = 256 << 20;
const MAX_LINE: usize = 64 << 10;

/// The losses of a run, to append to.
#[derive(Debug)]
pub struct Metrics {
    /// For messages.
    path: PathBuf,
    file: File,
    /// How long the file is, as far as its lines are whole.
    whole: u64,
    /// Lines that are not written yet.
    waiting: Vec<String>,
    waiting_bytes: usize,
    /// The scale of the last step.
    scale: Option<u32>,
    /// Whether the last write failed, which has been reported.
    failing: bool,
}

impl Metrics {
    /// Opens the losses in a run's folder, which are made if they are not there. A last
    /// line that was not written to its end goes; of a run that resumes from
    /// an earlier iteration, so do the lines after `keep_until`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Folder, keep_until: Option<u32>) -> Result<Self> {
        let path = folder.path().join(FILE);
        let opened = folder.append(FILE).and_then(|file| {
            let kept = kept(&file, keep_until)?;
            file.set_len(kept.bytes)?;
            Ok((file, kept))
        });
        let (file, kept) = opened.map_err(|cause| RunError::not_written(&path, cause))?;
        Ok(Self {
            path,
            file,
            whole: kept.bytes,
            waiting: Vec::new(),
            waiting_bytes: 0,
            scale: kept.scale,
            failing: false,
        })
    }

    /// Takes in a step, if it is one of those that are kept, and writes now
    /// and then. Never waits for the disk.
    ///
    /// # Errors
    /// When writing fails for the first time; see [`flush`](Self::flush).
    pub fn append(&mut self, step: &Step) -> Result<()> {
        let first_of_scale = self.scale != Some(step.scale);
        self.scale = Some(step.scale);
        if !first_of_scale && !step.iteration.is_multiple_of(stride(step.iteration)) {
            return Ok(());
        }
        // A step is plain data: it always can be written as JSON.
        let Ok(mut line) = serde_json::to_string(&Event::Step(step.clone())) else {
            return Ok(());
        };
        line.push('\n');
        self.waiting_bytes += line.len();
        self.waiting.push(line);
        if self.waiting.len() > MAX_WAITING {
            self.thin();
        }
        match self.waiting_bytes >= PORTION && !self.failing {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Writes the steps that are waiting. Where that fails they keep waiting,
    /// thinned if there are thousands.
    ///
    /// # Errors
    /// When writing fails, once; then not until it has succeeded again.
    pub fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.write() {
            Ok(()) => {
                self.failing = false;
                Ok(())
            }
            Err(_) if self.failing => Ok(()),
            Err(cause) => {
                self.failing = true;
                Err(RunError::not_written(&self.path, cause))
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.failing {
            // The last time may have left half a line.
            self.file.set_len(self.whole)?;
        }
        let bytes = self.waiting.concat();
        self.file.write_all(bytes.as_bytes())?;
        self.whole += bytes.len() as u64;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Lets go of every second line that is waiting.
    fn thin(&mut self) {
        let mut keep = false;
        self.waiting.retain(|_| {
            keep = !keep;
            keep
        });
        self.waiting_bytes = self.waiting.iter().map(String::len).sum();
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        // Nobody is left to notify.
        let _ = self.flush();
    }
}

/// Every how many iterations a step is kept.
fn stride(iteration: u32) -> u32 {
    let mut stride = 1;
    while iteration / stride > ALL_UP_TO {
        stride *= 10;
    }
    stride
}

/// How much of a file is kept, and the scale of its last step.
struct KeptLines {
    bytes: u64,
    scale: Option<u32>,
}

fn kept(file: &File, keep_until: Option<u32>) -> io::Result<KeptLines> {
    let mut kept = KeptLines {
        bytes: 0,
        scale: None,
    };
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut end = 0;
    each_line(BufReader::new(file), |line, length| {
        end += length;
        if !line.ends_with(b"\n") {
            return false;
        }
        if let Some(step) = step(line) {
            if keep_until.is_some_and(|last| step.iteration > last) {
                return false;
            }
            kept.scale = Some(step.scale);
        }
        kept.bytes = end;
        true
    })?;
    Ok(kept)
}

/// Reads every step in a run's folder, by iteration; none where there is no file.
pub(super) fn read(folder: &Folder) -> io::Result<Vec<Step>> {
    let file = match folder.file(FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut steps = Vec::new();
    each_line(BufReader::new(file.take(MAX_FILE)), |line, _| {
        steps.extend(step(line));
        true
    })?;
    // As they are written. Lines that somebody else put in may come in any order,
    // and a chart of those is drawn to and fro across its whole width.
    steps.sort_by_key(|step| step.iteration);
    steps.dedup_by_key(|step| step.iteration);
    Ok(steps)
}

/// Visits every line, as far as it is no longer than a line can be, with its
/// true length, until the visitor has enough.
fn each_line(
    mut reader: impl BufRead,
    mut visit: impl FnMut(&[u8], u64) -> bool,
) -> io::Result<()> {
    let (mut line, mut length) = (Vec::new(), 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            if length > 0 {
                visit(&line, length);
            }
            return Ok(());
        }
        let (part, ends) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (buffer.get(..=end).unwrap_or(buffer), true),
            None => (buffer, false),
        };
        let count = part.len();
        if line.len() < MAX_LINE {
            line.extend_from_slice(part);
        } else if ends {
            line.push(b'\n');
        }
        length += count as u64;
        reader.consume(count);
        if ends {
            if !visit(&line, length) {
                return Ok(());
            }
            line.clear();
            length = 0;
        }
    }
}

/// The step in a line, if it is one.
fn step(line: &[u8]) -> Option<Step> {
    match serde_json::from_slice(line) {
        Ok(Event::Step(step)) => Some(step),
        _ => None,
    }
}

/// Writes steps as a table: comma-separated values with a column for each
/// layer's loss, empty where a step has none.
///
/// # Errors
/// When it cannot be written.
pub fn csv(steps: &[Step], out: &mut impl Write) -> io::Result<()> {
    let layers =
        |of: fn(&Step) -> Vec<Layer>| -> BTreeSet<Layer> { steps.iter().flat_map(of).collect() };
    let content = layers(|step| step.layers.content.keys().copied().collect());
    let style = layers(|step| step.layers.style.keys().copied().collect());
    write!(
        out,
        "iteration,scale,width,height,content,style,smoothness,total,elapsed"
    )?;
    for layer in &content {
        write!(out, ",content_{layer}")?;
    }
    for layer in &style {
        write!(out, ",style_{layer}")?;
    }
    let laplacian = steps.iter().any(|step| step.layers.laplacian.is_some());
    if laplacian {
        write!(out, ",laplacian")?;
    }
    writeln!(out)?;
    for step in steps {
        write!(
            out,
            "{},{},{},{},{},{},{},{},{}",
            step.iteration,
            step.scale,
            step.width,
            step.height,
            step.content,
            step.style,
            step.smoothness,
            step.total,
            step.elapsed
        )?;
        let of_content = content.iter().map(|layer| step.layers.content.get(layer));
        let of_style = style.iter().map(|layer| step.layers.style.get(layer));
        let edges = laplacian.then_some(step.layers.laplacian.as_ref());
        for loss in of_content.chain(of_style).chain(edges) {
            match loss {
                Some(loss) => write!(out, ",{loss}")?,
                None => write!(out, ",")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
