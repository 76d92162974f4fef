//! Pixels to terminal: pictures printed where people look.

pub mod budget;
pub mod cells;
pub mod pane;
mod pixels;
mod print;
mod scene;
pub mod terminal;

pub use print::{PrintError, print};
