//! `socket.json`: where the process that paints a run can be reached. The
//! folders for sockets follow from the environment, which may be another one in
//! the shell from which somebody looks for the run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Folder, Result, Run, RunError, files};

/// Its name in the run's folder.
const FILE: &str = "socket.json";

/// Where the process that paints a run can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// The process that wrote this. It says nothing about any other process.
    pub pid: u32,
    /// The path of its socket.
    #[serde(with = "super::record::path::optional")]
    pub socket: Option<PathBuf>,
    /// Why it has none.
    pub problem: Option<String>,
}

impl Address {
    /// The address of this process: its socket, or why it has none.
    pub fn here(socket: std::result::Result<&Path, String>) -> Self {
        let (socket, problem) = match socket {
            Ok(socket) => (Some(socket.to_owned()), None),
            Err(problem) => (None, Some(problem)),
        };
        Self {
            pid: std::process::id(),
            socket,
            problem,
        }
    }

    /// Writes it into a run's folder.
    ///
    /// # Errors
    /// When it cannot be written. What was written before stays.
    pub fn write(&self, folder: &Folder) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| RunError::Unwritable {
            reason: error.to_string(),
        })?;
        let written = folder.write(FILE, &bytes, false);
        written.map_err(|cause| RunError::not_written(&folder.path().join(FILE), cause))
    }

    /// Removes it from a run's folder: nobody can be reached there any more.
    pub fn remove(folder: &Folder) {
        let _ = folder.remove(FILE);
    }
}

impl Run {
    /// Where the process that paints this run can be reached, if one paints it
    /// and has said so.
    pub fn address(&self) -> Option<Address> {
        let pid = self.painter_pid()?;
        let folder = Folder::open(self.folder()).ok()?;
        let bytes = folder.read(FILE, files::MAX_TEXT).ok()?;
        let address: Address = serde_json::from_slice(&bytes).ok()?;
        (address.pid == pid).then_some(address)
    }
}
