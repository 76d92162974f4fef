//! `log.txt`: what happened in a run, in words and with times.

use std::fs::File;
use std::io::{self, Write};

use impasto_core::text::display_path;

use super::clock;
use super::{Folder, Result, RunError};

/// Its name in the run's folder.
pub(super) const FILE: &str = "log.txt";
/// A log longer than this is set aside.
const MAX_LENGTH: u64 = 1 << 20;
/// A line is cut to so many characters.
const MAX_LINE: usize = 2000;

/// The log of a run, to append to.
#[derive(Debug)]
pub struct RunLog {
    folder: Folder,
    file: File,
    bytes: u64,
    /// The date that the last lines are of.
    date: String,
}

impl RunLog {
    /// Opens the log in a run's folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened to write.
    pub fn open(folder: &Folder) -> Result<Self> {
        let opened = folder.append(FILE).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        let (file, bytes) =
            opened.map_err(|cause| RunError::not_written(&folder.path().join(FILE), cause))?;
        Ok(Self {
            folder: folder.clone(),
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
        let now = clock::utc(clock::now());
        let date = now.date().to_string();
        if self.date != date {
            self.write(&format!("-- {date} UTC, process {}\n", std::process::id()))?;
            self.date = date;
        }
        let words: String = words.chars().take(MAX_LINE).collect();
        let words = display_path(words.trim_end().as_ref());
        self.write(&format!("{}  {words}\n", now.strftime("%T")))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        if self.bytes + length > MAX_LENGTH {
            // An older log of that name goes.
            self.folder.rename(FILE, "log.old.txt")?;
            self.file = self.folder.append(FILE)?;
            self.bytes = 0;
        }
        self.bytes += length;
        self.file.write_all(line.as_bytes())
    }
}
