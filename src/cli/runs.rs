//! The commands under `impasto runs`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::WhichRun;

/// List, show, compare, export and delete runs
///
/// A run is named by its name or by a unique prefix of it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  impasto runs list
  impasto runs show 20260314-09
  cd \"$(impasto runs open 20260314-09)\"
  impasto runs compare 20260314-09 20260315-21 -o both.png
  impasto runs export 20260314-09 --tensorboard curves
  impasto runs prune --older-than 30 --dry-run")]
pub enum RunsCommand {
    /// List all runs, newest first
    List(ListArgs),
    /// Show the details and the picture of a run
    Show(ShowRunArgs),
    /// Print the folder of a run
    Open(OpenArgs),
    /// Show two runs side by side: pictures, losses, scores, and where the presets differ
    Compare(CompareArgs),
    /// Write losses, picture and preset of runs for TensorBoard
    ///
    /// Scalars are the losses of every stored iteration, weighted (loss/total, loss/content …)
    /// and of each layer; the finished picture is an image, the preset a text, and its keys are
    /// hyperparameters. A run that is exported again replaces its file; restart TensorBoard to
    /// see it.
    Export(ExportArgs),
    /// Delete runs with all their files; pictures saved elsewhere are kept
    Delete(DeleteArgs),
    /// Delete old runs that have ended
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print a JSON array with one object per run
    #[arg(long)]
    pub json: bool,

    /// Show a thumbnail of each run
    #[arg(long, conflicts_with = "json")]
    pub thumbnails: bool,
}

#[derive(Debug, Args)]
pub struct ShowRunArgs {
    #[command(flatten)]
    pub which: WhichRun,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Print the losses as comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[derive(Debug, Args)]
pub struct OpenArgs {
    #[command(flatten)]
    pub which: WhichRun,

    /// Print the path of the run's picture instead
    #[arg(long)]
    pub picture: bool,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// A run's name, or the path of its folder
    #[arg(value_name = "RUN|DIR")]
    pub first: String,

    /// The other run
    #[arg(value_name = "RUN|DIR")]
    pub second: String,

    /// Also save the pictures and loss curves as one picture
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto runs export --tensorboard curves
  impasto runs export 20260314-09 20260315-21 --tensorboard curves
  tensorboard --logdir curves")]
pub struct ExportArgs {
    /// Names of runs, or paths of their folders [default: the latest run]
    #[arg(value_name = "RUN|DIR")]
    pub runs: Vec<String>,

    /// Write an event file for TensorBoard into DIR/RUN-NAME for each run
    #[arg(long, value_name = "DIR")]
    pub tensorboard: PathBuf,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The runs' names
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["older_than", "keep"])))]
pub struct PruneArgs {
    /// Runs that ended more than DAYS days ago
    #[arg(long, value_name = "DAYS")]
    pub older_than: Option<u32>,

    /// All but the N newest
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Print what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}
