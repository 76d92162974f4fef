//! Compiled kernels on the disk: compiling takes longer than all of a start else.
//!
//! A file is the SHA-256 of the code and the code. Its name is a digest of all
//! that the code depends on, so that no file is ever wrong, only missing or
//! damaged; either is as good as none.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

const DIGEST: usize = 32;
/// How long code is kept at least: compiling it again takes a few seconds.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Longer than any code of ours.
const MAX_BYTES: u64 = 64 << 20;

/// The user's folder for them; none where there is no home.
pub fn folder() -> Option<PathBuf> {
    Some(Xdg::new().ok()?.cache_dir().join("impasto/kernels"))
}

/// The name for code that depends on these texts.
pub fn name(depends_on: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in depends_on {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    let hex: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex}.cubin")
}

/// The code of that name, if it is there and whole.
pub fn read(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let path = folder.join(name);
    let length = fs::metadata(&path).ok()?.len();
    if !(DIGEST as u64 + 1..=MAX_BYTES).contains(&length) {
        return None;
    }
    let bytes = fs::read(&path).ok()?;
    let (digest, code) = bytes.split_at_checked(DIGEST)?;
    (Sha256::digest(code).as_slice() == digest).then(|| code.to_vec())
}

/// Puts code in its place: written beside it, and renamed. Code that was put there
/// long ago goes, for it may be of an older version or another driver.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn write(folder: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&Sha256::digest(code))?;
    file.write_all(code)?;
    file.persist(folder.join(name))?;
    remove_old(folder, MAX_AGE);
    Ok(())
}

/// Removes code of at least this age, and what says that it was found to be right.
fn remove_old(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.ends_with(".cubin") || name.ends_with(".cubin.trusted");
        let is_old = || {
            let changed = entry.metadata().and_then(|found| found.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|elapsed| elapsed >= age))
        };
        if ours && is_old() {
            // What stays is met again the next time.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether the code of that name was found to be right.
pub fn is_trusted(folder: &Path, name: &str) -> bool {
    folder.join(format!("{name}.trusted")).exists()
}

/// Notes that the code of that name was found to be right.
///
/// # Errors
/// When the folder cannot be written to.
pub fn trust(folder: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{name}.trusted")), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_damage_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        let name = name(&["source", "sm_90"]);
        assert_eq!(read(&inner, &name), None);
        write(&inner, &name, b"some code").unwrap();
        assert_eq!(read(&inner, &name).as_deref(), Some(&b"some code"[..]));
        let path = inner.join(&name);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&inner, &name), None, "{length} bytes");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(read(&inner, &name), None, "byte {place}");
        }
        write(&inner, &name, b"new code").unwrap();
        assert_eq!(read(&inner, &name).as_deref(), Some(&b"new code"[..]));
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
        assert!(write(&path, &name, b"in a file").is_err());
    }

    #[test]
    fn old_code_goes_and_strangers_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (name(&["one"]), name(&["two"]));
        write(folder.path(), &one, b"code").unwrap();
        trust(folder.path(), &one).unwrap();
        fs::write(folder.path().join("stranger"), "").unwrap();
        let long_ago = std::time::SystemTime::now() - MAX_AGE;
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            let file = fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        write(folder.path(), &two, b"code").unwrap();
        assert_eq!(read(folder.path(), &one), None);
        assert!(!is_trusted(folder.path(), &one));
        assert!(read(folder.path(), &two).is_some());
        assert!(folder.path().join("stranger").exists());
    }

    #[test]
    fn code_is_trusted_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        assert!(!is_trusted(&inner, "one"));
        trust(&inner, "one").unwrap();
        assert!(is_trusted(&inner, "one") && !is_trusted(&inner, "two"));
    }

    #[test]
    fn names_distinguish_what_they_depend_on() {
        let names = [
            name(&["a", "b"]),
            name(&["ab", ""]),
            name(&["b", "a"]),
            name(&["a", "b", ""]),
        ];
        for (index, one) in names.iter().enumerate() {
            assert!(names[index + 1..].iter().all(|other| other != one));
        }
    }
}
