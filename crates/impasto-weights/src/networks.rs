//! Where networks live: one is built into the program, others are files in a
//! folder of the user's, and some more can be fetched.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use impasto_core::preset::Network;
use impasto_core::text::display_path;

use super::error::quoted;
use super::{About, Architecture, File, OFFERS, Offer, WeightsErrorKind, store};

mod error;

pub use error::NetworkError;

/// The name of the network that comes with the program.
pub const BUILT_IN: &str = "vgg16";

/// The size of the built-in network's file.
const BUILT_IN_BYTES: u64 = 29_431_768;

const EXTENSION: &str = "safetensors";

/// The networks at hand. A file `NAME.safetensors` in the user's folder is the
/// network `NAME`.
#[derive(Clone, Debug)]
pub struct Networks {
    folder: Option<PathBuf>,
}

/// A network in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEntry {
    /// What to ask for; of a file that is no network's, its name as far as it
    /// can be shown.
    pub name: String,
    pub state: NetworkStatus,
    /// How large it is, or will be once it is installed.
    pub bytes: u64,
    /// An address or a file's name.
    pub source: Option<String>,
    pub licence: Option<String>,
    pub architecture: Option<Architecture>,
    /// The deepest layer that it has, such as `relu5_4`.
    pub deepest: Option<String>,
}

/// Whether a network can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkStatus {
    BuiltIn,
    Installed,
    Fetchable,
    /// Its file cannot be used, and why.
    Broken(String),
}

/// A network that was installed.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    pub name: String,
    pub path: PathBuf,
    pub file: File,
    pub about: About,
    /// The version of impasto that installed it.
    pub version: String,
    /// For each of the file's convolutions, what its layer's feature map is
    /// multiplied with to have the magnitude that the built-in network has
    /// there: from 1e-6 to 1e6.
    pub scales: Vec<f64>,
    /// SHA-256 of all its values, which does not depend on how they are stored.
    pub tensors_sha256: String,
}

/// What was found to be in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub path: PathBuf,
    /// The file's size.
    pub bytes: u64,
    pub layers: usize,
    /// How many numbers were read.
    pub values: usize,
    pub tensors_sha256: String,
}

impl Networks {
    /// The networks with the user's folder at its usual place:
    /// `$XDG_DATA_HOME/impasto/networks`, or `~/.local/share/impasto/networks`.
    /// The folder need not exist. Without a home only the built-in one is there.
    pub fn open() -> Self {
        let strategy = etcetera::base_strategy::Xdg::new().ok();
        Self {
            folder: strategy.map(|xdg| xdg.data_dir().join("impasto").join("networks")),
        }
    }

    /// The networks with those of the user in a folder of choice.
    pub fn with_folder(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
        }
    }

    /// The folder of installed networks, whether or not it exists; none if no
    /// home folder is known.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The file of the network of that name, whether or not it is installed.
    ///
    /// # Errors
    /// [`NetworkError::Name`], [`NetworkError::BuiltIn`] and
    /// [`NetworkError::NoFolder`].
    pub fn path(&self, name: &str) -> Result<PathBuf, NetworkError> {
        check_name(name)?;
        let folder = self.folder().ok_or(NetworkError::NoFolder)?;
        Ok(folder.join(format!("{name}.{EXTENSION}")))
    }

    /// Every network there is or could be fetched: the built-in one first, the
    /// others by name. Of files only the headers are read, so that a file may
    /// be listed as installed whose values are damaged. A folder that cannot be
    /// read counts as empty.
    pub fn list(&self) -> Vec<NetworkEntry> {
        let mut list: Vec<NetworkEntry> = self.files().map(|path| entry(&path)).collect();
        for offer in &OFFERS {
            if !list.iter().any(|entry| entry.name == offer.name) {
                list.push(fetchable(offer));
            }
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list.insert(0, built_in());
        list
    }

    /// The installed network of that name, read and checked: shapes, finite
    /// values, scales, and that all values are those that were installed.
    ///
    /// # Errors
    /// [`NetworkError::BuiltIn`] for the built-in network, which has no file;
    /// [`NetworkError::Broken`]; and for a network that is not there, how to
    /// get it or the nearest name.
    pub fn find(&self, name: &str) -> Result<Installed, NetworkError> {
        let path = self.path(name)?;
        let stored = match store::read(&path) {
            Ok(stored) => stored,
            Err(WeightsErrorKind::NotFound) => return Err(self.missing(name)),
            Err(kind) => {
                let get = match Offer::find(name) {
                    Some(_) => format!("`impasto weights fetch {name}`"),
                    None => format!("`impasto weights import FILE --name {name}`"),
                };
                return Err(NetworkError::Broken {
                    name: name.to_owned(),
                    error: kind.of(&path),
                    get,
                });
            }
        };
        Ok(Installed {
            name: name.to_owned(),
            path,
            file: stored.file,
            about: stored.about,
            version: stored.version,
            scales: stored.scales,
            tensors_sha256: stored.tensors_sha256,
        })
    }

    /// Reads an installed network to its end and says what is in order.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn verify(&self, name: &str) -> Result<Verified, NetworkError> {
        let installed = self.find(name)?;
        let convolutions = &installed.file.convolutions;
        Ok(Verified {
            bytes: fs::metadata(&installed.path).map_or(0, |metadata| metadata.len()),
            path: installed.path,
            layers: convolutions.len(),
            values: (convolutions.iter())
                .map(|convolution| convolution.weight.len() + convolution.bias.len())
                .sum(),
            tensors_sha256: installed.tensors_sha256,
        })
    }

    /// Installs a network, with a scale for each of its convolutions, and
    /// returns its file, which appears complete or not at all. The folder is
    /// made if need be. `replace` allows to replace a network of that name.
    ///
    /// # Errors
    /// The name's, as for [`path`](Self::path); [`NetworkError::Exists`];
    /// [`NetworkError::Scale`]; and when the file cannot be written, or does
    /// not hold what was written.
    pub fn install(
        &self,
        name: &str,
        network: &File,
        about: &About,
        scales: &[f64],
        replace: bool,
    ) -> Result<PathBuf, NetworkError> {
        let path = self.vacancy(name, replace)?;
        for (number, convolution) in network.convolutions.iter().enumerate() {
            let scale = scales.get(number).copied().unwrap_or(f64::NAN);
            if !store::SCALES.contains(&scale) {
                return Err(NetworkError::Scale {
                    layer: convolution.layer(),
                    scale,
                });
            }
        }
        write(&path, network, about, scales, replace).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => NetworkError::Exists {
                name: name.to_owned(),
                file: display_path(&path),
            },
            _ => {
                let values = network.convolutions.iter().map(|c| c.weight.len() as u64);
                NetworkError::not_written(&path, 4 * values.sum::<u64>() + 100_000, cause)
            }
        })?;
        Ok(path)
    }

    /// Where a network of that name can be written.
    ///
    /// # Errors
    /// As [`install`](Self::install), as far as can be known before.
    pub(super) fn vacancy(&self, name: &str, replace: bool) -> Result<PathBuf, NetworkError> {
        let path = self.path(name)?;
        // Also a link that leads nowhere is there.
        if !replace && path.symlink_metadata().is_ok() {
            return Err(NetworkError::Exists {
                name: name.to_owned(),
                file: display_path(&path),
            });
        }
        Ok(path)
    }

    /// What to say of a network that is not installed.
    fn missing(&self, name: &str) -> NetworkError {
        let name = name.to_owned();
        if Offer::find(&name).is_some() {
            return NetworkError::Fetchable { name };
        }
        let names = self.list().into_iter().map(|entry| entry.name);
        let near = names
            .map(|near| {
                let (near_word, word) = (near.to_lowercase(), name.to_lowercase());
                let slips = strsim::damerau_levenshtein(&near_word, &word);
                (slips, near)
            })
            .filter(|(slips, near)| slips * 3 <= near.len().max(name.len()))
            .min();
        match near {
            Some((_, near)) => NetworkError::Near { name, near },
            None => NetworkError::Missing { name },
        }
    }

    /// The files in the folder that could be networks.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = self.folder().and_then(|folder| fs::read_dir(folder).ok());
        (files.into_iter().flatten())
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|found| found == EXTENSION))
    }
}

/// Checks that a name can be a file's stem anywhere, be typed without quotes,
/// and is not that of the built-in network.
pub(super) fn check_name(name: &str) -> Result<(), NetworkError> {
    let plain = (1..=32).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && (name.bytes())
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !plain {
        return Err(NetworkError::Name { name: quoted(name) });
    }
    // Some file systems do not tell upper case from lower.
    if name.eq_ignore_ascii_case(BUILT_IN) {
        return Err(NetworkError::BuiltIn);
    }
    Ok(())
}

fn built_in() -> NetworkEntry {
    NetworkEntry {
        name: BUILT_IN.to_owned(),
        state: NetworkStatus::BuiltIn,
        bytes: BUILT_IN_BYTES,
        source: None,
        licence: Some("CC-BY-4.0".to_owned()),
        architecture: Some(Architecture::Vgg16),
        deepest: Some("relu5_3".to_owned()),
    }
}

fn fetchable(offer: &Offer) -> NetworkEntry {
    let deepest = match offer.architecture {
        Architecture::Vgg16 => "relu5_3",
        Architecture::Vgg19 => "relu5_4",
    };
    NetworkEntry {
        name: offer.name.to_owned(),
        state: NetworkStatus::Fetchable,
        bytes: offer.installed_bytes(),
        source: Some(offer.url.to_owned()),
        licence: Some(offer.licence.to_owned()),
        architecture: Some(offer.architecture),
        deepest: Some(deepest.to_owned()),
    }
}

/// What a file in the folder is.
fn entry(path: &Path) -> NetworkEntry {
    let stem = path.file_stem().unwrap_or_default();
    let mut entry = NetworkEntry {
        name: display_path(Path::new(stem)),
        state: NetworkStatus::Installed,
        bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
        source: None,
        licence: None,
        architecture: None,
        deepest: None,
    };
    if let Err(error) = check_name(&stem.to_string_lossy()) {
        entry.state = NetworkStatus::Broken(error.to_string());
        return entry;
    }
    match store::glance(path) {
        Ok(glance) => {
            entry.source = Some(glance.about.source);
            entry.licence = glance.about.licence;
            entry.architecture = Some(glance.architecture);
            entry.deepest = Some(glance.deepest);
        }
        Err(kind) => entry.state = NetworkStatus::Broken(kind.to_string()),
    }
    entry
}

/// Writes a file beside its place, reads it back, and moves it there.
fn write(
    path: &Path,
    network: &File,
    about: &About,
    scales: &[f64],
    replace: bool,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    // Dropped before it takes its name, a staging file removes itself.
    let staging = tempfile::Builder::new()
        .prefix(".impasto-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    store::write(staging.as_file(), network, about, scales)?;
    staging.as_file().sync_all()?;
    let stored = store::read(staging.path()).map_err(|kind| io::Error::other(kind.to_string()))?;
    if stored.file.convolutions != network.convolutions || stored.scales != scales {
        return Err(io::Error::other("it does not hold what was written"));
    }
    if replace {
        staging.persist(path)?;
    } else {
        staging.persist_noclobber(path)?;
    }
    Ok(())
}

/// Looks whether a network is there, without reading it.
///
/// # Errors
/// When it is not, with the command that gets it.
pub fn check_network(network: Network) -> Result<(), NetworkError> {
    if network == Network::VGG16 {
        return Ok(());
    }
    let networks = Networks::open();
    if networks.path(network.name())?.exists() {
        return Ok(());
    }
    networks.find(network.name()).map(drop)
}

#[cfg(test)]
mod tests;
