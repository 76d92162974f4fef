//! The command line: every command and every flag.

pub mod runs;
pub mod sheet;
pub mod sweep;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use impasto_core::job::{Compute, DeviceChoice, OutputOverrides, PrecisionChoice, Shortage};
use impasto_core::preset::{OutputSettings, Scale};
use impasto_weights::Convention;

use self::runs::RunsCommand;
use self::sheet::SheetArgs;
use self::sweep::{BatchArgs, SweepArgs};
use crate::outcome::Failure;
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
  impasto finish result.png -o print.tif --depth 16 --denoise 0.4
  impasto batch photos night.jpg wave.jpg -o painted
  impasto attach
  impasto runs list

`impasto help COMMAND` describes a command.";

/// Paint one picture in the style of another: neural style transfer from a
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
    /// Show a progress line instead of the dashboard
    #[arg(long)]
    pub headless: bool,

    /// Draw the dashboard with ASCII characters alone
    #[arg(long, help_heading = "Dashboard")]
    pub ascii: bool,

    /// The dashboard's colours
    #[arg(
        long,
        value_enum,
        value_name = "THEME",
        default_value_t,
        env = "IMPASTO_THEME",
        help_heading = "Dashboard"
    )]
    pub theme: Palette,

    /// Do not capture the mouse, so that the terminal can select text
    #[arg(long, help_heading = "Dashboard")]
    pub no_mouse: bool,

    /// How pictures are drawn: auto, pixels (kitty, iTerm2, sixel), or cells,
    /// which need few bytes
    #[arg(
        long,
        value_enum,
        value_name = "WAY",
        default_value_t,
        help_heading = "Dashboard"
    )]
    pub graphics: Mode,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Box<RunArgs>),
    Demo(DemoArgs),
    Sweep(Box<SweepArgs>),
    Batch(Box<BatchArgs>),
    Sheet(SheetArgs),
    Attach(AttachArgs),
    Stop(StopArgs),
    Resume(ResumeArgs),
    #[command(subcommand)]
    Runs(RunsCommand),
    #[command(hide = true)]
    Engine(EngineArgs),
    Finish(FinishArgs),
    Show(ShowArgs),
    #[command(subcommand)]
    Presets(PresetsCommand),
    #[command(subcommand)]
    Weights(WeightsCommand),
    ImportFlags(ImportFlagsArgs),
    Measure(MeasureArgs),
    Bench(BenchArgs),
    Fit(FitArgs),
    /// Check the installation and report what to fix
    #[command(after_help = "\
Example:\n  impasto doctor")]
    Doctor,
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Paint CONTENT in the style of STYLE
///
/// CONTENT, STYLE and MASK are JPEG, PNG, WebP, TIFF or BMP files. The picture is
/// saved when the run ends and also when Ctrl-C ends it early; a PNG carries
/// its recipe in its metadata.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto run photo.jpg painting.jpg
  impasto run photo.jpg painting.jpg -o result.png --size 1024
  impasto run photo.jpg painting.jpg --preset texture --iterations 200
  impasto run photo.jpg painting.jpg --set style.weight=500 --set style.layers.relu3_1=0.5
  impasto run photo.jpg painting.jpg --headless --events - | jq .total
  impasto run photo.jpg night.jpg:0.7 wave.jpg:0.3
  impasto run photo.jpg night.jpg wave.jpg --mask sky.png=night.jpg --mask sea.png=wave.jpg
  impasto run photo.jpg painting.jpg --colour content
  impasto run --recipe result.png photo.jpg painting.jpg -o again.png
  curl -s https://example.org/photo.jpg | impasto run - painting.jpg -o - > result.png")]
pub struct RunArgs {
    /// The content picture: what to paint. - is stdin, here or as one style; a file of
    /// that name is ./-
    pub content: PathBuf,

    /// The style pictures: how to paint it. Several are blended, each with a
    /// weight after a colon: night.jpg:0.7 wave.jpg:0.3
    #[arg(required = true, value_name = "STYLE[:WEIGHT]")]
    pub styles: Vec<PathBuf>,

    /// Paint the white part of a greyscale picture with one of the styles,
    /// given by its path, name or number; STYLE:REGION takes only a part of that
    /// style. What no mask covers stays as in the content, unless a style has no
    /// mask. Can be repeated
    #[arg(long = "mask", value_name = "MASK=STYLE[:REGION]")]
    pub masks: Vec<String>,

    /// Where the colours come from: style, content, luminance, match-cholesky,
    /// match-pca, match-symmetric or match-histogram; the same as --set colour=MODE
    #[arg(long, value_name = "MODE")]
    pub colour: Option<String>,

    /// Resize the styles to this multiple of the picture's size, 0.1 to 4; small:
    /// fine strokes. The same as --set style.scale=N
    #[arg(long, value_name = "N")]
    pub style_scale: Option<f64>,

    /// Where to save the picture: .png, .jpg, .webp, .tif or .bmp; - writes a PNG to
    /// stdout when the run ends [default: CONTENT-STYLE.png here, with a number if that
    /// exists]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub preset: PresetArgs,

    /// Use the recipe inside a PNG painted by impasto instead of a preset
    #[arg(long, value_name = "PICTURE.png", conflicts_with = "preset")]
    pub recipe: Option<PathBuf>,

    /// Long side of the last scale in pixels; earlier scales
    /// change in proportion
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub size: Option<u32>,

    /// Long side of the last scale in inches, at the dots per inch of --dpi, else of the
    /// preset, else 300
    #[arg(long, value_name = "INCHES", conflicts_with = "size", value_parser = number_within::<0, 1000>)]
    pub inches: Option<f64>,

    /// Iterations at every scale
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub iterations: Option<u32>,

    /// Seed of the noise that `start: noise` and `start_noise` use
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub written: OutputArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub keep: KeepArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,

    /// Append events as JSON lines to FILE, or print them with - instead of the
    /// dashboard: started, step, finished, failed and others
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
}

/// The dots per inch of a print whose size is given without them.
const DEFAULT_DPI: f64 = 300.0;

impl RunArgs {
    /// Every change to the preset, in order.
    pub fn all_settings(&self) -> Vec<String> {
        let mut settings = self.preset.all_settings();
        settings.extend(self.colour.iter().map(|colour| format!("colour={colour}")));
        settings.extend(
            self.style_scale
                .iter()
                .map(|scale| format!("style.scale={scale}")),
        );
        settings
    }

    /// The long side in pixels of a print of --inches, where they are given, and its dots
    /// per inch: those of these settings, if they have any.
    ///
    /// # Errors
    /// When a print would have too few or too many pixels.
    pub fn print(&self, settings: &OutputSettings) -> Result<Option<(u32, f64)>, Failure> {
        let Some(inches) = self.inches else {
            return Ok(None);
        };
        let dpi = match settings.dpi > 0.0 {
            true => settings.dpi,
            false => DEFAULT_DPI,
        };
        let pixels = (inches * dpi).round();
        if !(f64::from(Scale::MIN_SIZE)..=f64::from(Scale::MAX_SIZE)).contains(&pixels) {
            return Err(Failure::Usage(format!(
                "{inches} inches at {dpi} dots per inch are {pixels} pixels; the long side can \
                 have {} to {}",
                Scale::MIN_SIZE,
                Scale::MAX_SIZE
            )));
        }
        Ok(Some((pixels as u32, dpi)))
    }
}

/// Where a run is kept, and what becomes of it without a terminal.
#[derive(Clone, Debug, Args)]
pub struct KeepArgs {
    /// Keep the run in this folder, which must be new or empty [default: a new
    /// folder, listed by `impasto runs list`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,

    /// When the terminal closes: continue in the background (detach), or save
    /// the picture and end (stop)
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
    /// The run's name, as `impasto runs list` shows it, or a unique prefix of it
    /// [default: the latest suitable run]
    #[arg(conflicts_with = "run_dir")]
    pub run: Option<String>,

    /// The run's folder, where it was made with --run-dir
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// Open the dashboard of a running run
///
/// Several terminals can attach: the first controls the run, the others watch.
/// `q` detaches or stops the run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto attach
  impasto attach 20260314-092653-photo-painting
  impasto attach --watch")]
pub struct AttachArgs {
    #[command(flatten)]
    pub which: WhichRun,

    /// Only watch, even if nobody controls the run
    #[arg(long)]
    pub watch: bool,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Stop a running run and save its picture
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto stop
  impasto stop 20260314-092653-photo-painting")]
pub struct StopArgs {
    #[command(flatten)]
    pub which: WhichRun,
}

/// Resume an interrupted or stopped run from its last checkpoint
///
/// A checkpoint is written every few seconds. On the CPU the result is
/// identical to that of an uninterrupted run.
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

    /// Append events as JSON lines to FILE, or print them with -
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Save the picture as FILE instead of the run's own output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the run's output file even if this run did not write it; without
    /// this option you are asked
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

    /// Set one key of the preset, such as style.layers.relu3_1=0.5 or
    /// start=noise; can be repeated
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

    /// Number format of the network: float32, bfloat16, tf32 (NVIDIA GPUs), or
    /// auto, the fastest with the same losses on this device
    #[arg(long, value_enum, value_name = "PRECISION", default_value_t)]
    pub precision: PrecisionChoice,

    /// Split the picture into tiles with this side length [default: as few tiles
    /// as memory allows]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=16384))]
    pub tile: Option<u32>,

    /// What to do when memory runs out
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
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

/// Paint a bundled photograph in the style of a bundled painting
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto demo
  impasto demo -o first-light.png --device cpu")]
pub struct DemoArgs {
    /// Where to save the picture; - writes a PNG to stdout when the run ends [default:
    /// impasto-demo.png here, with a number if that exists]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub keep: KeepArgs,

    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// How the file of a picture is written.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputArgs {
    /// Bits a channel: 8, or 16 for PNG and TIFF
    #[arg(long, value_name = "BITS", value_parser = ["8", "16"], help_heading = "Output")]
    pub depth: Option<String>,

    /// Quality of a JPEG, 1 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Output")]
    pub quality: Option<u32>,

    /// Dots per inch, written into the file for printing
    #[arg(long, value_name = "DPI", value_parser = number_within::<1, 10_000>, help_heading = "Output")]
    pub dpi: Option<f64>,
}

impl From<&OutputArgs> for OutputOverrides {
    fn from(args: &OutputArgs) -> Self {
        Self {
            // One of two words.
            depth: args.depth.as_deref().and_then(|depth| depth.parse().ok()),
            quality: args.quality,
            dpi: args.dpi,
        }
    }
}

/// A number between two bounds.
fn number_within<const LEAST: i64, const MOST: i64>(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (LEAST as f64..=MOST as f64).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {LEAST} to {MOST}")),
    }
}

/// Finish a painted picture: noise, colours, edges, grain
///
/// Changes a picture without painting again. The same can be done in a preset's section
/// `finish`, also while a picture is painted. All numbers are 0 unless given: no
/// change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto finish result.png -o print.tif --depth 16 --dpi 300 --denoise 0.4
  impasto finish result.png -o soft.png --saturation -0.3 --grain 0.2
  impasto finish result.png -o kept.png --match-colours 0.7 --content photo.jpg
  impasto finish 20260314-092653-photo-painting --sharpen 0.5
  impasto run photo.jpg painting.jpg -o - | impasto finish - -o soft.png --grain 0.2")]
pub struct FinishArgs {
    /// A picture, - for one from stdin, or the name of a run whose picture is meant
    #[arg(value_name = "PICTURE|RUN")]
    pub picture: PathBuf,

    /// Where to save the picture; - writes a PNG to stdout. Its depth, quality and dots per
    /// inch are those of the painting's recipe unless given [default:
    /// PICTURE-finished.png here, with a number if that exists]
    #[arg(short, long = "output", value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Noise reduction that keeps strokes, 0 to 1
    #[arg(long, value_name = "N", default_value_t, value_parser = number_within::<0, 1>)]
    pub denoise: f64,

    /// How far the colours go to those of the content, 0 to 1
    #[arg(long, value_name = "N", default_value_t, value_parser = number_within::<0, 1>)]
    pub match_colours: f64,

    /// The content picture for --match-colours [default: that of the run]
    #[arg(long, value_name = "PICTURE")]
    pub content: Option<PathBuf>,

    /// -1 (darker) to 1 (lighter)
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true, value_parser = number_within::<-1, 1>)]
    pub brightness: f64,

    /// -1 (none) to 1 (double)
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true, value_parser = number_within::<-1, 1>)]
    pub contrast: f64,

    /// -1 (grey) to 1 (double)
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true, value_parser = number_within::<-1, 1>)]
    pub saturation: f64,

    /// Sharper edges, 0 to 2
    #[arg(long, value_name = "N", default_value_t, value_parser = number_within::<0, 2>)]
    pub sharpen: f64,

    /// Film grain, 0 to 1
    #[arg(long, value_name = "N", default_value_t, value_parser = number_within::<0, 1>)]
    pub grain: f64,

    #[command(flatten)]
    pub output: OutputArgs,
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
    /// Print the folder for your own presets
    Path,
}

/// List, fetch and import networks
///
/// VGG-16 is part of the program. Use other networks by the name under which they were
/// fetched or imported: `network: NAME` in a preset, or --network NAME.
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
    /// Verify installed networks by reading them completely
    Verify {
        /// A network's name [default: all installed networks]
        name: Option<String>,
    },
    /// Print the folder where networks are installed
    Path,
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// The network's name, from `impasto weights list`; with --from, a name of
    /// your choice
    pub name: String,

    /// Fetch from this address or file
    #[arg(long, value_name = "URL|FILE")]
    pub from: Option<String>,

    /// The network's input convention if its file does not state it:
    /// bgr-minus-mean or rgb-imagenet
    #[arg(long, value_name = "CONVENTION")]
    pub convention: Option<Convention>,

    /// Replace an installed network of that name
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file to read; only its convolutions are used
    pub file: PathBuf,

    /// A name for the network [default: the file name without its extension]
    #[arg(long)]
    pub name: Option<String>,

    /// The network's input convention if its file does not state it:
    /// bgr-minus-mean or rgb-imagenet
    #[arg(long, value_name = "CONVENTION")]
    pub convention: Option<Convention>,

    /// Replace an installed network of that name
    #[arg(long)]
    pub replace: bool,
}

/// Turn a command line of neural-style into a preset
///
/// Reads the flags of jcjohnson/neural-style (neural_style.lua) and
/// ProGamerGov/neural-style-pt (neural_style.py) and prints a preset with the same losses,
/// size and iterations. What has no exact equivalent is noted on stderr. Nothing is executed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto import-flags 'python neural_style.py -style_weight 500 -image_size 768'
  impasto import-flags -o soft.yaml -- th neural_style.lua -tv_weight 0 -pooling avg
  impasto run photo.jpg painting.jpg --preset soft.yaml")]
pub struct ImportFlagsArgs {
    /// The command line as one argument, in quotes
    #[arg(
        required_unless_present = "words",
        conflicts_with = "words",
        allow_hyphen_values = true
    )]
    pub command: Option<String>,

    /// The command line without quotes around it
    #[arg(last = true, value_name = "WORD")]
    pub words: Vec<String>,

    /// Where to save the preset, a new file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Measure the losses of any picture
///
/// CONTENT is resized to the size of IMAGE, and the long side of each STYLE to the long
/// side of IMAGE, times the preset's `style.scale`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto measure result.png photo.jpg painting.jpg
  impasto measure result.png photo.jpg painting.jpg --preset neural-style --json
  impasto measure result.png photo.jpg painting.jpg --scores
  impasto run photo.jpg painting.jpg -o - | impasto measure - photo.jpg painting.jpg")]
pub struct MeasureArgs {
    /// The picture to measure; - is stdin, here or for one of the others
    pub image: PathBuf,

    /// The content picture
    pub content: PathBuf,

    /// The style pictures, as for `impasto run`
    #[arg(required = true, value_name = "STYLE[:WEIGHT]")]
    pub styles: Vec<PathBuf>,

    /// A mask, as for `impasto run`; can be repeated
    #[arg(long = "mask", value_name = "MASK=STYLE[:REGION]")]
    pub masks: Vec<String>,

    #[command(flatten)]
    pub preset: PresetArgs,

    #[command(flatten)]
    pub device: DeviceArgs,

    /// Also print scores that no preset optimises: distances of VGG-16's features and
    /// of colours to the style and to the content. Lower is closer
    #[arg(long)]
    pub scores: bool,

    /// Print JSON: each layer's loss before weights, smoothness, and the
    /// weighted total
    #[arg(long)]
    pub json: bool,
}

/// Benchmark painting on this machine
///
/// Paints the bundled pictures, resized to squares, with the preset neural-style and
/// Adam unless flags change that. Times are medians after a warm-up; operations are
/// counted, not measured.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto bench
  impasto bench --sizes 256,512,1024 --precision float32
  impasto bench --sizes 512 --set optimizer=lbfgs --json")]
pub struct BenchArgs {
    /// Side lengths of the square pictures, in pixels
    #[arg(long, value_name = "PIXELS,…", value_delimiter = ',', default_value = "256,512",
        value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub sizes: Vec<u32>,

    /// Iterations to time [default: a few seconds' worth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub iterations: Option<u32>,

    #[command(flatten)]
    pub preset: PresetArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,

    /// Print a JSON array with one object per timing
    #[arg(long)]
    pub json: bool,
}

/// Estimate which sizes fit into memory
///
/// The memory that painting needs is computed and compared with the free memory. A
/// picture that does not fit as a whole is painted in tiles, with the same losses;
/// tiles overlap and take longer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto fit
  impasto fit photo.jpg --preset poster
  impasto fit --memory 16 --set optimizer=adam --json")]
pub struct FitArgs {
    /// A picture whose aspect ratio is used [default: 4:3]
    pub content: Option<PathBuf>,

    /// Sizes to estimate: the long side in pixels
    #[arg(long, value_name = "PIXELS,…", value_delimiter = ',', default_value = "512,1024,2048,4096,8192",
        value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub sizes: Vec<u32>,

    /// Assume this many gigabytes of memory instead of what is free
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

/// Print the manual page of impasto or of one command
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
