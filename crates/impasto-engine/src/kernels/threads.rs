//! Work on several cores, done by libtorch's own team of threads.
//!
//! libtorch's threads (OpenMP's) keep spinning for a while after each of its
//! operations, so a second pool of threads would have to fight them for the
//! cores. OpenMP's library is looked up in the running program; where it is
//! not there, threads are started for the occasion.

use std::any::Any;
use std::ffi::{c_int, c_uint, c_void};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

/// What a team runs: gets the pointer that was handed in beside it.
type ThreadEntry = extern "C" fn(*mut c_void);

/// The parts of GNU OpenMP's run time (`libgomp`, which LLVM's and Intel's
/// libraries also offer) that are needed.
struct OpenMp {
    parallel: unsafe extern "C" fn(ThreadEntry, *mut c_void, c_uint, c_uint),
    max_threads: unsafe extern "C" fn() -> c_int,
    in_parallel: unsafe extern "C" fn() -> c_int,
}

fn open_mp() -> Option<&'static OpenMp> {
    static OPEN_MP: OnceLock<Option<OpenMp>> = OnceLock::new();
    OPEN_MP.get_or_init(look_up).as_ref()
}

#[cfg(unix)]
fn look_up() -> Option<OpenMp> {
    let program = libloading::os::unix::Library::this();
    // SAFETY: the names are those of GNU OpenMP's interface, whose types these
    // are, and the library stays loaded as long as the program that links it.
    unsafe {
        Some(OpenMp {
            parallel: *program.get(b"GOMP_parallel\0").ok()?,
            max_threads: *program.get(b"omp_get_max_threads\0").ok()?,
            in_parallel: *program.get(b"omp_in_parallel\0").ok()?,
        })
    }
}

#[cfg(not(unix))]
fn look_up() -> Option<OpenMp> {
    None
}

/// Whether work is done by OpenMP's threads.
pub fn shares_open_mp() -> bool {
    open_mp().is_some()
}

/// Lets OpenMP's threads wait without keeping their cores busy for long.
///
/// After each operation libgomp's threads look for the next one 300,000 times
/// before they sleep. Where two programs share the cores, each then waits for a
/// thread that another one's idle thread keeps from running: two runs side by side
/// take three times as long as one. With more threads than processors libgomp
/// looks 100 times only (its manual, `GOMP_SPINCOUNT`): a run alone takes 1 % longer
/// at 256 pixels, two take 1.5 to 2 times as long as one. The variable itself
/// must be set before the library is loaded, as an engine that we start has it;
/// here the library is given two threads more than it needs, which sleep. Whoever
/// has set `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` decides otherwise.
pub fn limit_spinning() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let decided = |name| std::env::var_os(name).is_some();
        let Some(open_mp) = open_mp() else { return };
        if decided("GOMP_SPINCOUNT") || decided("OMP_WAIT_POLICY") {
            return;
        }
        // Without this thread everything works as before.
        let _ = std::thread::Builder::new()
            .name("openmp idle".to_owned())
            .stack_size(64 << 10)
            .spawn(|| {
                extern "C" fn nothing(_: *mut c_void) {}
                // SAFETY: the entry takes any pointer and touches nothing.
                unsafe { (open_mp.parallel)(nothing, std::ptr::null_mut(), 2, 0) };
                // The team counts for as long as the thread that made it lives.
                loop {
                    std::thread::park();
                }
            });
    });
}

/// How many threads work is spread over: as many as libtorch uses when called
/// from this thread.
pub fn threads() -> usize {
    match open_mp() {
        // SAFETY: takes nothing, and may be called at any time.
        Some(open_mp) => usize::try_from(unsafe { (open_mp.max_threads)() })
            .unwrap_or(1)
            .max(1),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    }
}

/// Calls `work` once for each number below `parts`, on several threads. Parts
/// are handed out one by one in order, so a core that is busy elsewhere does
/// not hold up the rest.
///
/// # Panics
/// When `work` does, after all threads have come to rest.
pub fn parallel(parts: usize, work: impl Fn(usize) + Sync) {
    let threads = threads().min(parts);
    // SAFETY: takes nothing, and may be called at any time.
    let nested = open_mp().is_some_and(|open_mp| unsafe { (open_mp.in_parallel)() } != 0);
    if threads <= 1 || nested {
        (0..parts).for_each(work);
        return;
    }
    let shift = Shift {
        next: AtomicUsize::new(0),
        parts,
        work: &work,
        stop: AtomicBool::new(false),
        panic: Mutex::new(None),
    };
    match open_mp() {
        Some(open_mp) => {
            let data: *const Shift<'_> = &raw const shift;
            // SAFETY: `enter` gets a pointer to `shift`, which outlives the
            // call: the whole team is through when it returns. `shift` is used
            // by shared reference only, and everything in it is `Sync`.
            unsafe {
                (open_mp.parallel)(
                    enter,
                    data.cast_mut().cast(),
                    c_uint::try_from(threads).unwrap_or(c_uint::MAX),
                    0,
                );
            }
        }
        None => std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| shift.run());
            }
            shift.run();
        }),
    }
    let panic = shift.panic.into_inner();
    if let Some(panic) = panic.unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(panic);
    }
}

/// What the threads of a team share.
struct Shift<'a> {
    next: AtomicUsize,
    parts: usize,
    work: &'a (dyn Fn(usize) + Sync),
    /// Set by the first panic: the others need not continue.
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Shift<'_> {
    /// Never unwinds: a panic must not pass through OpenMP's frames.
    fn run(&self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while !self.stop.load(Ordering::Relaxed) {
                let part = self.next.fetch_add(1, Ordering::Relaxed);
                if part >= self.parts {
                    break;
                }
                (self.work)(part);
            }
        }));
        if let Err(panic) = outcome {
            self.stop.store(true, Ordering::Relaxed);
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }
}

extern "C" fn enter(data: *mut c_void) {
    // SAFETY: `parallel` hands in a pointer to a `Shift` that outlives the team.
    let shift = unsafe { &*data.cast::<Shift<'_>>() };
    shift.run();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once() {
        for parts in [0, 1, 2, 3, 1000] {
            let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            parallel(parts, |part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                counts
                    .iter()
                    .all(|count| count.load(Ordering::Relaxed) == 1)
            );
        }
    }

    #[test]
    fn a_panic_comes_back_to_the_caller() {
        let outcome = catch_unwind(|| {
            parallel(100, |part| assert!(part != 57, "part 57"));
        });
        let panic = outcome.unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("part 57"));
        // And the team is fit for more.
        every_part_is_done_once();
    }
}
