//! `impasto show`: a picture in the terminal.

use impasto_core::picture;

use crate::cli::ShowArgs;
use crate::outcome::{Failure, Outcome};

pub fn show(args: &ShowArgs) -> Outcome {
    let source = picture::load(&args.image)?;
    impasto_graphics::print(&source.picture).map_err(|why| Failure::Usage(why.to_string()))
}
