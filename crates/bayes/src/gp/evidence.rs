//! Log marginal likelihood of the observations and its gradient, in one pass over the data.
//!
//! With `K = k(X, X) + noise I`, `r = y - mean`, `a = K^-1 r` and `M = a a' - K^-1` the gradient with
//! respect to any kernel parameter t is `sum_ij M_ij dK_ij/dt / 2`. The covariances, then the factor,
//! then the inverse share one n x n array; the kernel's slopes fill a second; only lower triangles
//! are touched and no derivative matrix is ever formed. Source: Rasmussen and Williams (2006), 5.9.

use ndarray::{ArrayView1, ArrayView2};

use super::GpError;
use super::{Hyperparameters, posterior::check_data};
use crate::kernel::{KernelKind, add_weighted_squares, squared_distances};
use crate::linalg::{FactorError, JITTER_LADDER, backward, dot, factorise, forward, invert};

/// Data and reusable memory for evaluating the evidence at many hyperparameters. The two n x n arrays
/// come with the first evaluation, so that a clone made before costs nothing.
#[derive(Clone, Debug)]
pub struct Evidence {
    kind: KernelKind,
    /// d x n, one input after the other.
    inputs: Vec<f64>,
    y: Vec<f64>,
    scaled: Vec<f64>,
    covariance: Vec<f64>,
    slopes: Vec<f64>,
}

/// The log marginal likelihood (nats) and its derivatives with respect to natural logarithms of the
/// scales, and to the mean itself.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceGradient {
    /// Log marginal likelihood.
    pub value: f64,
    /// With respect to each log lengthscale.
    pub log_lengthscales: Vec<f64>,
    /// With respect to the log outputscale.
    pub log_outputscale: f64,
    /// With respect to the log noise variance.
    pub log_noise: f64,
    /// With respect to the prior mean.
    pub mean_gradient: f64,
    /// The prior mean used.
    pub mean: f64,
    /// Jitter the factorisation needed (absolute).
    pub jitter: f64,
}

impl Evidence {
    /// Evidence of `y` (n standardised values) at `x` (n x d).
    ///
    /// # Errors
    /// No rows, shapes that do not match, values that are not finite.
    pub fn new(kind: KernelKind, x: ArrayView2<f64>, y: ArrayView1<f64>) -> Result<Self, GpError> {
        check_data(x, y)?;
        let (n, d) = x.dim();
        Ok(Self {
            kind,
            inputs: x.t().iter().copied().collect(),
            y: y.to_vec(),
            scaled: vec![0.0; n * d],
            covariance: Vec::new(),
            slopes: Vec::new(),
        })
    }

    /// Number of observations.
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Always false: [`Self::new`] refuses empty data.
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// Number of inputs.
    pub fn dimension(&self) -> usize {
        self.inputs.len() / self.len()
    }

    /// Value and gradient at `hyper`.
    ///
    /// # Errors
    /// Hyperparameters that are not valid, or a covariance matrix without a factor.
    pub fn evaluate(&mut self, hyper: &Hyperparameters) -> Result<EvidenceGradient, GpError> {
        self.evaluate_at(hyper, |_, _| hyper.mean)
    }

    /// The same with the prior mean put where it is most probable under `N(0, spread^2)`, whatever
    /// `hyper.mean` says; the mean used is in the result.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_at_best_mean(
        &mut self,
        hyper: &Hyperparameters,
        spread: f64,
    ) -> Result<EvidenceGradient, GpError> {
        self.evaluate_at(hyper, |pull, precision| {
            pull / (precision + (spread * spread).recip())
        })
    }

    /// `mean` gets `1' K^-1 y` and `1' K^-1 1`.
    fn evaluate_at(
        &mut self,
        hyper: &Hyperparameters,
        mean: impl Fn(f64, f64) -> f64,
    ) -> Result<EvidenceGradient, GpError> {
        hyper.check(self.dimension())?;
        let n = self.len();
        let jitter = self.factorise(hyper)?;
        let half_log_determinant: f64 = (0..n).map(|j| self.covariance[j * n + j].ln()).sum();
        let (mut half, mut ones) = (self.y.clone(), vec![1.0; n]);
        forward(&self.covariance, &mut half);
        forward(&self.covariance, &mut ones);
        let mean = mean(dot(&half, &ones), dot(&ones, &ones));
        for (half, one) in half.iter_mut().zip(&ones) {
            *half -= mean * one;
        }
        let quadratic = dot(&half, &half);
        backward(&self.covariance, &mut half);
        let alpha = half;
        invert(&mut self.covariance, n).map_err(|pivot| FactorError::NotPositiveDefinite {
            size: n,
            pivot,
            jitter,
        })?;
        let constant = 0.5 * n as f64 * (2.0 * std::f64::consts::PI).ln();
        // Trace of M; against the noise-free covariance it is what is left of `a' K a - n`.
        let trace: f64 = (0..n)
            .map(|j| alpha[j] * alpha[j] - self.covariance[j * n + j])
            .sum();
        let diagonal = hyper.noise + jitter;
        Ok(EvidenceGradient {
            value: -0.5 * quadratic - half_log_determinant - constant,
            log_lengthscales: self.lengthscale_gradient(&alpha, hyper.outputscale),
            log_outputscale: 0.5 * (quadratic - n as f64 - diagonal * trace),
            log_noise: 0.5 * hyper.noise * trace,
            mean_gradient: alpha.iter().sum(),
            mean,
            jitter,
        })
    }

    /// Leaves the factor in the lower triangle of `covariance`, the kernel's slopes in `slopes`.
    fn factorise(&mut self, hyper: &Hyperparameters) -> Result<f64, GpError> {
        let n = self.len();
        self.covariance.resize(n * n, 0.0);
        self.slopes.resize(n * n, 0.0);
        let mut failure = None;
        for step in JITTER_LADDER {
            let jitter = step * (hyper.outputscale + hyper.noise);
            self.fill(hyper, jitter);
            match factorise(&mut self.covariance, n) {
                Ok(()) => return Ok(jitter),
                Err(pivot) => {
                    failure = Some(FactorError::NotPositiveDefinite {
                        size: n,
                        pivot,
                        jitter,
                    })
                }
            }
        }
        Err(failure.expect("the ladder has steps").into())
    }

    fn fill(&mut self, hyper: &Hyperparameters, jitter: f64) {
        let n = self.len();
        for (d, lengthscale) in hyper.lengthscales.iter().enumerate() {
            let inverse = lengthscale.recip();
            for (scaled, x) in self.scaled[d * n..][..n]
                .iter_mut()
                .zip(&self.inputs[d * n..][..n])
            {
                *scaled = x * inverse;
            }
        }
        let mut at = vec![0.0; hyper.lengthscales.len()];
        for j in 0..n {
            let column = &mut self.covariance[j * n + j..(j + 1) * n];
            let slopes = &mut self.slopes[j * n + j..(j + 1) * n];
            for (at, scaled) in at.iter_mut().zip(self.scaled.chunks_exact(n)) {
                *at = scaled[j];
            }
            squared_distances(&self.scaled, n, &at, j, column);
            self.kind.correlations_and_slopes(column, slopes);
            for k in column.iter_mut() {
                *k *= hyper.outputscale;
            }
            column[0] = hyper.outputscale + hyper.noise + jitter;
        }
    }

    /// `dK_ij / d log l_d = -2 outputscale slope_ij (difference_d / l_d)^2`, against M.
    fn lengthscale_gradient(&mut self, alpha: &[f64], outputscale: f64) -> Vec<f64> {
        let n = self.len();
        let mut sums = vec![0.0; self.dimension()];
        let mut at = sums.clone();
        for j in 0..n {
            let slopes = &mut self.slopes[j * n + j..(j + 1) * n];
            let inverse = &self.covariance[j * n + j..(j + 1) * n];
            for ((slope, inverse), a) in slopes.iter_mut().zip(inverse).zip(&alpha[j..]) {
                *slope *= a * alpha[j] - inverse;
            }
            for (at, scaled) in at.iter_mut().zip(self.scaled.chunks_exact(n)) {
                *at = scaled[j];
            }
            add_weighted_squares(&self.scaled, n, &at, j, slopes, &mut sums);
        }
        // Each pair stands for two entries, which the factor 1/2 of the trace undoes.
        sums.into_iter()
            .map(|sum| -2.0 * outputscale * sum)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::reference::{assert_close, golden, matrix, vector};

    fn example(n: usize, d: usize) -> (Array2<f64>, Array1<f64>) {
        let x = Array2::from_shape_fn((n, d), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 5))
        });
        let y = x
            .rows()
            .into_iter()
            .map(|x| (3.0 * x[0]).sin() + x[d - 1] * x[0])
            .collect();
        (x, y)
    }

    #[test]
    fn golden_evidence_and_gradients() {
        let Some(file) = golden("gp_matern52.json") else {
            return;
        };
        for case in file["cases"].as_array().unwrap() {
            let hyper = Hyperparameters {
                lengthscales: vector(&case["lengthscale"]).to_vec(),
                outputscale: case["outputscale"].as_f64().unwrap(),
                noise: case["noise"].as_f64().unwrap(),
                mean: case["mean"].as_f64().unwrap(),
            };
            let (x, y) = (matrix(&case["X"]), vector(&case["Y"]));
            let found = Evidence::new(KernelKind::Matern52, x.view(), y.view())
                .unwrap()
                .evaluate(&hyper)
                .unwrap();
            let number = |name: &str| case[name].as_f64().unwrap();
            assert_close(
                "evidence",
                [&found.value],
                [&number("log_marginal_likelihood")],
                1e-8,
            );
            let expected = vector(&case["grad_log_lengthscale"]);
            assert_close("lengthscales", &found.log_lengthscales, &expected, 1e-8);
            assert_close(
                "outputscale",
                [&found.log_outputscale],
                [&number("grad_log_outputscale")],
                1e-8,
            );
            assert_close(
                "noise",
                [&found.log_noise],
                [&number("grad_log_noise")],
                1e-8,
            );
            assert_close("mean", [&found.mean_gradient], [&number("grad_mean")], 1e-8);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (x, y) = example(30, 3);
        for kind in KernelKind::ALL {
            let mut evidence = Evidence::new(kind, x.view(), y.view()).unwrap();
            let at = |logs: &[f64]| Hyperparameters {
                lengthscales: logs[..3].iter().map(|l| l.exp()).collect(),
                outputscale: logs[3].exp(),
                noise: logs[4].exp(),
                mean: logs[5],
            };
            let logs = [-0.5, 0.1, 0.4, 0.3, -3.0, 0.2];
            let found = evidence.evaluate(&at(&logs)).unwrap();
            let mut gradient = found.log_lengthscales.clone();
            gradient.extend([found.log_outputscale, found.log_noise, found.mean_gradient]);
            let h = 1e-5;
            let differences: Vec<f64> = (0..6)
                .map(|i| {
                    let moved = |by: f64| {
                        let mut logs = logs;
                        logs[i] += by;
                        at(&logs)
                    };
                    let mut value = |by: f64| evidence.evaluate(&moved(by)).unwrap().value;
                    (8.0 * (value(h) - value(-h)) - (value(2.0 * h) - value(-2.0 * h))) / (12.0 * h)
                })
                .collect();
            assert_close("gradient", &gradient, &differences, 1e-6);
        }
    }

    #[test]
    fn the_best_mean_has_no_gradient_left() {
        let (x, y) = example(12, 2);
        let mut evidence = Evidence::new(KernelKind::Matern52, x.view(), y.view()).unwrap();
        let hyper = Hyperparameters {
            lengthscales: vec![0.5, 2.0],
            outputscale: 1.0,
            noise: 0.01,
            mean: 7.0,
        };
        let found = evidence.evaluate_at_best_mean(&hyper, 2.0).unwrap();
        assert!((found.mean_gradient - found.mean / 4.0).abs() < 1e-9);
    }

    #[test]
    fn duplicates_with_vanishing_noise_are_rescued_and_told() {
        let (mut x, y) = example(20, 2);
        let first = x.row(0).to_owned();
        x.row_mut(7).assign(&first);
        let hyper = Hyperparameters {
            lengthscales: vec![1.0, 1.0],
            outputscale: 1.0,
            noise: 1e-18,
            mean: 0.0,
        };
        let found = Evidence::new(KernelKind::SquaredExponential, x.view(), y.view())
            .unwrap()
            .evaluate(&hyper)
            .unwrap();
        assert!(found.value.is_finite() && found.jitter > 0.0);
    }
}
