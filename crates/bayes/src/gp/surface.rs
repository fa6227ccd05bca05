//! The posterior mean over a fixed set of environments, as a function of x alone.
//!
//! Inputs are (x, w). Scaled squared distances add up over their x and w parts, and the w part does not
//! depend on x: it is computed once, so that the means in all environments cost one correlation for each
//! (observation, environment) pair, in loops over contiguous memory, and no solve. In the product form the
//! w part is a correlation already, and one correlation for each observation is all.

use super::{Hyperparameters, Posterior};
use crate::kernel::{
    KernelForm, KernelKind, Structure, add_weighted_differences, squared_distances,
};
use crate::linalg::dot;

/// Posterior means in m environments, as functions of x.
#[derive(Clone, Debug)]
pub struct MeanSurface {
    kind: KernelKind,
    /// Whether the correlation is that of x times that of w.
    product: bool,
    hyper: Hyperparameters,
    /// 1 / lengthscale of each x input.
    scales: Vec<f64>,
    /// x parts of the observed features over their lengthscales, dx x n.
    inputs: Vec<f64>,
    /// `K^-1 (y - m)`, n.
    weights: Vec<f64>,
    /// m x n: scaled squared w distances; in the product form the correlations of w.
    apart: Vec<f64>,
    environments: usize,
}

impl MeanSurface {
    /// Precomputes the w part: `dx` inputs are x, the others w, for which each of `environments` has
    /// values.
    ///
    /// # Panics
    /// If an environment has another number of values than there are inputs beyond x, or the kernel is a
    /// product over other inputs than x and w.
    pub fn new(posterior: &Posterior, dx: usize, environments: &[Vec<f64>]) -> Self {
        let hyper = posterior.hyperparameters();
        let KernelForm { kind, structure } = posterior.kernel().form();
        let product = match structure {
            Structure::Joint => false,
            Structure::Product { first } => {
                assert_eq!(first, dx, "a product over x and w");
                true
            }
        };
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
            let features = hyper.features_from(dx, w);
            let at: Vec<f64> = features
                .iter()
                .zip(&scales[dx..])
                .map(|(w, s)| w * s)
                .collect();
            squared_distances(&observed, n, &at, 0, out);
            if product {
                kind.correlations(out);
            }
        }
        Self {
            kind,
            product,
            hyper: hyper.clone(),
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
        let mut near = self.near(x).1;
        let Hyperparameters {
            mean, outputscale, ..
        } = self.hyper;
        if self.product {
            self.kind.correlations(&mut near);
            for (near, weight) in near.iter_mut().zip(&self.weights) {
                *near *= weight;
            }
            let environments = self.apart.chunks_exact(near.len());
            return environments
                .map(|apart| mean + outputscale * dot(&near, apart))
                .collect();
        }
        let mut r2 = near.clone();
        (0..self.environments)
            .map(|j| {
                self.add_apart(&near, j, &mut r2);
                self.kind.correlations(&mut r2);
                mean + outputscale * dot(&self.weights, &r2)
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
        let (at, mut near) = self.near(x);
        let n = near.len();
        let (mut slopes, mut fall) = (vec![0.0; n], vec![0.0; n]);
        let mut r2 = near.clone();
        let shares = shares
            .iter()
            .enumerate()
            .filter(|(_, share)| **share != 0.0);
        for (j, share) in shares {
            if self.product {
                for (fall, apart) in fall.iter_mut().zip(&self.apart[j * n..][..n]) {
                    *fall += share * apart;
                }
            } else {
                self.add_apart(&near, j, &mut r2);
                self.kind.correlations_and_slopes(&mut r2, &mut slopes);
                for (fall, slope) in fall.iter_mut().zip(&slopes) {
                    *fall += share * slope;
                }
            }
        }
        if self.product {
            self.kind.correlations_and_slopes(&mut near, &mut slopes);
            for (fall, slope) in fall.iter_mut().zip(&slopes) {
                *fall *= slope;
            }
        }
        for (fall, weight) in fall.iter_mut().zip(&self.weights) {
            *fall *= weight;
        }
        let mut sums = vec![0.0; at.len()];
        add_weighted_differences(&self.inputs, n, &at, &fall, &mut sums);
        let warped = self.hyper.feature_slopes(x.into());
        sums.iter()
            .zip(&self.scales)
            .zip(&warped)
            .map(|((sum, s), slope)| -2.0 * self.hyper.outputscale * s * sum * slope)
            .collect()
    }

    /// Features of x over the lengthscales, and their scaled squared distances to the observations.
    fn near(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(x.len(), self.scales.len(), "as many values as x has inputs");
        let features = self.hyper.features_from(0, x);
        let at: Vec<f64> = features
            .iter()
            .zip(&self.scales)
            .map(|(x, s)| x * s)
            .collect();
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
    use crate::gp::{Hyperparameters, Warp};

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
        let warp = [(0.6, 1.4), (1.0, 1.0), (1.7, 0.8), (1.2, 2.0), (0.9, 0.7)];
        let warp = warp.map(|(a, b)| Warp { a, b }).to_vec();
        let forms = KernelKind::ALL.into_iter().flat_map(|kind| {
            [
                (KernelForm::from(kind), Vec::new()),
                (kind.into(), warp.clone()),
                (KernelForm::product(kind, 3), warp.clone()),
            ]
        });
        for (form, warp) in forms {
            let hyper = Hyperparameters {
                lengthscales: vec![0.5, 0.8, 2.0, 0.7, 1.0],
                outputscale: 1.4,
                noise: 1e-2,
                mean: 0.3,
                rough_noise: None,
                warp,
            };
            let posterior = Posterior::new(form, &hyper, x.clone(), y.clone()).unwrap();
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
