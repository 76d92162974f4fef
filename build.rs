//! Writes the folder of libtorch into the binary as its run-time search path, so
//! that `impasto` starts without any environment variable.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The engine's build script says where libtorch is.
    if let Ok(folder) = std::env::var("DEP_IMPASTO_ENGINE_LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
