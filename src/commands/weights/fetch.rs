//! `impasto weights fetch`: a network from its address to its place, with a
//! progress bar.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use impasto_weights::fetch::{FetchError, FetchRequest, Progress, Retries, Source, fetch as get};
use impasto_weights::{Networks, OFFERS, Offer};
use indicatif::{ProgressBar, ProgressStyle};

use super::{installed, measure};
use crate::cli::FetchArgs;
use crate::headless::{catch_signals, say};
use crate::outcome::{Failure, Outcome};

/// The bar while bytes come in.
const TEMPLATE: &str = "{bar:24.cyan/dim} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

pub fn fetch(networks: &Networks, args: &FetchArgs) -> Outcome {
    let source = match (&args.from, Offer::find(&args.name)) {
        (Some(place), _) => Source::at(place, args.convention),
        (None, Some(offer)) => Source::Offer(offer),
        (None, None) => return Err(unknown(&args.name)),
    };
    let is_file = matches!(source, Source::File(..));
    let request = FetchRequest {
        name: args.name.clone(),
        source,
        replace: args.replace,
        retries: Retries::default(),
    };
    let signal = catch_signals()?;
    let mut display = Display::default();
    let fetched = get(
        &request,
        networks,
        &mut |progress| display.show(progress),
        &|| signal.load(Ordering::Relaxed) != 0,
    );
    display.clear();
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(FetchError::Stopped) => {
            say(&FetchError::Stopped.to_string());
            return Err(Failure::Stopped(number(&signal)));
        }
        Err(
            error @ (FetchError::Network(_) | FetchError::Weights(_) | FetchError::Address { .. }),
        ) => return Err(Failure::Usage(error.to_string())),
        Err(error) if is_file => return Err(Failure::Usage(error.to_string())),
        Err(error) => return Err(Failure::Failed(error.to_string())),
    };
    let scales = measure(&fetched.file)?;
    let path = fetched.install(networks, &scales)?;
    installed(&args.name, &path);
    Ok(())
}

fn number(signal: &Arc<AtomicUsize>) -> u8 {
    u8::try_from(signal.load(Ordering::Relaxed)).unwrap_or_default()
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = OFFERS.iter().map(|offer| offer.name).collect();
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    Failure::Usage(format!(
        "no network `{name}` can be fetched by its name alone; these can: {}. From anywhere \
         else: impasto weights fetch NAME --from URL",
        known.join(", ")
    ))
}

/// How the fetching goes: a bar for people at a terminal, lines elsewhere.
#[derive(Default)]
struct Display {
    bar: Option<ProgressBar>,
    /// The tenth of the whole that was last reported where there is no bar.
    reported: u64,
}

impl Display {
    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Connecting { url } => self.line(&format!("fetching {url}")),
            Progress::Receiving { bytes, of } => self.received(bytes, of),
            Progress::Waiting { pause, reason } => self.line(&format!(
                "{reason}; trying again in {} s",
                pause.as_secs_f64().ceil()
            )),
            Progress::Elsewhere { url, reason } => {
                self.line(&format!("{reason}; going on with {url}"));
            }
            Progress::Checking { .. } => {}
            Progress::Reading => self.line("reading it"),
        }
    }

    fn received(&mut self, bytes: u64, of: Option<u64>) {
        let Some(of) = of.filter(|of| *of > 0) else {
            return;
        };
        if io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| {
                // The template is a constant and tested below.
                let style = ProgressStyle::with_template(TEMPLATE);
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(of).with_style(style.progress_chars("━━─"))
            });
            bar.set_length(of);
            bar.set_position(bytes);
        } else if 10 * bytes / of > self.reported {
            self.reported = 10 * bytes / of;
            say(&format!("{} of {} MB", bytes / 1_000_000, of / 1_000_000));
        }
    }

    fn line(&mut self, words: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(words)),
            None => say(words),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_parses() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
