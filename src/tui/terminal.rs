//! The dashboard's hold on the terminal: the screen it draws on, and what
//! comes in from the keyboard and from other processes.

mod bounded;
mod crash;
mod input;
mod screen;
mod signals;

pub use input::{Input, InputEvent};
pub use screen::{Backend, Screen, restore, with_stdout};
