//! `impasto sweep` and `impasto batch`: many pictures, each a run of its own.

mod estimate;
mod paint;
mod progress;
mod watch;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use impasto_core::job::PictureFile;
use impasto_core::text::display_path;
use impasto_sweep::{
    CommandLines, Definition, SlurmOptions, Style, SweepError, SweepFolder, Value, add_presets,
    check_value, commands, pictures_in, read_file, slurm_script, stem,
};

use crate::cli::ScreenArgs;
use crate::cli::sweep::{
    BatchArgs, CommandsArgs, PaintCellsArgs, ScriptArgs, SlurmArgs, SweepArgs, SweepScript,
    SweepSettings, WhichSweep,
};
use crate::headless::say;
use crate::outcome::{Failure, Outcome};
use crate::pipe;
use crate::style_args::Styles;
use crate::tui;

pub fn sweep(args: &SweepArgs) -> Outcome {
    match &args.script {
        Some(SweepScript::Slurm(args)) => slurm(args),
        Some(SweepScript::Commands(args)) => print_commands(args),
        None => {
            let (definition, folder) = which(&args.which)?;
            begin(&definition, &folder, &args.paint)
        }
    }
}

pub fn batch(args: &BatchArgs) -> Outcome {
    let (definition, folder) = batch_of(args)?;
    begin(&definition, &folder, &args.paint)
}

/// Opens the dashboard of a sweep that others paint, or says how it stands.
pub fn attach(folder: &Path, screen: &ScreenArgs) -> Outcome {
    let folder = SweepFolder::open(folder)?;
    if screen.headless || !tui::opens_here() {
        say(&counts(&folder)?);
        return Ok(());
    }
    watch::watch(&folder, None, screen.into())
}

/// Stops what paints a sweep on this machine.
pub fn stop(folder: &Path) -> Outcome {
    let folder = SweepFolder::open(folder)?;
    watch::stop(&folder)?;
    say(&counts(&folder)?);
    Ok(())
}

/// How many cells are in which state.
fn counts(folder: &SweepFolder) -> Result<String, Failure> {
    let counts = folder.index()?.counts().into_iter();
    let words: Vec<String> = counts
        .map(|(state, count)| format!("{count} {}", state.word()))
        .collect();
    Ok(format!(
        "{} cells: {}",
        folder.definition().count(),
        words.join(", ")
    ))
}

/// Paints, or says what would be painted.
fn begin(definition: &Definition, folder: &Path, args: &PaintCellsArgs) -> Outcome {
    let numbers = match &args.cells {
        Some(text) => numbers(text, definition.count())?,
        None => (0..definition.count()).collect(),
    };
    if args.dry_run {
        return estimate::print(definition, folder, &numbers, args);
    }
    let folder = SweepFolder::open_for(folder, definition)?;
    let stdout_is_taken = args.events.as_deref().is_some_and(pipe::is_dash);
    if args.screen.headless || stdout_is_taken || !tui::opens_here() {
        paint::headless(folder, numbers, args)
    } else {
        watch::watch(&folder, Some(args), (&args.screen).into())
    }
}

fn slurm(args: &SlurmArgs) -> Outcome {
    let lines = command_lines(&args.which, &args.cells)?;
    let options = SlurmOptions {
        pack: args.pack as usize,
        limit: args.limit.map(|limit| limit as usize),
        time: args.time.clone(),
        partition: args.partition.clone(),
        gpus: args.gpus,
        cpus: args.cpus,
        directives: args.sbatch.clone(),
    };
    Ok(io::stdout().write_all(slurm_script(&lines, &options).as_bytes())?)
}

fn print_commands(args: &CommandsArgs) -> Outcome {
    let lines = command_lines(&args.which, &args.cells)?;
    Ok(io::stdout().write_all(commands(&lines, args.pack as usize).as_bytes())?)
}

/// What the commands of a script have in common. The sweep's folder is made.
fn command_lines(which_sweep: &WhichSweep, args: &ScriptArgs) -> Result<CommandLines, Failure> {
    let (definition, folder) = which(which_sweep)?;
    let folder = SweepFolder::open_for(&folder, &definition)?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => in_utf8(std::env::current_exe()?)?,
    };
    let mut arguments = Vec::new();
    if let Some(device) = &args.device {
        arguments.extend(["--device".to_owned(), device.clone()]);
    }
    if args.no_scores {
        arguments.push("--no-scores".to_owned());
    }
    Ok(CommandLines {
        program,
        folder: in_utf8(folder.path().to_owned())?,
        arguments,
        count: definition.count(),
    })
}

fn in_utf8(path: PathBuf) -> Result<String, Failure> {
    path.into_os_string().into_string().map_err(|path| {
        Failure::Usage(format!(
            "{}: a script takes only names in UTF-8; rename it",
            display_path(Path::new(&path))
        ))
    })
}

/// The sweep that is meant, and its folder.
fn which(args: &WhichSweep) -> Result<(Definition, PathBuf), Failure> {
    // clap asks for it.
    let file = args.file.clone().unwrap_or_default();
    let settings = &args.settings;
    if file.is_dir() {
        if !SweepFolder::is_one(&file) {
            let name = display_path(&file);
            return Err(Failure::Usage(format!(
                "{name} holds no sweep; `impasto batch {name} STYLE` paints its pictures"
            )));
        }
        let mut definition = SweepFolder::open(&file)?.definition().clone();
        change(&mut definition, settings)?;
        return Ok((definition, settings.output.clone().unwrap_or(file)));
    }
    let mut definition = read_file(&file)?;
    change(&mut definition, settings)?;
    let default = || PathBuf::from(file.file_stem().unwrap_or(file.as_os_str()));
    let folder = settings.output.clone().unwrap_or_else(default);
    if folder == file {
        return Err(Failure::Usage(format!(
            "{}: name the folder of the sweep with -o",
            display_path(&file)
        )));
    }
    Ok((definition, folder))
}

/// Every picture of a folder in every style.
fn batch_of(args: &BatchArgs) -> Result<(Definition, PathBuf), Failure> {
    let contents = match args.contents.is_dir() {
        true => pictures_in(&args.contents)?,
        false => vec![args.contents.clone()],
    };
    let mut styles = Vec::new();
    for argument in &args.styles {
        if argument.is_dir() {
            for path in pictures_in(argument)? {
                styles.push(style(&path, None)?);
            }
            continue;
        }
        let named = Styles::read(std::slice::from_ref(argument))?;
        let weight = named.weights.and_then(|weights| weights.first().copied());
        for path in &named.paths {
            styles.push(style(path, weight)?);
        }
    }
    let contents: Result<Vec<String>, Failure> = contents.iter().map(|it| absolute(it)).collect();
    let mut definition = Definition {
        contents: contents?,
        styles,
        ..Definition::default()
    };
    change(&mut definition, &args.settings)?;
    let named = |path: &Path| stem(&path.to_string_lossy()).to_owned();
    let names: Vec<String> = std::iter::once(named(&args.contents))
        .chain(args.styles.iter().map(|style| named(style)))
        .take(4)
        .collect();
    let default = || PathBuf::from(names.join("-"));
    let folder = args.settings.output.clone().unwrap_or_else(default);
    Ok((definition, folder))
}

fn style(path: &Path, weight: Option<f64>) -> Result<Vec<Style>, Failure> {
    let path = absolute(path)?;
    Ok(vec![Style { path, weight }])
}

/// The absolute path of a picture that is there.
fn absolute(path: &Path) -> Result<String, Failure> {
    PictureFile::At(path.to_owned()).check()?;
    in_utf8(std::path::absolute(path)?)
}

/// Takes in what the command line changes.
fn change(definition: &mut Definition, settings: &SweepSettings) -> Outcome {
    if let Some(preset) = &settings.preset {
        definition.preset.clone_from(preset);
    }
    let numbers = [("size", settings.size), ("iterations", settings.iterations)];
    let numbers = numbers
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    for (key, value) in numbers {
        set(definition, "--", key, Value::from(value))?;
    }
    for text in &settings.set {
        let (key, value) = split("--set", text)?;
        let value = yaml("--set", text, value)?;
        set(definition, "--set ", key, value)?;
    }
    for text in &settings.vary {
        let (key, values) = split("--vary", text)?;
        let values = yaml("--vary", text, &format!("[{values}]"))?;
        let values = values.as_array().cloned().unwrap_or_default();
        if values.is_empty() {
            return Err(Failure::Usage(format!(
                "--vary {text}: expected values, such as style.weight=10,50"
            )));
        }
        if !definition.rows.is_empty() {
            return Err(Failure::Usage(format!(
                "--vary {text}: the sweep is a list of rows, not a grid"
            )));
        }
        for value in &values {
            check(definition, "--vary ", key, value)?;
        }
        definition.vary.retain(|(known, _)| known != key);
        definition.vary.push((key.to_owned(), values));
        definition.set.retain(|(known, _)| known != key);
    }
    definition.check_count()?;
    Ok(add_presets(definition)?)
}

fn set(definition: &mut Definition, flag: &str, key: &str, value: Value) -> Outcome {
    check(definition, flag, key, &value)?;
    definition.set.retain(|(known, _)| known != key);
    definition.vary.retain(|(known, _)| known != key);
    definition.set.push((key.to_owned(), value));
    Ok(())
}

/// Checks a value of a key with the sweep's preset.
fn check(definition: &Definition, flag: &str, key: &str, value: &Value) -> Outcome {
    check_value(definition, key, value).map_err(|message| {
        Failure::Usage(format!(
            "{flag}{}: {message}",
            impasto_sweep::setting(key, value)
        ))
    })
}

fn split<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').ok_or_else(|| {
        Failure::Usage(format!(
            "{flag} {text}: expected KEY=VALUE, such as style.weight=50"
        ))
    })
}

fn yaml(flag: &str, text: &str, value: &str) -> Result<Value, Failure> {
    serde_yaml::from_str(value)
        .map_err(|_| Failure::Usage(format!("{flag} {text}: the value cannot be read as YAML")))
}

/// Reads `3,7,10-12`.
fn numbers(text: &str, count: usize) -> Result<Vec<usize>, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--cells {text}: expected numbers such as 40-59 or 3,7,10-12"
        ))
    };
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| wrong())?;
        let last: usize = last.trim().parse().map_err(|_| wrong())?;
        if first > last {
            return Err(wrong());
        }
        if last >= count {
            let number = last;
            return Err(SweepError::NoCell { number, count }.into());
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_named_by_numbers_and_ranges() {
        assert_eq!(numbers("3", 4).unwrap(), [3]);
        assert_eq!(numbers("7,0-2, 1", 8).unwrap(), [0, 1, 2, 7]);
        for wrong in [
            "",
            "a",
            "2-1",
            "1-",
            "-1",
            "4",
            "0-4",
            "0-18446744073709551615",
        ] {
            assert!(numbers(wrong, 4).is_err(), "{wrong}");
        }
    }
}
