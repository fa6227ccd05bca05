//! The choice of risk measure, with values and derivatives in one place.

use serde::{Deserialize, Serialize};

use super::tail::{
    TailMass, cvar, deviation, mean, mean_minus_deviation, quantile_atom, tail_shares, var, worst,
    worst_atom,
};

/// What is maximised over x: a functional of the values over the environments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskMeasure {
    /// Mean of the lower tail of this mass.
    Cvar(TailMass),
    /// Quantile at this mass.
    Var(TailMass),
    /// Smallest value.
    Worst,
    /// Weighted mean.
    Mean,
    /// Mean minus `k` standard deviations.
    MeanDeviation {
        /// How many standard deviations are taken off, finite and not negative.
        k: f64,
    },
}

impl RiskMeasure {
    /// The measure of `values` with `weights` (non-negative, positive sum), in the values' unit.
    ///
    /// # Panics
    /// If lengths differ or there are no values.
    pub fn evaluate(&self, values: &[f64], weights: &[f64]) -> f64 {
        match *self {
            Self::Cvar(tail) => cvar(values, weights, tail),
            Self::Var(tail) => var(values, weights, tail),
            Self::Worst => worst(values, weights),
            Self::Mean => mean(values, weights),
            Self::MeanDeviation { k } => mean_minus_deviation(values, weights, k),
        }
    }

    /// Derivative of [`Self::evaluate`] with respect to each value; where it has a kink, one
    /// subgradient, ties by index. Sums to one.
    ///
    /// # Panics
    /// If lengths differ or there are no values.
    pub fn tail_weights(&self, values: &[f64], weights: &[f64]) -> Vec<f64> {
        match *self {
            Self::Cvar(tail) => tail_shares(values, weights, tail),
            Self::Var(tail) => atom(values.len(), quantile_atom(values, weights, tail)),
            Self::Worst => atom(values.len(), worst_atom(values, weights)),
            Self::Mean => normalised(weights),
            Self::MeanDeviation { k } => {
                let (centre, spread) = (mean(values, weights), deviation(values, weights));
                let mut shares = normalised(weights);
                if spread > 0.0 {
                    for (share, v) in shares.iter_mut().zip(values) {
                        *share *= 1.0 - k * (v - centre) / spread;
                    }
                }
                shares
            }
        }
    }
}

fn atom(n: usize, at: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n];
    shares[at] = 1.0;
    shares
}

fn normalised(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}
