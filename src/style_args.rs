//! The styles and masks of a command line: `night.jpg:0.7`, `sky.png=night.jpg`.

use std::path::{Path, PathBuf};

use impasto_core::job::PictureFile;
use impasto_core::preset::{Mask, Term};
use impasto_core::text::display_path;

use crate::outcome::Failure;

/// The styles as they were named.
#[derive(Clone, Debug, PartialEq)]
pub struct Styles {
    pub paths: Vec<PathBuf>,
    /// Their weights, where any was given; the others have 1.
    pub weights: Option<Vec<f64>>,
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

    /// The first style's file, and those of the others.
    pub fn files(&self) -> (PictureFile, Vec<PictureFile>) {
        let mut files = self.paths.iter().cloned().map(PictureFile::At);
        // The command line asks for one at least.
        let first = files.next().unwrap_or(PictureFile::At(PathBuf::new()));
        (first, files.collect())
    }

    /// Reads `MASK=STYLE` or `MASK=STYLE:REGION` for each mask, where a style is named by
    /// its number, its path, its file name, or that without its extension.
    ///
    /// # Errors
    /// When one names no style.
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
        if let Some(style) = self.number_of(style) {
            return Ok(mask(style, None));
        }
        let splits = style.match_indices(':');
        let mut found = splits.filter_map(|(at, _)| {
            let region = &style[at + 1..];
            let style = self.number_of(&style[..at])?;
            (!region.is_empty()).then(|| mask(style, Some(PathBuf::from(region))))
        });
        found.next_back().ok_or_else(|| {
            let names: Vec<String> = self.paths.iter().map(|path| display_path(path)).collect();
            Failure::Usage(format!(
                "--mask {shown}: {} is none of the styles; they are {}",
                display_path(style.as_ref()),
                names.join(", ")
            ))
        })
    }

    /// The number of a style, from 1.
    fn number_of(&self, name: &str) -> Option<usize> {
        let is = |path: &&PathBuf, name: &Path| {
            path.as_path() == name
                || path.file_name() == Some(name.as_os_str())
                || path.file_stem() == Some(name.as_os_str())
        };
        let place = self.paths.iter().position(|path| is(&path, name.as_ref()));
        let number = place.map(|index| index + 1).or(name.parse().ok())?;
        (1..=self.paths.len()).contains(&number).then_some(number)
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
}
