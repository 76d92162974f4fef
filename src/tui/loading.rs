//! Reading the pictures on a thread, while the dashboard stands already.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::job::{Job, Plan};
use crate::preset::Start;
use crate::preview::pane::Kept;

/// What the thread tells.
#[derive(Debug)]
pub enum Loading {
    /// A step begins.
    Step(String),
    /// All is read, or why not.
    Done(Result<Box<Loaded>, String>),
}

/// A job, and its pictures at the size for looking at.
#[derive(Debug)]
pub struct Loaded {
    pub job: Job,
    pub content: Kept,
    pub style: Kept,
}

/// How many steps the reading has.
pub fn steps(plan: &Plan) -> u32 {
    match plan.preset.start {
        Start::File(_) => 3,
        Start::Content | Start::Noise | Start::Style => 2,
    }
}

/// Starts to read.
///
/// # Errors
/// When the system gives no thread.
pub fn load(plan: Plan) -> io::Result<Receiver<Loading>> {
    let (outbox, loading) = channel();
    let read = move || {
        // Whoever asked may be gone, and then nobody needs the pictures.
        let mut tell = |what| drop(outbox.send(Loading::Step(what)));
        let done = match plan.load(&mut tell) {
            Ok(job) => Ok(Box::new(Loaded {
                content: Kept::of(&job.content.picture),
                style: Kept::of(&job.style.picture),
                job,
            })),
            Err(error) => Err(error.to_string()),
        };
        let _ = outbox.send(Loading::Done(done));
    };
    thread::Builder::new()
        .name("pictures".to_owned())
        .spawn(read)?;
    Ok(loading)
}
