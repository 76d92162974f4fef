//! Names for pictures that the user did not name.

use std::path::{Path, PathBuf};

use impasto_core::picture::{self, PictureError};

/// Reserves a name in the working folder for the picture of these two.
///
/// # Errors
/// As [`picture::reserve`].
pub fn unused_output(content: &Path, style: &Path) -> Result<PathBuf, PictureError> {
    unused_name(&format!("{}-{}", stem(content), stem(style)))
}

/// Reserves a name in the working folder: `stem.png`, `stem-2.png` …
///
/// # Errors
/// As [`picture::reserve`].
pub fn unused_name(stem: &str) -> Result<PathBuf, PictureError> {
    let numbered = (2..10_000).map(|number| format!("{stem}-{number}.png"));
    let names = std::iter::once(format!("{stem}.png")).chain(numbered);
    picture::reserve(names.map(PathBuf::from))
}

/// The file's name without its extension, fit for another file's name.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let clean: String = stem.chars().filter(|c| !c.is_control()).take(60).collect();
    if clean.is_empty() {
        "picture".to_owned()
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_fit_for_names() {
        assert_eq!(stem(Path::new("a/b.c.jpg")), "b.c");
        assert_eq!(stem(Path::new("a\u{1b}[2Jb.png")), "a[2Jb");
        assert_eq!(stem(Path::new("..")), "picture");
    }
}
