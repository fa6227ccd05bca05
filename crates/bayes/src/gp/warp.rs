//! Input warping: a monotone map of each input from [0, 1] onto itself, with two shapes to be learned.
//!
//! `g(u) = 1 - (1 - u^a)^b`, the distribution function of Kumaraswamy; a = b = 1 leaves u as it is. Where
//! an objective changes quickly near one end of a range and slowly near the other, a stationary kernel
//! fits the warped input better. Source: Snoek, Swersky, Zemel and Adams (2014).

use serde::{Deserialize, Serialize};

/// Inputs are kept this far from the ends, where slopes may be infinite.
const MARGIN: f64 = 1e-6;

/// The shapes of one input's map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warp {
    /// Exponent at the lower end, positive.
    pub a: f64,
    /// Exponent at the upper end, positive.
    pub b: f64,
}

/// The map at one input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warped {
    /// `g(u)`.
    pub value: f64,
    /// Derivative with respect to u.
    pub slope: f64,
    /// Derivative with respect to `ln a`.
    pub to_log_a: f64,
    /// Derivative with respect to `ln b`.
    pub to_log_b: f64,
}

impl Warp {
    /// The map that changes nothing.
    pub const NONE: Self = Self { a: 1.0, b: 1.0 };

    /// The map and its derivatives at `u`. Outside [0, 1], where environments may lie, it goes on with
    /// slope 1.
    pub fn at(self, u: f64) -> Warped {
        let Self { a, b } = self;
        let inside = u.clamp(0.0, 1.0);
        let v = MARGIN + (1.0 - 2.0 * MARGIN) * inside;
        let power = v.powf(a);
        let rest = -(a * v.ln()).exp_m1();
        let tail = rest.powf(b);
        let steep = b * rest.powf(b - 1.0);
        Warped {
            value: 1.0 - tail + (u - inside),
            slope: if u == inside {
                (1.0 - 2.0 * MARGIN) * a * v.powf(a - 1.0) * steep
            } else {
                1.0
            },
            to_log_a: a * power * v.ln() * steep,
            to_log_b: -b * tail * rest.ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_monotone_and_keeps_the_ends() {
        for (a, b) in [
            (1.0, 1.0),
            (0.4, 2.5),
            (3.0, 0.3),
            (1e-4, 1e4),
            (50.0, 0.01),
        ] {
            let warp = Warp { a, b };
            let mut last = f64::NEG_INFINITY;
            for i in -5..=105 {
                let at = warp.at(f64::from(i) / 100.0);
                assert!(at.value >= last, "{warp:?} at {i}");
                assert!(at.slope.is_finite() && at.slope >= 0.0);
                assert!(at.to_log_a.is_finite() && at.to_log_b.is_finite());
                last = at.value;
            }
        }
        let none = Warp::NONE;
        assert!((none.at(0.3).value - 0.3).abs() < 2e-6);
        assert!((none.at(1.4).value - 1.4).abs() < 2e-6);
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let h = 1e-6;
        for (a, b) in [(1.0, 1.0), (0.4, 2.5), (3.0, 0.3)] {
            for u in [0.02, 0.3, 0.77, 0.99] {
                let found = Warp { a, b }.at(u);
                let value = |a: f64, b: f64, u: f64| Warp { a, b }.at(u).value;
                let differences = [
                    value(a, b, u + h) - value(a, b, u - h),
                    value(a * h.exp(), b, u) - value(a * (-h).exp(), b, u),
                    value(a, b * h.exp(), u) - value(a, b * (-h).exp(), u),
                ];
                let slopes = [found.slope, found.to_log_a, found.to_log_b];
                for (difference, slope) in differences.into_iter().zip(slopes) {
                    assert!((difference / (2.0 * h) - slope).abs() < 1e-7 * (1.0 + slope.abs()));
                }
            }
        }
    }
}
