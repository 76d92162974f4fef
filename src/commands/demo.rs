//! `impasto demo`: the bundled photograph in the manner of the bundled
//! painting.

use std::path::Path;

use super::Outcome;
use super::run::unused_name;
use crate::cli::DemoArgs;
use crate::headless;
use crate::job::Job;
use crate::picture::{self, check_destination};
use crate::preset::Library;

static CONTENT: &[u8] = include_bytes!("../../assets/china.jpg");
static STYLE: &[u8] = include_bytes!("../../assets/night.jpg");

pub fn demo(args: &DemoArgs) -> Outcome {
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| unused_name("impasto-demo"));
    check_destination(&output)?;
    let job = Job {
        preset: Library::open().find("demo")?,
        content: picture::load_bytes(CONTENT, Path::new("china.jpg"))?,
        style: picture::load_bytes(STYLE, Path::new("night.jpg"))?,
        start: None,
        device: args.device.device,
        output,
    };
    job.check()?;
    headless::paint(job, None)
}
