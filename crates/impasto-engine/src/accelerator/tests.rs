//! What the tests of this module share, and what holds for its C++ files.

use std::path::PathBuf;

use libloading::os::unix::{Library, RTLD_LAZY};

use crate::device;

/// The names that a C++ file looks up at run time.
fn names_looked_up() -> Vec<&'static str> {
    let is_name = |text: &&str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && (text.starts_with("_ZN") || text.starts_with("cuda"))
    };
    let text = include_str!("graph.cpp");
    text.split('"').filter(is_name).collect()
}

/// Every name of a shared library's dynamic symbol table, read from the file.
fn dynamic_symbols(file: &std::path::Path) -> Option<String> {
    let output = std::process::Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(file)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn libtorch_has_the_functions_that_graphs_look_up() {
    let names = names_looked_up();
    assert_eq!(names.len(), 12, "{names:?}");
    let Some(folder) = device::libtorch_folder() else {
        eprintln!("skipped: the folder of libtorch is not known");
        return;
    };
    let file: PathBuf = folder.join("lib/libtorch_cuda.so");
    if !file.exists() {
        eprintln!("skipped: this libtorch has no CUDA part");
        return;
    }
    let Some(symbols) = dynamic_symbols(&file) else {
        eprintln!("skipped: there is no nm to read {}", file.display());
        return;
    };
    for name in names.iter().filter(|name| name.starts_with("_ZN2at4cuda")) {
        assert!(
            symbols
                .lines()
                .any(|line| line.ends_with(&format!(" T {name}"))),
            "{name} is not in {}",
            file.display()
        );
    }
}

#[test]
fn the_cuda_runtime_has_the_functions_that_graphs_look_up() {
    // SAFETY: the CUDA runtime starts nothing before its first call.
    let Ok(runtime) = (unsafe { Library::open(Some("libcudart.so.13"), RTLD_LAZY) }) else {
        eprintln!("skipped: there is no CUDA runtime here");
        return;
    };
    for name in names_looked_up() {
        if name.starts_with("cuda") {
            // SAFETY: the symbol is looked up and not called.
            let found = unsafe { runtime.get::<*const ()>(name.as_bytes()) };
            assert!(found.is_ok(), "{name} is not in the CUDA runtime");
        }
    }
}
