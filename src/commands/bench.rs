//! `impasto bench`: how fast this machine paints.

use std::io::{self, Write};
use std::path::PathBuf;

use impasto_core::job::{Compute, Job};
use impasto_core::picture::Source;
use impasto_core::preset::{Preset, Scale};
use impasto_engine::bench::{Timing, bench as time};
use impasto_weights::check_network;

use super::chosen_preset;
use crate::assets;
use crate::cli::BenchArgs;
use crate::outcome::Outcome;

/// More iterations than are ever timed.
const ENDLESS: u32 = 1_000_000;

pub fn bench(args: &BenchArgs) -> Outcome {
    let preset = preset(args)?;
    check_network(preset.network)?;
    let compute: Compute = (&args.compute).into();
    let (content, style) = (assets::PHOTOGRAPH.load()?, assets::PAINTING.load()?);
    let mut out = io::stdout().lock();
    let mut timings = Vec::new();
    if !args.json {
        writeln!(out, "{}", heading())?;
    }
    for &size in &args.sizes {
        let job = Job {
            preset: Preset {
                schedule: vec![Scale {
                    size,
                    iterations: ENDLESS,
                }],
                ..preset.clone()
            },
            content: square(&content, size),
            style: square(&style, size),
            more_styles: Vec::new(),
            start: None,
            masks: Vec::new(),
            compute,
            output: PathBuf::new(),
        };
        job.check()?;
        let timing = time(job, size, args.iterations)?;
        if !args.json {
            writeln!(out, "{}", row(&timing))?;
        }
        timings.push(timing);
    }
    if args.json {
        serde_json::to_writer_pretty(&mut out, &timings).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

/// The losses of the preset `neural-style` and Adam, and over them what the
/// flags say.
fn preset(args: &BenchArgs) -> Result<Preset, impasto_core::preset::PresetError> {
    let mut flags = args.preset.clone();
    if flags.preset.is_none() {
        flags.settings.insert(0, "start=content".to_owned());
        flags.settings.insert(0, "optimizer=adam".to_owned());
    }
    chosen_preset(&flags, "neural-style")
}

/// The picture pressed into a square: what it shows makes no difference here.
fn square(source: &Source, size: u32) -> Source {
    Source {
        picture: source.picture.resized(size, size),
        ..source.clone()
    }
}

fn heading() -> String {
    format!(
        "{:>11}  {:<8} {:<9} {:>11} {:>9} {:>9}   {:>9} {:>9} {:>9} {:>9}",
        "size",
        "device",
        "precision",
        "s/iteration",
        "TFLOP/s",
        "memory",
        "start-up",
        "targets",
        "first",
        "preview"
    )
}

fn row(timing: &Timing) -> String {
    let memory = match timing.peak_memory_bytes {
        Some(bytes) => format!("{:.2} GB", bytes as f64 / 1e9),
        None => "-".to_owned(),
    };
    let seconds = |seconds: f64| format!("{seconds:.3} s");
    format!(
        "{:>11}  {:<8} {:<9} {:>11.5} {:>9.3} {:>9}   {:>9} {:>9} {:>9} {:>9}",
        format!("{0}×{0}", timing.size),
        timing.device,
        timing.precision,
        timing.seconds_per_iteration,
        timing.flops_per_second / 1e12,
        memory,
        seconds(timing.startup_seconds),
        seconds(timing.targets_seconds),
        seconds(timing.first_iteration_seconds),
        seconds(timing.preview_seconds),
    )
}
