//! The styles and masks of a command line: `night.jpg:0.7`, `sky.png=night.jpg`.

use std::path::{Path, PathBuf};

use impasto_core::job::PictureFile;
use impasto_core::preset::{Mask, Term};
use impasto_core::text::display_path;

use crate::outcome::Failure;
use crate::pipe;

/// The styles as they were named.
#[derive(Clone, Debug, PartialEq)]
pub struct Styles {
    pub paths: Vec<PathBuf>,
    /// Their weights, where any was given; the others have 1.
    pub weights: Option<Vec<f64>>,
}

/// The pictures of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<const N: usize> {
    /// Those that are no styles.
    pub before: [PictureFile; N],
    /// The first style, and the others in their order.
    pub style: PictureFile,
    pub more_styles: Vec<PictureFile>,
}

impl Styles {
    /// Reads `PATH` or `PATH:WEIGHT` for each style. A file that is there under the whole
    /// name is that file.
    ///
    /// # Errors
    /// When a weight is negative or too large.
    pub fn read(arguments: &[PathBuf]) -> Result<Self, Failure> {
        let mut paths = Vec::new();
        let mut weights = Vec::new();
        for argument in arguments {
            let (path, weight) = match split_weight(argument) {
                Some(split) if !argument.exists() => split,
                _ => (argument.clone(), None),
            };
            if let Some(weight) = weight
                && !(0.0..=Term::MAX).contains(&weight)
            {
                return Err(Failure::Usage(format!(
                    "{}: the weight of a style is a number from 0 to 1e30",
                    display_path(argument)
                )));
            }
            paths.push(path);
            weights.push(weight);
        }
        let given = weights.iter().any(Option::is_some);
        let weights = weights.into_iter().map(|weight| weight.unwrap_or(1.0));
        Ok(Self {
            paths,
            weights: given.then(|| weights.collect()),
        })
    }

    /// Opens these pictures and the styles. One of all may be `-`, which is stdin.
    ///
    /// # Errors
    /// As [`pipe::pictures`].
    pub fn open<const N: usize>(&self, before: [&Path; N]) -> Result<Opened<N>, Failure> {
        let styles = self.paths.iter().map(PathBuf::as_path);
        let mut files = pipe::pictures(before.into_iter().chain(styles))?.into_iter();
        // There are as many files as paths, and the command line asks for a style.
        let mut next = || files.next().unwrap_or(PictureFile::At(PathBuf::new()));
        Ok(Opened {
            before: std::array::from_fn(|_| next()),
            style: next(),
            more_styles: files.collect(),
        })
    }

    /// Reads `MASK=STYLE` or `MASK=STYLE:REGION` for each mask, where a style is named by
    /// its path, its file name, that without its extension, or its number: the first of
    /// these that fits.
    ///
    /// # Errors
    /// When one names no style, or several.
    pub fn masks(&self, arguments: &[String]) -> Result<Option<Vec<Mask>>, Failure> {
        let masks = arguments.iter().map(|argument| self.mask(argument));
        let masks: Vec<Mask> = masks.collect::<Result<_, _>>()?;
        Ok((!masks.is_empty()).then_some(masks))
    }

    fn mask(&self, argument: &str) -> Result<Mask, Failure> {
        let shown = display_path(argument.as_ref());
        let Some((file, style)) = argument
            .rsplit_once('=')
            .filter(|(file, _)| !file.is_empty())
        else {
            return Err(Failure::Usage(format!(
                "--mask {shown}: expected MASK=STYLE, such as sky.png=night.jpg"
            )));
        };
        let mask = |style: usize, region: Option<PathBuf>| Mask {
            file: PathBuf::from(file),
            style,
            region,
        };
        let splits = style.match_indices(':').rev();
        let splits = splits.map(|(at, _)| (&style[..at], Some(&style[at + 1..])));
        for (name, region) in std::iter::once((style, None)).chain(splits) {
            if region.is_some_and(str::is_empty) {
                continue;
            }
            match self.numbers_of(name)[..] {
                [] => {}
                [number] => return Ok(mask(number, region.map(PathBuf::from))),
                [first, second, ..] => {
                    return Err(Failure::Usage(format!(
                        "--mask {shown}: {} names more than one style; write {first} for {}, or \
                         {second} for {}",
                        display_path(name.as_ref()),
                        self.shown(first),
                        self.shown(second),
                    )));
                }
            }
        }
        let names: Vec<String> = self.paths.iter().map(|path| display_path(path)).collect();
        Err(Failure::Usage(format!(
            "--mask {shown}: {} is not one of the styles; they are {}",
            display_path(style.as_ref()),
            names.join(", ")
        )))
    }

    /// The path of the style with this number, from 1.
    fn shown(&self, number: usize) -> String {
        let path = self.paths.get(number.saturating_sub(1));
        path.map_or_else(String::new, |path| display_path(path))
    }

    /// The numbers of the styles, from 1, that a name fits.
    fn numbers_of(&self, name: &str) -> Vec<usize> {
        let path = Path::new(name);
        let ways: [fn(&Path, &Path) -> bool; 3] = [
            |style, name| style == name,
            |style, name| style.file_name() == Some(name.as_os_str()),
            |style, name| style.file_stem() == Some(name.as_os_str()),
        ];
        for is_named in ways {
            let styles = self.paths.iter().zip(1..);
            let found = styles.filter(|(style, _)| is_named(style, path));
            let found: Vec<usize> = found.map(|(_, number)| number).collect();
            if !found.is_empty() {
                return found;
            }
        }
        let number = name.parse().ok();
        let number = number.filter(|number| (1..=self.paths.len()).contains(number));
        number.into_iter().collect()
    }
}

/// `PATH:WEIGHT` in its parts; none if it does not end in a number.
fn split_weight(argument: &Path) -> Option<(PathBuf, Option<f64>)> {
    let (path, weight) = argument.to_str()?.rsplit_once(':')?;
    let weight: f64 = weight.parse().ok()?;
    (!path.is_empty()).then(|| (PathBuf::from(path), Some(weight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styles(arguments: &[&str]) -> Styles {
        let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        Styles::read(&arguments).ok().unwrap()
    }

    #[test]
    fn weights_follow_a_colon() {
        let found = styles(&["a.jpg:0.7", "b:c.jpg", "d.jpg:2"]);
        assert_eq!(
            found.paths,
            ["a.jpg", "b:c.jpg", "d.jpg"].map(PathBuf::from)
        );
        assert_eq!(found.weights, Some(vec![0.7, 1.0, 2.0]));
        assert_eq!(styles(&["a.jpg", "b.jpg"]).weights, None);
        for wrong in ["a.jpg:-1", "a.jpg:nan", "a.jpg:1e31"] {
            assert!(Styles::read(&[PathBuf::from(wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_that_very_name_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg:0.7");
        std::fs::write(&path, b"").unwrap();
        let found = Styles::read(std::slice::from_ref(&path)).ok().unwrap();
        assert_eq!((found.paths, found.weights), (vec![path], None));
    }

    #[test]
    fn masks_name_a_style_in_several_ways() {
        let styles = styles(&["art/night.jpg", "art/wave.jpg:2"]);
        let mask = |argument: &str| {
            let masks = styles.masks(&[argument.to_owned()]).ok().flatten().unwrap();
            let Mask {
                file,
                style,
                region,
            } = masks.into_iter().next().unwrap();
            let region = region.map(|region| region.to_str().unwrap().to_owned());
            (file.to_str().unwrap().to_owned(), style, region)
        };
        for name in ["2", "wave", "wave.jpg", "art/wave.jpg"] {
            let found = mask(&format!("sky=1.png={name}"));
            assert_eq!(found, ("sky=1.png".to_owned(), 2, None));
        }
        let found = mask("sky.png=night:foam.png");
        assert_eq!(
            found,
            ("sky.png".to_owned(), 1, Some("foam.png".to_owned()))
        );
        for wrong in [
            "sky.png",
            "=1",
            "sky.png=3",
            "sky.png=0",
            "sky.png=scream",
            "sky.png=1:",
        ] {
            assert!(styles.masks(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(matches!(styles.masks(&[]), Ok(None)));
    }

    #[test]
    fn a_name_comes_before_a_number_and_names_one_style() {
        let styles = styles(&["a/night.jpg", "b/night.jpg", "b/night.png", "c/1.jpg"]);
        let found = |style: &str| {
            let masks = styles.masks(&[format!("m.png={style}")]);
            masks.map(|masks| masks.unwrap()[0].style)
        };
        for (name, number) in [
            ("1", 4),
            ("2", 2),
            ("4", 4),
            ("b/night.jpg", 2),
            ("night.png", 3),
            ("1.jpg", 4),
        ] {
            assert_eq!(found(name).ok(), Some(number), "{name}");
        }
        for name in ["night.jpg", "night", "night:region.png"] {
            let Err(Failure::Usage(message)) = found(name) else {
                panic!("{name} was taken");
            };
            let ways = "write 1 for a/night.jpg, or 2 for b/night.jpg";
            assert!(message.contains(ways), "{message}");
        }
    }
}
