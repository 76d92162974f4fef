//! A folder whose files are opened through its descriptor: no name in it leads
//! through a link to somewhere else, and a pipe is not waited for.
//!
//! A run's folder may come from somebody else, in an archive or on a shared disk,
//! with links and pipes under the names of the files that are read and written.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::files::STAGING_PREFIX;

/// How names end that are a file's for a moment.
const STAGING_SUFFIX: &str = ".part";
/// How many such names are tried.
const TRIES: u32 = 1000;

/// An open folder. Clones share its descriptor. Names are those of files right in
/// it.
#[derive(Clone, Debug)]
pub struct Folder {
    descriptor: Arc<OwnedFd>,
    /// Where it was found, for messages.
    path: PathBuf,
}

impl Folder {
    /// Opens a folder of the user's choice, which may be a link to one.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
            path: path.to_owned(),
        })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// When there is none, it is a link, or it cannot be read.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&self.descriptor, name, flags, Mode::empty());
        let descriptor = opened.map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => io::Error::other("it is not a folder of the run's own"),
            error => error.into(),
        })?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
            path: self.path.join(name),
        })
    }

    /// Opens a folder in it, made for its owner alone if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn make_folder(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.descriptor, name, Mode::RWXU) {
            Err(error) if error != Errno::EXIST => Err(error.into()),
            _ => self.folder(name),
        }
    }

    /// Opens an ordinary file to read.
    ///
    /// # Errors
    /// When there is none, it is a link, a pipe or the like, or cannot be read.
    pub fn file(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    /// The bytes of an ordinary file that holds `longest` at most.
    ///
    /// # Errors
    /// As [`file`](Self::file), and when it is longer.
    pub fn read(&self, name: &str, longest: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.file(name)?;
        file.take(longest.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > longest {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("it is longer than {longest} bytes"),
            ));
        }
        Ok(bytes)
    }

    /// Opens an ordinary file to read and append to, made for its owner alone if
    /// it is not there.
    ///
    /// # Errors
    /// As [`file`](Self::file), and when it cannot be written to.
    pub fn append(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
    }

    /// Opens an ordinary file to read and write, made for its owner alone if it is
    /// not there.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn read_write(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // A pipe would be waited for.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let strange = || io::Error::other("it is not an ordinary file");
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match openat(&self.descriptor, name, flags, mode) {
            Ok(file) => File::from(file),
            // A link, and a pipe, socket or folder that is to be written to.
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(strange()),
            Err(error) => return Err(error.into()),
        };
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(strange()),
        }
    }

    /// Writes a file that only its owner may read; an older one stays as it was
    /// until this one is complete. `kept` waits until it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is left behind.
    pub fn write(&self, name: &str, bytes: &[u8], kept: bool) -> io::Result<()> {
        self.write_with(name, kept, |file| file.write_all(bytes))
    }

    /// As [`write`](Self::write), with what `write` puts into the file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_with(
        &self,
        name: &str,
        kept: bool,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let (staging, mut file) = self.stage()?;
        let written = write(&mut file)
            .and_then(|()| match kept {
                // A name must not be there before its bytes are, even if the power
                // goes.
                true => file.sync_all(),
                false => Ok(()),
            })
            // Whatever lies there goes; a link is not followed.
            .and_then(|()| self.rename(&staging, name));
        if written.is_err() {
            let _ = self.remove(&staging);
        }
        written
    }

    /// A new file of a name that nothing else has.
    fn stage(&self) -> io::Result<(String, File)> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let process = std::process::id();
        for _ in 0..TRIES {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{STAGING_PREFIX}{process}-{number}{STAGING_SUFFIX}");
            match openat(&self.descriptor, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok((name, File::from(file))),
                // Left behind by a process of the same number.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Whether a name is one that a file has while it is being written.
    pub fn is_staging(name: &str) -> bool {
        name.starts_with(STAGING_PREFIX) && name.ends_with(STAGING_SUFFIX)
    }

    /// Renames a file in it; one that has the new name goes.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    /// Removes a file, or a link to one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    /// Whether there is anything of that name, be it a link to nowhere.
    pub fn has(&self, name: &str) -> bool {
        statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names of all that is in it, as far as they are text.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            match name.to_str() {
                None | Some("." | "..") => {}
                Some(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// Waits until all names in it are on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::mkfifoat;

    use super::*;

    fn open(place: &tempfile::TempDir) -> Folder {
        Folder::open(place.path()).unwrap()
    }

    #[test]
    fn files_come_back_and_are_private() {
        let place = tempfile::tempdir().unwrap();
        let folder = open(&place);
        folder.write("a", b"one", true).unwrap();
        folder.write("a", b"two", false).unwrap();
        assert_eq!(folder.read("a", 3).unwrap(), b"two");
        assert!(folder.read("a", 2).is_err());
        folder.append("a").unwrap().write_all(b"!").unwrap();
        folder.append("b").unwrap().write_all(b"new").unwrap();
        assert_eq!(folder.read("a", 9).unwrap(), b"two!");
        let inner = folder.make_folder("inner").unwrap();
        folder.make_folder("inner").unwrap();
        inner.write("c", b"", false).unwrap();
        let mode = |name: &str| {
            let found = fs::metadata(place.path().join(name)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!([mode("a"), mode("b"), mode("inner/c")], [0o600; 3]);
        assert_eq!(mode("inner"), 0o700);
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["a", "b", "inner"]);
        assert!(
            folder
                .write_with("a", false, |_| Err(ErrorKind::Other.into()))
                .is_err()
        );
        assert_eq!(folder.names().unwrap().len(), 3);
        folder.remove("b").unwrap();
        assert!(folder.has("a") && !folder.has("b"));
    }

    #[test]
    fn nothing_leads_out_of_it() {
        let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = open(&place);
        let victim = outside.path().join("victim");
        fs::write(&victim, "private").unwrap();
        symlink(&victim, place.path().join("link")).unwrap();
        symlink(outside.path(), place.path().join("folder")).unwrap();
        symlink(outside.path().join("new"), place.path().join("nowhere")).unwrap();
        mkfifoat(CWD, place.path().join("pipe"), 0o600.into()).unwrap();
        fs::create_dir(place.path().join("inner")).unwrap();
        for name in ["link", "nowhere", "pipe", "inner"] {
            assert!(folder.file(name).is_err(), "{name} was opened");
            assert!(folder.append(name).is_err(), "{name} was opened to append");
            assert!(
                folder.read_write(name).is_err(),
                "{name} was opened to write"
            );
        }
        assert!(folder.folder("folder").is_err() && folder.make_folder("folder").is_err());
        // What is written takes the link's place.
        folder.write("link", b"new", false).unwrap();
        folder.write("pipe", b"new", false).unwrap();
        assert_eq!(folder.read("link", 9).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"private");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn it_stays_the_same_folder_when_it_is_moved() {
        let place = tempfile::tempdir().unwrap();
        let (before, after) = (place.path().join("before"), place.path().join("after"));
        fs::create_dir(&before).unwrap();
        let folder = Folder::open(&before).unwrap();
        fs::rename(&before, &after).unwrap();
        fs::create_dir(&before).unwrap();
        folder.write("a", b"", false).unwrap();
        assert!(after.join("a").exists() && !before.join("a").exists());
        fs::remove_dir_all(&after).unwrap();
        assert!(folder.make_folder("inner").is_err());
    }
}
