//! Correlations as functions of the scaled squared distance `r2 = sum_d (a_d - b_d)^2 / l_d^2`.
//!
//! Everything else about a kernel (matrices, gradients) follows from the value and its derivative
//! with respect to r2, both finite at r2 = 0.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::exponential::exp_negative;

/// Correlations below this become exactly zero: products of such entries would turn into denormals,
/// with which a factorisation is several times slower, and they carry no information in f64.
pub(super) const NEGLIGIBLE: f64 = 1e-30;

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
    #[inline]
    pub fn correlation(self, r2: f64) -> f64 {
        self.correlation_and_slope(r2).0
    }

    /// Correlation and its derivative with respect to `r2` (never positive).
    #[inline]
    pub fn correlation_and_slope(self, r2: f64) -> (f64, f64) {
        match self {
            Self::Matern52 => matern52(r2),
            Self::Matern32 => matern32(r2),
            Self::SquaredExponential => squared_exponential(r2),
        }
    }

    /// Turns scaled squared distances into correlations, in place. The bits are those of
    /// [`Self::correlation`].
    pub fn correlations(self, r2: &mut [f64]) {
        match self {
            Self::Matern52 => matern52_values(r2),
            Self::Matern32 => matern32_values(r2),
            Self::SquaredExponential => squared_exponential_values(r2),
        }
    }

    /// Turns scaled squared distances into correlations, in place, and writes their derivatives with
    /// respect to them into `slopes` (same length).
    pub fn correlations_and_slopes(self, r2: &mut [f64], slopes: &mut [f64]) {
        match self {
            Self::Matern52 => matern52_both(r2, slopes),
            Self::Matern32 => matern32_both(r2, slopes),
            Self::SquaredExponential => squared_exponential_both(r2, slopes),
        }
    }
}

#[inline(always)]
fn matern52(r2: f64) -> (f64, f64) {
    let s = (5.0 * r2).sqrt();
    let decay = exp_negative(-s);
    let line = 1.0 + s;
    flushed(
        (line + s * s * (1.0 / 3.0)) * decay,
        -5.0 / 6.0 * line * decay,
    )
}

#[inline(always)]
fn matern32(r2: f64) -> (f64, f64) {
    let s = (3.0 * r2).sqrt();
    let decay = exp_negative(-s);
    flushed((1.0 + s) * decay, -1.5 * decay)
}

#[inline(always)]
fn squared_exponential(r2: f64) -> (f64, f64) {
    let value = exp_negative(-0.5 * r2);
    flushed(value, -0.5 * value)
}

#[inline(always)]
fn flushed(value: f64, slope: f64) -> (f64, f64) {
    let kept = value >= NEGLIGIBLE;
    (
        if kept { value } else { 0.0 },
        if kept { slope } else { 0.0 },
    )
}

/// Loops over one correlation, compiled for several instruction sets and chosen at run time.
macro_rules! loops {
    ($values:ident, $both:ident, $one:ident) => {
        #[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
        fn $values(r2: &mut [f64]) {
            for r2 in r2 {
                *r2 = $one(*r2).0;
            }
        }

        #[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
        fn $both(r2: &mut [f64], slopes: &mut [f64]) {
            for (r2, slope) in r2.iter_mut().zip(slopes) {
                (*r2, *slope) = $one(*r2);
            }
        }
    };
}

loops!(matern52_values, matern52_both, matern52);
loops!(matern32_values, matern32_both, matern32);
loops!(
    squared_exponential_values,
    squared_exponential_both,
    squared_exponential
);
