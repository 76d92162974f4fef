//! Where presets live: built into the program, and in a folder of the user's.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use super::{MAX_BYTES, Preset, error::PresetError, text, words::nearest};

/// The built-in presets, by name: one row for each file in `presets/`.
const BUILT_IN: &[(&str, &str)] = &[
    ("blend", include_str!("../../../../presets/blend.yaml")),
    ("bold", include_str!("../../../../presets/bold.yaml")),
    ("default", include_str!("../../../../presets/default.yaml")),
    ("demo", include_str!("../../../../presets/demo.yaml")),
    ("fine", include_str!("../../../../presets/fine.yaml")),
    ("fresco", include_str!("../../../../presets/fresco.yaml")),
    ("gatys", include_str!("../../../../presets/gatys.yaml")),
    ("ink", include_str!("../../../../presets/ink.yaml")),
    (
        "keepsake",
        include_str!("../../../../presets/keepsake.yaml"),
    ),
    (
        "miniature",
        include_str!("../../../../presets/miniature.yaml"),
    ),
    (
        "neural-style",
        include_str!("../../../../presets/neural-style.yaml"),
    ),
    ("palette", include_str!("../../../../presets/palette.yaml")),
    ("photo", include_str!("../../../../presets/photo.yaml")),
    ("poster", include_str!("../../../../presets/poster.yaml")),
    ("quick", include_str!("../../../../presets/quick.yaml")),
    (
        "reconstruction",
        include_str!("../../../../presets/reconstruction.yaml"),
    ),
    ("swirl", include_str!("../../../../presets/swirl.yaml")),
    ("texture", include_str!("../../../../presets/texture.yaml")),
    ("tinted", include_str!("../../../../presets/tinted.yaml")),
];

/// The presets at hand: the built-in ones, overlaid by the user's own.
///
/// A file `NAME.yaml` (or `.yml`) in the user's folder is the preset `NAME`, and
/// takes the place of a built-in one of that name.
#[derive(Clone, Debug)]
pub struct Library {
    user_folder: Option<PathBuf>,
}

/// A preset in the list.
#[derive(Debug)]
pub struct PresetEntry {
    /// What to ask for: for a user's preset its file's stem.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The preset, or why its file cannot be used.
    pub preset: Result<Preset, PresetError>,
}

impl PresetEntry {
    /// What the preset is for; empty if it does not say or cannot be used.
    pub fn description(&self) -> &str {
        let preset = self.preset.as_ref();
        preset.map_or("", |preset| preset.description.as_str())
    }
}

/// Where a preset comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The program itself.
    BuiltIn,
    /// A file in the user's folder.
    User(PathBuf),
}

impl Library {
    /// The library with the user's folder at its usual place:
    /// `$XDG_CONFIG_HOME/impasto/presets`, or `~/.config/impasto/presets`. The
    /// folder need not exist. Without a home there are only built-in presets.
    pub fn open() -> Self {
        let strategy = etcetera::base_strategy::Xdg::new().ok();
        Self {
            user_folder: strategy.map(|xdg| xdg.config_dir().join("impasto").join("presets")),
        }
    }

    /// The library with the user's presets in a folder of choice.
    pub fn with_user_folder(folder: PathBuf) -> Self {
        Self {
            user_folder: Some(folder),
        }
    }

    /// The folder of the user's presets, whether or not it exists; none if no
    /// home folder is known.
    pub fn user_folder(&self) -> Option<&Path> {
        self.user_folder.as_deref()
    }

    /// Every preset, sorted by name. A file that is broken is listed with its
    /// error; a folder that cannot be read counts as empty.
    pub fn list(&self) -> Vec<PresetEntry> {
        self.origins()
            .into_iter()
            .map(|(name, origin)| {
                let preset = match &origin {
                    Origin::BuiltIn => self.find(&name),
                    Origin::User(path) => read_file(path),
                };
                PresetEntry {
                    name,
                    origin,
                    preset,
                }
            })
            .collect()
    }

    /// The preset of that name, or the one in that file. What contains a `/` or
    /// ends in `.yaml` or `.yml` is a file.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] with the nearest name, [`PresetError::Read`], or
    /// what is wrong in the file.
    pub fn find(&self, name_or_path: &str) -> Result<Preset, PresetError> {
        match self.origin(name_or_path)? {
            Origin::User(path) => read_file(&path),
            Origin::BuiltIn => {
                let origin = format!("presets/{name_or_path}.yaml");
                Preset::from_yaml(Self::built_in(name_or_path)?, &origin)
            }
        }
    }

    /// The file that [`find`](Self::find) reads for a name or a path, to be
    /// watched; it need not exist. None for a built-in preset, and for a name
    /// that no preset has.
    pub fn file_of(&self, name_or_path: &str) -> Option<PathBuf> {
        match self.origin(name_or_path) {
            Ok(Origin::User(path)) => Some(path),
            Ok(Origin::BuiltIn) | Err(_) => None,
        }
    }

    /// The text of a preset, comments and all. It need not be a valid preset,
    /// but holds no control characters.
    ///
    /// # Errors
    /// As [`find`](Self::find), except for mistakes in the preset.
    pub fn source(&self, name_or_path: &str) -> Result<String, PresetError> {
        match self.origin(name_or_path)? {
            Origin::BuiltIn => Self::built_in(name_or_path).map(str::to_owned),
            Origin::User(path) => {
                let bytes = read_bytes(&path)?;
                let origin = path.to_string_lossy();
                let text = text::decode(&bytes, &origin)?;
                text::check_characters(text, &origin)?;
                Ok(text.to_owned())
            }
        }
    }

    /// Saves a preset in the user's folder, which is made if need be, and returns
    /// the file. A preset of the user's that has the name is replaced; the file
    /// appears complete or not at all.
    ///
    /// # Errors
    /// [`PresetError::Name`] for a name that is no plain word,
    /// [`PresetError::BuiltIn`] for the name of a built-in preset,
    /// [`PresetError::Unwritable`] for a preset that could not be read back, and
    /// [`PresetError::Save`].
    pub fn save(&self, preset: &Preset, name: &str) -> Result<PathBuf, PresetError> {
        if !is_safe(name) {
            return Err(PresetError::Name { name: name.into() });
        }
        if BUILT_IN.iter().any(|(built_in, _)| *built_in == name) {
            return Err(PresetError::BuiltIn { name: name.into() });
        }
        let folder = self.user_folder().ok_or(PresetError::NoUserFolder)?;
        let path = folder.join(name).with_extension("yaml");
        let named = Preset {
            name: name.to_owned(),
            ..preset.clone()
        };
        // Better reported now than when the file is next read.
        named.check()?;
        let text = named.to_yaml()?;
        write_file(folder, &path, &text).map_err(|source| PresetError::Save {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// Where each preset comes from, by name.
    fn origins(&self) -> BTreeMap<String, Origin> {
        let built_in = BUILT_IN.iter().map(|(name, _)| (*name, Origin::BuiltIn));
        let mut origins: BTreeMap<String, Origin> = built_in
            .map(|(name, origin)| (name.to_owned(), origin))
            .collect();
        let files = self
            .user_folder()
            .and_then(|folder| fs::read_dir(folder).ok());
        let mut paths: Vec<PathBuf> = files
            .into_iter()
            .flatten()
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| is_yaml(path))
            .collect();
        // `mine.yml` comes after `mine.yaml`, which therefore has to be put last.
        paths.sort_by(|a, b| b.cmp(a));
        for path in paths {
            // A name that is not UTF-8 could not be asked for.
            if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) {
                origins.insert(name.to_owned(), Origin::User(path));
            }
        }
        origins
    }

    /// Where one preset comes from.
    fn origin(&self, name_or_path: &str) -> Result<Origin, PresetError> {
        if name_or_path.contains('/') || is_yaml(Path::new(name_or_path)) {
            return Ok(Origin::User(name_or_path.into()));
        }
        let mut origins = self.origins();
        origins.remove(name_or_path).ok_or_else(|| {
            let names = origins.keys().map(String::as_str);
            PresetError::Unknown {
                name: name_or_path.to_owned(),
                near: nearest(name_or_path, names).map(str::to_owned),
            }
        })
    }

    /// The text of a built-in preset.
    fn built_in(name: &str) -> Result<&'static str, PresetError> {
        let row = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
        row.map(|(_, text)| *text)
            .ok_or_else(|| PresetError::Unknown {
                name: name.to_owned(),
                near: None,
            })
    }
}

/// Whether a path ends in `.yaml` or `.yml`.
fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether a name can be a file's stem anywhere, and be typed without quotes.
fn is_safe(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// Reads and checks the preset in a file.
fn read_file(path: &Path) -> Result<Preset, PresetError> {
    parse(path, &read_bytes(path)?)
}

/// Checks the preset in the bytes of a file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Preset, PresetError> {
    let origin = path.to_string_lossy();
    Preset::from_yaml(text::decode(bytes, &origin)?, &origin)
}

/// Reads a file, but little more than a preset may hold.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, PresetError> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read(path).map_err(|source| PresetError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file beside its place and moves it there.
fn write_file(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library whose user folder holds these files.
    fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("impasto").join("presets");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        (home, Library::with_user_folder(folder))
    }

    fn entry<'a>(list: &'a [PresetEntry], name: &str) -> &'a PresetEntry {
        list.iter().find(|entry| entry.name == name).unwrap()
    }

    #[test]
    fn the_users_presets_overlay_the_built_in_ones() {
        let (_home, library) = library(&[
            ("mine.yaml", "description: My own."),
            ("mine.yml", "description: Hidden by the other."),
            ("quick.yml", "description: Quicker."),
            ("broken.yaml", "sede: 1"),
            ("notes.txt", "not a preset"),
        ]);
        let list = library.list();
        assert!(list.is_sorted_by_key(|entry| &entry.name));
        assert_eq!(list.len(), BUILT_IN.len() + 2);
        assert_eq!(entry(&list, "default").origin, Origin::BuiltIn);

        let mine = entry(&list, "mine");
        assert_eq!(mine.preset.as_ref().unwrap().name, "mine");
        assert_eq!(mine.description(), "My own.");
        let path = library.user_folder().unwrap().join("mine.yaml");
        assert_eq!(mine.origin, Origin::User(path.clone()));
        assert_eq!(library.find(path.to_str().unwrap()).unwrap().name, "mine");

        assert_eq!(library.find("quick").unwrap().description, "Quicker.");
        assert_eq!(library.source("quick").unwrap(), "description: Quicker.");

        let broken = entry(&list, "broken");
        assert_eq!(broken.description(), "");
        let broken = broken.preset.as_ref().unwrap_err();
        assert_eq!(broken.location().unwrap().line, 1);
        assert_eq!(library.source("broken").unwrap(), "sede: 1");
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let (_home, library) = library(&[("watercolour.yaml", "seed: 1")]);
        let message = |name: &str| library.find(name).unwrap_err().to_string();
        assert!(
            message("watercolor").starts_with(
                "there is no preset called `watercolor`; did you mean `watercolour`?\n"
            )
        );
        assert!(message("defualt").contains("did you mean `default`?"));
        assert!(message("zzz").starts_with("there is no preset called `zzz`\n"));
        assert!(message("zzz").contains("impasto presets list"));
        assert!(matches!(
            library.source(""),
            Err(PresetError::Unknown { .. })
        ));
    }

    #[test]
    fn a_path_is_not_looked_up_as_a_name() {
        let (home, library) = library(&[]);
        for path in ["default.yaml", "./default", "gone/mine.yml"] {
            let error = library.find(path).unwrap_err();
            assert!(matches!(error, PresetError::Read { .. }), "{error}");
            assert!(error.to_string().contains(path), "{error}");
        }
        let folder = home.path().to_str().unwrap();
        assert!(matches!(
            library.find(folder),
            Err(PresetError::Read { .. })
        ));
    }

    #[test]
    fn a_preset_of_the_users_has_a_file() {
        let (_home, library) = library(&[("mine.yml", "seed: 1"), ("quick.yaml", "seed: 1")]);
        let folder = library.user_folder().unwrap();
        assert_eq!(library.file_of("mine"), Some(folder.join("mine.yml")));
        assert_eq!(library.file_of("quick"), Some(folder.join("quick.yaml")));
        assert_eq!(library.file_of("./a.yaml"), Some("./a.yaml".into()));
        assert_eq!(library.file_of("default"), None);
        assert_eq!(library.file_of("nobody"), None);
    }

    #[test]
    fn a_file_that_is_no_text_or_too_large_is_refused() {
        let (_home, library) = library(&[("large.yaml", &"#".repeat(MAX_BYTES + 1))]);
        let folder = library.user_folder().unwrap();
        assert!(matches!(
            library.find("large"),
            Err(PresetError::TooLarge { .. })
        ));
        fs::write(folder.join("latin.yaml"), b"seed: 1\nname: caf\xe9").unwrap();
        let error = library.source("latin").unwrap_err();
        assert_eq!(
            error.location().map(|place| (place.line, place.column)),
            Some((2, 10))
        );
        fs::write(folder.join("escape.yaml"), "# \u{1b}[2J\nseed: 1").unwrap();
        assert!(library.source("escape").is_err());
    }

    #[test]
    fn a_saved_preset_is_found_again() {
        let home = tempfile::tempdir().unwrap();
        let library = Library::with_user_folder(home.path().join("not").join("there"));
        let mut preset = Preset::default().set("seed=9").unwrap();
        let path = library.save(&preset, "mine-2").unwrap();
        assert_eq!(path, home.path().join("not/there/mine-2.yaml"));
        preset.name = "mine-2".to_owned();
        assert_eq!(library.find("mine-2").unwrap(), preset);

        // Saving again replaces it and leaves nothing else behind.
        preset.seed = 10;
        library.save(&preset, "mine-2").unwrap();
        assert_eq!(library.find("mine-2").unwrap().seed, 10);
        assert_eq!(
            fs::read_dir(library.user_folder().unwrap())
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn unsafe_and_built_in_names_are_not_saved() {
        let (_home, library) = library(&[]);
        let preset = Preset::default();
        for name in [
            "", "../up", "a/b", "Mine", "a b", "é", ".hidden", "-x", "a.yaml", "x\u{1b}",
        ] {
            let error = library.save(&preset, name).unwrap_err();
            assert!(matches!(error, PresetError::Name { .. }), "{name:?}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
        let error = library.save(&preset, "default").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`default` is a built-in preset; save yours under another name"
        );
        assert_eq!(
            fs::read_dir(library.user_folder().unwrap())
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn a_preset_that_could_not_be_read_back_is_not_saved() {
        let (_home, library) = library(&[]);
        let mut preset = Preset::default();
        preset.style.weight = f64::NAN;
        let error = library.save(&preset, "mine").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the preset cannot be written as YAML: \
             expected a weight: a number from 0 to 1e30, found `NaN`"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let library = Library::with_user_folder(file.path().join("presets"));
        let error = library.save(&Preset::default(), "mine").unwrap_err();
        assert!(matches!(error, PresetError::Save { .. }), "{error}");
        let homeless = Library { user_folder: None };
        let error = homeless.save(&Preset::default(), "mine").unwrap_err();
        assert!(matches!(error, PresetError::NoUserFolder));
        assert_eq!(homeless.list().len(), BUILT_IN.len());
    }

    #[test]
    fn the_usual_folder_is_in_the_users_configuration() {
        if let Some(folder) = Library::open().user_folder() {
            assert!(folder.is_absolute() && folder.ends_with("impasto/presets"));
        }
    }
}
