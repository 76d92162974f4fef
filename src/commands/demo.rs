//! `impasto demo`: the bundled photograph in the manner of the bundled
//! painting.

use super::Outcome;
use super::run::{paint, unused_name};
use crate::cli::DemoArgs;
use crate::job::{Overrides, PictureFile, Plan};
use crate::preset::Library;

static CONTENT: &[u8] = include_bytes!("../../assets/china.jpg");
static STYLE: &[u8] = include_bytes!("../../assets/night.jpg");

pub fn demo(args: &DemoArgs) -> Outcome {
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| unused_name("impasto-demo"));
    let plan = Plan {
        preset: Library::open().find("demo")?,
        content: PictureFile::Bundled("china.jpg", CONTENT),
        style: PictureFile::Bundled("night.jpg", STYLE),
        device: args.device.device,
        output,
        preset_name: None,
        overrides: Overrides::default(),
    };
    paint(plan, &args.screen, None)
}
