//! The command line: every command and every flag.

pub mod runs;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use impasto_core::job::{Compute, DeviceChoice, PrecisionChoice, Shortage};
use impasto_weights::Convention;

use self::runs::RunsCommand;
use crate::tui::pane::Mode;
use crate::tui::theme::Palette;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());

const AFTER: &str = "\
Exit codes:
  0    done
  1    failed
  2    wrong usage, preset or file
  130  stopped by Ctrl-C; the picture so far is saved first

Examples:
  impasto
  impasto demo
  impasto run photo.jpg painting.jpg
  impasto run photo.jpg painting.jpg -o result.png --preset bold --size 768
  impasto attach
  impasto runs list

`impasto help COMMAND` describes a command.";

/// Paint one picture in the manner of another: neural style transfer from a
/// terminal.
///
/// Without a command it opens a start screen, to choose two pictures and a
/// preset.
#[derive(Debug, Parser)]
#[command(name = "impasto", version, about, max_term_width = 100, styles = STYLES, after_help = AFTER)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub start: StartArgs,
}

/// What the start screen takes.
#[derive(Debug, Args)]
pub struct StartArgs {
    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// How the dashboard looks.
#[derive(Debug, Args)]
pub struct ScreenArgs {
    /// Show a progress line rather than the dashboard
    #[arg(long)]
    pub headless: bool,

    /// Draw the dashboard with ASCII characters alone
    #[arg(long, help_heading = "Dashboard")]
    pub ascii: bool,

    /// The dashboard's colours
    #[arg(
        long,
        value_name = "THEME",
        default_value_t,
        env = "IMPASTO_THEME",
        help_heading = "Dashboard"
    )]
    pub theme: Palette,

    /// Leave the mouse to the terminal, to select text with
    #[arg(long, help_heading = "Dashboard")]
    pub no_mouse: bool,

    /// How pictures are drawn: auto, pixels where the terminal has them, or
    /// cells, which take few bytes
    #[arg(long, value_name = "WAY", default_value_t, help_heading = "Dashboard")]
    pub graphics: Mode,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(RunArgs),
    Demo(DemoArgs),
    Attach(AttachArgs),
    Stop(StopArgs),
    Resume(ResumeArgs),
    #[command(subcommand)]
    Runs(RunsCommand),
    #[command(hide = true)]
    Engine(EngineArgs),
    Show(ShowArgs),
    #[command(subcommand)]
    Presets(PresetsCommand),
    #[command(subcommand)]
    Weights(WeightsCommand),
    Measure(MeasureArgs),
    Bench(BenchArgs),
    Fit(FitArgs),
    /// Tell what is here, what is wrong and how to mend it
    #[command(after_help = "\
Example:\n  impasto doctor")]
    Doctor,
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Paint CONTENT in the manner of STYLE
///
/// CONTENT and STYLE are JPEG, PNG, WebP, TIFF or BMP files. The picture is
/// saved when the run ends and also when Ctrl-C ends it early; a PNG carries
/// the recipe it was painted by in its metadata.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto run photo.jpg painting.jpg
  impasto run photo.jpg painting.jpg -o result.png --size 1024
  impasto run photo.jpg painting.jpg --preset texture --iterations 200
  impasto run photo.jpg painting.jpg --set style.weight=500 --set style.layers.relu3_1=0.5
  impasto run photo.jpg painting.jpg --headless --events - | jq .total
  impasto run --recipe result.png photo.jpg painting.jpg -o again.png")]
pub struct RunArgs {
    /// The picture that says what to paint
    pub content: PathBuf,

    /// The picture that says how to paint
    pub style: PathBuf,

    /// Where to save the picture: .png, .jpg, .webp, .tif or .bmp [default:
    /// CONTENT-STYLE.png here, with a number if that exists]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub preset: PresetArgs,

    /// Paint again by the recipe inside a PNG that impasto made, in place of a
    /// preset
    #[arg(long, value_name = "PICTURE.png", conflicts_with = "preset")]
    pub recipe: Option<PathBuf>,

    /// Long side of the last scale in pixels; the scales before it shrink or
    /// grow with it
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub size: Option<u32>,

    /// Iterations of every scale
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub iterations: Option<u32>,

    /// Seed of the noise that a preset with `start: noise` begins with
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub keep: KeepArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,

    /// Append one JSON object a line to FILE, or print them with - in place of
    /// the dashboard: started, step, finished, failed and a few more
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
}

/// Where a run is kept, and what becomes of it without a terminal.
#[derive(Clone, Debug, Args)]
pub struct KeepArgs {
    /// Keep the run in this folder, which must be new or empty [default: one of
    /// its own among `impasto runs list`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,

    /// When the terminal goes away: paint on (detach), or save the picture so
    /// far and end (stop)
    #[arg(long, value_name = "WAY", default_value = "detach")]
    pub on_hangup: OnHangup,
}

/// What a run does when its terminal goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnHangup {
    Detach,
    Stop,
}

/// Which run a command is about.
#[derive(Clone, Debug, Args)]
pub struct WhichRun {
    /// The run's name, as `impasto runs list` shows it, or a beginning that no
    /// other has [default: the latest that fits]
    #[arg(conflicts_with = "run_dir")]
    pub run: Option<String>,

    /// The run's folder, where it was made with --run-dir
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// Open the dashboard on a run that is being painted
///
/// Any number of terminals may be attached: the first steers, the others watch.
/// `q` leaves the run painting, or stops it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto attach
  impasto attach 20260314-092653-photo-painting
  impasto attach --watch")]
pub struct AttachArgs {
    #[command(flatten)]
    pub which: WhichRun,

    /// Only watch, also when nobody else steers
    #[arg(long)]
    pub watch: bool,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// End a run that is being painted, with its picture saved
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto stop
  impasto stop 20260314-092653-photo-painting")]
pub struct StopArgs {
    #[command(flatten)]
    pub which: WhichRun,
}

/// Go on with a run that was interrupted or stopped, from its last checkpoint
///
/// A checkpoint is written every few seconds. On the CPU the picture becomes
/// the one that the unbroken run would have painted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto resume
  impasto resume 20260314-092653-photo-painting --headless")]
pub struct ResumeArgs {
    #[command(flatten)]
    pub which: WhichRun,

    #[command(flatten)]
    pub screen: ScreenArgs,

    /// Append one JSON object a line to FILE, or print them with -
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Save the picture as FILE rather than where the run has it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the file where the run saves its picture, even if this run did not
    /// write it; without this you are asked
    #[arg(long, conflicts_with = "output")]
    pub replace: bool,
}

/// Paint a run without a front end
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The run's folder [default: read from stdin]
    pub folder: Option<PathBuf>,

    /// The device to get ready before the folder is known
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
}

#[derive(Clone, Debug, Args)]
pub struct PresetArgs {
    /// A preset's name (see `impasto presets list`) or a YAML file
    #[arg(short, long, value_name = "NAME|FILE")]
    pub preset: Option<String>,

    /// The network, as `impasto weights list` names it: the same as
    /// --set network=NAME
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,

    /// Change one key of the preset, such as style.layers.relu3_1=0.5 or
    /// start=noise; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

impl PresetArgs {
    /// Every change to the preset, in order. The network comes first: it says
    /// which layers there are.
    pub fn all_settings(&self) -> Vec<String> {
        let network = self.network.iter().map(|name| format!("network={name}"));
        network.chain(self.settings.iter().cloned()).collect()
    }
}

#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
}

/// Where and how a run computes.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    #[command(flatten)]
    pub device: DeviceArgs,

    /// What the network computes in: float32, bfloat16, tf32 (NVIDIA GPUs), or
    /// auto, the fastest of them that brings the same losses on the device
    #[arg(long, value_name = "PRECISION", default_value_t)]
    pub precision: PrecisionChoice,

    /// Pass the picture through the network in tiles of so many pixels on each
    /// side [default: as few tiles as memory allows]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=16384))]
    pub tile: Option<u32>,

    /// What to do should memory run out: go on in smaller tiles (tile), and if
    /// that is not enough at a smaller size (shrink), or end with the picture so
    /// far (stop)
    #[arg(long, value_name = "WAY", default_value_t)]
    pub out_of_memory: Shortage,
}

impl From<&ComputeArgs> for Compute {
    fn from(args: &ComputeArgs) -> Self {
        Self {
            device: args.device.device,
            precision: args.precision,
            tile: args.tile,
            shortage: args.out_of_memory,
        }
    }
}

/// Paint a bundled photograph in the manner of a bundled painting
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto demo
  impasto demo -o first-light.png --device cpu")]
pub struct DemoArgs {
    /// Where to save the picture [default: impasto-demo.png here, with a
    /// number if that exists]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub keep: KeepArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Show a picture in the terminal
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impasto show result.png")]
pub struct ShowArgs {
    pub image: PathBuf,
}

/// List, show and check presets
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  impasto presets list
  impasto presets show gatys > ~/.config/impasto/presets/mine.yaml
  impasto presets check mine.yaml")]
pub enum PresetsCommand {
    /// List every preset with its description
    List,
    /// Print a preset as YAML, comments included
    Show {
        /// A preset's name or a YAML file
        name: String,
    },
    /// Check preset files; mistakes are reported with line and column
    Check {
        /// YAML files or names
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Print the folder where presets of your own are found
    Path,
}

/// List, fetch and import networks
///
/// VGG-16 is part of the program. What is fetched or imported under a name is a
/// network by that name: `network: NAME` in a preset, or --network NAME.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  impasto weights fetch vgg19
  impasto run photo.jpg painting.jpg --network vgg19
  impasto weights import ~/models/vgg19-d01eb7cb.pth --name caffe19 --convention bgr-minus-mean
  impasto weights fetch vgg19 --from https://example.org/vgg19.safetensors")]
pub enum WeightsCommand {
    /// List every network: built in, installed, and those that can be fetched
    List,
    /// Fetch a network and install it
    Fetch(FetchArgs),
    /// Install a network from a file: safetensors, or PyTorch's .pth and .pt
    Import(ImportArgs),
    /// Read installed networks whole and check them
    Verify {
        /// A network's name; all that are installed if left out
        name: Option<String>,
    },
    /// Print the folder where networks are installed
    Path,
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// What to fetch, as `impasto weights list` names it; with --from, what to
    /// call it
    pub name: String,

    /// Fetch from this address or file
    #[arg(long, value_name = "URL|FILE")]
    pub from: Option<String>,

    /// What the network expects as its input, where its file does not say:
    /// bgr-minus-mean or rgb-imagenet
    #[arg(long, value_name = "CONVENTION")]
    pub convention: Option<Convention>,

    /// Replace an installed network of that name
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file to read; no more than its convolutions is taken from it
    pub file: PathBuf,

    /// What to call the network [default: the file's name without its extension]
    #[arg(long)]
    pub name: Option<String>,

    /// What the network expects as its input, where its file does not say:
    /// bgr-minus-mean or rgb-imagenet
    #[arg(long, value_name = "CONVENTION")]
    pub convention: Option<Convention>,

    /// Replace an installed network of that name
    #[arg(long)]
    pub replace: bool,
}

/// Measure the losses of any picture
///
/// Nothing is resized where the three pictures have one size. Otherwise CONTENT
/// takes IMAGE's size and STYLE's long side IMAGE's long side.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto measure result.png photo.jpg painting.jpg
  impasto measure result.png photo.jpg painting.jpg --preset neural-style --json")]
pub struct MeasureArgs {
    /// The picture to measure
    pub image: PathBuf,

    /// What it should show
    pub content: PathBuf,

    /// How it should look
    pub style: PathBuf,

    #[command(flatten)]
    pub preset: PresetArgs,

    #[command(flatten)]
    pub device: DeviceArgs,

    /// Print JSON: each layer's loss before weights, smoothness, and the
    /// weighted total
    #[arg(long)]
    pub json: bool,
}

/// Time the loop that paints, on this machine
///
/// Paints the bundled pictures, pressed into squares, by the preset
/// neural-style with Adam, or as the flags say. Times are medians of steady
/// iterations; operations are counted, not measured.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto bench
  impasto bench --sizes 256,512,1024 --precision float32
  impasto bench --sizes 512 --set optimizer=lbfgs --json")]
pub struct BenchArgs {
    /// Sizes in pixels, of pictures as high as they are wide
    #[arg(long, value_name = "PIXELS,…", value_delimiter = ',', default_value = "256,512",
        value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub sizes: Vec<u32>,

    /// Iterations to time [default: as many as a few seconds hold]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub iterations: Option<u32>,

    #[command(flatten)]
    pub preset: PresetArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,

    /// Print a JSON array with an object for every timing
    #[arg(long)]
    pub json: bool,
}

/// Tell which sizes fit into memory
///
/// What painting takes is computed, and compared with what is free. A picture
/// that is too large for one piece is painted in tiles, with the same losses,
/// by itself; tiles look at some pixels twice and take longer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto fit
  impasto fit photo.jpg --preset poster
  impasto fit --memory 16 --set optimizer=adam --json")]
pub struct FitArgs {
    /// A picture whose shape counts [default: 4 to 3]
    pub content: Option<PathBuf>,

    /// Sizes to estimate: the long side in pixels
    #[arg(long, value_name = "PIXELS,…", value_delimiter = ',', default_value = "512,1024,2048,4096,8192",
        value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub sizes: Vec<u32>,

    /// Count with so many gigabytes rather than with what is free here
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    pub memory: Option<f64>,

    #[command(flatten)]
    pub preset: PresetArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// An amount of memory that a machine may have.
fn gigabytes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.001..1e6).contains(&number) => Ok(number),
        _ => Err("expected a number of gigabytes, such as 16".to_owned()),
    }
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impasto completions bash > ~/.local/share/bash-completion/completions/impasto")]
pub struct CompletionsArgs {
    pub shell: Shell,
}

/// Print the manual page, of one command if it is named
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto man | man -l -
  impasto man run > impasto-run.1")]
pub struct ManArgs {
    /// run, demo, presets …
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_described() {
        for command in Cli::command().get_subcommands() {
            assert!(
                command.get_about().is_some(),
                "{} has no description",
                command.get_name()
            );
        }
    }
}
