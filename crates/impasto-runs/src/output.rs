//! Whose file lies where the picture of a run goes. A run may come from somebody
//! else, and whatever it names as its output is the user's own until it has been
//! painted over once.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest::{digest, digest_at};
use super::{Run, checkpoint};

impl Run {
    /// Where the picture goes, as an absolute path: as the newest
    /// checkpoint has it, else as the run began.
    pub fn output(&self) -> PathBuf {
        let folder = self.open_folder().ok();
        let newest = folder.and_then(|folder| checkpoint::newest_position(&folder));
        let output = newest.map(|position| position.output);
        let output = output.unwrap_or_else(|| self.record().output.clone());
        std::path::absolute(&output).unwrap_or(output)
    }

    /// Whether a file lies at `output` that this run did not write and was not
    /// begun to replace. An empty file is a name that was reserved.
    pub fn is_foreign(&self, output: &Path) -> bool {
        match fs::metadata(output) {
            // Where it cannot be looked at, it cannot be replaced either.
            Err(_) => return false,
            Ok(found) if found.len() == 0 => return false,
            Ok(_) => {}
        }
        let Ok(found) = digest_at(output) else {
            return true;
        };
        let known = [
            self.record().replaced_sha256.clone(),
            self.state().output_sha256,
        ];
        if known.into_iter().flatten().any(|known| known == found) {
            return false;
        }
        // Written before the output is, which may be as far as the run came.
        let result = self.open_folder().ok();
        let result = result.and_then(|folder| folder.file(Self::RESULT).ok());
        !result.is_some_and(|result| digest(result).is_ok_and(|kept| kept == found))
    }
}
