//! Finishes previews beside the painting: one thread at a time, and of the requests that
//! wait only the latest counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, mem, thread};

use impasto_core::protocol::{Preview, PreviewSlot};

type Work = Box<dyn FnOnce() -> Preview + Send>;

/// Puts previews into a slot, in the order in which they were asked for.
pub struct Finisher {
    shared: Arc<Shared>,
    /// How a thread is begun.
    spawn: fn(Box<dyn FnOnce() + Send>) -> io::Result<()>,
}

struct Shared {
    slot: PreviewSlot,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the latest request, and of the latest preview in the slot.
    asked: u64,
    put: u64,
    waiting: Option<(u64, Work)>,
    /// Whether a thread is at work.
    busy: bool,
    /// Whether the user was told that there is no thread.
    told: bool,
}

impl Finisher {
    pub fn new(slot: PreviewSlot) -> Self {
        Self {
            shared: Arc::new(Shared {
                slot,
                state: Mutex::default(),
            }),
            spawn: |work| {
                let thread = thread::Builder::new().name("preview".to_owned());
                thread.spawn(work).map(drop)
            },
        }
    }

    /// Puts a preview that needs no work.
    pub fn put(&self, preview: Preview) {
        let mut state = self.shared.lock();
        state.asked += 1;
        state.waiting = None;
        let number = state.asked;
        self.shared.put(&mut state, number, preview);
    }

    /// Puts the preview that `work` gives, unless a later one is asked for before that
    /// begins.
    ///
    /// # Errors
    /// The first time that the system gives no thread; there is no preview then.
    pub fn finish(&self, work: impl FnOnce() -> Preview + Send + 'static) -> io::Result<()> {
        {
            let mut state = self.shared.lock();
            state.asked += 1;
            state.waiting = Some((state.asked, Box::new(work)));
            if mem::replace(&mut state.busy, true) {
                return Ok(());
            }
        }
        let shared = Arc::clone(&self.shared);
        let spawned = (self.spawn)(Box::new(move || {
            let _idle = IdleAfterPanic(&shared);
            while let Some((number, work)) = shared.next() {
                let preview = work();
                shared.put(&mut shared.lock(), number, preview);
            }
        }));
        let Err(error) = spawned else { return Ok(()) };
        let mut state = self.shared.lock();
        state.busy = false;
        state.waiting = None;
        match mem::replace(&mut state.told, true) {
            true => Ok(()),
            false => Err(error),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits; if that is nothing, the thread is at its end.
    fn next(&self) -> Option<(u64, Work)> {
        let mut state = self.lock();
        let next = state.waiting.take();
        state.busy = next.is_some();
        next
    }

    fn put(&self, state: &mut State, number: u64, preview: Preview) {
        // One that was ready at once may have come in between.
        if number > state.put {
            state.put = number;
            self.slot.put(preview);
        }
    }
}

/// After a panic the next request begins a new thread.
struct IdleAfterPanic<'a>(&'a Shared);

impl Drop for IdleAfterPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().busy = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    fn preview(iteration: u32) -> Preview {
        Preview {
            iteration,
            width: 1,
            height: 1,
            rgb: vec![0; 3],
        }
    }

    /// Work that says that it began, and ends when it is let.
    fn slow(
        iteration: u32,
        began: &Sender<u32>,
        end: &Receiver<()>,
    ) -> impl FnOnce() -> Preview + Send + use<> {
        let (began, end) = (began.clone(), end.clone());
        move || {
            began.send(iteration).unwrap();
            end.recv().unwrap();
            preview(iteration)
        }
    }

    #[test]
    fn of_those_that_wait_the_latest_is_finished() {
        let slot = PreviewSlot::default();
        let finisher = Finisher::new(slot.clone());
        let ((began, begins), (end, ends)) = (unbounded(), bounded(0));
        finisher.finish(slow(1, &began, &ends)).unwrap();
        assert_eq!(begins.recv().unwrap(), 1);
        for iteration in 2..=5 {
            finisher.finish(slow(iteration, &began, &ends)).unwrap();
        }
        // Nothing else begins before the first is done.
        assert!(begins.try_recv().is_err());
        end.send(()).unwrap();
        slot.arrivals().recv().unwrap();
        assert_eq!(begins.recv().unwrap(), 5);
        // One that needs no work overtakes it, and is not replaced by it.
        finisher.put(preview(6));
        slot.arrivals().recv().unwrap();
        assert_eq!(slot.take().unwrap().iteration, 6);
        end.send(()).unwrap();
        // The same thread or a new one: the one before has an end.
        finisher.finish(slow(7, &began, &ends)).unwrap();
        assert_eq!(begins.recv().unwrap(), 7);
        end.send(()).unwrap();
        slot.arrivals().recv().unwrap();
        assert_eq!(slot.take().unwrap().iteration, 7);
    }

    #[test]
    fn without_a_thread_it_says_so_once() {
        let slot = PreviewSlot::default();
        let mut finisher = Finisher::new(slot.clone());
        let working = mem::replace(&mut finisher.spawn, |_| {
            Err(io::ErrorKind::WouldBlock.into())
        });
        assert!(finisher.finish(|| preview(1)).is_err());
        assert!(finisher.finish(|| preview(2)).is_ok());
        assert!(slot.take().is_none());
        finisher.spawn = working;
        finisher.finish(|| preview(3)).unwrap();
        slot.arrivals().recv().unwrap();
        assert_eq!(slot.take().unwrap().iteration, 3);
    }

    #[test]
    fn a_panic_is_no_end_of_previews() {
        let slot = PreviewSlot::default();
        let mut finisher = Finisher::new(slot.clone());
        finisher.spawn = |work| {
            let thread = thread::Builder::new().spawn(work)?;
            let _ = thread.join();
            Ok(())
        };
        finisher.finish(|| panic!("as a test")).unwrap();
        finisher.finish(|| preview(2)).unwrap();
        assert_eq!(slot.take().unwrap().iteration, 2);
    }
}
