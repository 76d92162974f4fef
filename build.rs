//! Writes the folder of libtorch into the binary as its run-time search path,
//! so that `impasto` starts without any environment variable.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    // torch-sys declares `links = "tch"` and reports where it found libtorch.
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!(
            "cargo:warning=torch-sys did not say where libtorch is; set LD_LIBRARY_PATH to run impasto"
        );
        return;
    };
    // The path may lead through the `.libtorch` link inside this checkout; an
    // installed binary must outlive the checkout, so the real folder is written.
    let folder = Path::new(&folder)
        .canonicalize()
        .map_or(folder, |real| real.display().to_string());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
}
