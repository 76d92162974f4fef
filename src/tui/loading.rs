//! Reading the pictures on a thread, while the dashboard stands already.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use impasto_core::job::{Job, PictureFile, Plan};
use impasto_core::picture::{Picture, fit_long_side, show_regions, side_by_side};
use impasto_core::preset::Start;

use crate::tui::pane::PaneImage;

/// The longest side of a picture that is put together from others, to look at.
const MAX_SIDE: u32 = 1024;

/// What the thread reports.
#[derive(Debug)]
pub enum Loading {
    /// A step begins.
    Step(String),
    /// The pictures at the size for looking at.
    Content(PaneImage),
    Style(PaneImage),
    /// The content with the masks over it.
    Masks(PaneImage),
    /// A picture that is only to be looked at cannot be read.
    Unseen(String),
    /// All is read.
    Done(Box<Job>),
    /// Why not.
    Failed(String),
}

/// How many steps the reading has.
pub fn steps(plan: &Plan) -> u32 {
    // A run has a few pictures.
    plan.inputs().len() as u32
}

/// Starts to read what is to be painted.
///
/// # Errors
/// When the system gives no thread.
pub fn load(plan: Plan) -> io::Result<Receiver<Loading>> {
    let (outbox, loading) = channel();
    // Whoever asked may be gone, and then nobody needs the pictures.
    let send = move |message| drop(outbox.send(message));
    let read = move || match plan.load(&mut |what| send(Loading::Step(what))) {
        Ok(job) => {
            send(Loading::Content(PaneImage::of(&job.content.picture)));
            send(Loading::Style(styles(&job)));
            if let Some(masks) = masks(&job) {
                send(Loading::Masks(masks));
            }
            send(Loading::Done(Box::new(job)));
        }
        Err(error) => send(Loading::Failed(error.to_string())),
    };
    start(read)?;
    Ok(loading)
}

/// Starts to read the pictures of a run that is under way, to look at them.
///
/// # Errors
/// When the system gives no thread.
pub fn look(mut plan: Plan) -> io::Result<Receiver<Loading>> {
    let (outbox, loading) = channel();
    // That picture is not shown, and may be gone.
    plan.preset.start = Start::Content;
    let read = move || {
        let seen = |file: &PictureFile| {
            let source = file.load().map_err(|error| error.to_string())?;
            Ok(PaneImage::of(&source.picture))
        };
        for message in [
            seen(&plan.content).map_or_else(Loading::Unseen, Loading::Content),
            seen(&plan.style).map_or_else(Loading::Unseen, Loading::Style),
        ] {
            // Whoever asked may be gone, and then nobody needs the pictures.
            let _ = outbox.send(message);
        }
        let more = !plan.more_styles.is_empty() || !plan.preset.masks.is_empty();
        // All of them, where there is more to be seen than these two.
        if more && let Ok(job) = plan.load(&mut |_| {}) {
            let _ = outbox.send(Loading::Style(styles(&job)));
            if let Some(masks) = masks(&job) {
                let _ = outbox.send(Loading::Masks(masks));
            }
        }
    };
    start(read)?;
    Ok(loading)
}

/// All styles in a row.
fn styles(job: &Job) -> PaneImage {
    let pictures: Vec<&Picture> = job.styles().map(|style| &style.picture).collect();
    let row = match pictures[..] {
        [_] => None,
        _ => side_by_side(&pictures, MAX_SIDE),
    };
    PaneImage::of(row.as_ref().unwrap_or(&job.style.picture))
}

/// The content with the masks over it, if there are any.
fn masks(job: &Job) -> Option<PaneImage> {
    let regions = job.preset.masks.iter().zip(&job.masks);
    let regions: Vec<(&Picture, usize)> = regions
        .map(|(mask, pictures)| (&pictures.mask.picture, mask.style))
        .collect();
    (!regions.is_empty()).then(|| {
        let content = &job.content.picture;
        let (width, height) = content.size();
        let small = match width.max(height) > MAX_SIDE {
            true => {
                let (width, height) = fit_long_side(width, height, MAX_SIDE);
                content.resized(width, height)
            }
            false => content.clone(),
        };
        PaneImage::of(&show_regions(&small, &regions))
    })
}

fn start(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let named = thread::Builder::new().name("pictures".to_owned());
    named.spawn(read).map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use impasto_core::job::{Compute, Overrides};
    use impasto_core::picture;
    use impasto_core::preset::{Mask, Preset};

    use super::*;

    #[test]
    fn a_start_that_is_gone_hides_neither_styles_nor_masks() {
        let folder = tempfile::tempdir().unwrap();
        let saved = |name: &str| {
            let path = folder.path().join(name);
            let picture = Picture::new(64, 64, vec![0.5; 3 * 64 * 64]).unwrap();
            picture::save(&picture, &path, None).unwrap();
            path
        };
        let [content, first, second, mask] =
            ["content.png", "first.png", "second.png", "mask.png"].map(saved);
        let plan = Plan {
            preset: Preset {
                start: Start::File(folder.path().join("gone.png")),
                masks: vec![Mask {
                    file: mask,
                    style: 1,
                    region: None,
                }],
                ..Preset::default()
            },
            content: PictureFile::At(content),
            style: PictureFile::At(first),
            more_styles: vec![PictureFile::At(second)],
            compute: Compute::default(),
            output: Path::new("out.png").to_owned(),
            preset_name: None,
            overrides: Overrides::default(),
        };
        let seen: Vec<Loading> = look(plan).unwrap().iter().collect();
        let count = |is: fn(&Loading) -> bool| seen.iter().filter(|it| is(it)).count();
        assert_eq!(count(|it| matches!(it, Loading::Content(_))), 1);
        // The first alone, then both.
        assert_eq!(count(|it| matches!(it, Loading::Style(_))), 2);
        assert_eq!(count(|it| matches!(it, Loading::Masks(_))), 1);
        assert_eq!(seen.len(), 4);
    }
}
