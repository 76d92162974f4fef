//! Writes the folder of libtorch into this crate's tests as their run-time search
//! path, passes it to the build scripts of the crates that depend on this one (as
//! `DEP_IMPASTO_ENGINE_LIBTORCH`), and compiles the C++ files of `accelerator`.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    // torch-sys declares `links = "tch"` and reports where it found libtorch.
    let library = std::env::var("DEP_TCH_LIBTORCH_LIB").ok();
    compile_accelerator(library.as_deref());
    compile_emulation();
    let Some(folder) = library else {
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
    println!("cargo:libtorch={folder}");
}

/// Compiles the CUDA kernels for the CPU: for tests alone, the linker leaves them
/// out of everything else.
fn compile_emulation() {
    println!("cargo:rerun-if-changed=src/cuda/emulation.cpp");
    println!("cargo:rerun-if-changed=src/cuda/kernels");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .file("src/cuda/emulation.cpp")
        .compile("impasto_cuda_emulation");
}

/// Compiles the C++ files with the headers, and for the C++ library, that
/// torch-sys compiles its own with. libtorch itself is linked by torch-sys.
fn compile_accelerator(library: Option<&str>) {
    const ROOM: &str = "src/accelerator";
    let [shim, graph, guarded] =
        ["shim.cpp", "graph.cpp", "guarded.h"].map(|name| format!("{ROOM}/{name}"));
    for file in [&shim, &graph, &guarded] {
        println!("cargo:rerun-if-changed={file}");
    }
    let variable = |name: &str| {
        println!("cargo:rerun-if-env-changed={name}");
        std::env::var(name).ok()
    };
    // Where torch-sys looks; by default the headers lie beside the libraries.
    let beside = library.and_then(|library| Path::new(library).parent());
    let folders = [
        variable("LIBTORCH_INCLUDE").map(PathBuf::from),
        beside.map(Path::to_owned),
        variable("LIBTORCH").map(PathBuf::from),
    ];
    let headers = folders
        .into_iter()
        .flatten()
        .map(|folder| folder.join("include"))
        .find(|headers| headers.join("ATen/Context.h").exists());
    let abi = variable("LIBTORCH_CXX11_ABI").unwrap_or_else(|| "1".to_owned());
    let mut build = cc::Build::new();
    if let Some(headers) = headers {
        build.include(&headers);
    }
    build
        .cpp(true)
        .std("c++17")
        .pic(true)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .files([shim, graph])
        .compile("impasto_accelerator");
}
