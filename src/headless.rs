//! The front end without a screen: a progress bar for people, JSON lines for
//! programs.
//!
//! Words and the bar go to stderr. Stdout carries the events where they were
//! asked for with `-`, or the file of the finished picture; else, in a terminal, that
//! picture is shown.

mod events;

pub use events::EventSink;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use impasto_core::job::Size;
use impasto_core::picture;
use impasto_core::protocol::{Command, Event, Link, Step};
use impasto_core::text::display_path;
use impasto_graphics::terminal::Graphics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::outcome::{Failure, Outcome};
use crate::pace::{Pace, clock, per_second};

/// How soon a signal is noticed.
const TIMEOUT: Duration = Duration::from_millis(50);
/// How often a run whose stderr is no terminal says a line.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What a signal does to a run that is followed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Stops it; the picture is saved. A hangup too.
    Stop,
    /// As [`Leave::Stop`], but the run continues when the terminal goes away.
    StopUnlessHangup,
    /// It continues without anybody looking.
    Detach,
}

/// Tells how a run goes until it ends, people and `events`. `signal` is what
/// [`catch_signals`] gave.
///
/// # Errors
/// When the run fails or a signal ends it.
pub fn follow(
    link: &Link,
    sizes: Vec<Size>,
    events: Option<EventSink>,
    leave: Leave,
    signal: &AtomicUsize,
) -> Outcome {
    let stdout_is_free = !events.as_ref().is_some_and(EventSink::is_stdout);
    let (outcome, output) = watch(link, Display::new(sizes), events, leave, signal);
    if let (true, Some(output)) = (stdout_is_free, output) {
        show_picture(&output, None);
    }
    outcome
}

/// As [`follow`], where the picture goes elsewhere from the file in which it is saved.
/// Gives that file beside the outcome, if the run came to an end and has a picture.
pub fn follow_to_file(
    link: &Link,
    sizes: Vec<Size>,
    events: Option<EventSink>,
    leave: Leave,
    signal: &AtomicUsize,
) -> (Outcome, Option<PathBuf>) {
    let display = Display {
        names_output: false,
        ..Display::new(sizes)
    };
    watch(link, display, events, leave, signal)
}

fn watch(
    link: &Link,
    mut display: Display,
    mut events: Option<EventSink>,
    leave: Leave,
    signal: &AtomicUsize,
) -> (Outcome, Option<PathBuf>) {
    let outcome = handle_events(link, signal, leave, &mut display, &mut events);
    if let Some(events) = events {
        let left_out = events.finish(|| take_leaving_signal(signal, leave).is_none());
        display.report_events(left_out);
    }
    match outcome {
        Ok(output) => (Ok(()), output),
        Err((failure, output)) => (Err(failure), output),
    }
}

/// Handles the events of a run until it ends. Returns where its picture is, if there is
/// one.
fn handle_events(
    link: &Link,
    signal: &AtomicUsize,
    leave: Leave,
    display: &mut Display,
    sink: &mut Option<EventSink>,
) -> Result<Option<PathBuf>, (Failure, Option<PathBuf>)> {
    let mut stopped_by = None;
    loop {
        match take_leaving_signal(signal, leave) {
            Some(number) if leave == Leave::Detach => {
                display.line("the run continues without this terminal");
                return Err((Failure::Stopped(number), None));
            }
            Some(number) => {
                if stopped_by.replace(number).is_none() {
                    let words = "stopping; saving the picture so far (Ctrl-C again leaves at once)";
                    display.line(words);
                }
                // The second one gives up waiting for room on a full disk.
                let _ = link.commands.send(Command::Stop);
            }
            None => {}
        }
        let event = match link.events.recv_timeout(TIMEOUT) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                let words = "the painter ended without a word".to_owned();
                return Err((Failure::Failed(words), None));
            }
        };
        if let Some(open) = sink
            && let Err(error) = open.write(&event)
        {
            display.report_events(Err(error));
            *sink = None;
        }
        display.show(&event);
        match event {
            Event::Finished { output, .. } => {
                return match stopped_by.or_else(|| take_leaving_signal(signal, leave)) {
                    Some(number) => Err((Failure::Stopped(number), output)),
                    None => Ok(output),
                };
            }
            Event::Failed {
                message,
                output,
                refused,
            } => {
                let place = match output {
                    Some(output) => {
                        format!("; the picture is in {}", display_path(&output))
                    }
                    None => String::new(),
                };
                let message = message.trim_end_matches('.');
                return Err((Failure::of_run(format!("{message}{place}"), refused), None));
            }
            _ => {}
        }
    }
}

/// A path as it is called from the working folder.
pub fn near(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(here) {
        Ok(rest) if !rest.as_os_str().is_empty() => rest,
        _ => path,
    }
}

/// Says a line to the person at the terminal, if there is one.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints the finished picture where stdout is a terminal that can show it, in
/// the way given or, without one, as the terminal answers.
pub fn show_picture(output: &Path, graphics: Option<Graphics>) {
    if !io::stdout().is_terminal() {
        return;
    }
    // A picture that cannot be shown is still saved: no reason to fail.
    let Ok(source) = picture::load(output) else {
        return;
    };
    let shown = match graphics {
        Some(graphics) => impasto_graphics::print_with(&source.picture, graphics),
        None => impasto_graphics::print(&source.picture),
    };
    if let Err(why) = shown {
        say(&why.to_string());
    }
}

/// SIGINT, SIGTERM and SIGHUP are remembered here, so that the run can save. A
/// second SIGINT, which is a person's, ends the process at once; a terminal that
/// closes may well send SIGHUP twice. A signal that the process was started to
/// ignore, as under nohup, stays ignored.
///
/// # Errors
/// When a signal cannot be caught.
pub fn catch_signals() -> io::Result<Arc<AtomicUsize>> {
    let caught = Arc::new(AtomicUsize::new(0));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for number in [SIGINT, SIGTERM, SIGHUP] {
        if is_ignored(&status, number) {
            continue;
        }
        if number == SIGINT {
            let before = Arc::new(AtomicBool::new(false));
            // The order matters: the shutdown looks at the flag before this
            // very signal sets it.
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, before.clone())?;
            signal_hook::flag::register(number, before)?;
        }
        signal_hook::flag::register_usize(number, caught.clone(), number as usize)?;
    }
    Ok(caught)
}

/// Lets a write beyond a limit on the size of files fail, as on a full disk, instead
/// of ending the process without a word; likewise a limit on processor time, which
/// ends it only at its hard value.
///
/// # Errors
/// When the system refuses.
pub fn outlive_limits() -> io::Result<()> {
    for number in [libc::SIGXFSZ, libc::SIGXCPU] {
        // Unlike an ignored signal, one that is caught is as before in a program
        // that this one starts.
        signal_hook::flag::register(number, Arc::default())?;
    }
    Ok(())
}

/// Whether this process was started to outlive its terminal, as by nohup.
pub fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored(&status, SIGHUP)
}

/// Whether `/proc/self/status` says that the signal is ignored.
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    mask & (1 << (number - 1)) != 0
}

/// The signal that came since this was asked last, unless the run outlives it.
pub fn take_leaving_signal(signal: &AtomicUsize, leave: Leave) -> Option<u8> {
    let outlived = |number: u8| leave == Leave::StopUnlessHangup && i32::from(number) == SIGHUP;
    take_signal(signal).filter(|number| !outlived(*number))
}

/// The signal that came since this was asked last.
pub fn take_signal(signal: &AtomicUsize) -> Option<u8> {
    u8::try_from(signal.swap(0, Ordering::Relaxed))
        .ok()
        .filter(|number| *number != 0)
}

/// The progress as a bar in a terminal, as a line now and then elsewhere.
struct Display {
    bar: ProgressBar,
    plain: bool,
    /// Whether the end says where the picture is saved.
    names_output: bool,
    /// The terminal's width that the bar is styled for.
    columns: u16,
    sizes: Vec<Size>,
    last_line: Instant,
    first_total: Option<f64>,
    last_step: Option<Step>,
    pace: Pace,
}

impl Display {
    fn new(sizes: Vec<Size>) -> Self {
        let plain = !io::stderr().is_terminal();
        let target = if plain {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let iterations = sizes.iter().map(|size| u64::from(size.iterations)).sum();
        let bar = ProgressBar::with_draw_target(Some(iterations), target);
        let columns = columns();
        bar.set_style(style(columns));
        Self {
            bar,
            plain,
            names_output: true,
            columns,
            sizes,
            last_line: Instant::now(),
            first_total: None,
            last_step: None,
            pace: Pace::default(),
        }
    }

    /// A line of words above the bar.
    fn line(&self, words: &str) {
        if self.plain {
            say(words);
        } else {
            self.bar.suspend(|| say(words));
        }
    }

    /// Reports events that were left out, or an error of writing them.
    fn report_events(&self, left_out: io::Result<u64>) {
        match left_out {
            Ok(0) => {}
            Ok(count) => self.line(&format!(
                "{count} events were left out: their reader was too slow"
            )),
            Err(error) => self.line(&format!("the events can no longer be written ({error})")),
        }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Preparing { what, .. } => {
                self.bar.set_message(what.clone());
                if self.plain {
                    say(what);
                }
            }
            Event::Started { device, job, .. } => {
                let styles = std::iter::once(&job.style).chain(&job.more_styles);
                let styles: Vec<String> = styles
                    .map(|style| display_path(Path::new(&style.file)))
                    .collect();
                self.line(&format!(
                    "painting {} in the style of {} with preset {} on {device}",
                    display_path(Path::new(&job.content.file)),
                    styles.join(" and "),
                    display_path(Path::new(&job.preset.name)),
                ));
            }
            Event::Step(step) => self.step(step),
            Event::Notice { message, .. } => self.line(&format!("note: {message}")),
            Event::Saved { output, .. } => self.line(&format!("saved {}", display_path(output))),
            Event::Finished {
                output,
                iterations,
                elapsed,
                saved,
                ..
            } => {
                self.bar.finish_and_clear();
                if let Some(saved) = saved {
                    self.last_step = Some(Step::clone(saved));
                }
                self.line(&match output {
                    Some(output) => self.summary(output, *iterations, *elapsed),
                    None => "stopped before the first iteration; nothing was saved".to_owned(),
                });
            }
            Event::Failed { .. } => self.bar.finish_and_clear(),
            Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Changed { .. }
            | Event::Memory(_)
            | Event::Restarting { .. } => {}
        }
    }

    fn step(&mut self, step: &Step) {
        self.first_total.get_or_insert(step.total);
        self.pace.note(step);
        let mut words = Vec::new();
        if let (Some(left), Some(speed)) = (
            self.pace.left(step, &self.sizes),
            self.pace.iterations_per_second(),
        ) {
            words.push(format!("{} left  {}", clock(left), per_second(speed)));
        }
        words.push(format!(
            "{}×{}  total {:.2e}  content {:.2e}  style {:.2e}",
            step.width, step.height, step.total, step.content, step.style
        ));
        let message = words.join("  ");
        if self.plain {
            if self.last_line.elapsed() >= LINE_INTERVAL || step.iteration == 1 {
                self.last_line = Instant::now();
                let of = self.bar.length().unwrap_or_default();
                say(&format!("iteration {} of {of}  {message}", step.iteration));
            }
        } else {
            let columns = columns();
            if columns != self.columns {
                self.columns = columns;
                self.bar.set_style(style(columns));
            }
            self.bar.set_position(u64::from(step.iteration));
            self.bar.set_message(message);
        }
        self.last_step = Some(step.clone());
    }

    fn summary(&self, output: &Path, iterations: u32, elapsed: f64) -> String {
        let mut words = match self.names_output {
            true => format!("saved {}", display_path(near(output))),
            false => "painted the picture".to_owned(),
        };
        if let Some(step) = &self.last_step {
            words += &format!(" ({}×{})", step.width, step.height);
        }
        words += &format!(" after {iterations} iterations in {}", clock(elapsed));
        if let (Some(first), Some(last)) = (self.first_total, &self.last_step) {
            words += &format!(
                "; total loss {first:.3e} at first, {:.3e} in this picture",
                last.total
            );
        }
        words
    }
}

/// The bar where there is room for one, else the words alone.
fn style(columns: u16) -> ProgressStyle {
    let template = if columns >= 96 {
        TEMPLATE
    } else {
        NARROW_TEMPLATE
    };
    // The templates are constants and tested below; the plain style stands in
    // if one should not parse.
    ProgressStyle::with_template(template).map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("━━─"),
    )
}

const TEMPLATE: &str = "{bar:16.cyan/dim} {pos}/{len}  {wide_msg}";
const NARROW_TEMPLATE: &str = "{pos}/{len}  {wide_msg}";

/// How wide the terminal is; 0 if there is none.
fn columns() -> u16 {
    crossterm::terminal::size().map_or(0, |(columns, _)| columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_templates_parse() {
        for template in [TEMPLATE, NARROW_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn ignored_signals_are_seen() {
        let status = "Name:\timpasto\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000004002\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT) && !is_ignored(status, SIGTERM));
        assert!(!is_ignored("", SIGHUP));
    }
}
