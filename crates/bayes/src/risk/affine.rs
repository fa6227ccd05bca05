//! CVaR of affine functions of one variable, as an explicit piecewise-linear function.
//!
//! With one standard normal z the posterior mean over the environments of an x after an observation
//! is `a_j + b_j z`. The lower-tail CVaR of these is a minimum of linear functions (one for each
//! choice of tail masses), hence *concave* and piecewise linear in z. [`TailSet`] holds the tail at
//! z = 0 and follows it to both sides, from one exchange at the quantile to the next: a kinetic
//! selection that costs O(n) an exchange, and nothing where the tail never changes.

use multiversion::multiversion;

use super::tail::TailMass;

/// Functions looked at together.
const LANES: usize = 8;

/// Tail masses below this are rounding left over from the sum of weights.
const ROUNDING: f64 = 1e-14;

/// A continuous piecewise-linear function of z.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PiecewiseLinear {
    /// Where the slope changes, strictly ascending.
    pub breakpoints: Vec<f64>,
    /// (intercept, slope) of each piece, from the left; one more than breakpoints.
    pub pieces: Vec<(f64, f64)>,
}

impl PiecewiseLinear {
    /// Value at `z`. Zero for a function without pieces.
    pub fn value(&self, z: f64) -> f64 {
        let piece = self.breakpoints.partition_point(|b| *b < z);
        self.pieces
            .get(piece)
            .map_or(0.0, |(intercept, slope)| intercept + slope * z)
    }

    fn clear(&mut self) {
        self.breakpoints.clear();
        self.pieces.clear();
    }
}

/// CVaR at `tail` of `intercepts[j] + slopes[j] z` with `weights` (non-negative, positive sum), for
/// every real z. Pieces come with falling slopes (the function is concave).
///
/// # Panics
/// If lengths differ or there are no functions.
pub fn cvar_of_affine(
    intercepts: &[f64],
    slopes: &[f64],
    weights: &[f64],
    tail: TailMass,
) -> PiecewiseLinear {
    let mut out = PiecewiseLinear::default();
    let everywhere = (f64::NEG_INFINITY, f64::INFINITY);
    TailSet::new(intercepts, weights, tail).follow(slopes, everywhere, &mut Vec::new(), &mut out);
    out
}

/// The tail of a set of intercepts at z = 0, from which it is followed along any slopes.
///
/// Made once for each x', used for every candidate.
#[derive(Clone, Debug)]
pub struct TailSet {
    /// Padded with zeros to a multiple of [`LANES`], as are the masses.
    intercepts: Vec<f64>,
    /// Mass of each function as a share of the tail: weight / (sum of weights * tail).
    masses: Vec<f64>,
    /// How much of each mass lies in the tail: all below the boundary, none above it. Sums to 1.
    filled: Vec<f64>,
    boundary: usize,
    cvar: f64,
}

impl TailSet {
    /// The tail of `intercepts` with `weights` (non-negative, positive sum).
    ///
    /// # Panics
    /// If lengths differ or there are no functions.
    pub fn new(intercepts: &[f64], weights: &[f64], tail: TailMass) -> Self {
        assert_eq!(intercepts.len(), weights.len(), "one weight per function");
        assert!(!intercepts.is_empty(), "a tail needs at least one function");
        let total: f64 = weights.iter().sum();
        let mut masses: Vec<f64> = weights.iter().map(|w| w / total / tail.get()).collect();
        let mut order: Vec<usize> = (0..intercepts.len()).filter(|&j| masses[j] > 0.0).collect();
        order.sort_by(|&a, &b| intercepts[a].total_cmp(&intercepts[b]).then(a.cmp(&b)));
        let mut filled = vec![0.0; intercepts.len()];
        let mut left = 1.0;
        let mut boundary = order.first().copied().unwrap_or(0);
        for j in order {
            boundary = j;
            filled[j] = f64::min(masses[j], left);
            left -= filled[j];
            if left <= 0.0 {
                break;
            }
        }
        let cvar = filled
            .iter()
            .zip(intercepts)
            .filter(|(q, _)| **q > 0.0)
            .map(|(q, a)| q * a)
            .sum();
        let padded = intercepts.len().next_multiple_of(LANES);
        let mut intercepts = intercepts.to_vec();
        intercepts.resize(padded, 0.0);
        masses.resize(padded, 0.0);
        Self {
            intercepts,
            masses,
            filled,
            boundary,
            cvar,
        }
    }

    /// CVaR of the intercepts (z = 0).
    pub fn cvar(&self) -> f64 {
        self.cvar
    }

    /// Slope at z = 0 of the CVaR of `intercepts[j] + slopes[j] z`: with [`Self::cvar`] a line that lies
    /// nowhere below that concave function.
    pub fn slope(&self, slopes: &[f64]) -> f64 {
        self.filled.iter().zip(slopes).map(|(q, b)| q * b).sum()
    }

    /// Writes the CVaR of `intercepts[j] + slopes[j] z` into `out`, exact for z within `range`
    /// (which contains 0, ends may be infinite); beyond it the outermost pieces are prolonged, which
    /// overestimates. A range of (-9, 9) loses nothing under a standard normal z in f64.
    /// `scratch` is only reused memory.
    ///
    /// # Panics
    /// If the number of slopes differs from that of intercepts.
    pub fn follow(
        &self,
        slopes: &[f64],
        range: (f64, f64),
        scratch: &mut Vec<f64>,
        out: &mut PiecewiseLinear,
    ) {
        assert_eq!(slopes.len(), self.filled.len(), "one slope per function");
        out.clear();
        let slope_now = self
            .filled
            .iter()
            .zip(slopes)
            .map(|(q, b)| q * b)
            .sum::<f64>();
        // To the left: the mirror image (functions of -z), then turned round.
        self.walk(
            slopes,
            (-1.0, -range.0),
            (self.cvar, -slope_now),
            scratch,
            out,
        );
        out.breakpoints.reverse();
        out.pieces.reverse();
        out.breakpoints.iter_mut().for_each(|z| *z = -*z);
        out.pieces.iter_mut().for_each(|piece| piece.1 = -piece.1);
        let before_zero = out.pieces.pop();
        let (first_piece, first_break) = (out.pieces.len(), out.breakpoints.len());
        self.walk(slopes, (1.0, range.1), (self.cvar, slope_now), scratch, out);
        // Ties at z = 0 may resolve one way to the left and another to the right.
        if let Some(piece) = before_zero
            && piece != out.pieces[first_piece]
        {
            out.pieces.insert(first_piece, piece);
            out.breakpoints.insert(first_break, 0.0);
        }
    }

    /// Follows the tail from z = 0 to `end`, appending the pieces met, the first being `start`
    /// (intercept, slope) unless ties at 0 replace it. Slopes are multiplied by `direction` (-1 or 1).
    ///
    /// Ends: every exchange that moves mass lowers the slope of the CVaR, and one that moves none
    /// (boundary atom wholly inside) raises the slope at the boundary.
    fn walk(
        &self,
        slopes: &[f64],
        (direction, end): (f64, f64),
        start: (f64, f64),
        scratch: &mut Vec<f64>,
        out: &mut PiecewiseLinear,
    ) {
        let (a, masses) = (&self.intercepts[..], &self.masses[..]);
        let (n, padded) = (slopes.len(), a.len());
        scratch.clear();
        scratch.resize(3 * padded, 0.0);
        let (filled, rest) = scratch.split_at_mut(padded);
        let (slope, side) = rest.split_at_mut(padded);
        filled[..n].copy_from_slice(&self.filled);
        for (to, from) in slope.iter_mut().zip(slopes) {
            *to = direction * from;
        }
        for (side, (filled, mass)) in side.iter_mut().zip(filled.iter().zip(masses)) {
            *side = if *filled > 0.0 {
                1.0
            } else {
                -f64::from(*mass > 0.0)
            };
        }
        let mut b = self.boundary;
        side[b] = 0.0;
        let mut z = 0.0;
        let mut piece = start;
        out.pieces.push(piece);
        while let Some((j, next)) = next_meeting(a, slope, side, (b, z), end) {
            // An atom that rises out of the tail gives its mass to the boundary atom; one that falls
            // into it takes mass from there.
            let rises = filled[j] > 0.0;
            let (from, to) = if rises { (j, b) } else { (b, j) };
            let moved = f64::min(filled[from], f64::max(masses[to] - filled[to], 0.0));
            filled[from] -= moved;
            filled[to] += moved;
            piece.0 += moved * (a[to] - a[from]);
            piece.1 += moved * (slope[to] - slope[from]);
            // Whoever is left with a part (or, when both fit exactly, the fuller one) is the boundary.
            let (boundary, other) = if filled[from] > 0.0 {
                (from, to)
            } else {
                (to, from)
            };
            b = boundary;
            side[b] = 0.0;
            side[other] = if filled[other] > 0.0 { 1.0 } else { -1.0 };
            if moved > ROUNDING {
                if next > z {
                    out.breakpoints.push(next);
                    out.pieces.push(piece);
                } else if let Some(last) = out.pieces.last_mut() {
                    *last = piece;
                }
                z = next;
            }
        }
    }
}

/// The first function, from `z` on and before `end`, that meets the boundary function `b` from below
/// (those inside the tail, `side` 1) or from above (outside, `side` -1); ties to the lowest index.
/// Lengths are multiples of [`LANES`], padded with `side` 0.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn next_meeting(
    a: &[f64],
    slope: &[f64],
    side: &[f64],
    (b, z): (usize, f64),
    end: f64,
) -> Option<(usize, f64)> {
    let (a_b, slope_b) = (a[b], slope[b]);
    let mut first = [end; LANES];
    let mut block = [f64::MAX; LANES];
    let (a, _) = a.as_chunks::<LANES>();
    let (slope, _) = slope.as_chunks::<LANES>();
    let (side, _) = side.as_chunks::<LANES>();
    for (k, ((a, slope), side)) in a.iter().zip(slope).zip(side).enumerate() {
        for l in 0..LANES {
            let relative = slope[l] - slope_b;
            let at = (a_b - a[l]) / relative;
            let at = if at > z { at } else { z };
            let sooner = (side[l] * relative > 0.0) & (at < first[l]);
            first[l] = if sooner { at } else { first[l] };
            block[l] = if sooner { k as f64 } else { block[l] };
        }
    }
    let mut best: Option<(usize, f64)> = None;
    for l in 0..LANES {
        if first[l] < end {
            let j = block[l] as usize * LANES + l;
            if best.is_none_or(|(i, at)| first[l] < at || (first[l] == at && j < i)) {
                best = Some((j, first[l]));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::risk::cvar;

    fn direct(a: &[f64], b: &[f64], weights: &[f64], tail: TailMass, z: f64) -> f64 {
        let values: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + b * z).collect();
        cvar(&values, weights, tail)
    }

    #[test]
    fn two_crossing_lines_by_hand() {
        // The worst of z and -z is -|z|.
        let tail = TailMass::new(0.5).unwrap();
        let found = cvar_of_affine(&[0.0, 0.0], &[1.0, -1.0], &[0.5, 0.5], tail);
        assert_eq!(found.breakpoints, [0.0]);
        assert_eq!(found.pieces, [(0.0, 1.0), (0.0, -1.0)]);
        // Their mean is 0 everywhere.
        let whole = cvar_of_affine(
            &[0.0, 0.0],
            &[1.0, -1.0],
            &[0.5, 0.5],
            TailMass::new(1.0).unwrap(),
        );
        assert_eq!(whole.pieces, [(0.0, 0.0)]);
    }

    #[test]
    fn a_tail_that_never_changes_is_one_piece() {
        let found = cvar_of_affine(
            &[0.0, 1.0, 2.0],
            &[0.3; 3],
            &[1.0; 3],
            TailMass::new(0.5).unwrap(),
        );
        assert_eq!(found.pieces.len(), 1);
        assert!((found.value(2.0) - (1.0 / 3.0 + 0.6)).abs() < 1e-15);
    }

    fn lines() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, Vec<f64>, f64)> {
        // Coarse grids make ties and parallel lines common.
        let entry = (
            prop_oneof![-3.0..3.0, (-2..3_i32).prop_map(f64::from)],
            prop_oneof![-2.0..2.0, (-2..3_i32).prop_map(f64::from)],
            prop_oneof![Just(0.0), Just(1.0), 0.01..3.0],
        );
        (
            prop::collection::vec(entry, 1..18),
            prop_oneof![0.01..1.0, Just(1.0), Just(1e-6), Just(0.5)],
        )
            .prop_map(|(entries, tail)| {
                let a = entries.iter().map(|e| e.0).collect();
                let b = entries.iter().map(|e| e.1).collect();
                let mut weights: Vec<f64> = entries.iter().map(|e| e.2).collect();
                if weights.iter().sum::<f64>() <= 0.0 {
                    weights[0] = 1.0;
                }
                (a, b, weights, tail)
            })
    }

    proptest! {
        #[test]
        fn equals_the_cvar_at_every_z((a, b, weights, tail) in lines(), zs in prop::collection::vec(-8.0..8.0, 12)) {
            let tail = TailMass::new(tail).unwrap();
            let found = cvar_of_affine(&a, &b, &weights, tail);
            prop_assert_eq!(found.pieces.len(), found.breakpoints.len() + 1);
            prop_assert!(found.breakpoints.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(found.pieces.windows(2).all(|w| w[0].1 >= w[1].1), "concave");
            for z in zs.into_iter().chain(found.breakpoints.iter().copied()).chain([0.0, -1e3, 1e3]) {
                let expected = direct(&a, &b, &weights, tail, z);
                prop_assert!((found.value(z) - expected).abs() < 1e-10 * (1.0 + z.abs()), "at {}: {} against {}", z, found.value(z), expected);
            }
            let mut bounded = PiecewiseLinear::default();
            TailSet::new(&a, &weights, tail).follow(&b, (-2.0, 3.0), &mut Vec::new(), &mut bounded);
            for z in [-2.0, -0.7, 0.0, 1.3, 3.0] {
                prop_assert!((bounded.value(z) - direct(&a, &b, &weights, tail, z)).abs() < 1e-10);
            }
        }
    }
}
