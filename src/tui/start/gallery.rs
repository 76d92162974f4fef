//! Small pictures that were loaded, the last few of them.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

/// How many are kept.
pub const MAX_LOOKS: usize = 64;

/// How large a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Of the whole picture, in pixels.
    pub width: u32,
    pub height: u32,
    /// Of the file.
    pub bytes: u64,
}

/// A picture scaled down.
#[derive(Clone, PartialEq)]
pub struct Thumbnail {
    pub pixels: Arc<RgbImage>,
    /// Of the picture before it was scaled.
    pub measure: Measure,
}

impl fmt::Debug for Thumbnail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Thumbnail")
            .field("size", &self.pixels.dimensions())
            .field("measure", &self.measure)
            .finish_non_exhaustive()
    }
}

/// What is known of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// Its size alone; the rest is on its way.
    Measured(Measure),
    Whole(Thumbnail),
    /// Why it cannot be shown, in a sentence.
    Broken(String),
}

/// What is known of the pictures that were looked at last.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// The oldest first.
    looks: VecDeque<(PathBuf, Look)>,
}

impl Gallery {
    /// What is known of a picture.
    pub fn get(&self, path: &Path) -> Option<&Look> {
        let mut looks = self.looks.iter();
        looks.find(|(known, _)| known == path).map(|(_, look)| look)
    }

    /// Whether there is nothing more to learn of a picture.
    pub fn knows(&self, path: &Path) -> bool {
        matches!(self.get(path), Some(Look::Whole(_) | Look::Broken(_)))
    }

    /// Why a picture cannot be used, if so.
    pub fn broken(&self, path: &Path) -> Option<&str> {
        match self.get(path) {
            Some(Look::Broken(error)) => Some(error),
            _ => None,
        }
    }

    /// How large a picture is.
    pub fn measure(&self, path: &Path) -> Option<Measure> {
        match self.get(path)? {
            Look::Measured(measure) => Some(*measure),
            Look::Whole(thumbnail) => Some(thumbnail.measure),
            Look::Broken(_) => None,
        }
    }

    /// Takes in what is known now, and drops the oldest that is not among
    /// those to `keep` if there are too many.
    pub fn put(&mut self, path: PathBuf, look: Look, keep: &[PathBuf]) {
        if matches!(look, Look::Measured(_)) && self.knows(&path) {
            return;
        }
        self.looks.retain(|(known, _)| *known != path);
        self.looks.push_back((path, look));
        while self.looks.len() > MAX_LOOKS {
            let oldest = self
                .looks
                .iter()
                .position(|(known, _)| !keep.contains(known));
            self.looks.remove(oldest.unwrap_or_default());
        }
    }

    /// How many pictures something is known of.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.looks.len()
    }

    /// Forgets the pictures of a folder, which may have changed.
    pub fn forget(&mut self, folder: &Path) {
        self.looks.retain(|(path, _)| path.parent() != Some(folder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_but_for_those_in_use() {
        let mut gallery = Gallery::default();
        let path = |index: usize| PathBuf::from(format!("/{index}.png"));
        for index in 0..2 * MAX_LOOKS {
            let look = Look::Broken(index.to_string());
            gallery.put(path(index), look, &[path(0), path(3)]);
            assert!(gallery.looks.len() <= MAX_LOOKS);
        }
        assert!(gallery.knows(&path(0)) && gallery.knows(&path(3)));
        assert!(!gallery.knows(&path(1)) && gallery.knows(&path(2 * MAX_LOOKS - 1)));
        gallery.forget(Path::new("/"));
        assert_eq!(gallery.looks.len(), 0);
    }

    #[test]
    fn a_size_does_not_replace_a_picture() {
        let measure = Measure {
            width: 4,
            height: 3,
            bytes: 5,
        };
        let mut gallery = Gallery::default();
        let path = Path::new("/a.png");
        gallery.put(path.to_owned(), Look::Measured(measure), &[]);
        assert!(!gallery.knows(path));
        let whole = Look::Whole(Thumbnail {
            pixels: Arc::default(),
            measure,
        });
        gallery.put(path.to_owned(), whole.clone(), &[]);
        gallery.put(path.to_owned(), Look::Measured(measure), &[]);
        assert_eq!(gallery.get(path), Some(&whole));
        assert_eq!(gallery.measure(path), Some(measure));
    }
}
