//! Memory that kernels work in: aligned, reused, and shared between threads
//! that write to different places.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use super::lanes::LANES;

/// So many bytes could not be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory {
    pub bytes: usize,
}

/// Floats that start on a cache line, zero at first.
#[derive(Default)]
pub struct Aligned {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl fmt::Debug for Aligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[f32; {}]", self.len)
    }
}

impl Aligned {
    /// Unwinds with [`NoMemory`] where there is no room: see [`super::guard`].
    pub fn new(len: usize) -> Self {
        let values = zeros(len + LANES).unwrap_or_else(|| {
            let bytes = len * size_of::<f32>();
            // Without the panic hook: this is no mistake of the program's.
            std::panic::resume_unwind(Box::new(NoMemory { bytes }));
        });
        let start = values.as_ptr().align_offset(LANES * size_of::<f32>());
        // `align_offset` may say that it does not know.
        let start = start.min(LANES);
        Self { values, start, len }
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.values[self.start..self.start + self.len]
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.len]
    }
}

/// So many zeros; none where there is no memory for them. (A `Vec` cannot be
/// asked for zeros without aborting, nor filled with them as cheaply as the
/// system hands them out.)
fn zeros(len: usize) -> Option<Vec<f32>> {
    let layout = Layout::array::<f32>(len).ok().filter(|it| it.size() > 0)?;
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc_zeroed(layout) }.cast::<f32>();
    if start.is_null() {
        return None;
    }
    // SAFETY: `len` floats by the global allocator, with the layout that a
    // `Vec` of that capacity has, and zero bytes are the float zero.
    Some(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// Lends `work` some of this thread's scratch memory, `len` floats with anything
/// in them. It is kept for the next call.
pub fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        /// A stack: a call within a call gets the next one.
        static SCRATCH: RefCell<Vec<Aligned>> = const { RefCell::new(Vec::new()) };
    }
    let mut memory = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if memory.len < len {
        memory = Aligned::new(len);
    }
    let result = work(&mut memory.as_mut_slice()[..len]);
    SCRATCH.with_borrow_mut(|stack| stack.push(memory));
    result
}

/// Makes room for so many values, or unwinds with [`NoMemory`].
pub fn make_room<T>(values: &mut Vec<T>, len: usize) {
    let more = len.saturating_sub(values.len());
    if values.try_reserve_exact(more).is_err() {
        let bytes = len.saturating_mul(size_of::<T>());
        std::panic::resume_unwind(Box::new(NoMemory { bytes }));
    }
}

/// A slice that several threads write to, each at places of its own.
pub struct Shared<'a, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: all access goes through `part`, whose callers promise that no two
// threads use the same place.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// The values of `range`.
    ///
    /// # Safety
    /// As long as the result is used, nobody may use any of them by another
    /// call, on this thread or another.
    ///
    /// # Panics
    /// When the range is not within the slice.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "that is what it is for")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice that was borrowed for 'a, and nobody else
        // uses these floats.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The floats of `range`, to read.
    ///
    /// # Safety
    /// As long as the result is used, nobody may write any of them.
    ///
    /// # Panics
    /// When the range is not within the slice.
    #[inline(always)]
    pub unsafe fn read(&self, range: Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: as in `part`, but to read.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }
}

impl Shared<'_> {
    /// The vector that starts at `at`.
    ///
    /// # Safety
    /// As [`Shared::part`].
    ///
    /// # Panics
    /// When it is not within the slice.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "that is what it is for")]
    pub unsafe fn vector(&self, at: usize) -> &mut [f32; LANES] {
        assert!(self.len >= LANES && at <= self.len - LANES);
        // SAFETY: as in `part`.
        unsafe { &mut *self.start.add(at).cast() }
    }
}
