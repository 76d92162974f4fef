//! A preset's file that is read again whenever it is saved.
//!
//! The file is looked at, not listened to: that works on network file systems
//! too, and with every way in which editors save. They rename a new file over
//! the old one, or write the old one in several steps, or remove it and make it
//! again; so a file counts only once it was the same for two looks in a row.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    Preset,
    error::PresetError,
    library::{parse, read_bytes},
};

/// Watches the file of a preset, from the moment it is made on.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// The file at the last look.
    seen: FileState,
    /// The file as it was when it was last read or reported missing.
    known: FileState,
    /// What was last read from it; none if nothing could be.
    text: Option<Vec<u8>>,
}

/// What can be known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    File {
        device: u64,
        inode: u64,
        size: u64,
        /// Seconds and nanoseconds.
        modified: (i64, i64),
        /// When anything was last changed about it: its permissions, its name.
        changed: (i64, i64),
    },
    /// A folder, or a pipe, which must not be opened: it may never answer.
    NoFile,
    Gone,
    /// The system does not say.
    Unknown(io::ErrorKind),
}

impl FileState {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(file) if file.is_file() => Self::of_file(&file),
            Ok(_) => Self::NoFile,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Gone,
            Err(error) => Self::Unknown(error.kind()),
        }
    }

    fn of_file(file: &Metadata) -> Self {
        Self::File {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Watch {
    /// Watches a file, which need not exist yet. What it holds now counts as
    /// known, so make the watch before the preset is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        // In this order: what is saved in between is then news.
        let state = FileState::of(&path);
        let text = match state {
            FileState::File { .. } => read_bytes(&path).ok(),
            _ => None,
        };
        Self {
            path,
            seen: state,
            known: state,
            text,
        }
    }

    /// The file that is watched.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file. A preset, or what is wrong with it, comes once for
    /// every text that is saved, one look after it stopped changing; the same
    /// text saved again is no news. To be called a few times a second.
    ///
    /// # Errors
    /// What is wrong in the file, with its place; or [`PresetError::Read`] if it
    /// is gone or cannot be read, which is reported once. Either way the watch goes
    /// on.
    pub fn poll(&mut self) -> Option<Result<Preset, PresetError>> {
        let state = FileState::of(&self.path);
        let settled = self.settle(state);
        if !settled || state == self.known {
            return None;
        }
        let read = match state {
            FileState::File { .. } => read_bytes(&self.path),
            FileState::NoFile => Err(self.unread(io::Error::other("it is no longer a file"))),
            FileState::Gone => Err(self.unread(io::Error::new(
                io::ErrorKind::NotFound,
                "it is gone; painting continues with its last settings",
            ))),
            FileState::Unknown(kind) => Err(self.unread(kind.into())),
        };
        // Something was saved meanwhile: what was read may be half of it.
        if !self.settle(FileState::of(&self.path)) {
            return None;
        }
        self.known = state;
        match read {
            Ok(text) if self.text.as_ref() == Some(&text) => None,
            Ok(text) => {
                let preset = parse(&self.path, &text);
                self.text = Some(text);
                Some(preset)
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether the file is as it was at the last look.
    fn settle(&mut self, state: FileState) -> bool {
        std::mem::replace(&mut self.seen, state) == state
    }

    fn unread(&self, source: io::Error) -> PresetError {
        PresetError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Write,
        time::{Duration, SystemTime},
    };

    use super::super::MAX_BYTES;
    use super::*;

    /// A file that is watched, and the times it was saved. Each saving has its
    /// own time of modification, so that none depends on the clock's grain.
    struct Saved {
        folder: tempfile::TempDir,
        saved: u64,
    }

    impl Saved {
        fn new(text: &str) -> (Self, Watch) {
            let mut saved = Self {
                folder: tempfile::tempdir().unwrap(),
                saved: 0,
            };
            saved.save(text);
            let watch = Watch::new(saved.path());
            (saved, watch)
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("mine.yaml")
        }

        /// Writes over the file in its place.
        fn save(&mut self, text: &str) {
            fs::write(self.path(), text).unwrap();
            self.stamp(&self.path());
            self.saved += 1;
        }

        fn stamp(&self, path: &Path) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + self.saved);
            File::options()
                .append(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
    }

    /// What the watch reports within a few polls, which must be one thing.
    fn polled(watch: &mut Watch) -> Result<Preset, PresetError> {
        let mut polled: Vec<_> = (0..5).filter_map(|_| watch.poll()).collect();
        assert_eq!(polled.len(), 1, "{polled:?}");
        polled.remove(0)
    }

    fn silent(watch: &mut Watch) -> bool {
        (0..5).all(|_| watch.poll().is_none())
    }

    #[test]
    fn what_is_saved_is_read_once() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        assert!(silent(&mut watch));
        file.save("seed: 2");
        assert!(watch.poll().is_none(), "it may still be changing");
        let preset = watch.poll().unwrap().unwrap();
        assert_eq!((preset.seed, preset.name.as_str()), (2, "mine"));
        assert!(silent(&mut watch));
        file.save("seed: 3");
        assert_eq!(polled(&mut watch).unwrap().seed, 3);
    }

    #[test]
    fn a_file_that_is_still_written_is_waited_for() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        file.save("");
        assert!(watch.poll().is_none());
        file.save("seed: [");
        assert!(watch.poll().is_none());
        file.save("seed: 12");
        assert!(watch.poll().is_none());
        assert_eq!(polled(&mut watch).unwrap().seed, 12);
    }

    #[test]
    fn a_file_renamed_over_it_is_seen() {
        let (file, mut watch) = Saved::new("seed: 1");
        for seed in [2, 3] {
            let new = file.folder.path().join("new");
            fs::write(&new, format!("seed: {seed}")).unwrap();
            // As old and as long as the file it replaces.
            file.stamp(&new);
            fs::rename(&new, file.path()).unwrap();
            assert_eq!(polled(&mut watch).unwrap().seed, seed);
        }
    }

    #[test]
    fn a_file_removed_and_made_again_is_not_gone() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        fs::remove_file(file.path()).unwrap();
        assert!(watch.poll().is_none());
        file.save("seed: 2");
        assert_eq!(polled(&mut watch).unwrap().seed, 2);
    }

    #[test]
    fn a_file_that_vanished_is_reported_once_and_watched_on() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        for seed in [2, 3] {
            fs::remove_file(file.path()).unwrap();
            let message = polled(&mut watch).unwrap_err().to_string();
            let expected = format!(
                "cannot read the preset `{}`: it is gone; painting continues with its last settings",
                file.path().display()
            );
            assert_eq!(message, expected);
            file.save(&format!("seed: {seed}"));
            assert_eq!(polled(&mut watch).unwrap().seed, seed);
        }
        // It comes back as it went: nothing to do.
        fs::remove_file(file.path()).unwrap();
        assert!(polled(&mut watch).is_err());
        file.save("seed: 3");
        assert!(silent(&mut watch));
    }

    #[test]
    fn the_same_text_saved_again_is_no_news() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        file.save("seed: 1");
        assert!(silent(&mut watch));
        // Not even with something else between two looks.
        file.save("seed: 2");
        assert!(watch.poll().is_none());
        file.save("seed: 1");
        assert!(silent(&mut watch));
    }

    #[test]
    fn a_mistake_is_reported_with_its_place_and_can_be_taken_back() {
        let (mut file, mut watch) = Saved::new("seed: 1\n");
        file.save("seed: 1\nstyle:\n  wieght: 5\n");
        let error = polled(&mut watch).unwrap_err();
        let location = error.location().unwrap();
        assert_eq!((location.line, location.column), (3, 3));
        assert!(error.to_string().contains("^^^^^^"), "{error}");
        assert!(silent(&mut watch));
        file.save("seed: 1\n");
        assert_eq!(polled(&mut watch).unwrap().seed, 1);
    }

    #[test]
    fn a_large_file_is_refused() {
        let (mut file, mut watch) = Saved::new("seed: 1");
        file.save(&"#".repeat(MAX_BYTES + 9));
        assert!(matches!(
            polled(&mut watch),
            Err(PresetError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_file_may_appear_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later.yaml");
        let mut watch = Watch::new(&path);
        assert!(silent(&mut watch));
        fs::write(&path, "seed: 4").unwrap();
        assert_eq!(polled(&mut watch).unwrap().seed, 4);
        assert_eq!(watch.path(), path);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let (file, mut watch) = Saved::new("seed: 1");
        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        let message = polled(&mut watch).unwrap_err().to_string();
        assert!(message.ends_with("it is no longer a file"), "{message}");
        // Somebody who reads a pipe takes what was meant for another.
        let (out, mut write) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&out));
        write.write_all(b"seed: 5").unwrap();
        assert!(silent(&mut Watch::new(path)));
    }

    #[test]
    fn a_link_is_followed() {
        let (mut file, _) = Saved::new("seed: 1");
        let link = file.folder.path().join("link.yaml");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        let mut watch = Watch::new(link);
        file.save("seed: 2");
        let preset = polled(&mut watch).unwrap();
        assert_eq!((preset.seed, preset.name.as_str()), (2, "link"));
    }
}
