//! Which environment to observe at a chosen x, where the acquisition says only which x.
//!
//! With q_k the share of environment k in the tail, the risk moves by `sum_k q_k f_k` for small changes of f.
//! One observation in environment j lowers the variance of that sum by
//! `(sum_k q_k cov(f_k, f_j))^2 / (var(f_j) + noise)`, and the j where this is largest says most of the risk.

use crate::gp::{Posterior, Whitened};

/// The fall of variance by an observation in each environment; `own` are the points (x, w_1) .. (x, w_m), `shares`
/// the q_k.
pub(super) fn falls(posterior: &Posterior, own: &Whitened, shares: &[f64]) -> Vec<f64> {
    let covariance = posterior.covariance_between(own, own);
    let noise = posterior.hyperparameters().noise;
    let rows = covariance.columns().into_iter().zip(&own.variance);
    rows.map(|(column, variance)| {
        let pull: f64 = column.iter().zip(shares).map(|(c, q)| c * q).sum();
        pull * pull / (variance + noise)
    })
    .collect()
}

/// What each environment is worth, times the probability of a value there.
pub(super) fn expected(worths: &[f64], chances: &[f64]) -> Vec<f64> {
    worths
        .iter()
        .zip(chances)
        .map(|(worth, p)| worth * p)
        .collect()
}

/// Position of the greatest value among those allowed, the first of equals; `None` if none is.
pub(super) fn greatest(values: &[f64], allowed: impl Fn(usize) -> bool) -> Option<usize> {
    (0..values.len())
        .filter(|j| allowed(*j) && !values[*j].is_nan())
        .reduce(|best, j| if values[j] > values[best] { j } else { best })
}
