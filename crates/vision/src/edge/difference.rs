//! Pixel differences: what the published 3x3 weights of PiDiNet mean, and the ordinary kernels that
//! equal them.
//!
//! Central type [`Difference`]. Source: Su and others, "Pixel Difference Networks for Efficient Edge
//! Detection", ICCV 2021.

/// What a published 3x3 weight means; the kinds follow the layers in this order, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Each of the eight neighbours minus the centre.
    Central,
    /// Each of the eight neighbours minus the next one around the centre.
    Angular,
    /// Each neighbour at distance 2 minus the one at distance 1 in the same direction.
    Radial,
    /// None: an ordinary convolution.
    Plain,
}

impl Difference {
    /// The kinds in the order of the layers.
    pub(super) const ORDER: [Self; 4] = [Self::Central, Self::Angular, Self::Radial, Self::Plain];

    /// Side of the ordinary kernel that equals it.
    pub(super) fn side(self) -> usize {
        if self == Self::Radial { 5 } else { 3 }
    }

    /// The ordinary kernel (row-major, `side` x `side`) equal to the published 3x3 one.
    pub(super) fn unfold(self, w: &[f32; 9]) -> Vec<f32> {
        match self {
            Self::Plain => w.to_vec(),
            Self::Central => {
                let mut out = w.to_vec();
                out[4] -= w.iter().sum::<f32>();
                out
            }
            Self::Angular => {
                // Entry i of the kernel is its weight minus that of the entry one step earlier on
                // the way round the centre, which itself contributes nothing.
                const EARLIER: [usize; 9] = [3, 0, 1, 6, 4, 2, 7, 8, 5];
                (0..9).map(|i| w[i] - w[EARLIER[i]]).collect()
            }
            Self::Radial => {
                // The first of the nine weights is unused; the others are the eight directions in
                // row-major order.
                let mut out = vec![0.0; 25];
                let directions = (0..9).filter(|i| *i != 4).map(|i| (i / 3, i % 3));
                for ((y, x), weight) in directions.zip(&w[1..]) {
                    out[2 * y * 5 + 2 * x] += weight;
                    out[(1 + y) * 5 + 1 + x] -= weight;
                }
                out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_vanish_on_a_constant_image() {
        let weight = [0.5, -1.0, 2.0, 0.25, 3.0, -0.75, 1.5, 0.1, -2.0];
        for kind in [Difference::Central, Difference::Angular, Difference::Radial] {
            assert!(
                kind.unfold(&weight).iter().sum::<f32>().abs() < 1e-6,
                "{kind:?}"
            );
        }
    }
}
