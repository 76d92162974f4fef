//! `impasto run`: from flags to a job, and from the job to a picture.

use std::path::{Path, PathBuf};

use impasto_core::job::{Input, Overrides, PictureFile, Plan, Recipe};
use impasto_core::picture::{self, Source};
use impasto_core::preset::{Library, Preset};
use impasto_core::text::display_path;
use impasto_core::timing;
use impasto_engine::{warm_up, weights};
use impasto_weights::check_network;

use super::keep;
use crate::cli::{KeepArgs, OnHangup, RunArgs, ScreenArgs};
use crate::headless::{self, EventSink, Leave};
use crate::outcome::{Failure, Outcome};
use crate::output_name::unused_output;
use crate::style_args::Styles;
use crate::tui;

pub fn run(args: &RunArgs) -> Outcome {
    let styles = Styles::read(&args.styles)?;
    let overrides = Overrides {
        settings: args.all_settings(),
        size: args.long_side()?,
        iterations: args.iterations,
        seed: args.seed,
        blend_weights: styles.weights.clone(),
        masks: styles.masks(&args.masks)?,
    };
    let (preset, preset_name) = match &args.recipe {
        None => {
            let name = args.preset.preset.as_deref().unwrap_or("default");
            (Library::open().find(name)?, Some(name.to_owned()))
        }
        Some(path) => (from_recipe(path, args, &styles, &overrides)?, None),
    };
    let preset = overrides.apply(preset)?;
    let content = PictureFile::At(args.content.clone());
    let (style, more_styles) = styles.files();
    let plan = |output| Plan {
        preset,
        content,
        style,
        more_styles,
        compute: (&args.compute).into(),
        output,
        preset_name,
        overrides,
    };
    let plan = match &args.output {
        Some(output) => plan(output.clone()),
        None => plan(unused_output(&args.content, &styles.paths[0])?),
    };
    paint(plan, &args.keep, &args.screen, args.events.as_deref())
}

/// Paints under the dashboard where there is a terminal for it, else with a
/// progress line.
///
/// # Errors
/// When the run cannot be begun, fails, or is ended by a signal. A reserved name that
/// no picture was saved under is free again, unless the run continues elsewhere.
pub fn paint(plan: Plan, keep: &KeepArgs, screen: &ScreenArgs, events: Option<&Path>) -> Outcome {
    let stdout_is_taken = events.is_some_and(|path| path.as_os_str() == "-");
    if screen.headless || stdout_is_taken || !tui::opens_here() {
        paint_headless(&plan, keep, events)
    } else {
        paint_in_dashboard(plan, keep, screen, events)
    }
}

fn paint_headless(plan: &Plan, keep: &KeepArgs, events: Option<&Path>) -> Outcome {
    let leave = match keep.on_hangup {
        OnHangup::Detach => Leave::StopUnlessHangup,
        OnHangup::Stop => Leave::Stop,
    };
    let begin = || -> Result<_, Failure> {
        let signal = headless::catch_signals()?;
        check_network(plan.preset.network)?;
        plan.check()?;
        let sink = events.map(|path| EventSink::open(path, &files(plan)));
        let sink = sink.transpose()?;
        warm_up::start(plan.compute.device);
        let job = plan.clone().load(&mut |_| {})?;
        timing::mark("the pictures are read");
        if let Some(number) = headless::take_leaving_signal(&signal, leave) {
            return Err(Failure::Stopped(number));
        }
        let sizes = job.sizes();
        let (link, thread) = keep::paint_here(plan, job, keep.run_dir.as_deref())?;
        Ok((signal, sink, sizes, link, thread))
    };
    let begun = begin().inspect_err(|_| picture::release(&plan.output));
    let (signal, sink, sizes, link, thread) = begun?;
    let outcome = headless::follow(&link, sizes, sink, leave, &signal);
    // Without commands to wait for, a painter's thread ends.
    drop(link);
    let _ = thread.join();
    outcome
}

fn paint_in_dashboard(
    plan: Plan,
    keep: &KeepArgs,
    screen: &ScreenArgs,
    events: Option<&Path>,
) -> Outcome {
    // A file that cannot be opened is reported now, not by an engine.
    let check = || -> Outcome {
        check_network(plan.preset.network)?;
        plan.check()?;
        events.map_or(Ok(()), |path| EventSink::check(path, &files(&plan)))
    };
    check().inspect_err(|_| picture::release(&plan.output))?;
    let options = tui::Options {
        stop_on_hangup: keep.on_hangup == OnHangup::Stop,
        ..screen.into()
    };
    let device = Some(plan.compute.device);
    let mut engine = keep::engine(keep.run_dir.clone(), events.map(Path::to_owned), device);
    tui::paint(plan, options, &mut engine)
}

/// The files that events must not go to.
fn files(plan: &Plan) -> Vec<PathBuf> {
    let pictures = plan.pictures().into_iter().map(|(_, path)| path);
    pictures.chain([plan.output.clone()]).collect()
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
fn from_recipe(
    path: &Path,
    args: &RunArgs,
    styles: &Styles,
    overrides: &Overrides,
) -> Result<Preset, Failure> {
    let text = picture::read_recipe(path)?;
    let recipe: Recipe = serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!(
            "{}: its recipe cannot be read ({error}); it may come from another version of impasto",
            display_path(path)
        ))
    })?;
    warn_if_other("content", &recipe.content, &picture::load(&args.content)?);
    let recorded = std::iter::once(&recipe.style).chain(&recipe.more_styles);
    if recorded.clone().count() != styles.paths.len() {
        headless::say(&format!(
            "note: the recipe was painted with {} styles; painting with {}",
            recorded.clone().count(),
            styles.paths.len()
        ));
    }
    for (input, path) in recorded.zip(&styles.paths) {
        warn_if_other("style", input, &picture::load(path)?);
    }
    let network = overrides.apply(recipe.preset.clone())?.network;
    // One that is missing is reported with the plan.
    if let Ok(found) = weights::provenance(network)
        && found.sha256 != recipe.weights
    {
        let digits = |sha256: &str| sha256.chars().take(8).collect::<String>();
        headless::say(&format!(
            "note: the recipe was painted with other weights (SHA-256 {}…); painting with those \
             of the network {} ({}…)",
            display_path(digits(&recipe.weights).as_ref()),
            network.name(),
            digits(&found.sha256),
        ));
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
