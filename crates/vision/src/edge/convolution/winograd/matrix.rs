//! The three small matrices of F(4x4, 3x3) applied to vectors.
//!
//! Six input values, three weights and four outputs of a one-dimensional correlation meet in six
//! products: y = A^T ((G g) . (B^T d)), interpolation at 0, 1, -1, 2, -2 and infinity. Source: Lavin
//! and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. `unsafe` is that of
//! [`Lanes`].

use super::super::lanes::Lanes;

/// B^T d.
///
/// # Safety
/// Inside `dispatch`.
#[inline(always)]
pub(super) unsafe fn input<L: Lanes>(d: [L; 6]) -> [L; 6] {
    // SAFETY: as the caller promises.
    unsafe {
        let (two, four, five) = (L::splat(2.0), L::splat(-4.0), L::splat(-5.0));
        let four_d0 = d[0].plus(d[0]).fused(two, d[4]);
        let even = d[2].fused(four, d[4]);
        let odd = d[1].fused(four, d[3]);
        let far = d[4].minus(d[2]);
        let near = d[3].minus(d[1]);
        let four_d1 = d[1].plus(d[1]).fused(two, d[5]);
        [
            d[2].fused(five, four_d0),
            even.plus(odd),
            even.minus(odd),
            near.fused(two, far),
            far.minus(near.plus(near)),
            d[3].fused(five, four_d1),
        ]
    }
}

/// A^T m.
///
/// # Safety
/// Inside `dispatch`.
#[inline(always)]
pub(super) unsafe fn output<L: Lanes>(m: [L; 6]) -> [L; 4] {
    // SAFETY: as the caller promises.
    unsafe {
        let (two, four, eight) = (L::splat(2.0), L::splat(4.0), L::splat(8.0));
        let (sum, difference) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (sum_2, difference_2) = (m[3].plus(m[4]), m[3].minus(m[4]));
        [
            m[0].plus(sum).plus(sum_2),
            difference_2.fused(two, difference),
            sum_2.fused(four, sum),
            difference_2.fused(eight, difference).plus(m[5]),
        ]
    }
}

/// G g.
#[inline(always)]
pub(super) fn weight<const N: usize>(g: [[f32; N]; 3]) -> [[f32; N]; 6] {
    let mut out = [[0.0; N]; 6];
    for i in 0..N {
        let [g0, g1, g2] = [g[0][i], g[1][i], g[2][i]];
        let sum = (g0 + g2) * (-1.0 / 6.0);
        let far = g0 * (1.0 / 24.0) + g2 * (1.0 / 6.0);
        out[0][i] = g0 * 0.25;
        out[1][i] = sum - g1 * (1.0 / 6.0);
        out[2][i] = sum + g1 * (1.0 / 6.0);
        out[3][i] = far + g1 * (1.0 / 12.0);
        out[4][i] = far - g1 * (1.0 / 12.0);
        out[5][i] = g2;
    }
    out
}
