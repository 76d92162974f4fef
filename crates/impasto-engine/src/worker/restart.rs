//! A run in the place of another one.

use std::path::{Path, PathBuf};

use impasto_core::job::{Job, MaskPictures, go_on_from};
use impasto_core::picture;
use impasto_core::preset::{Mask, Preset, Start};
use impasto_core::protocol::RestartFrom;
use impasto_weights::check_network;

use super::Worker;

/// So many names are tried for a file beside a picture.
const MAX_NAMES: u32 = 1000;

impl Worker<'_> {
    /// The run to begin in this one's place, checked as far as it can be
    /// before this one has to end for it, and where this one's picture was
    /// saved.
    pub(super) fn restarted(
        &self,
        preset: Preset,
        from: RestartFrom,
        output: PathBuf,
    ) -> Result<(Job, Option<PathBuf>), String> {
        picture::check_destination(&output).map_err(|error| error.to_string())?;
        check_network(preset.network).map_err(|error| error.to_string())?;
        let mut job = Job {
            preset,
            output,
            ..self.painter.job().clone()
        };
        let load = |path: &Path| picture::load(path).map_err(|error| error.to_string());
        if job.preset.masks != self.painter.job().preset.masks {
            let pictures = |mask: &Mask| {
                Ok::<_, String>(MaskPictures {
                    mask: load(&mask.file)?,
                    region: mask.region.as_deref().map(load).transpose()?,
                })
            };
            job.masks = job
                .preset
                .masks
                .iter()
                .map(pictures)
                .collect::<Result<_, _>>()?;
        }
        job.start = match &job.preset.start {
            Start::File(path) if from == RestartFrom::Start => Some(load(path)?),
            _ => None,
        };
        if let (RestartFrom::Here, Some(size)) = (from, self.painter.size()) {
            go_on_from(&mut job.preset.schedule, size.width.max(size.height));
        }
        job.check().map_err(|error| error.to_string())?;
        let saved = match (&self.saved, self.painter.iteration()) {
            // It may be shown in another way now, which nobody asked to save.
            (Some(saved), _) => Some(saved.clone()),
            (None, 0) => None,
            (None, _) => match self.save_in_place() {
                (None, Some(problem)) => match self.rescue(problem) {
                    (None, Some(problem)) => return Err(problem),
                    (saved, _) => saved,
                },
                (saved, _) => saved,
            },
        };
        if let (RestartFrom::Here, Some(saved)) = (from, &saved) {
            // A file rather than the pixels at hand: the recipe names it,
            // and whoever paints by the recipe has no more than the file.
            let path = match self.presented.get() {
                true => self.save_painted(&job.output)?,
                false => saved.clone(),
            };
            job.start = Some(load(&path)?);
            job.preset.start = Start::File(path);
        }
        Ok((job, saved))
    }

    /// Saves the painting as it is beneath its finish and its colours, beside the picture
    /// of the run that is to begin with it.
    fn save_painted(&self, output: &Path) -> Result<PathBuf, String> {
        let painted = self.painter.painted().map_err(|error| error.to_string())?;
        let painted = painted.ok_or("there is no picture to begin with yet")?;
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let names = (1..=MAX_NAMES).map(|number| match number {
            1 => output.with_file_name(format!("{stem}-start.png")),
            _ => output.with_file_name(format!("{stem}-start-{number}.png")),
        });
        let path = picture::reserve(names).map_err(|error| error.to_string())?;
        picture::save(&painted, &path, None)
            .map_err(|error| {
                picture::release(&path);
                error.to_string()
            })
            .map(|()| path)
    }
}
