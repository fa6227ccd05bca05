//! From sensitivities to a gradient: the chain rule from posterior means and covariances at (x, w_1) to
//! (x, w_m) back to x.
//!
//! With `V = L^-1 k(X, own)` every covariance is `k - V' V`, so the sensitivity of V follows from those of
//! the covariances, one back substitution for each environment turns it into that of `k(X, own)`, and the
//! kernel's own gradient does the rest. `k((x, w), (x, w'))` does not change with x.

use crate::gp::{Posterior, Whitened};
use ndarray::{Array1, Array2, ArrayView1};

/// Derivatives of a number with respect to the posterior at own points (x, w_1) .. (x, w_m).
pub(super) struct Adjoint<'a> {
    /// To the means, m.
    pub mean: Vec<f64>,
    /// To the covariance of the own points, m x m, symmetric.
    pub own: Array2<f64>,
    /// Points that do not move with x, and the derivative to their covariance with the own points, |points| x m.
    pub others: Option<(&'a Whitened, Array2<f64>)>,
}

impl Adjoint<'_> {
    /// Gradient with respect to x, which the own points share.
    pub(super) fn gradient(&self, posterior: &Posterior, own: &Whitened, x: &[f64]) -> Vec<f64> {
        let mut solved = own.solved.dot(&self.own) * -2.0;
        if let Some((points, pulls)) = &self.others {
            solved -= &points.solved.dot(pulls);
        }
        let kernel = posterior.kernel();
        let mut gradient = vec![0.0; x.len()];
        let mut add = |part: Vec<f64>| {
            for (sum, part) in gradient.iter_mut().zip(part) {
                *sum += part;
            }
        };
        for (j, point) in own.points.rows().into_iter().enumerate() {
            let column = solved.column(j);
            let mut pulls: Array1<f64> = if column.iter().any(|v| *v != 0.0) {
                posterior.factor().back_solve_one(column)
            } else {
                Array1::zeros(column.len())
            };
            pulls.scaled_add(self.mean[j], &posterior.weights());
            add(kernel.weighted_input_gradient(point, posterior.inputs(), &pulls.to_vec()));
            if let Some((points, pulls)) = &self.others {
                let pulls: ArrayView1<f64> = pulls.column(j);
                let others = points.points.view();
                add(kernel.weighted_input_gradient(point, others, &pulls.to_vec()));
            }
        }
        let slopes = posterior.hyperparameters().feature_slopes(x.into());
        gradient.iter().zip(&slopes).map(|(g, s)| g * s).collect()
    }
}
