//! Paints a picture with the engine crate, without a terminal or a run folder:
//!
//!     cargo run --release --example paint -- photo.jpg painting.jpg result.png

use std::error::Error;
use std::path::PathBuf;

use impasto_core::job::{Compute, Overrides, PictureFile, Plan};
use impasto_core::picture;
use impasto_core::preset::Library;
use impasto_engine::painter::Painter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = || paths.next().ok_or("usage: paint CONTENT STYLE OUTPUT");
    let plan = Plan {
        content: PictureFile::At(next()?),
        style: PictureFile::At(next()?),
        more_styles: Vec::new(),
        output: next()?,
        preset: Library::open().find("quick")?,
        compute: Compute::default(),
        preset_name: None,
        overrides: Overrides::default(),
    };
    let output = plan.output.clone();
    let mut painter = Painter::new(plan.load(&mut |_| {})?, &mut |what| println!("{what}"))?;
    while !painter.is_finished() {
        if painter.scale_due().is_some() {
            painter.begin_scale(&mut |what| println!("{what}"))?;
        }
        for step in painter.step()?.steps {
            println!("{:4}  {:.4e}", step.iteration, step.total);
        }
    }
    painter.drain()?;
    if let Some(picture) = painter.picture()? {
        picture::save(&picture, &output, None)?;
    }
    Ok(())
}
