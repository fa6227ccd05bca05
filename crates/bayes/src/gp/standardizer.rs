//! Shift and scale of the observations.

use serde::{Deserialize, Serialize};

/// `standardised = (y - shift) / scale`. Give it the successful observations only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    /// Mean of the observations, in y's unit.
    pub shift: f64,
    /// Their standard deviation (n - 1), in y's unit; 1 where there is no spread to speak of.
    pub scale: f64,
}

impl Standardizer {
    /// Mean and standard deviation of the finite entries of `y`; a constant y, a single observation
    /// and none get scale 1. Works on any scale that f64 holds.
    pub fn from_observations(y: &[f64]) -> Self {
        let finite: Vec<f64> = y.iter().copied().filter(|y| y.is_finite()).collect();
        if finite.is_empty() {
            return Self {
                shift: 0.0,
                scale: 1.0,
            };
        }
        // Through the largest magnitude, so that neither sums nor squares overflow.
        let largest = finite.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        if largest == 0.0 {
            return Self {
                shift: 0.0,
                scale: 1.0,
            };
        }
        let n = finite.len() as f64;
        let mean = finite.iter().map(|y| y / largest).sum::<f64>() / n;
        let squares: f64 = finite.iter().map(|y| (y / largest - mean).powi(2)).sum();
        let deviation = if finite.len() > 1 {
            (squares / (n - 1.0)).sqrt()
        } else {
            0.0
        };
        // Spread that is only rounding of equal values is no spread.
        let scale = if deviation > 1e-13 {
            deviation * largest
        } else {
            1.0
        };
        let scale = if scale.is_finite() && scale > f64::MIN_POSITIVE {
            scale
        } else {
            1.0
        };
        Self {
            shift: mean * largest,
            scale,
        }
    }

    /// Standardised form of one value.
    pub fn standardize(&self, y: f64) -> f64 {
        (y - self.shift) / self.scale
    }

    /// Back to y's unit.
    pub fn restore(&self, standardised: f64) -> f64 {
        self.shift + self.scale * standardised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_what_is_finite() {
        let found = Standardizer::from_observations(&[1.0, f64::NAN, 3.0, f64::INFINITY, 5.0]);
        assert_eq!(
            found,
            Standardizer {
                shift: 3.0,
                scale: 2.0
            }
        );
        assert_eq!(found.restore(found.standardize(1.25)), 1.25);
    }

    #[test]
    fn no_spread_means_scale_one() {
        for y in [&[][..], &[4.0], &[0.1, 0.1, 0.1], &[0.0, 0.0], &[f64::NAN]] {
            assert_eq!(Standardizer::from_observations(y).scale, 1.0);
        }
    }

    #[test]
    fn any_scale_works() {
        for factor in [1e-300, 1e-6, 1e6, 1e306] {
            let found = Standardizer::from_observations(&[factor, 2.0 * factor, 3.0 * factor]);
            assert!((found.shift / factor - 2.0).abs() < 1e-12);
            assert!((found.standardize(3.0 * factor) - 1.0).abs() < 1e-12);
        }
    }
}
