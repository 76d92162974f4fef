//! `impasto run`: from flags to a job, and from the job to a picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use impasto_core::job::{Input, Overrides, Plan, Recipe, Size};
use impasto_core::picture::{self, Source};
use impasto_core::preset::Library;
use impasto_core::protocol::Link;
use impasto_core::text::display_path;
use impasto_core::timing;
use impasto_engine::{warm_up, weights};
use impasto_weights::check_network;

use super::keep::{self, Place};
use crate::cli::{KeepArgs, OnHangup, RunArgs, ScreenArgs};
use crate::headless::{self, EventSink, Leave};
use crate::outcome::{Failure, Outcome};
use crate::output_name::unused_output;
use crate::pipe;
use crate::style_args::{Opened, Styles};
use crate::tui;

pub fn run(args: &RunArgs) -> Outcome {
    if args.output.as_ref().is_some_and(pipe::is_dash) {
        // Before anything is read.
        pipe::check_stdout(args.events.as_deref())?;
    }
    let styles = Styles::read(&args.styles)?;
    let mut overrides = Overrides {
        settings: args.all_settings(),
        size: args.size,
        iterations: args.iterations,
        seed: args.seed,
        blend_weights: styles.weights.clone(),
        masks: styles.masks(&args.masks)?,
        output: (&args.written).into(),
    };
    let recipe = args.recipe.as_deref().map(read_recipe).transpose()?;
    let (preset, preset_name) = match &recipe {
        None => {
            let name = args.preset.preset.as_deref().unwrap_or("default");
            (Library::open().find(name)?, Some(name.to_owned()))
        }
        Some(recipe) => (recipe.preset.clone(), None),
    };
    let mut applied = overrides.apply(preset.clone())?;
    if let Some((pixels, dpi)) = args.print(&applied.output)? {
        // Another preset is printed at this size too.
        overrides.size = Some(pixels);
        overrides.output.dpi = Some(dpi);
        applied = overrides.apply(preset)?;
    }
    let Opened {
        before: [content],
        style,
        more_styles,
    } = styles.open([&args.content])?;
    let mut plan = Plan {
        preset: applied,
        content,
        style,
        more_styles,
        compute: (&args.compute).into(),
        output: PathBuf::new(),
        preset_name,
        overrides,
    };
    if let Some(recipe) = &recipe {
        warn_of_differences(recipe, &plan)?;
    }
    // As late as it can be: a name is reserved.
    plan.output = match &args.output {
        Some(output) => output.clone(),
        None => unused_output(plan.content.path(), plan.style.path())?,
    };
    paint(plan, &args.keep, &args.screen, args.events.as_deref())
}

/// Paints under the dashboard where there is a terminal for it, else with a
/// progress line. The output `-` is stdout.
///
/// # Errors
/// When the run cannot be begun, fails, or is ended by a signal. A reserved name that
/// no picture was saved under is free again, unless the run continues elsewhere.
pub fn paint(plan: Plan, keep: &KeepArgs, screen: &ScreenArgs, events: Option<&Path>) -> Outcome {
    if pipe::is_dash(&plan.output) {
        return paint_to_stdout(plan, keep, events);
    }
    let stdout_is_taken = events.is_some_and(pipe::is_dash);
    if screen.headless || stdout_is_taken || !tui::opens_here() {
        paint_headless(&plan, keep, events)
    } else {
        paint_in_dashboard(plan, keep, screen, events)
    }
}

fn paint_headless(plan: &Plan, keep: &KeepArgs, events: Option<&Path>) -> Outcome {
    let begun = begin(plan, keep, events, Place::Output)?;
    let outcome = headless::follow(
        &begun.link,
        begun.sizes,
        begun.sink,
        leave(keep),
        &begun.signal,
    );
    // Without commands to wait for, a painter's thread ends.
    drop(begun.link);
    let _ = begun.thread.join();
    outcome
}

/// Paints as without a screen, and writes the picture to stdout when the run ends. It
/// stays in the run's folder.
fn paint_to_stdout(plan: Plan, keep: &KeepArgs, events: Option<&Path>) -> Outcome {
    pipe::check_stdout(events)?;
    // Where the picture is saved if the run is not kept.
    let folder = pipe::temporary_folder()?;
    let output = folder.path().join("picture.png");
    let plan = Plan { output, ..plan };
    let begun = begin(&plan, keep, events, Place::RunFolder)?;
    let (outcome, saved) = headless::follow_to_file(
        &begun.link,
        begun.sizes,
        begun.sink,
        leave(keep),
        &begun.signal,
    );
    drop(begun.link);
    let _ = begun.thread.join();
    let mut given_up = None;
    let written = saved.as_deref().map(|saved| {
        write_to_stdout(saved, || {
            given_up = headless::take_leaving_signal(&begun.signal, leave(keep));
            given_up.is_none()
        })
    });
    if !matches!(written, Some(Ok(()))) && plan.output.exists() {
        let _ = folder.keep();
    }
    match (outcome, written) {
        (Ok(()), Some(Err(message))) if given_up.is_none() => Err(Failure::Failed(message)),
        (Ok(()), None) => Err(Failure::Failed(
            "there is no picture to write to stdout; let the run paint longer".to_owned(),
        )),
        (outcome, Some(Err(message))) => {
            headless::say(&message);
            outcome.and(given_up.map_or(Ok(()), |number| Err(Failure::Stopped(number))))
        }
        (outcome, _) => outcome,
    }
}

/// Writes a saved picture to stdout, or says why it cannot be.
fn write_to_stdout(saved: &Path, go_on: impl FnMut() -> bool) -> Result<(), String> {
    let bytes =
        fs::read(saved).map_err(|error| format!("cannot read {}: {error}", display_path(saved)))?;
    pipe::write_stdout(&bytes, go_on).map_err(|error| {
        pipe::not_written(
            &error,
            &format!("the picture is in {}", display_path(saved)),
        )
    })
}

/// What a signal does to a run that is painted without a screen.
fn leave(keep: &KeepArgs) -> Leave {
    match keep.on_hangup {
        OnHangup::Detach => Leave::StopUnlessHangup,
        OnHangup::Stop => Leave::Stop,
    }
}

/// A run that is painted without a screen.
struct Begun {
    signal: Arc<AtomicUsize>,
    sink: Option<EventSink>,
    sizes: Vec<Size>,
    link: Link,
    thread: JoinHandle<()>,
}

/// Begins to paint without a screen. A reserved name is free again if that fails.
fn begin(
    plan: &Plan,
    keep: &KeepArgs,
    events: Option<&Path>,
    place: Place,
) -> Result<Begun, Failure> {
    let begin = || {
        let signal = headless::catch_signals()?;
        check_network(plan.preset.network)?;
        plan.check()?;
        let sink = events.map(|path| EventSink::open(path, &files(plan)));
        let sink = sink.transpose()?;
        warm_up::start(plan.compute.device);
        let job = plan.clone().load(&mut |_| {})?;
        timing::mark("the pictures are read");
        if let Some(number) = headless::take_leaving_signal(&signal, leave(keep)) {
            return Err(Failure::Stopped(number));
        }
        let sizes = job.sizes();
        let (link, thread) = keep::paint_here(plan, job, keep.run_dir.as_deref(), place)?;
        Ok(Begun {
            signal,
            sink,
            sizes,
            link,
            thread,
        })
    };
    begin().inspect_err(|_| picture::release(&plan.output))
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

/// The recipe inside a picture that impasto made.
fn read_recipe(path: &Path) -> Result<Recipe, Failure> {
    let text = picture::read_recipe(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!(
            "{}: its recipe cannot be read ({error}); it may come from another version of impasto",
            display_path(path)
        ))
    })
}

/// Says in what the pictures and the weights are not those of a recipe.
fn warn_of_differences(recipe: &Recipe, plan: &Plan) -> Outcome {
    let recorded = recipe.inputs();
    let found = plan.inputs();
    for role in ["style", "mask"] {
        let (before, now) = (count(&recorded, role), count(&found, role));
        if before != now {
            headless::say(&format!(
                "note: the recipe was painted with {}; painting with {now}",
                counted(before, role)
            ));
        }
    }
    for (role, input) in recorded {
        if let Some((_, file)) = found.iter().find(|(found, _)| *found == role) {
            warn_if_other(&role, input, &file.load()?);
        }
    }
    let network = plan.preset.network;
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
    Ok(())
}

/// How many pictures have a role, whatever their numbers.
fn count<T>(inputs: &[(String, T)], role: &str) -> usize {
    let roles = inputs.iter().map(|(role, _)| role.split('-').next());
    roles.filter(|it| *it == Some(role)).count()
}

/// `1 style`, `2 styles`
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
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
