//! Signals, noticed by a thread that waits for input.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::{SigId, flag, low_level};

const CAUGHT: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH];
/// Those whose default action does something.
const DEADLY: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGTSTP];

/// Catches signals as long as it lives; then they have their default action.
#[derive(Debug)]
pub(super) struct Signals {
    /// Readable once a signal has come.
    wake: UnixStream,
    waker: UnixStream,
    seen: Vec<(i32, Arc<AtomicBool>)>,
    registered: Vec<SigId>,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let mut signals = Self {
            wake,
            waker,
            seen: Vec::new(),
            registered: Vec::new(),
        };
        for number in CAUGHT {
            let seen = Arc::new(AtomicBool::new(false));
            // In this order, so that whoever is woken finds the signal.
            let first = flag::register(number, seen.clone())?;
            signals.registered.push(first);
            let second = low_level::pipe::register(number, signals.waker.try_clone()?)?;
            signals.registered.push(second);
            signals.seen.push((number, seen));
        }
        default_actions()?.store(false, Ordering::SeqCst);
        Ok(signals)
    }

    /// What to poll for reading.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// What makes [`Signals::fd`] readable when written to.
    pub(super) fn waker(&self) -> io::Result<UnixStream> {
        self.waker.try_clone()
    }

    /// The signals that came since the last call, each once.
    pub(super) fn take(&mut self) -> Vec<i32> {
        // Emptied first: a signal that comes meanwhile wakes again.
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(count) if count > 0) {}
        let mut came = Vec::new();
        for (number, seen) in &self.seen {
            if seen.swap(false, Ordering::SeqCst) {
                came.push(*number);
            }
        }
        came
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
        // A signal without an action would now be ignored.
        if let Ok(wanted) = default_actions() {
            wanted.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether the signals shall have their default action.
fn default_actions() -> io::Result<Arc<AtomicBool>> {
    static WANTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(wanted) = WANTED.get() {
        return Ok(wanted.clone());
    }
    let wanted = WANTED.get_or_init(Arc::default);
    for number in DEADLY {
        flag::register_conditional_default(number, wanted.clone())?;
    }
    Ok(wanted.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    // SIGCONT and SIGWINCH end no process, so these may be raised in a test.
    #[test]
    fn each_signal_is_reported_once() {
        let mut signals = Signals::catch().unwrap();
        signals.take();
        low_level::raise(SIGWINCH).unwrap();
        low_level::raise(SIGWINCH).unwrap();
        low_level::raise(SIGCONT).unwrap();
        assert_eq!(signals.take(), [SIGCONT, SIGWINCH]);
        assert!(signals.take().is_empty());
    }
}
