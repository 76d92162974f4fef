//! `impasto finish`: noise, colours, edges and grain of a painted picture.

use std::io::Write;
use std::path::{Path, PathBuf};

use impasto_core::job::{OutputOverrides, PictureFile, Recipe, check_depth};
use impasto_core::paths::is_same_file;
use impasto_core::picture::finish::finish as finished;
use impasto_core::picture::{self, Picture, Source, check_destination};
use impasto_core::preset::{Finish, OutputSettings};
use impasto_core::text::display_path;
use impasto_runs::{Run, RunError, Runs};

use crate::cli::{FinishArgs, OutputArgs};
use crate::headless::say;
use crate::outcome::{Failure, Outcome};
use crate::output_name::unused_output;
use crate::pipe;

/// The name that has a PNG made for stdout.
const STDOUT: &str = "stdout.png";

/// A picture to be finished, and what is known of it.
struct Painting {
    picture: Picture,
    /// The path whose stem names the finished picture.
    name: PathBuf,
    /// The files that it comes from, and what each is.
    files: Vec<(&'static str, PathBuf)>,
    recipe: Option<Recipe>,
    /// Its content, where it is a run's.
    content: Option<Source>,
}

pub fn finish(args: &FinishArgs) -> Outcome {
    let to_stdout = args.output_file.as_ref().is_some_and(pipe::is_dash);
    if to_stdout {
        pipe::check_stdout(None)?;
    }
    let values = Finish::from(args);
    let named: Vec<&Path> = std::iter::once(&args.picture)
        .chain(&args.content)
        .map(PathBuf::as_path)
        .collect();
    let opened = pipe::pictures(named)?;
    let mut painting = find(&opened[0])?;
    if let Some(content) = opened.get(1) {
        painting.content = Some(content.load()?);
        if let PictureFile::At(path) = content {
            painting.files.push(("content", path.clone()));
        }
    }
    let content = painting.content.as_ref();
    if values.match_colours > 0.0 && content.is_none() {
        return Err(Failure::Usage(
            "--match-colours takes the colours of the content: name it with --content".to_owned(),
        ));
    }
    // As late as it can be: noise reduction takes a while.
    let result = || finished(&painting.picture, &values, content.map(|it| &it.picture));
    if to_stdout {
        let settings = settings(&args.output, painting.recipe.as_ref(), STDOUT.as_ref());
        let recipe = recipe(&painting, values, settings);
        return write_to_stdout(&result(), recipe.as_deref(), &settings);
    }
    let output = match &args.output_file {
        Some(output) => output.clone(),
        None => unused_output(&painting.name, "finished".as_ref())?,
    };
    let save = || -> Outcome {
        check_not_overwritten(&painting, &output)?;
        check_destination(&output)?;
        let settings = settings(&args.output, painting.recipe.as_ref(), &output);
        check_depth(&settings, &output)?;
        let recipe = recipe(&painting, values, settings);
        picture::save_with(&result(), &output, recipe.as_deref(), &settings)?;
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

/// How the file is written: as the flags say, else as the painting was, as far as the
/// format of the output can.
fn settings(args: &OutputArgs, recipe: Option<&Recipe>, output: &Path) -> OutputSettings {
    let mut settings = recipe.map_or_else(OutputSettings::default, |it| it.preset.output);
    if check_depth(&settings, output).is_err() {
        settings.depth = OutputSettings::default().depth;
    }
    OutputOverrides::from(args).apply(settings)
}

fn check_not_overwritten(painting: &Painting, output: &Path) -> Outcome {
    let mut files = painting.files.iter();
    match files.find(|(_, path)| is_same_file(path, output)) {
        Some((role, path)) => Err(Failure::Usage(format!(
            "{} is the {role} picture, which would be overwritten; name another file with -o",
            display_path(path)
        ))),
        None => Ok(()),
    }
}

fn write_to_stdout(result: &Picture, recipe: Option<&str>, settings: &OutputSettings) -> Outcome {
    let bytes = picture::encode(result, STDOUT.as_ref(), recipe, settings)?;
    pipe::write_stdout(&bytes, || true).map_err(|error| {
        let elsewhere = "the finished picture is not kept; name a file with -o";
        Failure::Failed(pipe::not_written(&error, elsewhere))
    })
}

/// The picture that was read, or that of a path or, where there is none, of the run of
/// that name.
fn find(named: &PictureFile) -> Result<Painting, Failure> {
    let name = match named {
        PictureFile::At(path) => path,
        PictureFile::Read { bytes, .. } => {
            let source = named.load()?;
            return Ok(Painting {
                picture: source.picture,
                name: source.path,
                files: Vec::new(),
                recipe: recipe_in(bytes),
                content: None,
            });
        }
        PictureFile::Bundled(..) => return Err(no_picture()),
    };
    if name.exists() {
        let source = picture::load(name)?;
        return Ok(Painting {
            picture: source.picture,
            name: source.path,
            files: vec![("painted", name.clone())],
            recipe: recipe_of(name),
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
            name: run.output(),
            files: vec![
                ("painted", run.result_path()),
                ("content", run.content_path()),
            ],
            recipe: recipe_of(&run.result_path()),
            content: Some(run.input(&run.record().content)?),
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

/// The recipe in the bytes of a picture.
fn recipe_in(bytes: &[u8]) -> Option<Recipe> {
    // Recipes are read from files.
    let mut file = tempfile::NamedTempFile::new().ok()?;
    file.write_all(bytes).ok()?;
    recipe_of(file.path())
}

/// The recipe in a picture; none where this version cannot read it.
fn recipe_of(path: &Path) -> Option<Recipe> {
    serde_json::from_str(&picture::read_recipe(path).ok()?).ok()
}

/// The text of the finished picture's recipe: that of the painting, which says how it was
/// finished too. None where the painting has none, where it was finished before (what was
/// done then cannot be told together with this), or where its colours go to those of
/// another content.
fn recipe(painting: &Painting, finish: Finish, output: OutputSettings) -> Option<String> {
    let mut recipe = painting.recipe.clone()?;
    if !recipe.preset.finish.is_off() {
        say("note: the picture was finished before, so this one carries no recipe");
        return None;
    }
    let content = painting.content.as_ref();
    if content.is_some_and(|content| content.sha256 != recipe.content.sha256) {
        say("note: the picture was painted from another content, so this one carries no recipe");
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
