//! Fetching networks from a server on this machine that behaves in every way
//! that servers do: well, slowly, or not at all.

mod addresses;
mod offers;
mod server;

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use impasto_weights::fetch::{FetchError, FetchRequest, Fetched, Progress, Retries, Source, fetch};
use impasto_weights::{Convention, NetworkError, NetworkStatus, Networks};
use sha2::{Digest, Sha256};

use server::Server;

/// A folder for networks, and what was reported while fetching into it.
struct Bench {
    _home: tempfile::TempDir,
    networks: Networks,
    reported: Vec<Progress>,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let networks = Networks::with_folder(home.path().join("networks"));
        Self {
            _home: home,
            networks,
            reported: Vec::new(),
        }
    }

    fn fetch(&mut self, source: Source) -> Result<Fetched, FetchError> {
        self.fetch_until(source, &|_| false)
    }

    /// Fetches until `stop` says so of the number of bytes that are there.
    fn fetch_until(
        &mut self,
        source: Source,
        stop: &dyn Fn(u64) -> bool,
    ) -> Result<Fetched, FetchError> {
        let request = FetchRequest {
            name: "mine".to_owned(),
            source,
            replace: false,
            retries: Retries {
                tries: 3,
                pause: Duration::ZERO,
                stall: Duration::from_secs(20),
                min_bytes: 1000,
            },
        };
        let received = Cell::new(0);
        let mut progress = |progress| {
            if let Progress::Receiving { bytes, .. } = progress {
                received.set(bytes);
            }
            self.reported.push(progress);
        };
        fetch(&request, &self.networks, &mut progress, &|| {
            stop(received.get())
        })
    }

    /// The files in the folder, hidden ones included.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.networks.folder().unwrap());
        let mut names: Vec<String> = (files.into_iter().flatten())
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Whether nothing is there that could be taken for an installed network.
    fn nothing_installed(&self) -> bool {
        let list = self.networks.list();
        list.iter().all(|entry| {
            matches!(
                entry.state,
                NetworkStatus::BuiltIn | NetworkStatus::Fetchable
            )
        }) && matches!(
            self.networks.find("mine"),
            Err(NetworkError::Missing { .. })
        )
    }

    /// The reasons for which it was waited.
    fn waits(&self) -> Vec<&str> {
        let reasons = self.reported.iter().filter_map(|progress| match progress {
            Progress::Waiting { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        reasons.collect()
    }

    /// Why the mirror was given up.
    fn elsewhere(&self) -> Option<&str> {
        self.reported.iter().find_map(|progress| match progress {
            Progress::Elsewhere { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
    }
}

/// A safetensors file with the layers of a network from the first one on, its
/// values zeros but for the corner of the first filter, and then a classifier.
fn weights(layers: &[(&str, u64)], corner: &[f32; 9], classifier: u64) -> Vec<u8> {
    let mut entries = Vec::new();
    let (mut end, mut inputs) = (0, 3);
    let mut entry = |name: String, shape: &[u64]| {
        let begin = end;
        end += 4 * shape.iter().product::<u64>();
        entries.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
    };
    for (name, outputs) in layers {
        entry(format!("{name}.weight"), &[*outputs, inputs, 3, 3]);
        entry(format!("{name}.bias"), &[*outputs]);
        inputs = *outputs;
    }
    entry("classifier.0.weight".to_owned(), &[classifier]);
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(corner.iter().flat_map(|value| value.to_le_bytes()));
    bytes.resize(8 + header.len() + usize::try_from(end).unwrap(), 0);
    bytes
}

/// A network of one convolution, some 50 kB long.
fn small() -> Vec<u8> {
    weights(&[("features.0", 64)], &[0.5; 9], 10_000)
}

fn url(server: &Server, path: &str) -> Source {
    let convention = Some(Convention::RgbImageNet);
    Source::at(&server.url(path), convention)
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
