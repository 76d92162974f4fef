//! Giving the terminal back when a signal kills the process: a fault in a
//! library, an `abort`, or somebody's `kill`.

#![allow(unsafe_code, reason = "signal handlers")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP, SIGUSR1,
    SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::low_level::emulate_default_handler;

/// The signals whose default is death and that nothing else here catches.
const DEADLY: [i32; 15] = [
    SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP, SIGUSR1,
    SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
];

/// The terminal, how it was, and what to write to bring it back.
struct Before {
    terminal: OwnedFd,
    modes: Termios,
    bytes: Vec<u8>,
}

static BEFORE: OnceLock<Before> = OnceLock::new();

/// Remembers the terminal behind stdout as it is now, and gives it back with
/// these bytes when a signal kills the process while `ours` says that it has
/// been taken. Later calls change nothing.
///
/// # Errors
/// When the terminal's modes cannot be read, or a signal not be caught.
pub(super) fn guard(bytes: Vec<u8>, ours: fn() -> bool) -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    let terminal = io::stdout().as_fd().try_clone_to_owned()?;
    let modes = tcgetattr(&terminal)?;
    let before = Before {
        terminal,
        modes,
        bytes,
    };
    if BEFORE.set(before).is_err() {
        return Ok(());
    }
    for number in DEADLY {
        let die = move || {
            if ours() {
                give_back();
            }
            // Ends the process by the same signal; that it cannot is no news
            // to anybody.
            let _ = emulate_default_handler(number);
        };
        // SAFETY: the action runs within a signal handler. It loads an atomic
        // and a cell that is never written again, makes the system calls write
        // and ioctl, and dies; all of that is allowed there, and none of it
        // allocates, locks or panics. After a fault nothing is returned to.
        unsafe { signal_hook_registry::register_signal_unchecked(number, die)? };
    }
    Ok(())
}

/// The terminal that stdout was when [`guard`] was called.
pub(super) fn terminal() -> Option<BorrowedFd<'static>> {
    BEFORE.get().map(|before| before.terminal.as_fd())
}

fn give_back() {
    let Some(before) = BEFORE.get() else { return };
    let mut left = before.bytes.as_slice();
    while !left.is_empty() {
        match rustix::io::write(&before.terminal, left) {
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _ = tcsetattr(&before.terminal, OptionalActions::Now, &before.modes);
}
