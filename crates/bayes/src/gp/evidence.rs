//! Log marginal likelihood of the observations and its gradient, in one pass over the data.
//!
//! With `K = k(X, X) + N`, N diagonal with the noise variance of each mean (noise / count), `r = y - mean`,
//! `a = K^-1 r` and `M = a a' - K^-1` the gradient with respect to any kernel parameter t is
//! `sum_ij M_ij dK_ij/dt / 2`. The covariances, then the factor, then the inverse share one n x n array;
//! the kernel's slopes fill another for each of its factors; only lower triangles are touched and no
//! derivative matrix is ever formed. Source: Rasmussen and Williams (2006), 5.9.

use super::GpError;
use super::{Hyperparameters, Replicates, warped_inputs::WarpedInputs};
use crate::kernel::{KernelForm, add_weighted_products, add_weighted_squares};
use crate::linalg::{FactorError, backward, climb, dot, factorise, forward, invert, scale_of};

/// Data and reusable memory for evaluating the evidence at many hyperparameters. The n x n arrays
/// come with the first evaluation, so that a clone made before costs nothing.
#[derive(Clone, Debug)]
pub struct Evidence {
    form: KernelForm,
    data: Replicates,
    inputs: WarpedInputs,
    covariance: Vec<f64>,
    /// n x n for each factor of the kernel.
    slopes: Vec<Vec<f64>>,
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
    /// With respect to the log noise variance of rough values, where it is one of its own; else 0.
    pub log_rough_noise: f64,
    /// With respect to the log shapes a, b of each input's warp; empty without warps.
    pub log_warp: Vec<[f64; 2]>,
    /// With respect to the prior mean.
    pub mean_gradient: f64,
    /// The prior mean used.
    pub mean: f64,
    /// Jitter the factorisation needed (absolute).
    pub jitter: f64,
}

impl Evidence {
    /// Evidence of the observations `data` (values standardised).
    pub fn new(form: impl Into<KernelForm>, data: Replicates) -> Self {
        Self {
            form: form.into(),
            inputs: WarpedInputs::new(data.x()),
            data,
            covariance: Vec::new(),
            slopes: Vec::new(),
        }
    }

    /// Number of distinct inputs.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Always false: there are no data without rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Number of inputs.
    pub fn dimension(&self) -> usize {
        self.data.x().ncols()
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
        let (mut half, mut ones) = (self.data.y().to_vec(), vec![1.0; n]);
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
        let noise = self.noise_gradient(&alpha, hyper, jitter);
        let (log_lengthscales, log_warp) = self.input_gradients(&alpha, hyper.outputscale);
        Ok(EvidenceGradient {
            value: -0.5 * quadratic - half_log_determinant - constant + noise.within,
            log_lengthscales,
            // Against the noise-free covariance the trace is what is left of `a' K a - n`.
            log_outputscale: 0.5 * (quadratic - n as f64 - noise.trace),
            log_noise: noise.to_log[0],
            log_rough_noise: noise.to_log[1],
            log_warp,
            mean_gradient: alpha.iter().sum(),
            mean,
            jitter,
        })
    }

    /// Leaves the factor in the lower triangle of `covariance`, the kernel's slopes in `slopes`.
    fn factorise(&mut self, hyper: &Hyperparameters) -> Result<f64, GpError> {
        let n = self.len();
        self.covariance.resize(n * n, 0.0);
        self.slopes
            .resize(self.form.parts(self.dimension()).len(), Vec::new());
        for slopes in &mut self.slopes {
            slopes.resize(n * n, 0.0);
        }
        self.inputs.scale(hyper);
        let diagonal = (0..n).map(|i| hyper.outputscale + self.noise_of(hyper, i));
        let scale = scale_of(diagonal);
        let jitter = climb(n, scale, |jitter| {
            self.fill(hyper, jitter);
            factorise(&mut self.covariance, n)
        })?;
        Ok(jitter)
    }

    fn fill(&mut self, hyper: &Hyperparameters, jitter: f64) {
        let n = self.len();
        let scaled = &self.inputs.scaled;
        let mut at = vec![0.0; hyper.lengthscales.len()];
        for j in 0..n {
            let noise = self.noise_of(hyper, j);
            let column = &mut self.covariance[j * n + j..(j + 1) * n];
            let mut slopes: Vec<&mut [f64]> = self
                .slopes
                .iter_mut()
                .map(|slopes| &mut slopes[j * n + j..(j + 1) * n])
                .collect();
            for (at, scaled) in at.iter_mut().zip(scaled.chunks_exact(n)) {
                *at = scaled[j];
            }
            self.form
                .correlations_and_slopes((scaled, n), &at, j, column, &mut slopes);
            for k in column.iter_mut() {
                *k *= hyper.outputscale;
            }
            column[0] = hyper.outputscale + noise + jitter;
        }
    }

    /// Noise variance of mean `i`.
    fn noise_of(&self, hyper: &Hyperparameters, i: usize) -> f64 {
        hyper.noise_of(self.data.rough()[i]) / self.data.counts()[i]
    }

    /// What the noise does, with the inverse in `covariance`.
    fn noise_gradient(&self, alpha: &[f64], hyper: &Hyperparameters, jitter: f64) -> NoiseGradient {
        let n = self.len();
        let mut found = NoiseGradient::default();
        for (i, a) in alpha.iter().enumerate() {
            let rough = self.data.rough()[i];
            let (count, scatter) = (self.data.counts()[i], self.data.scatter()[i]);
            let (noise, variance) = (hyper.noise_of(rough), self.noise_of(hyper, i));
            let m = a * a - self.covariance[i * n + i];
            found.trace += (variance + jitter) * m;
            let mut to_log = 0.5 * variance * m;
            if count > 1.0 {
                let spread = 0.5 * scatter / noise;
                let wide = (2.0 * std::f64::consts::PI * noise).ln();
                found.within -= 0.5 * ((count - 1.0) * wide + count.ln()) + spread;
                to_log += spread - 0.5 * (count - 1.0);
            }
            found.to_log[usize::from(rough && hyper.rough_noise.is_some())] += to_log;
        }
        found
    }

    /// Derivatives with respect to log lengthscales and log shapes of warps, with the inverse in
    /// `covariance`. `dK_ij / d log l_d = -2 outputscale slope_ij (difference_d / l_d)^2`, against M; for
    /// a shape one difference is that of the warp's derivatives, and the sign is the other.
    fn input_gradients(&mut self, alpha: &[f64], outputscale: f64) -> (Vec<f64>, Vec<[f64; 2]>) {
        let (n, d) = (self.len(), self.dimension());
        let (mut squares, mut at) = (vec![0.0; d], vec![0.0; d]);
        let mut products = [vec![0.0; d], vec![0.0; d]];
        let inputs = &self.inputs;
        for (part, slopes) in self.form.parts(d).into_iter().zip(&mut self.slopes) {
            let block = part.start * n..part.end * n;
            for j in 0..n {
                let slopes = &mut slopes[j * n + j..(j + 1) * n];
                let inverse = &self.covariance[j * n + j..(j + 1) * n];
                for ((slope, inverse), a) in slopes.iter_mut().zip(inverse).zip(&alpha[j..]) {
                    *slope *= a * alpha[j] - inverse;
                }
                let scaled = &inputs.scaled[block.clone()];
                for (at, scaled) in at.iter_mut().zip(scaled.chunks_exact(n)) {
                    *at = scaled[j];
                }
                let at = &at[..part.len()];
                add_weighted_squares(scaled, n, at, j, slopes, &mut squares[part.clone()]);
                for (sums, moves) in products.iter_mut().zip(&inputs.moves) {
                    let moves = &moves[block.clone()];
                    add_weighted_products(scaled, moves, n, j, slopes, &mut sums[part.clone()]);
                }
            }
        }
        // Each pair stands for two entries, which the factor 1/2 of the trace undoes.
        let warps = if inputs.moves.is_empty() { 0 } else { d };
        (
            squares.iter().map(|sum| -2.0 * outputscale * sum).collect(),
            (0..warps)
                .map(|d| [0, 1].map(|shape| 2.0 * outputscale * products[shape][d]))
                .collect(),
        )
    }
}

/// What the noise contributes to the evidence and its gradient.
#[derive(Debug, Default)]
struct NoiseGradient {
    /// Log density of the scatter about the means.
    within: f64,
    /// `sum_i N_ii M_ii`, jitter included.
    trace: f64,
    /// With respect to the log noise, and to that of rough values.
    to_log: [f64; 2],
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::gp::{Posterior, Warp};
    use crate::kernel::KernelKind;
    use crate::reference::{assert_close, golden, matrix, vector};

    fn single(x: &Array2<f64>, y: &Array1<f64>) -> Replicates {
        Replicates::single(x.clone(), y.clone()).unwrap()
    }

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
                rough_noise: None,
                warp: Vec::new(),
            };
            let (x, y) = (matrix(&case["X"]), vector(&case["Y"]));
            let found = Evidence::new(KernelKind::Matern52, single(&x, &y))
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
    fn evidence_and_posterior_climb_one_ladder() {
        // Close points without noise worth the name, of which one is a mean of many values.
        let x = Array2::from_shape_fn((12, 1), |(i, _)| 0.5 + 1e-3 * (i / 2) as f64);
        let y = Array1::from_shape_fn(12, |i| (i / 2) as f64);
        let hyper = Hyperparameters {
            lengthscales: vec![2.0],
            outputscale: 3.0,
            noise: 1e-18,
            mean: 0.0,
            rough_noise: Some(5.0),
            warp: Vec::new(),
        };
        let rough: Vec<bool> = (0..12).map(|i| i >= 10).collect();
        let data = Replicates::merging(x.view(), y.view(), &rough).unwrap();
        let form = KernelKind::SquaredExponential;
        let fitted = Evidence::new(form, data.clone()).evaluate(&hyper).unwrap();
        let posterior = Posterior::on(form, &hyper, data).unwrap();
        assert!(posterior.jitter() > 0.0, "a case in need of rescue");
        assert_eq!(fitted.jitter, posterior.jitter());
    }

    /// Hyperparameters from a vector: 3 log lengthscales, outputscale, noise, rough noise, mean, warps.
    fn at(logs: &[f64]) -> Hyperparameters {
        let scales: Vec<f64> = logs.iter().map(|l| l.exp()).collect();
        Hyperparameters {
            lengthscales: scales[..3].to_vec(),
            outputscale: scales[3],
            noise: scales[4],
            rough_noise: Some(scales[5]),
            mean: logs[6],
            warp: scales[7..]
                .chunks(2)
                .map(|ab| Warp { a: ab[0], b: ab[1] })
                .collect(),
        }
    }

    /// Every form, with and without warps, on data with replicates and rough values.
    #[test]
    fn gradients_agree_with_finite_differences() {
        let (mut x, y) = example(30, 3);
        for (to, from) in [(9, 2), (17, 2), (20, 5)] {
            let row = x.row(from).to_owned();
            x.row_mut(to).assign(&row);
        }
        let rough: Vec<bool> = (0..30).map(|i| i % 4 == 1).collect();
        let data = Replicates::merging(x.view(), y.view(), &rough).unwrap();
        assert!(data.len() < 30 && data.any_rough());
        let plain = [-0.5, 0.1, 0.4, 0.3, -3.0, -2.0, 0.2];
        let warped = [&plain[..], &[0.3, -0.2, 0.0, 0.5, -0.4, 0.1]].concat();
        let forms = KernelKind::ALL
            .into_iter()
            .flat_map(|kind| [KernelForm::from(kind), KernelForm::product(kind, 2)]);
        for (form, logs) in forms.flat_map(|form| [(form, &plain[..]), (form, &warped[..])]) {
            let mut evidence = Evidence::new(form, data.clone());
            let found = evidence.evaluate(&at(logs)).unwrap();
            let mut gradient = found.log_lengthscales.clone();
            gradient.extend([
                found.log_outputscale,
                found.log_noise,
                found.log_rough_noise,
            ]);
            gradient.push(found.mean_gradient);
            gradient.extend(found.log_warp.iter().flatten());
            let h = 1e-5;
            let differences: Vec<f64> = (0..logs.len())
                .map(|i| {
                    let mut value = |by: f64| {
                        let mut logs = logs.to_vec();
                        logs[i] += by;
                        evidence.evaluate(&at(&logs)).unwrap().value
                    };
                    (8.0 * (value(h) - value(-h)) - (value(2.0 * h) - value(-2.0 * h))) / (12.0 * h)
                })
                .collect();
            assert_close("gradient", &gradient, &differences, 1e-6);
        }
    }

    #[test]
    fn merging_replicates_changes_no_evidence_and_no_prediction() {
        let (mut x, y) = example(24, 3);
        for (to, from) in [(3, 1), (7, 1), (20, 5), (21, 5), (22, 5)] {
            let row = x.row(from).to_owned();
            x.row_mut(to).assign(&row);
        }
        let logs = [-0.5, 0.1, 0.4, 0.3, -3.0, -3.0, 0.2];
        let merged = Replicates::merging(x.view(), y.view(), &[false; 24]).unwrap();
        assert_eq!(merged.len(), 19);
        for form in [
            KernelKind::Matern52.into(),
            KernelForm::product(KernelKind::Matern52, 1),
        ] {
            let one_by_one = Evidence::new(form, single(&x, &y))
                .evaluate(&at(&logs))
                .unwrap();
            let together = Evidence::new(form, merged.clone())
                .evaluate(&at(&logs))
                .unwrap();
            let numbers = |e: &EvidenceGradient| {
                let mut all = e.log_lengthscales.clone();
                all.extend([e.value, e.log_outputscale, e.log_noise, e.mean_gradient]);
                all
            };
            assert_close(
                "evidence",
                &numbers(&together),
                &numbers(&one_by_one),
                1e-10,
            );
            let conditioned = |data| Posterior::on(form, &at(&logs), data).unwrap();
            let (a, b) = (conditioned(merged.clone()), conditioned(single(&x, &y)));
            let points = Array2::from_shape_fn((9, 3), |(i, d)| (i * 3 + d) as f64 / 27.0);
            let (a, b) = (a.whiten(points.view()), b.whiten(points.view()));
            assert_close("mean", &a.mean, &b.mean, 1e-10);
            assert_close("variance", &a.variance, &b.variance, 1e-9);
        }
    }

    #[test]
    fn the_best_mean_has_no_gradient_left() {
        let (x, y) = example(12, 2);
        let mut evidence = Evidence::new(KernelKind::Matern52, single(&x, &y));
        let hyper = Hyperparameters {
            lengthscales: vec![0.5, 2.0],
            outputscale: 1.0,
            noise: 0.01,
            mean: 7.0,
            rough_noise: None,
            warp: Vec::new(),
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
            rough_noise: None,
            warp: Vec::new(),
        };
        let found = Evidence::new(KernelKind::SquaredExponential, single(&x, &y))
            .evaluate(&hyper)
            .unwrap();
        assert!(found.value.is_finite() && found.jitter > 0.0);
    }
}
