//! Vectors of `f32` of the width this processor offers, chosen at run time.
//!
//! Central trait [`Lanes`], implemented for AVX-512, AVX2 and plain arrays; [`dispatch`] runs a
//! [`Work`] with the vectors of a [`Width`]. `unsafe` because the vector instructions of x86-64 are: an
//! implementation may be used only inside [`dispatch`], which has asked the processor first.

/// A vector of `WIDTH` values. The product of [`Lanes::fused`] is rounded once with AVX, so its bits
/// depend on the processor, never on the place in the vector.
pub(super) trait Lanes: Copy {
    /// Values in a vector.
    const WIDTH: usize;
    /// True if eight rows of three vectors fit into the registers; else four rows do.
    const MANY_REGISTERS: bool;

    /// # Safety
    /// Inside [`dispatch`]; `WIDTH` values can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// Inside [`dispatch`]; `WIDTH` values can be written at `to`.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// Inside [`dispatch`].
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// Inside [`dispatch`].
    unsafe fn plus(self, other: Self) -> Self;
    /// # Safety
    /// Inside [`dispatch`].
    unsafe fn minus(self, other: Self) -> Self;
    /// self * factor + sum
    ///
    /// # Safety
    /// Inside [`dispatch`].
    unsafe fn fused(self, factor: Self, sum: Self) -> Self;
}

/// Something to compute with vectors of any width.
pub(super) trait Work {
    /// What comes of it.
    type Output;

    /// Computes it; implementations are `#[inline(always)]`, and so is all they call with `L`.
    ///
    /// # Safety
    /// Called by [`dispatch`] only.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
}

/// Vectors that this processor has: there is no other way to come by one than to ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Width(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

impl Width {
    /// All, the widest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            is_x86_feature_detected!("avx512f").then_some(Kind::Avx512),
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
                .then_some(Kind::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let special = [None];
        special.into_iter().flatten().chain([Kind::Plain]).map(Self)
    }

    /// The widest.
    pub(super) fn widest() -> Self {
        Self::available().next().expect("plain arrays always are")
    }
}

/// Computes `work` with vectors of `width`.
pub(super) fn dispatch<W: Work>(width: Width, work: W) -> W::Output {
    match width.0 {
        // SAFETY: the processor said that it knows these instructions.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { x86::run_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { x86::run_avx2(work) },
        // SAFETY: plain arrays need nothing of the processor.
        Kind::Plain => unsafe { work.run::<Plain>() },
    }
}

/// Eight values in an array, for every processor.
#[derive(Clone, Copy)]
struct Plain([f32; 8]);

impl Lanes for Plain {
    const WIDTH: usize = 8;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of f32 needs no more than the alignment of f32.
        Self(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 8]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    unsafe fn fused(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + sum.0[i]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Lanes, Work};

    /// # Safety
    /// The processor knows AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn run_avx512<W: Work>(work: W) -> W::Output {
        // SAFETY: this is dispatch's door for AVX-512.
        unsafe { work.run::<Avx512>() }
    }

    /// # Safety
    /// The processor knows AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<W: Work>(work: W) -> W::Output {
        // SAFETY: this is dispatch's door for AVX2.
        unsafe { work.run::<Avx2>() }
    }

    macro_rules! lanes {
        ($name:ident, $register:ty, $width:literal, $many:literal,
         $load:ident $store:ident $splat:ident $add:ident $sub:ident $fused:ident) => {
            #[derive(Clone, Copy)]
            pub(super) struct $name($register);

            impl Lanes for $name {
                const WIDTH: usize = $width;
                const MANY_REGISTERS: bool = $many;

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: the caller's promise.
                    Self(unsafe { $load(from) })
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: the caller's promise.
                    unsafe { $store(to, self.0) }
                }

                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    // SAFETY: the caller's promise.
                    Self(unsafe { $splat(value) })
                }

                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: the caller's promise.
                    Self(unsafe { $add(self.0, other.0) })
                }

                #[inline(always)]
                unsafe fn minus(self, other: Self) -> Self {
                    // SAFETY: the caller's promise.
                    Self(unsafe { $sub(self.0, other.0) })
                }

                #[inline(always)]
                unsafe fn fused(self, factor: Self, sum: Self) -> Self {
                    // SAFETY: the caller's promise.
                    Self(unsafe { $fused(self.0, factor.0, sum.0) })
                }
            }
        };
    }

    lanes!(Avx512, __m512, 16, true,
        _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_sub_ps _mm512_fmadd_ps);
    lanes!(Avx2, __m256, 8, false,
        _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_fmadd_ps);
}
