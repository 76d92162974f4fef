//! `impasto demo`: the bundled photograph in the style of the bundled
//! painting.

use impasto_core::job::{Overrides, Plan};
use impasto_core::preset::Library;

use super::run::paint;
use crate::assets;
use crate::cli::DemoArgs;
use crate::outcome::Outcome;
use crate::output_name::unused_name;

pub fn demo(args: &DemoArgs) -> Outcome {
    let preset = Library::open().find("demo")?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => unused_name("impasto-demo")?,
    };
    let plan = Plan {
        preset,
        content: assets::PHOTOGRAPH,
        style: assets::PAINTING,
        more_styles: Vec::new(),
        compute: (&args.compute).into(),
        output,
        preset_name: None,
        overrides: Overrides::default(),
    };
    paint(plan, &args.keep, &args.screen, None)
}
