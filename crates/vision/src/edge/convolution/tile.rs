//! The inner product of every dense convolution: a few outputs at many places at once.
//!
//! Central function [`strip`]. One register tile holds up to eight outputs at three vectors of places;
//! the weights of eight outputs lie together ([`GROUP`]), and what a weight meets lies at a fixed
//! offset from the place. `unsafe` because it reads and writes through pointers: callers promise the
//! ranges.

use super::lanes::Lanes;

/// Outputs whose weights lie together.
pub(super) const GROUP: usize = 8;

/// Places are written in whole vectors of at most this many values: buffers end with as many to spare.
pub(super) const SPARE: usize = 16;

/// Where a strip reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Strip<'a> {
    /// For every term of the sum the offset of what its weight meets from the place itself.
    pub(super) offsets: &'a [usize],
    /// `offsets.len()` times [`GROUP`] weights, outputs adjacent.
    pub(super) weights: *const f32,
    /// The first place.
    pub(super) image: *const f32,
    /// Result of the first output at the first place.
    pub(super) target: *mut f32,
    /// Distance between the results of neighbouring outputs.
    pub(super) stride: usize,
    /// Number of places.
    pub(super) places: usize,
    /// Number of outputs, 1 to [`GROUP`].
    pub(super) outputs: usize,
    /// True if the sum is added to what the target holds, else it replaces it.
    pub(super) added: bool,
}

/// target\[o, p\] = sum over k of weights\[k, o\] image\[offsets\[k\] + p\], in the order of k, or that much more.
///
/// # Safety
/// Inside `dispatch`. For every offset and place, and up to [`SPARE`] - 1 places more, the image can be read;
/// the target can be written there for `outputs` outputs; and nobody else touches it.
#[inline(always)]
pub(super) unsafe fn strip<L: Lanes>(s: Strip) {
    let mut at = 0;
    while at < s.places {
        let left = (s.places - at).div_ceil(L::WIDTH);
        let here = Strip {
            image: s.image.wrapping_add(at),
            target: s.target.wrapping_add(at),
            ..s
        };
        // SAFETY: no more vectors than the places left need, the last one into the spare ones.
        unsafe {
            match left {
                1 => column::<L, 1>(here),
                2 | 4 => column::<L, 2>(here),
                _ => column::<L, 3>(here),
            }
        }
        at += L::WIDTH * if left == 4 { 2 } else { left.min(3) };
    }
}

/// All outputs of a strip at `N` vectors of places.
///
/// # Safety
/// As [`strip`].
#[inline(always)]
unsafe fn column<L: Lanes, const N: usize>(s: Strip) {
    // SAFETY: as the caller promises; a tile of four starts at output 0 or 4.
    unsafe {
        match s.outputs {
            1 => tile::<L, 1, N>(s),
            2 => tile::<L, 2, N>(s),
            3 | 4 => tile::<L, 4, N>(s),
            _ if L::MANY_REGISTERS => tile::<L, 8, N>(s),
            _ => {
                tile::<L, 4, N>(s);
                tile::<L, 4, N>(Strip {
                    weights: s.weights.wrapping_add(4),
                    target: s.target.wrapping_add(4 * s.stride),
                    outputs: s.outputs - 4,
                    ..s
                });
            }
        }
    }
}

/// One register tile.
///
/// # Safety
/// As [`strip`].
#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize, const N: usize>(s: Strip) {
    // SAFETY: rows past the outputs are computed (their weights are zeros) and not written.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; ROWS];
        let mut weights = s.weights;
        for &offset in s.offsets {
            let from = s.image.wrapping_add(offset);
            let mut seen = [L::splat(0.0); N];
            for (n, seen) in seen.iter_mut().enumerate() {
                *seen = L::load(from.wrapping_add(n * L::WIDTH));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let weight = L::splat(*weights.wrapping_add(row));
                for (sum, seen) in sums.iter_mut().zip(seen) {
                    *sum = weight.fused(seen, *sum);
                }
            }
            weights = weights.wrapping_add(GROUP);
        }
        for (row, sums) in sums.into_iter().enumerate().take(s.outputs.min(ROWS)) {
            for (n, sum) in sums.into_iter().enumerate() {
                let target = s.target.wrapping_add(row * s.stride + n * L::WIDTH);
                let sum = if s.added {
                    L::load(target).plus(sum)
                } else {
                    sum
                };
                sum.store(target);
            }
        }
    }
}
