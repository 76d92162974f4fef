//! What the start screen wants from the disk: thumbnails and folders, read on
//! threads of their own so that neither a large picture nor a slow disk holds
//! up a key. Of what is asked for, only the latest counts.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader, RgbImage};
use impasto_core::picture::{self, Picture, fit_long_side};
use impasto_core::text::display_path;

use super::browser;
use super::gallery::{Measure, Thumbnail};
use super::slot::tidy;
use super::{Found, Message};

/// The longest side of a thumbnail, in pixels.
const MAX_SIDE: u32 = 320;

/// Something to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A folder; [`Message::Listed`] answers.
    List(PathBuf),
    /// A path that was typed or pasted, perhaps beginning with `~`;
    /// [`Message::Found`] answers.
    Find(PathBuf),
    /// A picture; [`Message::Measured`] may come first, [`Message::Thumbnail`]
    /// answers.
    Thumbnail(PathBuf),
}

/// What is still to be read: of each kind the latest.
#[derive(Debug, Default)]
struct Wanted {
    find: Option<PathBuf>,
    list: Option<PathBuf>,
    thumbnail: Option<PathBuf>,
    /// Nobody waits for answers any more.
    over: bool,
}

impl Wanted {
    fn next_folder(&mut self) -> Option<Request> {
        let find = self.find.take().map(Request::Find);
        find.or_else(|| self.list.take().map(Request::List))
    }

    fn next_thumbnail(&mut self) -> Option<Request> {
        self.thumbnail.take().map(Request::Thumbnail)
    }
}

#[derive(Debug, Default)]
struct Desk {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Desk {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // Nothing that could panic is done while it is held.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; none when it is over.
    fn next(&self, take: fn(&mut Wanted) -> Option<Request>) -> Option<Request> {
        let mut wanted = self.wanted();
        loop {
            if wanted.over {
                return None;
            }
            if let Some(request) = take(&mut wanted) {
                return Some(request);
            }
            wanted = self
                .changed
                .wait(wanted)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The readers: one thread for pictures, one for folders. They end some time
/// after this is dropped, when they are done with what they have in hand.
#[derive(Debug)]
pub struct Thumbnails {
    desk: Arc<Desk>,
    messages: Receiver<Message>,
}

impl Thumbnails {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start() -> io::Result<Self> {
        let (sender, messages) = mpsc::channel();
        // Dropping this ends the first thread if the second cannot start.
        let reader = Self {
            desk: Arc::default(),
            messages,
        };
        reader.spawn("folders", Wanted::next_folder, sender.clone())?;
        reader.spawn("thumbnails", Wanted::next_thumbnail, sender)?;
        Ok(reader)
    }

    fn spawn(
        &self,
        name: &str,
        take: fn(&mut Wanted) -> Option<Request>,
        sender: Sender<Message>,
    ) -> io::Result<()> {
        let desk = self.desk.clone();
        let work = move || {
            while let Some(request) = desk.next(take) {
                answer(request, &sender);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(())
    }

    /// Asks for something. What was asked for before of the same kind is
    /// forgotten, unless it is being read already.
    pub fn ask(&self, request: Request) {
        let mut wanted = self.desk.wanted();
        match request {
            Request::List(path) => wanted.list = Some(path),
            Request::Find(path) => wanted.find = Some(path),
            Request::Thumbnail(path) => wanted.thumbnail = Some(path),
        }
        drop(wanted);
        self.desk.changed.notify_all();
    }

    /// The answers that are there; never waits.
    pub fn take(&self) -> Vec<Message> {
        self.messages.try_iter().collect()
    }
}

impl Drop for Thumbnails {
    fn drop(&mut self) {
        self.desk.wanted().over = true;
        self.desk.changed.notify_all();
    }
}

/// Reads what is asked for. Whether anybody still receives it does not matter.
fn answer(request: Request, sender: &Sender<Message>) {
    match request {
        Request::List(folder) => {
            let result = browser::list(&folder);
            let _ = sender.send(Message::Listed { folder, result });
        }
        Request::Find(path) => {
            let path = tidy(&at_home(path));
            let result = found(&path);
            let _ = sender.send(Message::Found { path, result });
        }
        Request::Thumbnail(path) => {
            let read = || {
                if let Some(measure) = measured(&path) {
                    let path = path.clone();
                    let _ = sender.send(Message::Measured { path, measure });
                }
                thumbnail(&path, MAX_SIDE)
            };
            let result = guarded(&path, read);
            let _ = sender.send(Message::Thumbnail { path, result });
        }
    }
}

/// Reads a picture. A file that a decoder stumbles over must not end the thread.
fn guarded(
    path: &Path,
    read: impl FnOnce() -> Result<Thumbnail, String>,
) -> Result<Thumbnail, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let file = display_path(path);
        Err(format!(
            "{file} cannot be decoded. Save it anew from an image editor."
        ))
    })
}

/// The picture in a file, no side of it longer than `side` pixels.
///
/// # Errors
/// A sentence that says why it cannot be shown.
pub fn read_thumbnail(path: &Path, side: u32) -> Result<Thumbnail, String> {
    guarded(path, || thumbnail(path, side))
}

/// The path with `~` replaced by the user's home, if that is known.
fn at_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), etcetera::home_dir()) {
        (Ok(rest), Ok(home)) => home.join(rest),
        _ => path,
    }
}

/// What lies at a path.
fn found(path: &Path) -> Result<Found, String> {
    if path.is_dir() {
        return Ok(Found::Folder);
    }
    match picture::check(path) {
        Ok(()) => Ok(Found::Picture),
        Err(error) => Err(error.to_string()),
    }
}

/// The size of a picture, from the beginning of its file; none if that says
/// nothing, which is no proof that it is broken.
fn measured(path: &Path) -> Option<Measure> {
    // This also refuses what is no ordinary file: opening a pipe would wait.
    picture::check(path).ok()?;
    let reader = ImageReader::open(path).ok()?;
    let mut decoder = reader.with_guessed_format().ok()?.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let (width, height) = match decoder.orientation().ok()? {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    };
    Some(Measure {
        width,
        height,
        bytes: fs::metadata(path).ok()?.len(),
    })
}

fn thumbnail(path: &Path, side: u32) -> Result<Thumbnail, String> {
    let source = picture::load(path).map_err(|error| error.to_string())?;
    let whole = source.picture;
    let measure = Measure {
        width: whole.width(),
        height: whole.height(),
        // The file was there a moment ago.
        bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
    };
    let pixels = small(&whole, side).ok_or_else(|| {
        let file = display_path(path);
        format!("{file} cannot be scaled. Choose another picture.")
    })?;
    Ok(Thumbnail {
        pixels: Arc::new(pixels),
        measure,
    })
}

/// The picture, no side of it longer than `side` pixels.
fn small(picture: &Picture, side: u32) -> Option<RgbImage> {
    let (width, height) = picture.size();
    let rgb = if width.max(height) <= side {
        return RgbImage::from_raw(width, height, picture.to_rgb8());
    } else {
        let (width, height) = fit_long_side(width, height, side);
        picture.resized(width, height)
    };
    RgbImage::from_raw(rgb.width(), rgb.height(), rgb.to_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// The messages until one fits.
    fn wait_for(reader: &Thumbnails, fits: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !seen.iter().any(&fits) {
            assert!(Instant::now() < deadline, "only {seen:?}");
            seen.extend(reader.take());
            thread::sleep(Duration::from_millis(2));
        }
        seen
    }

    fn is_thumbnail_of(wanted: &Path) -> impl Fn(&Message) -> bool {
        move |message| matches!(message, Message::Thumbnail { path, .. } if path == wanted)
    }

    #[test]
    fn a_picture_is_measured_then_scaled_down() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("wide.png");
        RgbImage::from_pixel(640, 64, image::Rgb([200, 30, 60]))
            .save(&path)
            .unwrap();
        let bytes = fs::metadata(&path).unwrap().len();
        let expected = Measure {
            width: 640,
            height: 64,
            bytes,
        };
        let reader = Thumbnails::start().unwrap();
        reader.ask(Request::Thumbnail(path.clone()));
        let seen = wait_for(&reader, is_thumbnail_of(&path));
        match &seen[..] {
            [
                Message::Measured { measure, .. },
                Message::Thumbnail {
                    result: Ok(thumbnail),
                    ..
                },
            ] => {
                assert_eq!((*measure, thumbnail.measure), (expected, expected));
                assert_eq!(thumbnail.pixels.dimensions(), (320, 32));
                assert_eq!(thumbnail.pixels.get_pixel(9, 9).0, [200, 30, 60]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn broken_and_missing_pictures_answer_with_a_sentence() {
        let home = tempfile::tempdir().unwrap();
        let broken = home.path().join("broken.png");
        fs::write(&broken, b"\x89PNG\r\n\x1a\nnothing more").unwrap();
        let reader = Thumbnails::start().unwrap();
        for path in [broken, home.path().join("gone.png")] {
            reader.ask(Request::Thumbnail(path.clone()));
            let seen = wait_for(&reader, is_thumbnail_of(&path));
            match seen.last() {
                Some(Message::Thumbnail {
                    result: Err(error), ..
                }) => assert!(error.ends_with('.'), "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_latest_wins_and_folders_do_not_wait_for_pictures() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        RgbImage::new(3000, 2000).save(at("large.png")).unwrap();
        RgbImage::new(2, 2).save(at("last.png")).unwrap();
        let reader = Thumbnails::start().unwrap();
        for _ in 0..100 {
            reader.ask(Request::Thumbnail(at("large.png")));
        }
        reader.ask(Request::List(home.path().to_owned()));
        let listed = |message: &Message| matches!(message, Message::Listed { .. });
        let mut seen = wait_for(&reader, listed);
        reader.ask(Request::Thumbnail(at("last.png")));
        seen.extend(wait_for(&reader, is_thumbnail_of(&at("last.png"))));
        let large = at("large.png");
        let large = is_thumbnail_of(&large);
        // One may have been in hand when the next was asked for, and no more.
        assert!(seen.iter().filter(|message| large(message)).count() <= 2);
    }

    #[test]
    fn paths_lead_to_folders_and_pictures() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        RgbImage::new(2, 2).save(at("a.png")).unwrap();
        fs::write(at("words.png"), "words").unwrap();
        assert_eq!(found(home.path()), Ok(Found::Folder));
        assert_eq!(found(&at("a.png")), Ok(Found::Picture));
        assert!(found(&at("words.png")).is_err() && found(&at("none")).is_err());
        let folder = at_home(PathBuf::from("~/pictures"));
        assert!(folder.is_absolute() && folder.ends_with("pictures"));
        assert_eq!(at_home(PathBuf::from("/a/~")), Path::new("/a/~"));
    }

    #[test]
    fn the_size_of_a_turned_photograph_is_as_it_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("turned.png");
        let mut bytes = io::Cursor::new(Vec::new());
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        // A TIFF header, one entry: orientation 6, a quarter turn.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
        image::ImageEncoder::write_image(
            encoder,
            &[9; 3 * 8],
            4,
            2,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
        fs::write(&path, bytes.into_inner()).unwrap();
        let measure = measured(&path).unwrap();
        assert_eq!((measure.width, measure.height), (2, 4));
        assert_eq!(thumbnail(&path, MAX_SIDE).unwrap().measure, measure);
    }
}
