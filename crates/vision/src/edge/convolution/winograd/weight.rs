//! From 3x3 weights to the 36 numbers they become, eight outputs side by side.

use super::super::extent::Extent;
use super::super::tile::GROUP;
use super::grid::{POINTS, SEEN};
use super::matrix;

/// Writes G g G^T of the group of outputs that begins at `first`: point, input channel, output in the
/// group; zeros for outputs past the last.
#[inline(always)]
pub(super) fn transform(e: &Extent, weight: &[f32], first: usize, into: &mut [f32]) {
    debug_assert_eq!(into.len(), POINTS * e.c * GROUP);
    let present = (e.o - first).min(GROUP);
    for c in 0..e.c {
        let mut g = [[0.0f32; GROUP]; 9];
        for o in 0..present {
            let taps = &weight[((first + o) * e.c + c) * 9..][..9];
            for (g, tap) in g.iter_mut().zip(taps) {
                g[o] = *tap;
            }
        }
        let top = matrix::weight([g[0], g[1], g[2]]);
        let middle = matrix::weight([g[3], g[4], g[5]]);
        let bottom = matrix::weight([g[6], g[7], g[8]]);
        for i in 0..SEEN {
            let column = matrix::weight([top[i], middle[i], bottom[i]]);
            for (r, values) in column.into_iter().enumerate() {
                let at = ((r * SEEN + i) * e.c + c) * GROUP;
                into[at..at + GROUP].copy_from_slice(&values);
            }
        }
    }
}
