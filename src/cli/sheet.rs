//! The contact sheet of a sweep or of runs.

use std::path::PathBuf;

use clap::Args;

/// Make a contact sheet of a sweep or of runs
///
/// A grid keeps its axes: contents and styles with their pictures, and the varied
/// keys. The HTML page is one file without scripts; it shows the losses, the scores
/// and the recipe of each picture, and links to it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  impasto sheet weights -o sheet.png
  impasto sheet weights -o weights/sheet.html
  impasto sheet 20260314-09 20260315-21 -o both.png --title 'Two weights'
  impasto sheet *.png -o all.jpg --cell 200")]
pub struct SheetArgs {
    /// The folder of a sweep; or runs, by their names or folders; or pictures
    #[arg(required = true, value_name = "SWEEP|RUN|PICTURE")]
    pub sources: Vec<PathBuf>,

    /// Where to save the sheet: .html, .png, .jpg, .webp, .tif or .bmp
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Long side of each picture in the sheet in pixels [default: 256, less for more
    /// than 600 pictures]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub cell: Option<u32>,

    /// What is written above the pictures [default: the name of the sweep's folder]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}
