//! Reads a sweep's file, YAML as presets are, and checks everything on the way, so that a
//! mistake is shown with its line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use impasto_core::preset::{Library, Preset, SourceText, did_you_mean, nearest, quoted};
use impasto_core::text::display_path;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::definition::{Definition, ITERATIONS, PRESET, Row, SIZE, Style, Value, setting};
use super::error::{Result, SweepError};

/// The preset of a sweep that names none.
const DEFAULT_PRESET: &str = "default";
/// Sizes and iterations, as the command line takes them.
const SIZES: (u64, u64) = (16, 16384);
const MAX_ITERATIONS: u64 = 1_000_000;

const KEYS: [&str; 6] = ["contents", "styles", "preset", "set", "vary", "rows"];
const ROW_KEYS: [&str; 4] = ["content", "style", "preset", "set"];

/// Reads the sweep in a file. Its paths are relative to the file's folder or, where nothing
/// lies there, to the working folder.
///
/// # Errors
/// When the file cannot be read, or is no sweep; with the place where that is known.
pub fn read_file(path: &Path) -> Result<Definition> {
    let unreadable = |cause| SweepError::unreadable(path, cause);
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(SourceText::MAX_SWEEP_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let origin = path.to_string_lossy();
    let folder = path.parent().unwrap_or(Path::new(""));
    let text = SourceText::of_sweep(&bytes, &origin)?;
    read_text(&text, folder)
}

/// Reads the sweep in a text, as [`read_file`] does with paths relative to `folder`.
///
/// # Errors
/// As [`read_file`].
pub fn read(text: &str, origin: &str, folder: &Path) -> Result<Definition> {
    read_text(&SourceText::of_sweep(text.as_bytes(), origin)?, folder)
}

fn read_text(text: &SourceText, folder: &Path) -> Result<Definition> {
    let context = Context::new(text.as_str(), folder);
    let deserializer = serde_yaml::Deserializer::from_str(text.as_str());
    let definition = FileSeed(&context).deserialize(deserializer);
    let mut definition = definition.map_err(|error| text.diagnostic(&error))?;
    definition.presets = context.presets.into_inner();
    complete(definition, text)
}

/// What can be checked only when everything is read.
fn complete(mut definition: Definition, text: &SourceText) -> Result<Definition> {
    let wrong = |message: &str| Err(SweepError::Preset(text.at_start(message).into()));
    if definition.rows.is_empty() {
        if definition.contents.is_empty() {
            return wrong("the key `contents` is missing\na list of pictures, such as [photo.jpg]");
        }
        if definition.styles.is_empty() {
            return wrong(
                "the key `styles` is missing\na list of pictures, such as [painting.jpg]",
            );
        }
    } else if !(definition.contents.is_empty()
        && definition.styles.is_empty()
        && definition.vary.is_empty())
    {
        return wrong("`rows` stands in place of `contents`, `styles` and `vary`");
    }
    if let Err(error) = definition.check_count() {
        return wrong(&error.to_string());
    }
    add_presets(&mut definition)?;
    Ok(definition)
}

/// Puts every preset that is named into the definition, and checks that each combination
/// of settings fits its preset.
///
/// # Errors
/// When a preset is not there, or a value does not fit together with others.
pub fn add_presets(definition: &mut Definition) -> Result<()> {
    if definition.preset.is_empty() {
        DEFAULT_PRESET.clone_into(&mut definition.preset);
    }
    let mut names = BTreeSet::from([definition.preset.clone()]);
    let varied = definition.vary.iter().filter(|(key, _)| key == PRESET);
    let varied = varied.flat_map(|(_, values)| values.iter().filter_map(Value::as_str));
    names.extend(varied.map(str::to_owned));
    names.extend(definition.rows.iter().filter_map(|row| row.preset.clone()));
    let mut presets = Vec::new();
    for name in names {
        let known = definition.presets.iter().find(|(known, _)| *known == name);
        let text = match known {
            Some((_, text)) => text.clone(),
            None => Library::open().find(&name)?.to_yaml()?,
        };
        presets.push((name, text));
    }
    definition.presets = presets;
    for cell in definition.distinct_presets() {
        definition.preset_of(&cell)?;
    }
    Ok(())
}

/// What is known while a file is read.
struct Context<'a> {
    folder: &'a Path,
    /// The preset that settings are checked with.
    base: Preset,
    /// The presets that were found, as texts.
    presets: RefCell<Vec<(String, String)>>,
}

impl<'a> Context<'a> {
    fn new(text: &str, folder: &'a Path) -> Self {
        /// The preset that a file names, wherever it does.
        #[derive(serde::Deserialize)]
        struct Named {
            preset: Option<String>,
        }
        let named = serde_yaml::from_str::<Named>(text).ok();
        let name = named.and_then(|it| it.preset);
        let context = Self {
            folder,
            base: Preset::default(),
            presets: RefCell::default(),
        };
        let found = name.and_then(|name| context.preset(&name).ok());
        Self {
            base: found.unwrap_or_default(),
            ..context
        }
    }

    /// Finds a preset by its name, or in a file beside the sweep's.
    fn preset(&self, name: &str) -> std::result::Result<Preset, String> {
        let beside = self.folder.join(name);
        let found = match name.contains(['/', '.']) && beside.is_file() {
            true => Library::open().find(&beside.to_string_lossy()),
            false => Library::open().find(name),
        };
        let preset = found.map_err(|error| error.to_string())?;
        let text = preset.to_yaml().map_err(|error| error.to_string())?;
        let mut presets = self.presets.borrow_mut();
        if !presets.iter().any(|(known, _)| known == name) {
            presets.push((name.to_owned(), text));
        }
        Ok(preset)
    }

    /// The absolute path of a picture.
    fn path(&self, text: &str) -> std::result::Result<PathBuf, String> {
        if text.is_empty() {
            return Err("expected the path of a picture, found nothing".to_owned());
        }
        let beside = self.folder.join(text);
        let path = match beside.exists() {
            true => beside,
            false if Path::new(text).exists() => PathBuf::from(text),
            false => {
                return Err(format!(
                    "there is no file {}",
                    display_path(Path::new(text))
                ));
            }
        };
        std::path::absolute(&path).map_err(|error| error.to_string())
    }

    /// A picture, or all pictures of a folder.
    fn pictures(&self, text: &str) -> std::result::Result<Vec<String>, String> {
        let path = self.path(text)?;
        let found = match path.is_dir() {
            true => pictures_in(&path).map_err(|error| error.to_string())?,
            false => vec![path],
        };
        found.into_iter().map(as_text).collect()
    }

    /// A style with its weight, `PATH` or `PATH:WEIGHT`.
    fn style(&self, text: &str) -> std::result::Result<Style, String> {
        let weighted = text.rsplit_once(':').and_then(|(path, weight)| {
            let weight: f64 = weight.parse().ok()?;
            (!self.folder.join(text).exists()).then_some((path, weight))
        });
        let (path, weight) = match weighted {
            Some((path, weight)) => (path, Some(weight)),
            None => (text, None),
        };
        if weight.is_some_and(|weight| !(0.0..=impasto_core::preset::Term::MAX).contains(&weight)) {
            return Err("the weight of a style is a number from 0 to 1e30".to_owned());
        }
        let path = as_text(self.path(path)?)?;
        Ok(Style { path, weight })
    }

    /// Checks one value of a key.
    fn check(&self, key: &str, value: &Value) -> std::result::Result<(), String> {
        check_setting(&self.base, key, value)
    }
}

/// Checks that a sweep can set a key to a value.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_setting(base: &Preset, key: &str, value: &Value) -> std::result::Result<(), String> {
    let whole = |(least, most): (u64, u64)| match value.as_u64() {
        Some(number) if (least..=most).contains(&number) => Ok(()),
        _ => Err(format!(
            "expected a whole number from {least} to {most}, found {value}"
        )),
    };
    match key {
        SIZE => whole(SIZES),
        ITERATIONS => whole((1, MAX_ITERATIONS)),
        PRESET => Err("`preset` is a key of its own, or one under `vary`".to_owned()),
        _ => base.check_setting(&setting(key, value)),
    }
}

/// Checks that a sweep can set a key to a value with the preset that it has.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_value(
    definition: &Definition,
    key: &str,
    value: &Value,
) -> std::result::Result<(), String> {
    let name = match definition.preset.as_str() {
        "" => DEFAULT_PRESET,
        name => name,
    };
    let known = definition.presets.iter().find(|(known, _)| known == name);
    let base = match known {
        Some((_, text)) => Preset::from_yaml(text, name),
        None => Library::open().find(name),
    };
    let base = base.map_err(|error| error.to_string())?;
    match (key, value.as_str()) {
        (PRESET, Some(name)) => match Library::open().find(name) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        _ => check_setting(&base, key, value),
    }
}

fn as_text(path: PathBuf) -> std::result::Result<String, String> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| {
        format!(
            "{}: a sweep takes only names in UTF-8; rename the file",
            display_path(Path::new(&path))
        )
    })
}

/// The pictures in a folder, by their names.
///
/// # Errors
/// When the folder cannot be read, or has none.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"];
    let unreadable = |cause| SweepError::unreadable(folder, cause);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path
            .extension()
            .and_then(|it| it.to_str())
            .map(str::to_ascii_lowercase);
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden && ending.is_some_and(|it| ENDINGS.contains(&it.as_str())) {
            found.push(path);
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(SweepError::NoPictures {
            folder: display_path(folder),
        }),
        false => Ok(found),
    }
}

/// Reads the whole file.
struct FileSeed<'a>(&'a Context<'a>);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = Definition;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Definition, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = Definition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sweep (a mapping of {})", KEYS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Definition, A::Error> {
        let context = self.0;
        let mut definition = Definition::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed("a sweep", &KEYS, &seen))? {
            match key.as_str() {
                "contents" => {
                    definition.contents = map.next_value_seed(Pictures(context))?.concat();
                }
                "styles" => definition.styles = map.next_value_seed(Styles(context))?,
                "preset" => definition.preset = map.next_value_seed(PresetName(context))?,
                "set" => definition.set = map.next_value_seed(Settings(context))?,
                "vary" => definition.vary = map.next_value_seed(Varied(context))?,
                _ => definition.rows = map.next_value_seed(Rows(context))?,
            }
            seen.push(key);
        }
        Ok(definition)
    }
}

/// Reads a key: known, and not seen before. Without a list of keys every one is known.
struct KeySeed<'a>(&'static str, &'static [&'static str], &'a [String]);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> std::result::Result<String, E> {
        let Self(what, known, seen) = self;
        if !known.is_empty() && !known.contains(&key) {
            let near = nearest(key, known.iter().copied());
            return Err(E::custom(format_args!(
                "unknown key {} in {what}{}\nkeys: {}",
                quoted(key),
                did_you_mean(near),
                known.join(", "),
            )));
        }
        if seen.iter().any(|it| it == key) {
            return Err(E::custom(format_args!(
                "the key {} is given twice",
                quoted(key)
            )));
        }
        Ok(key.to_owned())
    }
}

/// Declares a seed that reads what a visitor reads.
macro_rules! seed {
    ($name:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(
                self,
                from: D,
            ) -> std::result::Result<$value, D::Error> {
                from.deserialize_any(self)
            }
        }
    };
}

/// One picture or folder, or a list of them.
#[derive(Clone, Copy)]
struct Pictures<'a>(&'a Context<'a>);
seed!(Pictures, Vec<Vec<String>>);

impl<'de> Visitor<'de> for Pictures<'_> {
    type Value = Vec<Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pictures, such as [photo.jpg]")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
        Ok(vec![self.0.pictures(text).map_err(E::custom)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(found) = list.next_element_seed(OnePicture(self.0))? {
            all.push(found);
        }
        Ok(all)
    }
}

/// A picture, or all in a folder.
#[derive(Clone, Copy)]
struct OnePicture<'a>(&'a Context<'a>);
seed!(OnePicture, Vec<String>);

impl Visitor<'_> for OnePicture<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a picture")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
        self.0.pictures(text).map_err(E::custom)
    }
}

/// One style, or a list, an entry of which may be a list of styles that are blended.
#[derive(Clone, Copy)]
struct Styles<'a>(&'a Context<'a>);
seed!(Styles, Vec<Vec<Style>>);

impl<'de> Visitor<'de> for Styles<'_> {
    type Value = Vec<Vec<Style>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pictures, such as [painting.jpg]")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
        Blended(self.0).every(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(found) = list.next_element_seed(Blended(self.0))? {
            all.extend(found);
        }
        Ok(all)
    }
}

/// The styles of one cell: one, or several in a list. A folder is one cell for each of its
/// pictures.
#[derive(Clone, Copy)]
struct Blended<'a>(&'a Context<'a>);
seed!(Blended, Vec<Vec<Style>>);

impl Blended<'_> {
    fn every<E: Error>(self, text: &str) -> std::result::Result<Vec<Vec<Style>>, E> {
        if self.0.path(text).is_ok_and(|path| path.is_dir()) {
            let paths = self.0.pictures(text).map_err(E::custom)?.into_iter();
            return Ok(paths
                .map(|path| vec![Style { path, weight: None }])
                .collect());
        }
        Ok(vec![vec![self.0.style(text).map_err(E::custom)?]])
    }
}

impl<'de> Visitor<'de> for Blended<'_> {
    type Value = Vec<Vec<Style>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a picture, or a list of pictures that are blended")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
        self.every(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut blended = Vec::new();
        while let Some(style) = list.next_element_seed(OneStyle(self.0))? {
            blended.push(style);
        }
        match blended.is_empty() {
            true => Err(A::Error::custom(
                "expected the path of a picture, found nothing",
            )),
            false => Ok(vec![blended]),
        }
    }
}

/// A style with its weight.
#[derive(Clone, Copy)]
struct OneStyle<'a>(&'a Context<'a>);
seed!(OneStyle, Style);

impl Visitor<'_> for OneStyle<'_> {
    type Value = Style;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a picture, with a weight after a colon if you like")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Style, E> {
        self.0.style(text).map_err(E::custom)
    }
}

/// The name of a preset that is there.
#[derive(Clone, Copy)]
struct PresetName<'a>(&'a Context<'a>);
seed!(PresetName, String);

impl Visitor<'_> for PresetName<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a preset, or its file")
    }

    fn visit_str<E: Error>(self, name: &str) -> std::result::Result<String, E> {
        self.0.preset(name).map_err(E::custom)?;
        Ok(name.to_owned())
    }
}

/// A mapping of keys to values.
#[derive(Clone, Copy)]
struct Settings<'a>(&'a Context<'a>);
seed!(Settings, Vec<(String, Value)>);

impl<'de> Visitor<'de> for Settings<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, such as {size: 256, style.weight: 50}")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut all: Vec<(String, Value)> = Vec::new();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed("the settings", &[], &seen))? {
            let value = map.next_value_seed(ValueFor(self.0, &key))?;
            all.push((key.clone(), value));
            seen.push(key);
        }
        Ok(all)
    }
}

/// A mapping of keys to lists of values.
#[derive(Clone, Copy)]
struct Varied<'a>(&'a Context<'a>);
seed!(Varied, Vec<(String, Vec<Value>)>);

impl<'de> Visitor<'de> for Varied<'_> {
    type Value = Vec<(String, Vec<Value>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of keys to lists, such as {style.weight: [10, 50]}")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut all: Vec<(String, Vec<Value>)> = Vec::new();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed("the varied keys", &[], &seen))? {
            let values = map.next_value_seed(ValuesFor(self.0, &key))?;
            all.push((key.clone(), values));
            seen.push(key);
        }
        Ok(all)
    }
}

/// The values of one key.
#[derive(Clone, Copy)]
struct ValuesFor<'a>(&'a Context<'a>, &'a str);
seed!(ValuesFor, Vec<Value>);

impl<'de> Visitor<'de> for ValuesFor<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values, such as [10, 50]")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(ValueFor(self.0, self.1))? {
            values.push(value);
        }
        match values.is_empty() {
            true => Err(A::Error::custom("expected values, found an empty list")),
            false => Ok(values),
        }
    }
}

/// One value of one key, checked.
#[derive(Clone, Copy)]
struct ValueFor<'a>(&'a Context<'a>, &'a str);

impl<'de> DeserializeSeed<'de> for ValueFor<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        // What JSON cannot hold, such as `.nan`, becomes null, which fits no key.
        let value = <Value as serde::Deserialize>::deserialize(from)?;
        let Self(context, key) = self;
        let checked = match (key, value.as_str()) {
            (PRESET, Some(name)) => context.preset(name).map(drop),
            _ => context.check(key, &value),
        };
        checked.map_err(D::Error::custom)?;
        Ok(value)
    }
}

/// The rows.
#[derive(Clone, Copy)]
struct Rows<'a>(&'a Context<'a>);
seed!(Rows, Vec<Row>);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = Vec<Row>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows, such as [{content: photo.jpg, style: painting.jpg}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element_seed(OneRow(self.0))? {
            rows.push(row);
        }
        match rows.is_empty() {
            true => Err(A::Error::custom("expected rows, found an empty list")),
            false => Ok(rows),
        }
    }
}

/// One row.
#[derive(Clone, Copy)]
struct OneRow<'a>(&'a Context<'a>);
seed!(OneRow, Row);

impl<'de> Visitor<'de> for OneRow<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row (a mapping of {})", ROW_KEYS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Row, A::Error> {
        let context = self.0;
        let mut row = Row::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed("a row", &ROW_KEYS, &seen))? {
            match key.as_str() {
                "content" => {
                    row.content = map.next_value_seed(OneContent(context))?;
                }
                "style" => {
                    let mut blended = map.next_value_seed(Blended(context))?.into_iter();
                    row.style = blended.next().unwrap_or_default();
                    if blended.next().is_some() {
                        return Err(A::Error::custom("a row has one picture, not a folder"));
                    }
                }
                "preset" => row.preset = Some(map.next_value_seed(PresetName(context))?),
                _ => row.set = map.next_value_seed(Settings(context))?,
            }
            seen.push(key);
        }
        match (row.content.is_empty(), row.style.is_empty()) {
            (true, _) => Err(A::Error::custom("the row has no `content`")),
            (_, true) => Err(A::Error::custom("the row has no `style`")),
            _ => Ok(row),
        }
    }
}

/// One picture, not a folder.
#[derive(Clone, Copy)]
struct OneContent<'a>(&'a Context<'a>);
seed!(OneContent, String);

impl Visitor<'_> for OneContent<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a picture")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<String, E> {
        let path = self.0.path(text).and_then(as_text).map_err(E::custom)?;
        match Path::new(&path).is_dir() {
            true => Err(E::custom("a row has one picture, not a folder")),
            false => Ok(path),
        }
    }
}
