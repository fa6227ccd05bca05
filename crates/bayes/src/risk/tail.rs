//! The measures themselves, as functions of values and weights.
//!
//! CVaR is exact: the atom at the quantile counts with the fraction of its mass that still lies in
//! the tail. [`tail_shares`] is that choice of masses, and at once the derivative of the CVaR.

use serde::{Deserialize, Serialize};

/// Why a risk measure cannot be formed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RiskError {
    /// A tail mass outside (0, 1].
    #[error("tail mass {0} is outside (0, 1]: 0.1 means the worst 10 %, 1 the mean")]
    TailMass(f64),
}

/// Share of the environments' mass that makes the bad tail: in (0, 1], 1 = the mean.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct TailMass(f64);

impl TailMass {
    /// Checks that `mass` lies in (0, 1].
    ///
    /// # Errors
    /// [`RiskError::TailMass`] otherwise, also for NaN.
    pub fn new(mass: f64) -> Result<Self, RiskError> {
        if mass > 0.0 && mass <= 1.0 {
            Ok(Self(mass))
        } else {
            Err(RiskError::TailMass(mass))
        }
    }

    /// The mass, in (0, 1].
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for TailMass {
    type Error = RiskError;

    fn try_from(mass: f64) -> Result<Self, RiskError> {
        Self::new(mass)
    }
}

impl From<TailMass> for f64 {
    fn from(tail: TailMass) -> Self {
        tail.0
    }
}

/// Indices of the values in ascending order, ties by index.
fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    order
}

fn check_lengths(values: &[f64], weights: &[f64]) {
    assert_eq!(values.len(), weights.len(), "one weight per value");
    assert!(
        !values.is_empty(),
        "a risk measure needs at least one value"
    );
}

/// How the tail is made up: shares `q` with `q_j >= 0`, sum 1, `q_j <= p_j / tail` (`p` the
/// normalised weights), which put the mass on the smallest values; the atom at the quantile gets
/// what is left. `CVaR = sum q_j v_j`, and `q` is its (sub)gradient with respect to the values.
/// Ties go by index.
///
/// # Panics
/// If lengths differ or there are no values.
pub fn tail_shares(values: &[f64], weights: &[f64], tail: TailMass) -> Vec<f64> {
    check_lengths(values, weights);
    let total: f64 = weights.iter().sum();
    let tail = tail.get();
    let mut shares = vec![0.0; values.len()];
    let mut left = 1.0;
    let mut last = None;
    for j in ascending(values) {
        let share = weights[j] / total / tail;
        if share <= 0.0 {
            continue;
        }
        last = Some(j);
        shares[j] = share.min(left);
        left -= shares[j];
        if left <= 0.0 {
            break;
        }
    }
    // What rounding of the weights' sum leaves over.
    if let Some(j) = last {
        shares[j] += left.max(0.0);
    }
    shares
}

/// Conditional value at risk: mean of the lower tail of mass `tail`, exact for weighted atoms.
///
/// `values` and `weights` (non-negative, positive sum) have one entry per environment; the result
/// has the values' unit.
///
/// # Panics
/// If lengths differ or there are no values.
pub fn cvar(values: &[f64], weights: &[f64], tail: TailMass) -> f64 {
    let shares = tail_shares(values, weights, tail);
    shares
        .iter()
        .zip(values)
        .filter(|(share, _)| **share > 0.0)
        .map(|(share, v)| share * v)
        .sum()
}

/// Value at risk: the smallest value whose cumulative mass reaches `tail` (up to rounding of the
/// sum of weights, 1e-12).
///
/// # Panics
/// If lengths differ or there are no values.
pub fn var(values: &[f64], weights: &[f64], tail: TailMass) -> f64 {
    values[quantile_atom(values, weights, tail)]
}

pub(super) fn quantile_atom(values: &[f64], weights: &[f64], tail: TailMass) -> usize {
    check_lengths(values, weights);
    let total: f64 = weights.iter().sum();
    let mut mass = 0.0;
    let mut at = 0;
    for j in ascending(values) {
        if weights[j] <= 0.0 {
            continue;
        }
        mass += weights[j] / total;
        at = j;
        if mass >= tail.get() - 1e-12 {
            break;
        }
    }
    at
}

/// Worst case: the smallest value that carries positive weight.
///
/// # Panics
/// If lengths differ or there are no values.
pub fn worst(values: &[f64], weights: &[f64]) -> f64 {
    values[worst_atom(values, weights)]
}

pub(super) fn worst_atom(values: &[f64], weights: &[f64]) -> usize {
    check_lengths(values, weights);
    ascending(values)
        .into_iter()
        .find(|&j| weights[j] > 0.0)
        .unwrap_or(0)
}

/// Weighted mean.
///
/// # Panics
/// If lengths differ or there are no values.
pub fn mean(values: &[f64], weights: &[f64]) -> f64 {
    check_lengths(values, weights);
    let total: f64 = weights.iter().sum();
    values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / total
}

/// Weighted mean minus `k` weighted standard deviations (of the population, no correction).
///
/// # Panics
/// If lengths differ or there are no values.
pub fn mean_minus_deviation(values: &[f64], weights: &[f64], k: f64) -> f64 {
    mean(values, weights) - k * deviation(values, weights)
}

pub(super) fn deviation(values: &[f64], weights: &[f64]) -> f64 {
    let centre = mean(values, weights);
    let total: f64 = weights.iter().sum();
    // Over the largest, so that squares neither overflow nor vanish.
    let largest = values
        .iter()
        .fold(0.0_f64, |m, v| m.max((v - centre).abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let squares: f64 = values
        .iter()
        .zip(weights)
        .map(|(v, w)| w * ((v - centre) / largest).powi(2))
        .sum();
    largest * (squares / total).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_of_any_scale() {
        for scale in [1.0, 1e-300, 1e300] {
            let values = [scale, -scale, scale, -scale];
            let found = deviation(&values, &[1.0; 4]);
            assert!((found / scale - 1.0).abs() < 1e-15);
        }
        assert_eq!(deviation(&[3.0, 3.0], &[1.0, 1.0]), 0.0);
    }
}
