//! The maximum of piecewise-linear functions of z, and its expected gain over one of them.
//!
//! Functions are merged one after another on the range |z| <= [`REACH`], beyond which a standard normal
//! has a mass of 2e-19. Ties go to the function merged first, so the gain over the first is exactly
//! zero wherever it is best.

use super::normal::integrate_linear;
use crate::risk::PiecewiseLinear;

/// Largest |z| considered.
pub const REACH: f64 = 9.0;

/// One linear piece of the envelope: `intercept + slope z` up to `end`, from function `owner`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    end: f64,
    intercept: f64,
    slope: f64,
    owner: u32,
}

/// Running maximum of piecewise-linear functions on |z| <= [`REACH`].
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// Pieces from the left; the last ends at [`REACH`].
    pieces: Vec<Piece>,
    base: Vec<Piece>,
    merged: Vec<Piece>,
    count: u32,
}

impl Envelope {
    /// Starts over with one function, the base that gains are measured against.
    pub fn start(&mut self, base: &PiecewiseLinear) {
        self.base.clear();
        self.base.extend(pieces_of(base, 0));
        self.pieces.clone_from(&self.base);
        self.count = 1;
    }

    /// Takes the maximum with another function; `owner` of its pieces is the number of functions so far.
    pub fn merge(&mut self, function: &PiecewiseLinear) {
        let owner = self.count;
        self.count += 1;
        self.merged.clear();
        let mut left = -REACH;
        let mut current = self.pieces.iter();
        let mut other = pieces_of(function, owner);
        let (Some(mut a), Some(mut b)) = (current.next().copied(), other.next()) else {
            return;
        };
        loop {
            let end = a.end.min(b.end);
            if end > left {
                upper_of(&mut self.merged, a, b, left, end);
            }
            left = end;
            let (a_done, b_done) = (a.end <= end, b.end <= end);
            if a_done {
                match current.next() {
                    Some(piece) => a = *piece,
                    None => break,
                }
            }
            if b_done {
                match other.next() {
                    Some(piece) => b = piece,
                    None => break,
                }
            }
        }
        std::mem::swap(&mut self.pieces, &mut self.merged);
    }

    /// Counts a function that is known to lie nowhere above, so that owners keep their numbers.
    pub fn skip(&mut self) {
        self.count += 1;
    }

    /// The intervals on which one function exceeds the base and neither changes its piece.
    pub fn gains(&self) -> impl Iterator<Item = Gain> {
        let (mut i, mut k, mut left) = (0, 0, -REACH);
        std::iter::from_fn(move || {
            while i < self.pieces.len() && k < self.base.len() {
                let (top, base) = (self.pieces[i], self.base[k]);
                let (from, to) = (left, top.end.min(base.end));
                left = to;
                i += usize::from(top.end <= to);
                k += usize::from(base.end <= to);
                if top.owner != 0 && to > from {
                    let (intercept, slope) =
                        (top.intercept - base.intercept, top.slope - base.slope);
                    return Some(Gain {
                        from,
                        to,
                        intercept,
                        slope,
                        owner: top.owner,
                    });
                }
            }
            None
        })
    }

    /// E[max - base] under a standard normal z; never negative.
    pub fn expected_gain(&self) -> f64 {
        let parts = self.gains().map(|g| {
            let at = |z: f64| (g.intercept + g.slope * z).max(0.0);
            integrate_linear(g.from, g.to, at(g.from), at(g.to))
        });
        parts.sum()
    }
}

/// `intercept + slope z` is what function `owner` exceeds the base by, for z in [from, to].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Left end.
    pub from: f64,
    /// Right end.
    pub to: f64,
    /// Excess at z = 0 of the line.
    pub intercept: f64,
    /// Slope of the excess.
    pub slope: f64,
    /// Number of the function.
    pub owner: u32,
}

/// Pieces of a function within the reach.
fn pieces_of(function: &PiecewiseLinear, owner: u32) -> impl Iterator<Item = Piece> {
    let ends = function.breakpoints.iter().copied().chain([f64::INFINITY]);
    let mut done = false;
    function
        .pieces
        .iter()
        .zip(ends)
        .filter(|(_, end)| *end > -REACH)
        .take_while(move |(_, end)| !std::mem::replace(&mut done, *end >= REACH))
        .map(move |(&(intercept, slope), end)| Piece {
            end: end.min(REACH),
            intercept,
            slope,
            owner,
        })
}

/// Appends the maximum of two lines on [left, end]; `a` wins ties.
fn upper_of(out: &mut Vec<Piece>, a: Piece, b: Piece, left: f64, end: f64) {
    let difference = |z: f64| (b.intercept - a.intercept) + (b.slope - a.slope) * z;
    let (at_left, at_end) = (difference(left), difference(end));
    match (at_left > 0.0, at_end > 0.0) {
        (false, false) => push(out, Piece { end, ..a }),
        (true, true) => push(out, Piece { end, ..b }),
        (b_first, _) => {
            let cross = ((a.intercept - b.intercept) / (b.slope - a.slope)).clamp(left, end);
            let (first, second) = if b_first { (b, a) } else { (a, b) };
            if cross > left {
                push(
                    out,
                    Piece {
                        end: cross,
                        ..first
                    },
                );
            }
            if cross < end {
                push(out, Piece { end, ..second });
            }
        }
    }
}

/// Appends a piece, or lengthens the last one if it is the same line.
fn push(out: &mut Vec<Piece>, piece: Piece) {
    match out.last_mut() {
        Some(last)
            if last.owner == piece.owner
                && last.intercept == piece.intercept
                && last.slope == piece.slope =>
        {
            last.end = piece.end;
        }
        _ => out.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(intercept: f64, slope: f64) -> PiecewiseLinear {
        PiecewiseLinear {
            breakpoints: vec![],
            pieces: vec![(intercept, slope)],
        }
    }

    #[test]
    fn two_lines_give_expected_improvement() {
        // E[max(d + s z, 0)] = d cdf(d/s) + s pdf(d/s), here with d = -0.3, s = 0.8.
        let mut envelope = Envelope::default();
        envelope.start(&line(1.0, 0.2));
        envelope.merge(&line(0.7, 1.0));
        let t: f64 = 0.3 / 0.8;
        let expected =
            0.8 * super::super::normal::density(t) - 0.3 * super::super::normal::upper(t);
        assert!((envelope.expected_gain() - expected).abs() < 1e-14);
    }

    #[test]
    fn the_maximum_is_the_maximum() {
        let tent = PiecewiseLinear {
            breakpoints: vec![0.5],
            pieces: vec![(1.0, 1.0), (2.0, -1.0)],
        };
        let kink = PiecewiseLinear {
            breakpoints: vec![-1.0, 2.0],
            pieces: vec![(0.0, 2.0), (1.5, 3.5), (8.5, 0.0)],
        };
        let flat = line(0.9, 0.0);
        let mut envelope = Envelope::default();
        envelope.start(&tent);
        envelope.merge(&kink);
        envelope.merge(&flat);
        let mut left = -REACH;
        for p in &envelope.pieces {
            for t in [0.01, 0.5, 0.99] {
                let z = left + t * (p.end - left);
                let expected = tent.value(z).max(kink.value(z)).max(0.9);
                assert!(
                    (p.intercept + p.slope * z - expected).abs() < 1e-12,
                    "at {z}"
                );
            }
            left = p.end;
        }
        assert_eq!(left, REACH);
    }
}
