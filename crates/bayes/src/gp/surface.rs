//! The posterior mean over a fixed set of environments, as a function of x alone.
//!
//! Inputs are (x, w). Scaled squared distances add up over their x and w parts, and the w part does not
//! depend on x: it is computed once, so that the means in all environments cost one correlation for each
//! (observation, environment) pair, in loops over contiguous memory, and no solve. Of thousands of environments only the
//! first ones' w parts are held. In the product form the
//! w part is a correlation already, and one correlation for each observation is all.

use super::{Hyperparameters, Posterior};
use crate::environment::Rows;
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
    /// w parts of the observed features over their lengthscales, dw x n.
    observed: Vec<f64>,
    /// 1 / lengthscale of each w input.
    w_scales: Vec<f64>,
    environments: Rows,
    /// Scaled squared w distances of the first environments, n each; in the product form the correlations of w.
    apart: Vec<f64>,
}

/// Environments whose w parts are always held.
const HELD: usize = 64;
/// Most numbers that are held of more environments; what is beyond is computed again for each x, so that memory does
/// not grow with them.
const HELD_NUMBERS: usize = 1 << 15;

impl MeanSurface {
    /// Precomputes the w part: `dx` inputs are x, the others w, for which each of `environments` has
    /// values.
    ///
    /// # Panics
    /// If an environment has another number of values than there are inputs beyond x, or the kernel is a
    /// product over other inputs than x and w.
    pub fn new(posterior: &Posterior, dx: usize, environments: &Rows) -> Self {
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
        assert_eq!(
            environments.width(),
            scales.len() - dx,
            "one value for each input beyond x"
        );
        let mut surface = Self {
            kind,
            product,
            hyper: hyper.clone(),
            scales: scales[..dx].to_vec(),
            inputs,
            weights: posterior.weights().to_vec(),
            observed,
            w_scales: scales[dx..].to_vec(),
            environments: environments.clone(),
            apart: Vec::new(),
        };
        let held = environments.len().min(HELD.max(HELD_NUMBERS / n));
        let mut apart = vec![0.0; held * n];
        for (j, out) in apart.chunks_exact_mut(n).enumerate() {
            surface.measure(j, out);
        }
        surface.apart = apart;
        surface
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
            let mut fresh = vec![0.0; near.len()];
            return (0..self.environments.len())
                .map(|j| mean + outputscale * dot(&near, self.apart(j, &mut fresh)))
                .collect();
        }
        let mut r2 = near.clone();
        (0..self.environments.len())
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
            self.environments.len(),
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
                for (fall, apart) in fall.iter_mut().zip(self.apart(j, &mut r2)) {
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

    /// Scaled squared distances to the observations, from their x parts.
    fn add_apart(&self, near: &[f64], environment: usize, r2: &mut [f64]) {
        let n = near.len();
        match self.apart.get(environment * n..(environment + 1) * n) {
            Some(apart) => {
                for ((r2, near), apart) in r2.iter_mut().zip(near).zip(apart) {
                    *r2 = near + apart;
                }
            }
            None => {
                self.measure(environment, r2);
                for (r2, near) in r2.iter_mut().zip(near) {
                    *r2 += near;
                }
            }
        }
    }

    /// The w part of an environment: held, or computed into `fresh`.
    fn apart<'s>(&'s self, environment: usize, fresh: &'s mut [f64]) -> &'s [f64] {
        let n = fresh.len();
        match self.apart.get(environment * n..(environment + 1) * n) {
            Some(apart) => apart,
            None => {
                self.measure(environment, fresh);
                fresh
            }
        }
    }

    /// Computes the w part of an environment.
    fn measure(&self, environment: usize, out: &mut [f64]) {
        let dx = self.scales.len();
        let features = self
            .hyper
            .features_from(dx, &self.environments[environment]);
        let at: Vec<f64> = features
            .iter()
            .zip(&self.w_scales)
            .map(|(w, s)| w * s)
            .collect();
        squared_distances(&self.observed, out.len(), &at, 0, out);
        if self.product {
            self.kind.correlations(out);
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
        // the last ones' w parts are not held
        let m = HELD_NUMBERS / 31 + 3;
        let environments = Rows::new(2, (0..m).map(|i| [uniform(i, 7), uniform(i, 8)]));
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
                    (m, 5),
                    |(j, d)| if d < 3 { at[d] } else { environments[j][d - 3] },
                );
            for (found, expected) in surface.means(&at).iter().zip(posterior.mean(points.view())) {
                assert!((found - expected).abs() < 1e-10);
            }
            let share = |j: usize| (j % 3) as f64 / m as f64;
            let shares: Vec<f64> = (0..m).map(share).collect();
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
