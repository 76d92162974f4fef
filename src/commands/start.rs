//! `impasto` alone: the dashboard on its start screen, to choose what to paint.

use clap::CommandFactory;

use super::keep;
use crate::cli::{Cli, StartArgs};
use crate::outcome::{Failure, Outcome};
use crate::tui;

pub fn start(args: &StartArgs) -> Outcome {
    if args.screen.headless || !tui::opens_here() {
        // Without a screen to choose on, there is nothing to do but explain.
        let help = Cli::command().render_help();
        return Err(Failure::Usage(format!("there is nothing to do\n\n{help}")));
    }
    tui::choose(
        (&args.compute).into(),
        (&args.screen).into(),
        &mut keep::engine(None, None, None),
    )
}
