//! Starting in a folder that was deleted.
//!
//! oneMKL, which is part of libtorch, ends the process while it is loaded, before
//! `main`, where the working folder has no path. So the process is somewhere else
//! for as long as its libraries are loaded.

#![allow(unsafe_code, reason = "code that runs before main")]

use std::sync::atomic::{AtomicI32, Ordering};

/// The deleted folder, while the process is elsewhere; -1 if it was not deleted.
static DELETED: AtomicI32 = AtomicI32::new(-1);

/// Called by the loader before any library's own code.
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_LIBRARIES: extern "C" fn() = leave_deleted;

extern "C" fn leave_deleted() {
    let mut path = [0; libc::PATH_MAX as usize];
    // SAFETY: these are thin wrappers around system calls, which need nothing that
    // is set up later. The buffer is as long as is said, the paths end in a zero.
    unsafe {
        let known = !libc::getcwd(path.as_mut_ptr(), path.len()).is_null();
        if known || *libc::__errno_location() != libc::ENOENT {
            return;
        }
        let here = libc::open(c".".as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        if here >= 0 {
            libc::chdir(c"/".as_ptr());
            DELETED.store(here, Ordering::Relaxed);
        }
    }
}

/// Goes back to the deleted folder, where relative paths lead nowhere, as everybody
/// expects there.
pub fn return_to_deleted() {
    let here = DELETED.swap(-1, Ordering::Relaxed);
    if here >= 0 {
        // SAFETY: the descriptor was opened above and is not used again.
        unsafe {
            libc::fchdir(here);
            libc::close(here);
        }
    }
}
