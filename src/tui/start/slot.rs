//! One of the two pictures: where it is looked for, and which was chosen.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::browser::{Item, Listing};
use super::list::List;

/// A folder that is being looked through, and the picture chosen.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The folder that is shown: an absolute path.
    pub folder: PathBuf,
    /// What is in it, or why it cannot be listed; none until it is known.
    pub listing: Option<Result<Listing, String>>,
    pub list: List,
    /// The picture chosen.
    pub chosen: Option<PathBuf>,
    /// What to select as soon as the listing is there.
    wanted: Option<OsString>,
    /// Whether the user went to this folder, rather than being put there.
    pub visited: bool,
}

impl Slot {
    /// A slot that begins in a folder, or in that of the picture it is given.
    pub fn new(folder: &Path, chosen: Option<&Path>) -> Self {
        let chosen = chosen.map(|path| tidy(&folder.join(path)));
        let beside = chosen.as_deref().and_then(Path::parent);
        Self {
            folder: beside.map_or_else(|| tidy(folder), Path::to_owned),
            listing: None,
            list: List::default(),
            wanted: chosen.as_deref().and_then(file_name),
            visited: chosen.is_some(),
            chosen,
        }
    }

    /// The folders and pictures, as far as they are known.
    pub fn items(&self) -> &[Item] {
        match &self.listing {
            Some(Ok(listing)) => &listing.items,
            _ => &[],
        }
    }

    /// The selected folder or picture.
    pub fn selected(&self) -> Option<&Item> {
        self.items().get(self.list.index()?)
    }

    /// The selected picture's path.
    pub fn picture(&self) -> Option<PathBuf> {
        let item = self.selected().filter(|item| !item.folder)?;
        Some(self.folder.join(&item.name))
    }

    /// Goes to a folder; its listing is still to come.
    pub fn open(&mut self, folder: PathBuf) {
        (self.folder, self.visited) = (folder, true);
        (self.listing, self.wanted, self.list) = (None, None, List::default());
    }

    /// Goes to the folder above, where this one will be selected.
    pub fn above(&mut self) {
        if let Some(above) = self.folder.parent().map(Path::to_owned) {
            let left = file_name(&self.folder);
            self.open(above);
            self.wanted = left;
        }
    }

    /// Chooses a picture, and goes to where it lies.
    pub fn choose(&mut self, path: PathBuf) {
        match path.parent() {
            Some(folder) if folder != self.folder => self.open(folder.to_owned()),
            _ => {}
        }
        self.visited = true;
        self.wanted = file_name(&path);
        self.chosen = Some(path);
        self.clear_filter();
        self.select_wanted();
    }

    /// Forgets the listing, to read the folder again.
    pub fn refresh(&mut self) {
        self.wanted = self.selected().map(|item| item.name.clone());
        self.listing = None;
        self.list.shown.clear();
    }

    /// Takes the folder's listing in.
    pub fn listed(&mut self, result: Result<Listing, String>) {
        self.listing = Some(result);
        self.find();
        self.select_wanted();
    }

    /// Shows what the filter leaves.
    pub fn find(&mut self) {
        let items = match &self.listing {
            Some(Ok(listing)) => listing.items.as_slice(),
            _ => &[],
        };
        self.list.find(items.iter().map(|item| &item.shown));
    }

    /// Shows everything, with the same item selected.
    pub fn clear_filter(&mut self) {
        let index = self.list.index();
        self.list.filter.clear();
        self.find();
        if let Some(index) = index {
            self.list.select_index(index);
        }
    }

    fn select_wanted(&mut self) {
        if self.listing.is_none() {
            return;
        }
        let wanted = self.wanted.take();
        let position = self
            .items()
            .iter()
            .position(|item| Some(&item.name) == wanted.as_ref());
        if let Some(index) = position {
            self.list.select_index(index);
        }
    }
}

fn file_name(path: &Path) -> Option<OsString> {
    path.file_name().map(ToOwned::to_owned)
}

/// An absolute path without `.` and `..`. As in a shell, `..` leads back to
/// where one came from, links or not.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(tidied.pop()),
            other => tidied.push(other),
        }
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_and_stay_absolute() {
        for (path, tidied) in [
            ("/a/./b/../c.png", "/a/c.png"),
            ("/../..", "/"),
            ("/a//b/", "/a/b"),
            ("/", "/"),
        ] {
            assert_eq!(tidy(Path::new(path)), Path::new(tidied));
        }
    }

    #[test]
    fn a_picture_that_is_given_decides_the_folder() {
        let slot = Slot::new(Path::new("/home"), Some(Path::new("../b/c.png")));
        assert_eq!(slot.folder, Path::new("/b"));
        assert_eq!(slot.chosen.as_deref(), Some(Path::new("/b/c.png")));
        let mut root = Slot::new(Path::new("/"), None);
        root.above();
        assert_eq!(
            (root.folder.as_path(), root.visited),
            (Path::new("/"), false)
        );
    }
}
