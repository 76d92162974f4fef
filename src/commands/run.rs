//! `impasto run`: from flags to a job, and from the job to a picture.

use std::path::{Path, PathBuf};

use super::{Failure, Outcome, keep};
use crate::cli::{KeepArgs, OnHangup, RunArgs, ScreenArgs};
use crate::engine::warm_up;
use crate::headless::{self, EventSink, Leave};
use crate::job::{Input, Overrides, PictureFile, Plan, Recipe};
use crate::picture::{self, Source, display_path};
use crate::preset::{Library, Preset};
use crate::{timing, tui};

pub fn run(args: &RunArgs) -> Outcome {
    let overrides = Overrides {
        settings: args.preset.all_settings(),
        size: args.size,
        iterations: args.iterations,
        seed: args.seed,
    };
    let (preset, preset_name) = match &args.recipe {
        None => {
            let name = args.preset.preset.as_deref().unwrap_or("default");
            (Library::open().find(name)?, Some(name.to_owned()))
        }
        Some(path) => (from_recipe(path, args)?, None),
    };
    let preset = overrides.apply(preset)?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => unused_output(&args.content, &args.style),
    };
    let plan = Plan {
        preset,
        content: PictureFile::At(args.content.clone()),
        style: PictureFile::At(args.style.clone()),
        compute: (&args.compute).into(),
        output,
        preset_name,
        overrides,
    };
    paint(plan, &args.keep, &args.screen, args.events.as_deref())
}

/// Paints under the dashboard where there is a terminal for it, else with a
/// progress line.
pub fn paint(plan: Plan, keep: &KeepArgs, screen: &ScreenArgs, events: Option<&Path>) -> Outcome {
    plan.check()?;
    let stdout_is_taken = events.is_some_and(|path| path.as_os_str() == "-");
    let stays = keep.on_hangup == OnHangup::Detach;
    if screen.headless || stdout_is_taken || !tui::opens_here() {
        warm_up::start(plan.compute.device);
        let job = plan.clone().load(&mut |_| {})?;
        timing::mark("the pictures are read");
        let sizes = job.sizes();
        let (link, thread) = keep::paint_here(&plan, job, keep.run_dir.as_deref())?;
        let leave = if stays {
            Leave::StopUnlessHangup
        } else {
            Leave::Stop
        };
        let outcome = headless::follow(&link, sizes, events, leave);
        // Without commands to wait for, a painter's thread ends.
        drop(link);
        let _ = thread.join();
        return outcome;
    }
    let options = tui::Options {
        stop_on_hangup: !stays,
        ..screen.into()
    };
    // A file that cannot be had is told now, not by an engine.
    events.map(EventSink::open).transpose()?;
    let device = Some(plan.compute.device);
    let mut engine = keep::engine(keep.run_dir.clone(), events.map(Path::to_owned), device);
    tui::paint(plan, options, &mut engine)
}

impl From<&ScreenArgs> for tui::Options {
    fn from(args: &ScreenArgs) -> Self {
        Self {
            ascii: args.ascii,
            palette: args.theme,
            mouse: !args.no_mouse,
            graphics: args.graphics,
            stop_on_hangup: false,
        }
    }
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
    Ok(recipe.preset)
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

/// A name in the working folder for the picture of these two that does not
/// exist yet.
pub fn unused_output(content: &Path, style: &Path) -> PathBuf {
    unused_name(&format!("{}-{}", stem(content), stem(style)))
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
