//! `impasto presets`: list, show, check, path.

use std::io::{self, Write};

use impasto_core::preset::{Library, Origin};
use impasto_core::text::display_path;

use crate::cli::PresetsCommand;
use crate::outcome::{Failure, Outcome};

pub fn presets(command: &PresetsCommand) -> Outcome {
    let library = Library::open();
    let mut out = io::stdout().lock();
    match command {
        PresetsCommand::List => list(&library, &mut out)?,
        PresetsCommand::Show { name } => out.write_all(library.source(name)?.as_bytes())?,
        PresetsCommand::Check { files } => return check(&library, files, &mut out),
        PresetsCommand::Path => match library.user_folder() {
            Some(folder) => writeln!(out, "{}", display_path(folder))?,
            None => {
                return Err(Failure::Failed(
                    "there is no home folder to keep presets in; set XDG_CONFIG_HOME".to_owned(),
                ));
            }
        },
    }
    Ok(())
}

/// A row for each preset. A file of the user's that is broken is listed with
/// the first line of what is wrong.
fn list(library: &Library, out: &mut impl Write) -> io::Result<()> {
    let entries = library.list();
    let width = entries
        .iter()
        .map(|entry| entry.name.chars().count())
        .max()
        .unwrap_or(0);
    for entry in entries {
        let note = match (&entry.origin, &entry.preset) {
            (Origin::BuiltIn, _) => "",
            (Origin::User(_), Ok(_)) => "[yours] ",
            (Origin::User(_), Err(_)) => "[yours, broken] ",
        };
        let words = match &entry.preset {
            Ok(preset) => preset.description.clone(),
            Err(error) => error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        writeln!(out, "{:<width$}  {note}{words}", entry.name)?;
    }
    Ok(())
}

/// Checks every file before it gives its verdict, so that one pass shows all
/// there is to mend.
fn check(library: &Library, files: &[String], out: &mut impl Write) -> Outcome {
    let mut wrong = Vec::new();
    for file in files {
        match library.find(file) {
            Ok(preset) => {
                let layers = preset.layers().len();
                let scales = preset.schedule.len();
                writeln!(out, "{file}: good ({layers} layers, {scales} scales)")?;
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Usage(wrong.join("\n")))
    }
}
