//! What the tests of the worker share.

use std::path::PathBuf;
use std::time::Duration;

use impasto_core::picture::{Picture, Source};

/// Longer than any answer takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A made-up picture; `factor` makes one differ from another.
pub fn source(name: &str, width: u32, height: u32, factor: u32) -> Source {
    let bytes: Vec<u8> = (0..3 * width * height)
        .map(|index| (index * factor % 251) as u8)
        .collect();
    Source {
        picture: Picture::from_rgb8(width, height, &bytes).expect("a picture"),
        path: PathBuf::from(name),
        sha256: "0".repeat(64),
    }
}
