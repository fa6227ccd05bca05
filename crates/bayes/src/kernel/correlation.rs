//! Correlations as functions of the scaled squared distance `r2 = sum_d (a_d - b_d)^2 / l_d^2`.
//!
//! Everything else about a kernel (matrices, gradients) follows from the value and its derivative
//! with respect to r2, both finite at r2 = 0.

use serde::{Deserialize, Serialize};

/// Correlations below this become exactly zero: products of such entries would turn into denormals,
/// with which a factorisation is several times slower, and they carry no information in f64.
const NEGLIGIBLE: f64 = 1e-30;

/// Which stationary correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelKind {
    /// `(1 + s + s^2/3) e^-s`, `s = sqrt(5 r2)`: twice differentiable sample paths.
    #[default]
    Matern52,
    /// `(1 + s) e^-s`, `s = sqrt(3 r2)`: once differentiable sample paths.
    Matern32,
    /// `e^(-r2/2)`: infinitely smooth.
    SquaredExponential,
}

impl KernelKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Matern52, Self::Matern32, Self::SquaredExponential];

    /// Correlation at scaled squared distance `r2 >= 0`; in [0, 1].
    pub fn correlation(self, r2: f64) -> f64 {
        self.correlation_and_slope(r2).0
    }

    /// Correlation and its derivative with respect to `r2` (never positive).
    #[inline]
    pub fn correlation_and_slope(self, r2: f64) -> (f64, f64) {
        let (value, slope) = match self {
            Self::Matern52 => {
                let s = (5.0 * r2).sqrt();
                let decay = (-s).exp();
                (
                    (1.0 + s + s * s / 3.0) * decay,
                    -5.0 / 6.0 * (1.0 + s) * decay,
                )
            }
            Self::Matern32 => {
                let s = (3.0 * r2).sqrt();
                let decay = (-s).exp();
                ((1.0 + s) * decay, -1.5 * decay)
            }
            Self::SquaredExponential => {
                let value = (-0.5 * r2).exp();
                (value, -0.5 * value)
            }
        };
        if value < NEGLIGIBLE {
            (0.0, 0.0)
        } else {
            (value, slope)
        }
    }

    /// Turns scaled squared distances into correlations, in place, and writes their derivatives with
    /// respect to them into `slopes` (same length).
    pub fn correlations_and_slopes(self, r2: &mut [f64], slopes: &mut [f64]) {
        for (r2, slope) in r2.iter_mut().zip(slopes) {
            (*r2, *slope) = self.correlation_and_slope(*r2);
        }
    }

    /// Turns scaled squared distances into correlations, in place.
    pub fn correlations(self, r2: &mut [f64]) {
        for r2 in r2 {
            *r2 = self.correlation(*r2);
        }
    }
}
