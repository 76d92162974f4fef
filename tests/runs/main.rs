//! `impasto runs …`, and `attach`, `stop` and `resume` at the command line,
//! driven as a user does: on runs that were really painted, small as they are.

mod choosing;
#[path = "../common/mod.rs"]
mod common;
mod comparing;
mod listing;
mod removing;
mod steering;
mod store;
mod terminal;
