//! `impasto run`: from flags to a job, and from the job to a picture.

use std::path::{Path, PathBuf};

use super::{Failure, Outcome, chosen_preset};
use crate::cli::RunArgs;
use crate::headless;
use crate::job::{Input, Job, Recipe, resize_schedule};
use crate::picture::{self, Source, check_destination, display_path};
use crate::preset::{Preset, Start};
use crate::tui;

pub fn run(args: &RunArgs) -> Outcome {
    let preset = match &args.recipe {
        None => chosen_preset(&args.preset, "default")?,
        Some(path) => from_recipe(path, args)?,
    };
    let preset = with_flags(preset, args);
    let output = match &args.output {
        Some(output) => output.clone(),
        None => unused_name(&format!("{}-{}", stem(&args.content), stem(&args.style))),
    };
    check_destination(&output)?;
    let content = picture::load(&args.content)?;
    let style = picture::load(&args.style)?;
    let start = match &preset.start {
        Start::File(path) => Some(picture::load(path)?),
        Start::Content | Start::Noise | Start::Style => None,
    };
    let job = Job {
        preset,
        content,
        style,
        start,
        device: args.device.device,
        output,
    };
    job.check()?;
    if args.dashboard {
        return tui::paint(job, args.ascii);
    }
    headless::paint(job, args.events.as_deref())
}

/// The preset inside a picture that impasto made.
fn from_recipe(path: &Path, args: &RunArgs) -> Result<Preset, Failure> {
    let text = picture::read_recipe(path)?;
    let recipe: Recipe = serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!(
            "{}: its recipe cannot be read ({error}); it may come from another version of impasto",
            display_path(path)
        ))
    })?;
    for (role, input, path) in [
        ("content", &recipe.content, &args.content),
        ("style", &recipe.style, &args.style),
    ] {
        warn_if_other(role, input, &picture::load(path)?);
    }
    let set = |preset: Preset, setting: &String| preset.set(setting);
    Ok(args.preset.settings.iter().try_fold(recipe.preset, set)?)
}

fn warn_if_other(role: &str, input: &Input, source: &Source) {
    if input.sha256 != source.sha256 {
        headless::say(&format!(
            "note: the recipe was painted with another {role} ({}); painting with {}",
            display_path(Path::new(&input.file)),
            display_path(&source.path)
        ));
    }
}

/// Applies the flags that stand for preset keys.
fn with_flags(mut preset: Preset, args: &RunArgs) -> Preset {
    if let Some(size) = args.size {
        resize_schedule(&mut preset.schedule, size);
    }
    if let Some(iterations) = args.iterations {
        for scale in &mut preset.schedule {
            scale.iterations = iterations;
        }
    }
    if let Some(seed) = args.seed {
        preset.seed = seed;
    }
    preset
}

/// A PNG in the working folder that does not exist yet: `stem.png`,
/// `stem-2.png` …
pub fn unused_name(stem: &str) -> PathBuf {
    let first = PathBuf::from(format!("{stem}.png"));
    if !first.exists() {
        return first;
    }
    let numbered = |number: u32| PathBuf::from(format!("{stem}-{number}.png"));
    (2..10_000)
        .map(numbered)
        .find(|path| !path.exists())
        .unwrap_or(first)
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
