//! Sixteen floats at a time, on the processors that can do that fast.
//!
//! Kernels are written once, generic over [`Simd`]. A value of a type that
//! implements it is a proof that the processor has the instructions, so its
//! methods are safe to call; only [`Instructions::detect`] makes such values.

use std::fmt;

/// How many floats a vector holds, whatever the instructions.
pub const LANES: usize = 16;

/// Instructions on vectors of [`LANES`] floats.
pub trait Simd: Copy + Send + Sync {
    type Vector: Copy;

    /// Whether the largest tile that fits the registers is 14 rows by 32
    /// columns (otherwise 6 by 16).
    const WIDE: bool;

    fn splat(self, value: f32) -> Self::Vector;
    fn load(self, from: &[f32; LANES]) -> Self::Vector;
    fn store(self, value: Self::Vector, to: &mut [f32; LANES]);
    /// Asks for the cache line at `place`, which may be anywhere.
    fn prefetch(self, place: *const f32);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c − a·b
    fn negative_multiply_add(
        self,
        a: Self::Vector,
        b: Self::Vector,
        c: Self::Vector,
    ) -> Self::Vector;
    /// `value` where it is above zero or not a number, zero elsewhere.
    fn relu(self, value: Self::Vector) -> Self::Vector;
    /// `value` where `mask` is above zero or not a number, zero elsewhere:
    /// what ReLU's gradient lets pass.
    fn keep_where_positive(self, value: Self::Vector, mask: Self::Vector) -> Self::Vector;
}

/// Work that is written for any instructions. `run` and all that it calls on
/// the way to a [`Simd`] method must be `#[inline(always)]`: only what ends up
/// inside [`Instructions::run`] is compiled with the instructions at hand.
pub trait SimdTask {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The best instructions that this processor has.
#[derive(Clone, Copy)]
pub struct Instructions(Kind);

#[derive(Clone, Copy)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
}

impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Instructions {
    /// None where the processor has neither AVX-512 nor AVX2 with FMA.
    pub fn detect() -> Option<Self> {
        Self::all().into_iter().next()
    }

    /// All that this processor has, the best first.
    pub fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::Avx512::detect()
            .map(Kind::Avx512)
            .into_iter()
            .chain(x86::Avx2::detect().map(Kind::Avx2))
            .map(Self)
            .collect();
        #[cfg(not(target_arch = "x86_64"))]
        Vec::new()
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
        }
    }

    /// How many rows of a product should come together: as many full tiles as
    /// make streaming a panel worth while.
    pub fn rows(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => 14,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => 18,
        }
    }

    /// Does `job` with these instructions.
    #[inline]
    pub fn run<J: SimdTask>(self, job: J) -> J::Output {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = job;
        match self.0 {
            // SAFETY: the value at hand proves that the processor has them.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(simd) => unsafe { x86::run_avx512(simd, job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => unsafe { x86::run_avx2(simd, job) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Simd, SimdTask};

    /// Proof of AVX-512 (its foundation, F).
    #[derive(Clone, Copy)]
    pub struct Avx512(());

    /// Proof of AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    impl Avx512 {
        pub fn detect() -> Option<Self> {
            is_x86_feature_detected!("avx512f").then_some(Self(()))
        }
    }

    impl Avx2 {
        pub fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
                .then_some(Self(()))
        }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub fn run_avx512<J: SimdTask>(simd: Avx512, job: J) -> J::Output {
        job.run(simd)
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn run_avx2<J: SimdTask>(simd: Avx2, job: J) -> J::Output {
        job.run(simd)
    }

    // SAFETY, for every `unsafe` below: `self` exists only where `detect` found
    // the instructions, and each pointer comes from a reference to as many
    // floats as are read or written.
    impl Simd for Avx512 {
        type Vector = __m512;
        const WIDE: bool = true;

        #[inline(always)]
        fn splat(self, value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        fn load(self, from: &[f32; LANES]) -> __m512 {
            unsafe { _mm512_loadu_ps(from.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, value: __m512, to: &mut [f32; LANES]) {
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
        }
        #[inline(always)]
        fn prefetch(self, place: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
        }
        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        fn subtract(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        fn multiply(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        fn multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn negative_multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fnmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn relu(self, value: __m512) -> __m512 {
            // The second operand wins where either is not a number.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), value) }
        }
        #[inline(always)]
        fn keep_where_positive(self, value: __m512, mask: __m512) -> __m512 {
            unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(mask, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(keep, value)
            }
        }
    }

    /// A vector is two registers. The same safety as above.
    impl Simd for Avx2 {
        type Vector = [__m256; 2];
        const WIDE: bool = false;

        #[inline(always)]
        fn splat(self, value: f32) -> [__m256; 2] {
            unsafe { [_mm256_set1_ps(value); 2] }
        }
        #[inline(always)]
        fn load(self, from: &[f32; LANES]) -> [__m256; 2] {
            unsafe {
                let start = from.as_ptr();
                [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))]
            }
        }
        #[inline(always)]
        fn store(self, value: [__m256; 2], to: &mut [f32; LANES]) {
            unsafe {
                let start = to.as_mut_ptr();
                _mm256_storeu_ps(start, value[0]);
                _mm256_storeu_ps(start.add(8), value[1]);
            }
        }
        #[inline(always)]
        fn prefetch(self, place: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
        }
        #[inline(always)]
        fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn subtract(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn multiply(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn multiply_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
            unsafe {
                [
                    _mm256_fmadd_ps(a[0], b[0], c[0]),
                    _mm256_fmadd_ps(a[1], b[1], c[1]),
                ]
            }
        }
        #[inline(always)]
        fn negative_multiply_add(
            self,
            a: [__m256; 2],
            b: [__m256; 2],
            c: [__m256; 2],
        ) -> [__m256; 2] {
            unsafe {
                [
                    _mm256_fnmadd_ps(a[0], b[0], c[0]),
                    _mm256_fnmadd_ps(a[1], b[1], c[1]),
                ]
            }
        }
        #[inline(always)]
        fn relu(self, value: [__m256; 2]) -> [__m256; 2] {
            unsafe { value.map(|half| _mm256_max_ps(_mm256_setzero_ps(), half)) }
        }
        #[inline(always)]
        fn keep_where_positive(self, value: [__m256; 2], mask: [__m256; 2]) -> [__m256; 2] {
            unsafe {
                let zero = _mm256_setzero_ps();
                [
                    _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(mask[0], zero), value[0]),
                    _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(mask[1], zero), value[1]),
                ]
            }
        }
    }
}
