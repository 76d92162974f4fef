//! `impasto stop`: ends a run that is being painted.

use impasto_core::protocol::{Command, Event};
use impasto_core::text::display_path;
use impasto_service::engine_process;
use impasto_service::ipc::Role;
use impasto_sweep::SweepFolder;

use super::{attach, sweep};
use crate::cli::StopArgs;
use crate::headless::{near, say};
use crate::outcome::{Failure, Outcome};

pub fn stop(args: &StopArgs) -> Outcome {
    if let Some(folder) = &args.which.run_dir
        && SweepFolder::is_one(folder)
    {
        return sweep::stop(folder);
    }
    let run = attach::painted(&args.which)?;
    let connection = engine_process::reach(&run, Role::Control)?;
    let gone = || Failure::Failed(format!("{} ended before it could be stopped", run.name()));
    connection
        .link
        .commands
        .send(Command::Stop)
        .map_err(|_| gone())?;
    loop {
        match connection.link.events.recv().map_err(|_| gone())? {
            Event::Finished {
                output: Some(output),
                ..
            } => {
                say(&format!("saved {}", display_path(near(&output))));
                return Ok(());
            }
            Event::Finished { .. } => {
                say("stopped before the first iteration; nothing was saved");
                return Ok(());
            }
            Event::Failed {
                message, output, ..
            } => {
                let place = output.map_or_else(String::new, |output| {
                    format!("; the picture is in {}", display_path(&output))
                });
                return Err(Failure::Failed(format!(
                    "{}{place}",
                    message.trim_end_matches('.')
                )));
            }
            Event::Notice { message, .. } => say(&format!("note: {message}")),
            _ => {}
        }
    }
}
