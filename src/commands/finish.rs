//! `impasto finish`: noise, colours, edges and grain of a painted picture.

use std::path::{Path, PathBuf};

use impasto_core::job::Recipe;
use impasto_core::picture::finish::finish as finished;
use impasto_core::picture::{self, Picture, check_destination};
use impasto_core::preset::{Finish, OutputSettings};
use impasto_core::text::display_path;
use impasto_runs::{Run, RunError, Runs};

use crate::cli::FinishArgs;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};
use crate::output_name::unused_name;

/// A picture to be finished, and what is known of it.
struct Painting {
    picture: Picture,
    /// Where it lies.
    path: PathBuf,
    /// Its content, where it is a run's.
    content: Option<Picture>,
}

pub fn finish(args: &FinishArgs) -> Outcome {
    let settings = OutputSettings::from(&args.output);
    let values = Finish::from(args);
    let painting = find(&args.picture)?;
    let content = match &args.content {
        Some(path) => Some(picture::load(path)?.picture),
        None => painting.content,
    };
    if values.match_colours > 0.0 && content.is_none() {
        return Err(Failure::Usage(
            "--match-colours takes the colours of the content: name it with --content".to_owned(),
        ));
    }
    let output = match &args.output_file {
        Some(output) => output.clone(),
        None => {
            let stem = painting.path.file_stem().unwrap_or_default();
            unused_name(&format!("{}-finished", stem.to_string_lossy()))?
        }
    };
    let save = || -> Outcome {
        let format = check_destination(&output)?;
        if settings.depth == 16 && !format.has_16_bits() {
            return Err(Failure::Usage(format!(
                "{}: only PNG and TIFF have 16 bits a channel",
                display_path(&output)
            )));
        }
        let recipe = recipe(&painting.path, values, settings);
        let result = finished(&painting.picture, &values, content.as_ref());
        picture::save_with(&result, &output, recipe.as_deref(), &settings)?;
        Ok(())
    };
    save().inspect_err(|_| picture::release(&output))?;
    let (width, height) = painting.picture.size();
    say(&format!(
        "saved {} ({width}×{height})",
        display_path(&output)
    ));
    Ok(())
}

/// The picture of that path or, where there is none, of the run of that name.
fn find(name: &Path) -> Result<Painting, Failure> {
    if name.exists() {
        let source = picture::load(name)?;
        return Ok(Painting {
            picture: source.picture,
            path: source.path,
            content: None,
        });
    }
    let run = name.to_str().map(|name| Runs::open()?.find(name));
    let run: Result<Run, RunError> = match run {
        Some(found) => found,
        None => {
            return Err(picture::load(name)
                .err()
                .map_or_else(no_picture, Into::into));
        }
    };
    match run {
        Ok(run) => Ok(Painting {
            picture: run.picture(Run::RESULT)?,
            path: run.result_path(),
            content: Some(run.input(&run.record().content)?.picture),
        }),
        // What looks like a path was meant as one.
        Err(error) => match name.extension() {
            Some(_) => Err(picture::load(name)
                .err()
                .map_or_else(no_picture, Into::into)),
            None => Err(error.into()),
        },
    }
}

fn no_picture() -> Failure {
    Failure::Usage("there is no such picture".to_owned())
}

/// The recipe of the finished picture: that of the painting, which says how it was
/// finished too. None where the painting has none, or was finished before: what was done
/// then cannot be told together with this.
fn recipe(path: &Path, finish: Finish, output: OutputSettings) -> Option<String> {
    let text = picture::read_recipe(path).ok()?;
    let mut recipe: Recipe = serde_json::from_str(&text).ok()?;
    if !recipe.preset.finish.is_off() {
        say("note: the picture was finished before, so this one carries no recipe");
        return None;
    }
    recipe.preset.finish = finish;
    recipe.preset.output = output;
    serde_json::to_string(&recipe).ok()
}

impl From<&FinishArgs> for Finish {
    fn from(args: &FinishArgs) -> Self {
        Self {
            denoise: args.denoise,
            match_colours: args.match_colours,
            brightness: args.brightness,
            contrast: args.contrast,
            saturation: args.saturation,
            sharpen: args.sharpen,
            grain: args.grain,
        }
    }
}
