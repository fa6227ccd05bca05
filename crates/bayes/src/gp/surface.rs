//! The posterior mean over a fixed set of environments, as a function of x alone.
//!
//! Inputs are (x, w). Scaled squared distances add up over their x and w parts, and the w part does not
//! depend on x: it is computed once, so that the means in all environments cost one correlation for each
//! (observation, environment) pair, in loops over contiguous memory, and no solve.

use super::Posterior;
use crate::kernel::{KernelKind, add_weighted_differences, squared_distances};
use crate::linalg::dot;

/// Posterior means in m environments, as functions of x.
#[derive(Clone, Debug)]
pub struct MeanSurface {
    kind: KernelKind,
    prior_mean: f64,
    outputscale: f64,
    /// 1 / lengthscale of each x input.
    scales: Vec<f64>,
    /// x parts of the observed inputs over their lengthscales, dx x n.
    inputs: Vec<f64>,
    /// `K^-1 (y - m)`, n.
    weights: Vec<f64>,
    /// Scaled squared w distances, m x n.
    apart: Vec<f64>,
    environments: usize,
}

impl MeanSurface {
    /// Precomputes the w part: `dx` inputs are x, the others w, for which each of `environments` has
    /// values.
    ///
    /// # Panics
    /// If an environment has another number of values than there are inputs beyond x.
    pub fn new(posterior: &Posterior, dx: usize, environments: &[Vec<f64>]) -> Self {
        let hyper = posterior.hyperparameters();
        let scales: Vec<f64> = hyper.lengthscales.iter().map(|l| l.recip()).collect();
        let n = posterior.len();
        let scaled = |columns: std::ops::Range<usize>| -> Vec<f64> {
            let mut out = Vec::with_capacity(columns.len() * n);
            for d in columns {
                out.extend(posterior.inputs().column(d).iter().map(|v| v * scales[d]));
            }
            out
        };
        let inputs = scaled(0..dx);
        let observed = scaled(dx..scales.len());
        let mut apart = vec![0.0; environments.len() * n];
        for (w, out) in environments.iter().zip(apart.chunks_exact_mut(n)) {
            assert_eq!(
                w.len(),
                scales.len() - dx,
                "one value for each input beyond x"
            );
            let at: Vec<f64> = w.iter().zip(&scales[dx..]).map(|(w, s)| w * s).collect();
            squared_distances(&observed, n, &at, 0, out);
        }
        Self {
            kind: posterior.kind(),
            prior_mean: hyper.mean,
            outputscale: hyper.outputscale,
            scales: scales[..dx].to_vec(),
            inputs,
            weights: posterior.weights().to_vec(),
            apart,
            environments: environments.len(),
        }
    }

    /// Posterior mean at `x` in each environment, m values.
    ///
    /// # Panics
    /// If `x` has another number of values than [`Self::new`] was told.
    pub fn means(&self, x: &[f64]) -> Vec<f64> {
        let near = self.near(x).1;
        let mut r2 = near.clone();
        (0..self.environments)
            .map(|j| {
                self.add_apart(&near, j, &mut r2);
                self.kind.correlations(&mut r2);
                self.prior_mean + self.outputscale * dot(&self.weights, &r2)
            })
            .collect()
    }

    /// Gradient of `sum_j shares_j mean_j(x)` with respect to x. Environments with share 0 cost nothing.
    ///
    /// # Panics
    /// If `x` or `shares` have another length than dx or m.
    pub fn gradient(&self, x: &[f64], shares: &[f64]) -> Vec<f64> {
        assert_eq!(
            shares.len(),
            self.environments,
            "one share for each environment"
        );
        let (at, near) = self.near(x);
        let n = near.len();
        let (mut r2, mut slopes, mut fall) = (near.clone(), vec![0.0; n], vec![0.0; n]);
        for (j, share) in shares
            .iter()
            .enumerate()
            .filter(|(_, share)| **share != 0.0)
        {
            self.add_apart(&near, j, &mut r2);
            self.kind.correlations_and_slopes(&mut r2, &mut slopes);
            for (fall, slope) in fall.iter_mut().zip(&slopes) {
                *fall += share * slope;
            }
        }
        for (fall, weight) in fall.iter_mut().zip(&self.weights) {
            *fall *= weight;
        }
        let mut sums = vec![0.0; at.len()];
        add_weighted_differences(&self.inputs, n, &at, &fall, &mut sums);
        sums.iter()
            .zip(&self.scales)
            .map(|(sum, s)| -2.0 * self.outputscale * s * sum)
            .collect()
    }

    /// x over the lengthscales, and the x parts of its scaled squared distances to the observations.
    fn near(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(x.len(), self.scales.len(), "as many values as x has inputs");
        let at: Vec<f64> = x.iter().zip(&self.scales).map(|(x, s)| x * s).collect();
        let n = self.weights.len();
        let mut near = vec![0.0; n];
        squared_distances(&self.inputs, n, &at, 0, &mut near);
        (at, near)
    }

    fn add_apart(&self, near: &[f64], environment: usize, r2: &mut [f64]) {
        let n = near.len();
        let apart = &self.apart[environment * n..][..n];
        for ((r2, near), apart) in r2.iter_mut().zip(near).zip(apart) {
            *r2 = near + apart;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::gp::Hyperparameters;

    #[test]
    fn equals_the_posterior_and_its_gradient() {
        let uniform = |i: usize, d: usize| f64::from(sobol_burley::sample(i as u32, d as u32, 2));
        let x = Array2::from_shape_fn((31, 5), |(i, d)| uniform(i, d));
        let y: Array1<f64> = x
            .rows()
            .into_iter()
            .map(|x| (4.0 * x[0]).sin() * x[3] + x[1])
            .collect();
        let environments: Vec<Vec<f64>> =
            (0..4).map(|i| vec![uniform(i, 7), uniform(i, 8)]).collect();
        for kind in KernelKind::ALL {
            let hyper = Hyperparameters {
                lengthscales: vec![0.5, 0.8, 2.0, 0.7, 1.0],
                outputscale: 1.4,
                noise: 1e-2,
                mean: 0.3,
            };
            let posterior = Posterior::new(kind, &hyper, x.clone(), y.clone()).unwrap();
            let surface = MeanSurface::new(&posterior, 3, &environments);
            let at = [0.3, 0.6, 0.9];
            let points =
                Array2::from_shape_fn(
                    (4, 5),
                    |(j, d)| if d < 3 { at[d] } else { environments[j][d - 3] },
                );
            for (found, expected) in surface.means(&at).iter().zip(posterior.mean(points.view())) {
                assert!((found - expected).abs() < 1e-10);
            }
            let shares = [0.5, 0.0, 0.2, 0.3];
            let gradient = surface.gradient(&at, &shares);
            let expected = points
                .rows()
                .into_iter()
                .zip(shares)
                .fold(Array1::zeros(5), |sum: Array1<f64>, (point, share)| {
                    sum + share * posterior.mean_gradient(point)
                });
            for (found, expected) in gradient.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-10);
            }
        }
    }
}
