//! `impasto show`: a picture in the terminal.

use super::{Failure, Outcome};
use crate::cli::ShowArgs;
use crate::picture;
use crate::preview;

pub fn show(args: &ShowArgs) -> Outcome {
    let source = picture::load(&args.image)?;
    preview::print(&source.picture).map_err(|why| Failure::Usage(why.to_string()))
}
