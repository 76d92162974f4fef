//! `log.txt`: what happened in a run, in words and with times.

use std::fs;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::clock::{self, Utc};
use super::{Result, Run, RunError, files};
use crate::picture::display_path;

/// A log longer than this is set aside.
const LONGEST: u64 = 1 << 20;
/// A line is cut to so many characters.
const LONGEST_LINE: usize = 2000;

/// The log of a run, to append to.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The date that the last lines are of.
    date: String,
}

impl RunLog {
    /// Opens the log of a run, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened to write.
    pub fn open(run: &Run) -> Result<Self> {
        let path = run.log_path();
        let opened = files::append(&path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        let (file, bytes) = opened.map_err(|cause| RunError::not_written(&path, cause))?;
        Ok(Self {
            path,
            file,
            bytes,
            date: String::new(),
        })
    }

    /// Appends a line: the time in UTC, and the words with all that could speak
    /// to a terminal written out. The date goes before the first line of a day.
    ///
    /// # Errors
    /// When it cannot be written. The log can be used again.
    pub fn line(&mut self, words: &str) -> io::Result<()> {
        let now = Utc::from_unix(clock::now());
        if self.date != now.date() {
            self.write(&format!(
                "-- {} UTC, process {}\n",
                now.date(),
                std::process::id()
            ))?;
            self.date = now.date();
        }
        let words: String = words.chars().take(LONGEST_LINE).collect();
        let words = display_path(words.trim_end().as_ref());
        self.write(&format!("{}  {words}\n", now.time()))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        if self.bytes + length > LONGEST {
            // An older log of that name goes.
            fs::rename(&self.path, self.path.with_file_name("log.old.txt"))?;
            self.file = files::append(&self.path)?;
            self.bytes = 0;
        }
        self.bytes += length;
        self.file.write_all(line.as_bytes())
    }
}
