//! Pixels to terminal: pictures printed where people look.

mod print;
pub mod terminal;

pub use print::{PrintError, print};
