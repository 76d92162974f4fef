//! What each command does.

mod attach;
mod bench;
mod demo;
mod doctor;
mod engine;
mod fetch;
mod fit;
pub mod keep;
mod measure;
mod presets;
mod resume;
mod run;
pub mod runs;
mod show;
mod start;
mod stop;
mod weights;

pub use run::unused_output;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, Command, CompletionsArgs, ManArgs, PresetArgs};
use crate::engine::EngineError;
use crate::headless;
use crate::host::HostError;
use crate::job::{JobError, PlanError};
use crate::picture::PictureError;
use crate::preset::{Library, Preset, PresetError};
use crate::remote::RemoteError;
use crate::runs::RunError;
use crate::weights::{NetworkError, WeightsError};

/// Why a command ended other than well.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage, preset or file: exit code 2.
    Usage(String),
    /// Something failed on the way: exit code 1.
    Failed(String),
    /// A signal ended it, and all was saved: 128 + its number.
    Stopped(u8),
    /// Whoever read our output went away: nothing is left to say.
    NobodyReads,
}

impl Failure {
    /// That of a run: what was asked for is refused, or something went wrong.
    pub fn of_run(message: String, refused: bool) -> Self {
        match refused {
            true => Self::Usage(message),
            false => Self::Failed(message),
        }
    }
}

/// The result of a command.
pub type Outcome = Result<(), Failure>;

/// Carries a command out and says how it went.
pub fn carry_out(cli: Cli) -> ExitCode {
    // Where the system refuses, a limit ends the process as it always did.
    let _ = headless::outlive_limits();
    let Some(command) = cli.command else {
        return ExitCode::from(code(start::start(&cli.start)));
    };
    let outcome = match command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Attach(args) => attach::attach(&args),
        Command::Stop(args) => stop::stop(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Runs(command) => runs::runs(&command),
        Command::Engine(args) => engine::engine(&args),
        Command::Show(args) => show::show(&args),
        Command::Presets(command) => presets::presets(&command),
        Command::Weights(command) => weights::weights(&command),
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
        Ok(()) | Err(Failure::NobodyReads) => 0,
        Err(Failure::Usage(message)) => complain(&message, 2),
        Err(Failure::Failed(message)) => complain(&message, 1),
        Err(Failure::Stopped(signal)) => 128 + signal,
    }
}

fn complain(message: &str, code: u8) -> u8 {
    // If stderr is gone there is nobody left to tell.
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

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NobodyReads
        } else {
            Self::Failed(format!("cannot write the output: {error}"))
        }
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<PresetError> for Failure {
    fn from(error: PresetError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::of_run(error.to_string(), error.is_usage_error())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Run(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let refused = matches!(error, RemoteError::Refused(_));
        Self::of_run(error.to_string(), refused)
    }
}
