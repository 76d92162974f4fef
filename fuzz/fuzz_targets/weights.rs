//! Any bytes as a weights file: an error or tensors, never a crash and never
//! more memory than a few times the file.
//!
//!     cargo install cargo-fuzz
//!     mkdir -p fuzz/corpus/weights && cp tests/weights/*.pth tests/weights/*.safetensors fuzz/corpus/weights
//!     cargo +nightly fuzz run weights -- -malloc_limit_mb=16

#![no_main]

use std::io::Cursor;

use impasto_weights::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut archive) = Archive::open(Cursor::new(bytes)) {
        for tensor in archive.tensors.clone() {
            let _ = archive.values(&tensor);
        }
    }
});
