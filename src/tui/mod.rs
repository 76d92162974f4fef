//! The dashboard: state, update, view.
//!
//! A key press becomes a changed weight like this: `terminal` reads the key,
//! [`keymap`] says what it means, [`update`](mod@update) changes the [`app::App`]
//! and answers with an effect, and the loop in [`dashboard`] sends the effect's
//! command to the engine. The engine's answers come back as events through the
//! same `update`. [`view`] draws the state; nothing else writes to the terminal.
//!
//! Before there is a run, [`start`] lets the user choose what to paint, in the
//! same manner and with a loop of its own.

pub mod app;
pub mod chart;
mod chooser;
pub mod console;
pub mod dashboard;
pub mod history;
pub mod keymap;
pub mod layout;
pub mod loading;
pub mod log;
pub mod pane;
pub mod remote;
pub mod start;
pub mod sweep;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use impasto_core::job::{Compute, Plan};
use impasto_core::preset::Library;
use impasto_core::text::display_path;
use impasto_graphics::terminal::{Graphics, Terminal};
use signal_hook::consts::SIGINT;

use self::app::{App, Phase};
use self::chooser::{Chooser, ChooserExit};
use self::console::TerminalConsole;
use self::dashboard::{Dashboard, ExitReason};
use self::log::Log;
use self::remote::{AttachedRun, Engine, Started};
use self::theme::Palette;
use self::update::Message;
use crate::headless;
use crate::outcome::{Failure, Outcome};
use crate::tui::pane::Mode;

/// How the dashboard looks and listens.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Draw with ASCII characters alone.
    pub ascii: bool,
    pub palette: Palette,
    pub mouse: bool,
    /// How pictures are drawn.
    pub graphics: Mode,
    /// Whether a run that another process paints stops when the terminal goes
    /// away.
    pub stop_on_hangup: bool,
}

/// Whether there is a terminal that a dashboard can have: stdout is one, it
/// knows more than lines, and this process is in its foreground. In the
/// background it would be stopped as soon as it touched it.
pub fn opens_here() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let knows_lines_only = term.is_empty() || term == "dumb";
    let foreground = || {
        let terminal = std::fs::File::open("/dev/tty")?;
        let group = rustix::termios::tcgetpgrp(terminal)?;
        io::Result::Ok(group == rustix::process::getpgrp())
    };
    !knows_lines_only && Terminal::detect().is_some() && foreground().unwrap_or(false)
}

/// Paints under a dashboard by this engine.
///
/// # Errors
/// When the terminal cannot be used, the run fails, or a signal ends it.
pub fn paint<'a>(plan: Plan, options: Options, engine: &'a mut Engine<'a>) -> Outcome {
    let stays = headless::hangups_are_ignored();
    let terminal = here()?;
    let log = Log::start()?;
    let mut console = TerminalConsole::open(terminal.clone(), options.mouse)?;
    let mut dashboard = Dashboard::new(plan, options, &terminal, Library::open(), engine);
    dashboard.update(Message::Log(log.path().map(display_path)));
    if stays {
        dashboard.stay_on_hangup();
    }
    let left = dashboard.run(&mut console);
    close(&dashboard, console, log, left)
}

/// Opens a dashboard on a run that is under way.
///
/// # Errors
/// As for [`paint`].
pub fn attach(attached_run: AttachedRun, started: Started, options: Options) -> Outcome {
    let stays = headless::hangups_are_ignored();
    let terminal = here()?;
    let log = Log::start()?;
    let mut console = TerminalConsole::open(terminal.clone(), options.mouse)?;
    let library = Library::open();
    let mut dashboard = Dashboard::attached(attached_run, options, &terminal, library, started);
    dashboard.update(Message::Log(log.path().map(display_path)));
    if stays {
        dashboard.stay_on_hangup();
    }
    let left = dashboard.run(&mut console);
    close(&dashboard, console, log, left)
}

/// Lets the user choose what to paint, and paints it by this engine.
///
/// # Errors
/// As for [`paint`].
pub fn choose(compute: Compute, options: Options, engine: &mut Engine<'_>) -> Outcome {
    let stays = headless::hangups_are_ignored();
    let terminal = here()?;
    let log = Log::start()?;
    let mut console = TerminalConsole::open(terminal.clone(), options.mouse)?;
    let library = Library::open();
    let folder = std::env::current_dir()?;
    let mut chooser = Chooser::new(folder, compute, options, terminal.colours, library.clone())?;
    loop {
        let plan = match chooser.run(&mut console)? {
            ChooserExit::Paint(plan) => *plan,
            ChooserExit::Leave => return Ok(()),
            ChooserExit::Stopped(signal) => return Err(Failure::Stopped(signal)),
        };
        let mut engine = |plan: &Plan, job| engine(plan, job);
        let mut dashboard = Dashboard::new(plan, options, &terminal, library.clone(), &mut engine);
        dashboard.set_graphics(console.capabilities());
        dashboard.update(Message::Log(log.path().map(display_path)));
        if stays {
            dashboard.stay_on_hangup();
        }
        match dashboard.run(&mut console) {
            // Another picture can be chosen.
            Ok(ExitReason::Unread(message) | ExitReason::Unstarted(message)) => {
                chooser.report_error(message);
            }
            left => return close(&dashboard, console, log, left),
        }
    }
}

/// Gives the terminal back and says how it went.
fn close(
    dashboard: &Dashboard<'_>,
    console: TerminalConsole,
    log: Log,
    left: io::Result<ExitReason>,
) -> Outcome {
    let graphics = console.capabilities().print;
    drop(console);
    // Frees what the terminal kept of the pictures; if it is gone, so are they.
    let _ = write!(io::stdout(), "{}", dashboard.farewell_bytes());
    drop(log);
    farewell(dashboard, left?, graphics)
}

fn here() -> Result<Terminal, Failure> {
    Terminal::detect().ok_or_else(|| Failure::Usage("the dashboard needs a terminal".to_owned()))
}

/// What is said, and shown, on the ordinary screen afterwards.
fn farewell(dashboard: &Dashboard<'_>, left: ExitReason, graphics: Graphics) -> Outcome {
    let app = &dashboard.app;
    let stopped = || match dashboard.signal {
        Some(number) => Err(Failure::Stopped(number)),
        None if app.interrupted => Err(Failure::Stopped(SIGINT as u8)),
        None => Ok(()),
    };
    match (&app.phase, left) {
        (_, ExitReason::Unread(message)) => Err(Failure::Usage(message)),
        (_, ExitReason::Unstarted(message)) => Err(Failure::Failed(message)),
        (
            Phase::Failed {
                message,
                output,
                refused,
            },
            _,
        ) => {
            let place = match output {
                Some(output) => format!("; the picture is in {}", display_path(output)),
                None => String::new(),
            };
            let log = match &app.log {
                Some(log) => format!("; the log is {log}"),
                None => String::new(),
            };
            let message = message.trim_end_matches('.');
            Err(Failure::of_run(format!("{message}{place}{log}"), *refused))
        }
        (
            Phase::Finished {
                output: Some(output),
            },
            _,
        ) => {
            headless::say(&format!("saved {}", display_path(headless::near(output))));
            headless::show_picture(output, Some(graphics));
            stopped()
        }
        (_, ExitReason::Detached) => {
            headless::say(&goes_on(app));
            stopped()
        }
        (_, ExitReason::AtOnce) => {
            headless::say("left before the picture was saved");
            Err(Failure::Stopped(SIGINT as u8))
        }
        (_, ExitReason::InGoodOrder) => {
            headless::say("stopped before the first iteration; nothing was saved");
            stopped()
        }
    }
}

/// What becomes of a run that is left to another process.
fn goes_on(app: &App) -> String {
    let called = app.remote.as_ref().map_or("", |remote| &remote.called);
    let does = match app.phase {
        Phase::Stopping => return "the run is stopping, and saves its picture".to_owned(),
        Phase::Paused => "stays paused",
        _ => "continues painting",
    };
    format!("the run {does}; `impasto attach {called}` shows it, `impasto stop {called}` ends it")
}
