//! The pictures in a run's folder.

use std::path::PathBuf;

use impasto_core::checkpoint::PictureStore;
use impasto_core::picture::{self, Picture};
use impasto_core::preset::OutputSettings;
use impasto_core::text::display_path;

use super::{Folder, files};

impl PictureStore for Folder {
    fn save_result(
        &self,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String> {
        save_in(self, files::RESULT, picture, Some(recipe), settings)
    }

    fn save_snapshot(
        &self,
        iteration: u32,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String> {
        let snapshots = self
            .make_folder(files::SNAPSHOTS)
            .map_err(|error| not_written(self, files::SNAPSHOTS, &error))?;
        let name = format!("{iteration:06}.png");
        save_in(&snapshots, &name, picture, Some(recipe), settings)
    }
}

/// Saves a picture in a folder, whatever lies there under its name.
pub(crate) fn save_in(
    folder: &Folder,
    name: &str,
    picture: &Picture,
    recipe: Option<&str>,
    settings: &OutputSettings,
) -> Result<PathBuf, String> {
    let path = folder.path().join(name);
    let bytes =
        picture::encode(picture, &path, recipe, settings).map_err(|error| error.to_string())?;
    let written = folder.write(name, &bytes, true);
    written.map_err(|error| not_written(folder, name, &error))?;
    Ok(path)
}

fn not_written(folder: &Folder, name: &str, error: &std::io::Error) -> String {
    let path = folder.path().join(name);
    format!("cannot write {}: {error}", display_path(&path))
}
