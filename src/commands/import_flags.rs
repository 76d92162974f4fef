//! `impasto import-flags`: a command line of neural-style as a preset.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use image::ImageReader;
use impasto_core::neural_style::{ImportError, Imported, import_words, split};
use impasto_core::text::display_path;

use crate::cli::ImportFlagsArgs;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

pub fn import_flags(args: &ImportFlagsArgs) -> Outcome {
    let mut imported = import(args).map_err(|error| Failure::Usage(error.to_string()))?;
    let output = args.output.as_deref().filter(|path| *path != "-");
    if let Some(path) = output {
        name_after(&mut imported, path);
    }
    let text = imported.to_yaml(output)?;
    match output {
        Some(path) => write(path, &text)?,
        None => io::stdout().lock().write_all(text.as_bytes())?,
    }
    for note in &imported.notes {
        say(&format!("note: {note}"));
    }
    for style in imported.styles.iter().filter(|style| style.is_dir()) {
        say(&format!(
            "note: {} is a folder; give `impasto run` the pictures in it.",
            display_path(style)
        ));
    }
    Ok(())
}

fn import(args: &ImportFlagsArgs) -> Result<Imported, ImportError> {
    match (&args.command, &args.words[..]) {
        // Behind `--`, but in quotes.
        (Some(line), _) | (None, [line]) => import_words(&split(line)?, shape),
        (None, words) => import_words(words, shape),
    }
}

/// The width and height of a picture, if it is one and here.
fn shape(path: &Path) -> Option<(u32, u32)> {
    // Opening a pipe would wait.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    reader.into_dimensions().ok()
}

/// Calls the preset what its file is called, if that can be its name.
fn name_after(imported: &mut Imported, path: &Path) {
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
        return;
    };
    let mut named = imported.preset.clone();
    stem.clone_into(&mut named.name);
    if named.check().is_ok() {
        imported.preset = named;
    }
}

/// Writes a new file.
fn write(path: &Path, text: &str) -> Outcome {
    let shown = display_path(path);
    let failed = |error: io::Error| Failure::Failed(format!("cannot write {shown}: {error}"));
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "cannot write {shown}: there is no folder {}",
            display_path(folder)
        )));
    }
    // As any program makes a file: what the umask leaves of it.
    let permissions = Permissions::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let mut file = builder
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(Failure::Usage(
            format!("{shown} is there already and is kept as it is; choose another name with -o"),
        )),
        Err(error) => Err(failed(error.error)),
    }
}
