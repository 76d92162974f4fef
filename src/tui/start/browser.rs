//! What a folder holds that can be chosen: folders and pictures.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use impasto_core::text::display_path;

/// The most items of one folder that are listed.
pub const MAX_ITEMS: usize = 20_000;
/// The most entries of one folder that are looked at.
const MAX_ENTRIES: usize = 200_000;
/// What the names of pictures end in.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"];

/// A folder or a picture in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: OsString,
    /// The name, fit to be shown.
    pub shown: String,
    pub folder: bool,
}

/// What was found in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Folders first, then pictures, each in natural order: `photo2` comes
    /// before `photo10`, and case does not matter.
    pub items: Vec<Item>,
    /// How many files are neither.
    pub others: usize,
    /// Whether there were too many to list them all.
    pub cut: bool,
}

/// Reads a folder. Hidden files are left out. What it takes grows with the
/// folder, so it belongs on a thread of its own.
///
/// # Errors
/// A sentence, if the folder cannot be read.
pub fn list(folder: &Path) -> Result<Listing, String> {
    let entries = fs::read_dir(folder).map_err(|error| refusal(folder, &error))?;
    Ok(sorted(entries, MAX_ENTRIES, MAX_ITEMS))
}

fn sorted(
    entries: impl Iterator<Item = io::Result<DirEntry>>,
    most_entries: usize,
    most_items: usize,
) -> Listing {
    let mut listing = Listing::default();
    for (index, entry) in entries.enumerate() {
        if index >= most_entries {
            listing.cut = true;
            break;
        }
        match entry.map(|entry| (item(&entry), entry.file_name())) {
            Ok((Some(item), _)) => listing.items.push(item),
            Ok((None, name)) if name.as_bytes().starts_with(b".") => {}
            Ok((None, _)) | Err(_) => listing.others += 1,
        }
    }
    let items = &mut listing.items;
    items.sort_by_cached_key(|item| (!item.folder, natural(&item.shown), item.name.clone()));
    listing.cut |= items.len() > most_items;
    items.truncate(most_items);
    listing
}

/// The entry as an item, if it is a folder or named like a picture, and not
/// hidden. What cannot be looked at is neither.
fn item(entry: &DirEntry) -> Option<Item> {
    let name = entry.file_name();
    if name.as_bytes().starts_with(b".") {
        return None;
    }
    let mut kind = entry.file_type().ok()?;
    if kind.is_symlink() {
        // A link that leads nowhere or in a circle has no target to look at.
        kind = fs::metadata(entry.path()).ok()?.file_type();
    }
    let chooseable = kind.is_dir() || (kind.is_file() && is_picture(&name));
    chooseable.then(|| Item {
        shown: display_path(Path::new(&name)),
        name,
        folder: kind.is_dir(),
    })
}

/// Whether a file's name ends as a picture's does.
fn is_picture(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// A key that sorts as people count: each number is preceded by its length.
fn natural(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut key = String::with_capacity(lower.len() + 4);
    let mut rest = lower.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_number) = rest.split_at(start);
        let end = from_number.find(|c: char| !c.is_ascii_digit());
        let (number, after) = from_number.split_at(end.unwrap_or(from_number.len()));
        let number = number.trim_start_matches('0');
        key.push_str(before);
        // Where a number stands beside a letter, it sorts as a digit does.
        key.push('0');
        key.extend(char::from_u32(number.len() as u32 + 1));
        key.push_str(number);
        rest = after;
    }
    key.push_str(rest);
    key
}

fn refusal(folder: &Path, error: &io::Error) -> String {
    let folder = display_path(folder);
    match error.kind() {
        ErrorKind::NotFound => {
            format!("There is no folder {folder} any more. Go to the one above.")
        }
        ErrorKind::PermissionDenied => {
            format!("You may not read the folder {folder}. Choose another.")
        }
        ErrorKind::NotADirectory => format!("{folder} is not a folder. Choose another."),
        _ => format!("Cannot read the folder {folder}: {error}. Choose another."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;

    fn folder_with(files: &[&str], folders: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(home.path().join(file), "").unwrap();
        }
        for folder in folders {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        home
    }

    fn names(listing: &Listing) -> Vec<&str> {
        let items = listing.items.iter();
        items.map(|item| item.shown.as_str()).collect()
    }

    #[test]
    fn folders_come_first_and_numbers_count() {
        let home = folder_with(
            &[
                "photo10.jpg",
                "Photo2.JPG",
                "photo.jpeg",
                "photo02b.webp",
                "a.TIFF",
                "b.tif",
                "c.bmp",
                "d.png",
                "notes.txt",
                "jpg",
                ".hidden.png",
            ],
            &["zoo", "Archive", ".git", "folder.png"],
        );
        let listing = list(home.path()).unwrap();
        assert_eq!(
            names(&listing),
            [
                "Archive",
                "folder.png",
                "zoo",
                "a.TIFF",
                "b.tif",
                "c.bmp",
                "d.png",
                "photo.jpeg",
                "Photo2.JPG",
                "photo02b.webp",
                "photo10.jpg",
            ]
        );
        assert_eq!((listing.others, listing.cut), (2, false));
        assert_eq!(listing.items.iter().filter(|item| item.folder).count(), 3);
    }

    #[test]
    fn numbers_of_any_length_are_in_order() {
        let long = format!("a{}", "9".repeat(250));
        let ordered = ["a", "a0", "a1", "a9", "a10", "a10b2", "a10b10", &long, "b"];
        assert!(ordered.is_sorted_by_key(|name| natural(name)));
    }

    #[test]
    fn odd_names_are_kept_and_shown_harmless() {
        let home = folder_with(
            &["\u{1b}[2J\n.png", "写真.jpg", "-x.png", "a b'\".png"],
            &[],
        );
        let broken = OsString::from_vec(b"\xff\xfe.png".to_vec());
        fs::write(home.path().join(&broken), "").unwrap();
        let listing = list(home.path()).unwrap();
        assert_eq!(listing.items.len(), 5);
        for item in &listing.items {
            assert!(home.path().join(&item.name).exists());
            assert!(!item.shown.chars().any(char::is_control), "{}", item.shown);
        }
        assert!(listing.items.iter().any(|item| item.name == broken));
    }

    #[test]
    fn links_are_followed_unless_they_lead_nowhere() {
        let home = folder_with(&["a.png"], &["folder"]);
        let at = |name: &str| home.path().join(name);
        symlink("folder", at("to-folder")).unwrap();
        symlink("a.png", at("to-picture.png")).unwrap();
        symlink("circle.png", at("circle.png")).unwrap();
        symlink("nowhere", at("gone.png")).unwrap();
        let listing = list(home.path()).unwrap();
        assert_eq!(
            names(&listing),
            ["folder", "to-folder", "a.png", "to-picture.png"]
        );
        assert_eq!(listing.others, 2);
    }

    #[test]
    fn what_is_no_folder_is_refused_in_a_sentence() {
        let home = folder_with(&["a.png"], &[]);
        let gone = list(&home.path().join("gone\u{7}")).unwrap_err();
        assert!(gone.contains("gone\\u{7} any more."), "{gone}");
        let file = list(&home.path().join("a.png")).unwrap_err();
        assert!(file.contains("a.png is not a folder."), "{file}");
        symlink("circle", home.path().join("circle")).unwrap();
        assert!(list(&home.path().join("circle")).is_err());
    }

    #[test]
    fn a_large_folder_is_cut() {
        let home = folder_with(&["4.png", "1.png", "3.png", "2.png", "notes"], &[]);
        let entries = || fs::read_dir(home.path()).unwrap();
        let listing = sorted(entries(), 100, 3);
        assert_eq!(names(&listing), ["1.png", "2.png", "3.png"]);
        assert!(listing.cut);
        let looked = sorted(entries(), 2, 100);
        assert_eq!(looked.items.len() + looked.others, 2);
        assert!(looked.cut);
    }
}
