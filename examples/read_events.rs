//! Reads the events of a run, one JSON object per line, and prints its losses as a
//! table:
//!
//!     impasto run photo.jpg painting.jpg --events - | cargo run --example read_events

use std::error::Error;
use std::io::stdin;

use impasto_core::protocol::Event;

fn main() -> Result<(), Box<dyn Error>> {
    for line in stdin().lines() {
        match serde_json::from_str(&line?)? {
            Event::Started { device, .. } => {
                println!("painting on {device}");
                println!("iteration     content       style       total");
            }
            Event::Step(step) => println!(
                "{:9}  {:10.3e}  {:10.3e}  {:10.3e}",
                step.iteration, step.content, step.style, step.total
            ),
            Event::Finished {
                output: Some(output),
                elapsed,
                ..
            } => println!("saved {} after {elapsed:.1} s", output.display()),
            Event::Failed { message, .. } => println!("failed: {message}"),
            _ => {}
        }
    }
    Ok(())
}
