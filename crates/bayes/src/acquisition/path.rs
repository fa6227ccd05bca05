//! Sample paths of the posterior as functions, with gradients.
//!
//! A path of the prior is a sum of random waves, whose frequencies follow the kernel's spectral density
//! (Rahimi and Recht 2007; for a Matern kernel of smoothness nu a multivariate t with 2 nu degrees of freedom);
//! what it misses at the data is put right by the kernel itself: `f(p) = f0(p) + k(p, X) K^-1 (y - f0(X) - e)`,
//! e the observation noise. Source: Wilson et al. (2020), *Efficiently sampling functions from Gaussian
//! process posteriors*. Near data the path is exact; far away it is as good as its [`WAVES`].

use crate::environment::EnvironmentSet;
use crate::gp::Posterior;
use crate::kernel::KernelKind;
use ndarray::{Array1, Array2, ArrayView1};
use rand::RngExt as _;
use statrs::distribution::{ContinuousCDF, Normal};

/// Pairs of waves of the prior.
const WAVES: usize = 512;

/// One path.
pub(super) struct Path<'a> {
    posterior: &'a Posterior,
    /// Frequencies, WAVES x d.
    frequencies: Array2<f64>,
    /// Factors of cosine and sine.
    cosines: Vec<f64>,
    sines: Vec<f64>,
    /// Factors of k(., X_i), n.
    pulls: Array1<f64>,
}

impl<'a> Path<'a> {
    /// Draws a path.
    pub(super) fn draw(posterior: &'a Posterior, random: &mut impl rand::Rng) -> Self {
        let standard = Normal::standard();
        let mut normal = || standard.inverse_cdf(random.random::<f64>().max(1e-300));
        let hyper = posterior.hyperparameters();
        let d = hyper.lengthscales.len();
        let form = posterior.kernel().form();
        let degrees = match form.kind {
            KernelKind::Matern52 => Some(5),
            KernelKind::Matern32 => Some(3),
            KernelKind::SquaredExponential => None,
        };
        let mut frequencies = Array2::zeros((WAVES, d));
        for mut row in frequencies.rows_mut() {
            for part in form.parts(d) {
                let stretch = degrees.map_or(1.0, |degrees| {
                    let chi: f64 = (0..degrees).map(|_| normal().powi(2)).sum();
                    (f64::from(degrees) / chi).sqrt()
                });
                for d in part {
                    row[d] = stretch * normal() / hyper.lengthscales[d];
                }
            }
        }
        let scale = (hyper.outputscale / WAVES as f64).sqrt();
        let mut factors = || (0..WAVES).map(|_| scale * normal()).collect::<Vec<f64>>();
        let (cosines, sines) = (factors(), factors());
        let mut path = Self {
            posterior,
            frequencies,
            cosines,
            sines,
            pulls: Array1::zeros(posterior.len()),
        };
        let rows = posterior.inputs();
        let rows = rows.rows().into_iter().zip(posterior.observations());
        let missed: Array1<f64> = rows
            .zip(noise(posterior))
            .map(|((p, y), noise)| y - hyper.mean - path.waves(p).0 - noise.sqrt() * normal())
            .collect();
        path.pulls = posterior.factor().solve_one(missed.view());
        path
    }

    /// The prior's part at a feature, and the factors of the frequencies in its gradient.
    fn waves(&self, feature: ArrayView1<f64>) -> (f64, Vec<f64>) {
        let phases = self.frequencies.dot(&feature);
        let mut value = 0.0;
        let turns = phases.iter().zip(self.cosines.iter().zip(&self.sines));
        let turns = turns.map(|(phase, (a, b))| {
            let (sine, cosine) = phase.sin_cos();
            value += a * cosine + b * sine;
            b * cosine - a * sine
        });
        let turns = turns.collect();
        (value, turns)
    }

    /// Value at a point.
    pub(super) fn value(&self, point: &[f64]) -> f64 {
        let hyper = self.posterior.hyperparameters();
        let feature = Array1::from(hyper.features_from(0, point));
        let at = feature.view().insert_axis(ndarray::Axis(0));
        let data = self.posterior.kernel().cross(self.posterior.inputs(), at);
        hyper.mean + self.waves(feature.view()).0 + data.column(0).dot(&self.pulls)
    }

    /// Gradient at a point, d values.
    pub(super) fn gradient(&self, point: &[f64]) -> Vec<f64> {
        let hyper = self.posterior.hyperparameters();
        let feature = Array1::from(hyper.features_from(0, point));
        let turns = self.waves(feature.view()).1;
        let prior = self.frequencies.t().dot(&ArrayView1::from(&turns[..]));
        let (kernel, inputs) = (self.posterior.kernel(), self.posterior.inputs());
        let pulls = self.pulls.to_vec();
        let data = kernel.weighted_input_gradient(feature.view(), inputs, &pulls);
        let slopes = hyper.feature_slopes(point.into());
        let parts = prior.iter().zip(data).zip(&slopes);
        parts.map(|((a, b), slope)| (a + b) * slope).collect()
    }

    /// Values at `x` in each environment, their effects added.
    pub(super) fn over(&self, x: &[f64], environments: &EnvironmentSet) -> Vec<f64> {
        let rows = super::knowledge_gradient::joint(&[x.to_vec()], environments);
        let pairs = rows.rows().into_iter().zip(environments.effects.iter());
        pairs
            .map(|(p, effect)| self.value(&p.to_vec()) + effect)
            .collect()
    }
}

/// Noise variance of each row: what the factored matrix has on its diagonal beyond the prior's variance.
fn noise(posterior: &Posterior) -> Vec<f64> {
    let prior = posterior.kernel().outputscale();
    let lower = posterior.factor().lower();
    let rows = lower.rows().into_iter();
    rows.map(|row| (row.dot(&row) - prior).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Example, agrees};
    use super::*;
    use crate::kernel::KernelForm;
    use crate::stream::{Purpose, stream};

    #[test]
    fn paths_have_the_mean_and_the_covariance_of_the_posterior() {
        let product = KernelForm::product(KernelKind::Matern52, 2);
        let forms = KernelKind::ALL.map(KernelForm::from).into_iter();
        for form in forms.chain([product]) {
            let example = Example::of_form(form, Vec::new(), (9, 3, 2));
            let points = ndarray::array![[0.2, 0.9, 0.4], [0.3, 0.8, 0.4], [0.9, 0.1, 0.0]];
            let (mean, covariance) = (
                example.posterior.mean(points.view()),
                example.posterior.covariance(points.view()),
            );
            let mut random = stream(3, 0, Purpose::PosteriorSamples);
            let n = 800;
            let (mut sum, mut products) = (Array1::<f64>::zeros(3), Array2::<f64>::zeros((3, 3)));
            for _ in 0..n {
                let path = Path::draw(&example.posterior, &mut random);
                let f: Array1<f64> = points
                    .rows()
                    .into_iter()
                    .map(|p| path.value(&p.to_vec()))
                    .collect();
                sum += &f;
                let off = &f - &mean;
                for i in 0..3 {
                    products.row_mut(i).scaled_add(off[i], &off);
                }
            }
            let n = f64::from(n);
            for i in 0..3 {
                // Four standard errors; beside them the waves' own.
                let error = 4.0 * (covariance[(i, i)] / n).sqrt();
                assert!((sum[i] / n - mean[i]).abs() < error + 1e-3, "{form:?} mean");
                for j in 0..3 {
                    let spread = (covariance[(i, i)] * covariance[(j, j)]).sqrt();
                    let found = products[(i, j)] / n;
                    assert!(
                        (found - covariance[(i, j)]).abs() < 0.2 * spread + 1e-4,
                        "{form:?} ({i}, {j}): {found} against {}",
                        covariance[(i, j)]
                    );
                }
            }
        }
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let example = Example::bent(12, 3, 4);
        let path = Path::draw(
            &example.posterior,
            &mut stream(1, 2, Purpose::PosteriorSamples),
        );
        let at = [0.3, 0.6, 0.2];
        let gradient = path.gradient(&at);
        agrees(&at, &gradient, |p| path.value(p));
    }
}
