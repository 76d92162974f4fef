//! `impasto runs export`: runs as other programs read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use impasto_core::text::display_path;
use impasto_runs::tensorboard::{self, ExportError};
use impasto_runs::{Run, RunName, Runs};

use super::named;
use crate::cli::runs::ExportArgs;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

pub fn export(args: &ExportArgs) -> Outcome {
    let runs = match args.runs.as_slice() {
        [] => vec![Runs::open()?.latest()?],
        names => names
            .iter()
            .map(|name| named(name))
            .collect::<Result<_, _>>()?,
    };
    let mut by_name: BTreeMap<RunName, Run> = BTreeMap::new();
    for run in runs {
        // A run that is named twice is exported once.
        if let Some(other) = by_name.insert(run.name().clone(), run.clone())
            && real_folder(&other) != real_folder(&run)
        {
            return Err(Failure::Usage(format!(
                "{} and {} are runs of the same name; export one of them into another folder",
                display_path(other.folder()),
                display_path(run.folder())
            )));
        }
    }
    let folder = &args.tensorboard;
    for run in by_name.values() {
        tensorboard::export(run, folder)?;
    }
    let count = match by_name.len() {
        1 => "1 run".to_owned(),
        several => format!("{several} runs"),
    };
    let folder = display_path(folder);
    say(&format!(
        "exported {count}; to see them: tensorboard --logdir {folder}"
    ));
    Ok(())
}

fn real_folder(run: &Run) -> PathBuf {
    fs::canonicalize(run.folder()).unwrap_or_else(|_| run.folder().to_owned())
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Run(error) => error.into(),
            other @ ExportError::OtherEvents { .. } => Self::Usage(other.to_string()),
        }
    }
}
