//! Reading the pictures on a thread, while the dashboard stands already.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use impasto_core::job::{Job, PictureFile, Plan};

use crate::tui::pane::PaneImage;

/// What the thread reports.
#[derive(Debug)]
pub enum Loading {
    /// A step begins.
    Step(String),
    /// The pictures at the size for looking at.
    Content(PaneImage),
    Style(PaneImage),
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
            send(Loading::Style(PaneImage::of(&job.style.picture)));
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
pub fn look(plan: Plan) -> io::Result<Receiver<Loading>> {
    let (outbox, loading) = channel();
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
    };
    start(read)?;
    Ok(loading)
}

fn start(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let named = thread::Builder::new().name("pictures".to_owned());
    named.spawn(read).map(drop)
}
