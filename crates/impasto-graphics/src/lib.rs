//! Pixels to terminal: pictures printed where people look.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod budget;
pub mod cells;
mod palette;
pub mod pixels;
mod print;
pub mod scene;
pub mod terminal;
mod thumbnail;

pub use print::{PrintError, clear, full_screen, print, print_in, print_with};
pub use thumbnail::Thumbnail;
