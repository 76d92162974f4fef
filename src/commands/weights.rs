//! `impasto weights`: list, fetch, import, verify, path.

mod fetch;

use std::io::{self, Write};
use std::path::Path;

use impasto_core::text::display_path;
use impasto_engine::calibrate;
use impasto_weights::{About, Convolution, File, NetworkEntry, NetworkStatus, Networks};

use crate::assets;
use crate::cli::{ImportArgs, WeightsCommand};
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

pub fn weights(command: &WeightsCommand) -> Outcome {
    let networks = Networks::open();
    match command {
        WeightsCommand::List => Ok(list(&networks)?),
        WeightsCommand::Fetch(args) => fetch::fetch(&networks, args),
        WeightsCommand::Import(args) => import(&networks, args),
        WeightsCommand::Verify { name } => verify(&networks, name.as_deref()),
        WeightsCommand::Path => match networks.folder() {
            Some(folder) => Ok(writeln!(io::stdout(), "{}", display_path(folder))?),
            None => Err(Failure::Failed(
                "there is no home folder to keep networks in; set XDG_DATA_HOME".to_owned(),
            )),
        },
    }
}

fn list(networks: &Networks) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let entries = networks.list();
    let width = entries.iter().map(|entry| entry.name.len()).max();
    let width = width.unwrap_or(0);
    for entry in entries {
        let megabytes = format!("{:.0} MB", entry.bytes as f64 / 1e6);
        let state = match &entry.state {
            NetworkStatus::BuiltIn => "built in",
            NetworkStatus::Installed => "installed",
            NetworkStatus::Fetchable => "can be fetched",
            NetworkStatus::Broken(_) => "broken",
        };
        writeln!(
            out,
            "{:<width$}  {state:<14}  {megabytes:>7}  {}",
            entry.name,
            about(&entry)
        )?;
    }
    Ok(())
}

/// What else is known of a network.
fn about(entry: &NetworkEntry) -> String {
    if let NetworkStatus::Broken(why) = &entry.state {
        return why.clone();
    }
    let mut words = Vec::new();
    if let (Some(architecture), Some(deepest)) = (entry.architecture, &entry.deepest) {
        words.push(format!("{} to {deepest}", architecture.name()));
    }
    words.extend(entry.licence.clone());
    words.extend(entry.source.as_ref().map(|source| format!("from {source}")));
    words.join(", ")
}

fn import(networks: &Networks, args: &ImportArgs) -> Outcome {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => {
            let stem = args.file.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
    };
    // An invalid name is reported before half a gigabyte is read.
    networks.path(&name)?;
    let file = impasto_weights::read(&args.file, args.convention)?;
    let source = args.file.file_name().unwrap_or_default();
    let about = About {
        source: display_path(Path::new(source)),
        source_sha256: Some(file.sha256.clone()),
        licence: None,
    };
    let scales = measure(&file)?;
    let path = networks.install(&name, &file, &about, &scales, args.replace)?;
    installed(&name, &path);
    Ok(())
}

/// The scales of a network's layers, measured against the built-in one.
pub fn measure(file: &File) -> Result<Vec<f64>, Failure> {
    let deepest = file.deepest().map(Convolution::layer);
    say(&format!(
        "{}, {} layers to {}, input {}",
        file.architecture.name(),
        file.convolutions.len(),
        deepest.unwrap_or_default(),
        file.convention
    ));
    say("measuring its feature maps against those of the built-in vgg16");
    let mut pictures = Vec::new();
    for picture in [assets::PHOTOGRAPH, assets::PAINTING] {
        pictures.push(picture.load()?.picture);
    }
    Ok(calibrate::scales(file, &pictures)?)
}

/// Says where a network is now, and how to use it.
pub fn installed(name: &str, path: &Path) {
    say(&format!("installed as {}", display_path(path)));
    say(&format!(
        "paint with it: impasto run CONTENT STYLE --network {name}"
    ));
}

/// Every file is read before the verdict, so that one pass shows all there is
/// to mend.
fn verify(networks: &Networks, name: Option<&str>) -> Outcome {
    let names: Vec<String> = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let entries = networks.list().into_iter();
            let files = entries.filter(|entry| {
                !matches!(
                    entry.state,
                    NetworkStatus::BuiltIn | NetworkStatus::Fetchable
                )
            });
            files.map(|entry| entry.name).collect()
        }
    };
    let mut out = io::stdout().lock();
    if names.is_empty() {
        writeln!(out, "no network is installed; vgg16 is part of the program")?;
    }
    let mut wrong = Vec::new();
    for name in names {
        match networks.verify(&name) {
            Ok(found) => writeln!(
                out,
                "{name}: good ({} layers, {} values, sha256 {}…)",
                found.layers,
                found.values,
                found.tensors_sha256.get(..12).unwrap_or_default()
            )?,
            Err(error) => wrong.push(error.to_string()),
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::Usage(wrong.join("\n"))),
    }
}
