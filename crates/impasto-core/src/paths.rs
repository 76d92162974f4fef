//! Whether two paths name one file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether two paths name one file, through links and whatever folders they take.
/// Neither needs to be there.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Err(_), Err(_)) => place(one).is_some_and(|it| Some(it) == place(other)),
        _ => false,
    }
}

/// The place of a file that may not be there yet, in its true folder.
fn place(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let folder = absolute.parent()?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Some(folder.join(absolute.file_name()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn one_file_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink(at("folder"), at("link")).unwrap();
        fs::write(at("folder/a"), "").unwrap();
        fs::hard_link(at("folder/a"), at("hard")).unwrap();
        symlink(at("folder/a"), at("soft")).unwrap();
        for name in ["link/a", "folder/../folder/a", "hard", "soft"] {
            assert!(is_same_file(&at("folder/a"), &at(name)), "{name}");
        }
        assert!(is_same_file(&at("folder/new"), &at("link/new")));
        assert!(!is_same_file(&at("folder/new"), &at("folder/other")));
        assert!(!is_same_file(&at("folder/a"), &at("folder/new")));
    }
}
