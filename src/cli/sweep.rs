//! The commands that paint many pictures.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ComputeArgs, ScreenArgs};

/// Paint many pictures: a grid of contents, styles and preset keys
///
/// FILE is YAML: lists of `contents` and `styles`, a `preset`, keys under `set` that
/// hold for every picture, and keys under `vary` with a list of values each. Every
/// combination is a cell, painted as a run of its own in FOLDER/cells/NNNN. The
/// command can be repeated: cells that are done are skipped, and cells that were
/// interrupted are resumed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
A sweep file:
  contents: [photo.jpg, house.jpg]
  styles: [night.jpg, wave.jpg]
  preset: default
  set: {size: 256, iterations: 200}
  vary:
    style.weight: [10, 50, 200]

Examples:
  impasto sweep weights.yaml -o weights
  impasto sweep weights.yaml -o weights --dry-run
  impasto sweep weights.yaml --vary style.scale=0.5,1 --headless
  impasto sweep weights --cells 40-59
  impasto sweep slurm weights.yaml -o weights --pack 20 --limit 4 > job.sh
  impasto sweep commands weights.yaml -o weights | parallel -j 2")]
pub struct SweepArgs {
    #[command(subcommand)]
    pub script: Option<SweepScript>,

    #[command(flatten)]
    pub which: WhichSweep,

    #[command(flatten)]
    pub paint: PaintCellsArgs,
}

/// Which sweep.
#[derive(Clone, Debug, Args)]
pub struct WhichSweep {
    /// The sweep's YAML file, or the folder of a sweep that was begun
    #[arg(required = true)]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub settings: SweepSettings,
}

/// What is changed in a sweep on the command line, and where it is painted.
#[derive(Clone, Debug, Args)]
pub struct SweepSettings {
    /// The folder of the sweep [default: named after FILE or FOLDER, here]
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,

    /// A preset's name or a YAML file
    #[arg(short, long, value_name = "NAME|FILE")]
    pub preset: Option<String>,

    /// Set one key of the preset, or size or iterations, for every cell; can be
    /// repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Paint every picture with each of these values, such as
    /// style.weight=10,50,200 or preset=default,bold; can be repeated
    #[arg(long, value_name = "KEY=VALUE,VALUE...")]
    pub vary: Vec<String>,

    /// Long side of the last scale in pixels: the same as --set size=N
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<u32>,

    /// Iterations at every scale: the same as --set iterations=N
    #[arg(long, value_name = "N")]
    pub iterations: Option<u32>,
}

/// How cells are painted here.
#[derive(Debug, Args)]
pub struct PaintCellsArgs {
    /// Paint only these cells, such as 40-59 or 3,7,10-12
    #[arg(long, value_name = "NUMBERS")]
    pub cells: Option<String>,

    /// Print the cells, and how long and how much disk they will take as
    /// measured with one of them; paint nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Cells painted at the same time on each device
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub jobs: Option<u32>,

    /// Do not compute the scores of finished pictures (see `impasto measure --scores`)
    #[arg(long)]
    pub no_scores: bool,

    /// Go on without the terminal that this was started from
    #[arg(long, hide = true)]
    pub detached: bool,

    /// Append events as JSON lines to FILE, or print them with -: cell_started,
    /// cell_step, cell_ended, notice, waiting and finished
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Scripts that paint a sweep on more machines than one.
#[derive(Debug, Subcommand)]
pub enum SweepScript {
    Slurm(SlurmArgs),
    Commands(CommandsArgs),
}

/// Print a Slurm array script that paints the sweep
///
/// Each task of the array paints a few cells. One that reaches its time limit or
/// is preempted writes checkpoints and is queued again. The sweep's folder must be
/// shared by all nodes; it is made now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto sweep slurm weights.yaml -o /shared/weights --pack 20 --limit 4 | sbatch
  impasto sweep slurm weights.yaml --time 02:00:00 --gpus 1 --sbatch=--account=art")]
pub struct SlurmArgs {
    #[command(flatten)]
    pub which: WhichSweep,

    /// Cells that one task paints
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pack: u32,

    /// Tasks that run at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Time limit of a task, as sbatch takes it
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,

    /// Partition to run in
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,

    /// GPUs of a task
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub gpus: u32,

    /// Processors of a task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: Option<u32>,

    /// A further option for sbatch, such as --account=art; can be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,

    #[command(flatten)]
    pub cells: ScriptArgs,
}

/// Print one command a line, which together paint the sweep
///
/// For GNU parallel, pueue, OpenCue and others. Each command can be run again at
/// any time. The sweep's folder must be shared by all machines; it is made now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto sweep commands weights.yaml -o weights | parallel -j 2
  impasto sweep commands weights.yaml --pack 5 | while read -r line; do pueue add \"$line\"; done")]
pub struct CommandsArgs {
    #[command(flatten)]
    pub which: WhichSweep,

    /// Cells of each command
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pack: u32,

    #[command(flatten)]
    pub cells: ScriptArgs,
}

/// What the commands of a script get.
#[derive(Debug, Args)]
pub struct ScriptArgs {
    /// The impasto to run [default: this one]
    #[arg(long, value_name = "PROGRAM")]
    pub program: Option<String>,

    /// Device of each command: auto, cpu or cuda
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Do not compute the scores of finished pictures
    #[arg(long)]
    pub no_scores: bool,
}

/// Paint all pictures of a folder in each of the styles
///
/// Short for `impasto sweep` with these contents and styles. CONTENTS is a folder
/// or a picture.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto batch photos night.jpg wave.jpg -o painted
  impasto batch photos night.jpg --vary style.weight=10,50 --size 512
  impasto batch photo.jpg paintings --headless")]
pub struct BatchArgs {
    /// A folder of pictures, or one picture: what to paint
    pub contents: PathBuf,

    /// Styles, or folders of them: each picture is painted in each style
    #[arg(required = true, value_name = "STYLE")]
    pub styles: Vec<PathBuf>,

    #[command(flatten)]
    pub settings: SweepSettings,

    #[command(flatten)]
    pub paint: PaintCellsArgs,
}
