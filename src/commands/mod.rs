//! What each command does.

mod attach;
mod bench;
mod demo;
mod doctor;
mod engine;
mod finish;
mod fit;
mod import_flags;
pub mod keep;
mod measure;
mod presets;
mod resume;
mod run;
pub mod runs;
mod sheet;
mod show;
mod start;
mod stop;
mod sweep;
mod weights;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use impasto_core::preset::{Library, Preset, PresetError};

use crate::cli::{Cli, Command, CompletionsArgs, ManArgs, PresetArgs};
use crate::headless;
use crate::outcome::{Failure, Outcome};

/// Carries a command out and says how it went.
pub fn execute(cli: Cli) -> ExitCode {
    // Where the system refuses, a limit ends the process as it always did.
    let _ = headless::outlive_limits();
    let Some(command) = cli.command else {
        return ExitCode::from(code(start::start(&cli.start)));
    };
    let outcome = match command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Batch(args) => sweep::batch(&args),
        Command::Sheet(args) => sheet::sheet(&args),
        Command::Attach(args) => attach::attach(&args),
        Command::Stop(args) => stop::stop(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Runs(command) => runs::runs(&command),
        Command::Engine(args) => engine::engine(&args),
        Command::Finish(args) => finish::finish(&args),
        Command::Show(args) => show::show(&args),
        Command::Presets(command) => presets::presets(&command),
        Command::Weights(command) => weights::weights(&command),
        Command::ImportFlags(args) => import_flags::import_flags(&args),
        Command::Measure(args) => measure::measure(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Fit(args) => fit::fit(&args),
        Command::Doctor => doctor::doctor(),
        Command::Completions(args) => completions(&args),
        Command::Man(args) => man(&args),
    };
    ExitCode::from(code(outcome))
}

/// The exit code of a command, after saying what went wrong.
fn code(outcome: Outcome) -> u8 {
    match outcome {
        Ok(()) | Err(Failure::BrokenPipe) => 0,
        Err(Failure::Usage(message)) => report_error(&message, 2),
        Err(Failure::Failed(message)) => report_error(&message, 1),
        Err(Failure::Stopped(signal)) => 128 + signal,
    }
}

fn report_error(message: &str, code: u8) -> u8 {
    // If stderr is gone there is nobody left to read it.
    let _ = writeln!(io::stderr(), "impasto: {message}");
    code
}

fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "impasto", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

fn man(args: &ManArgs) -> Outcome {
    let mut root = Cli::command();
    root.build();
    let command = match &args.command {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                let known: Vec<_> = root
                    .get_subcommands()
                    .map(clap::Command::get_name)
                    .collect();
                return Err(Failure::Usage(format!(
                    "there is no command of that name; there are {}",
                    known.join(", ")
                )));
            }
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(io::stdout().write_all(&page)?)
}

/// Whether somebody sits at a terminal who can be asked.
fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whoever sits at the terminal.
fn confirm(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if !answer.ends_with('\n') {
        // Ctrl-D leaves the cursor behind the question.
        headless::say("");
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The preset that the flags ask for, with every `--set` applied in order.
fn chosen_preset(args: &PresetArgs, default: &str) -> Result<Preset, PresetError> {
    let name = args.preset.as_deref().unwrap_or(default);
    let preset = Library::open().find(name)?;
    args.all_settings()
        .iter()
        .try_fold(preset, |preset, setting| preset.set(setting))
}
