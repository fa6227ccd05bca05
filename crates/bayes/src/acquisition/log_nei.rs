//! `log-nei`: the logarithm of the expected gain of the risk over the best among the observed x, all of them
//! uncertain.
//!
//! `E[max(risk(f(x, .)) - max_i risk(f(x_i, .)), 0)]` over the joint posterior of f at x and at a base of observed
//! x_i (the incumbent and the best by the mean), in every environment of the decision; by 128 quasi-Monte-Carlo
//! samples that all candidates share. The max with 0 is made smooth, with a tail that falls like a square instead
//! of vanishing, and the logarithm of the mean is what is climbed: where nothing is likely to be gained
//! there is still a direction. The environment is the one that says most of the risk (`informative`) in
//! the samples that gain. Sources: Letham et al. (2019), *Constrained Bayesian optimization with noisy
//! experiments*; Ament et al. (2023), *Unexpected improvements to expected improvement*.
//!
//! Samples at x are those at the base continued: `f_x = m_x + A' e + C e_x` with `A = L^-1 cov(base, x)` and C
//! the factor of what the base leaves open. The gradient goes back through both factors (Murray 2016).

use super::adjoint::Adjoint;
use super::informative::{expected, falls, greatest};
use super::knowledge_gradient::seen;
use super::{Choice, Situation, multistart};
use crate::gp::Whitened;
use crate::incumbent::RiskSurface;
use crate::linalg::{Factor, FactorError};
use crate::maximize::Slope;
use crate::pool;
use crate::sobol;
use crate::stream::{Purpose, sobol_seed};
use ndarray::{Array1, Array2, Axis, s};
use statrs::distribution::{ContinuousCDF, Normal};

/// Joint samples.
const SAMPLES: usize = 128;
/// Most observed x in the base.
const BASE: usize = 16;
/// Most points (x, w) in the base.
const BASE_POINTS: usize = 512;
/// Width of the smooth maximum with 0, in standardised units.
const WIDTH: f64 = 1e-4;
/// Weight of its square tail.
const TAIL: f64 = 0.1;

/// The pair chosen; its value is the expected gain, where evaluations failed times the fourth power of the
/// probability of a value (what is ranked is the logarithm: see `multistart`). `None` if all candidates are taken, or none has a
/// value: joint samples need a factor of their covariance, be it with jitter ([`Choice::jitter`]).
pub fn choose(s: &Situation<'_>) -> Option<Choice> {
    let gain = NoisyGain::new(s).ok()?;
    let ranked = multistart::by_log_gain(s, |x| gain.value(x), |x| gain.slope(x));
    ranked.into_iter().find_map(|(x, value)| {
        let encoded = s.encode(&x);
        let drawn = gain.draw(&encoded).ok()?;
        let shares = drawn.pulls.sum_axis(Axis(1));
        let falls = falls(s.posterior, &drawn.own, &shares.to_vec());
        let worths = expected(&falls, &s.chances(&encoded));
        let environment = greatest(&worths, |j| s.is_free(&x, j))?;
        Some(Choice {
            x,
            environment,
            value: value.exp(),
            jitter: f64::max(gain.factor.jitter(), drawn.rest.jitter()),
        })
    })
}

/// The expected gain of one decision: base and samples fixed.
struct NoisyGain<'a> {
    s: &'a Situation<'a>,
    base: Whitened,
    /// Of the base's covariance.
    factor: Factor,
    /// Normal numbers of the base, |base| x SAMPLES, and of a candidate, m x SAMPLES.
    normals: (Array2<f64>, Array2<f64>),
    /// Best risk of the base in each sample.
    best: Vec<f64>,
}

/// Samples at a candidate, and what its gradient needs of them.
struct Drawn {
    own: Whitened,
    /// `L^-1 cov(base, own)`.
    known: Array2<f64>,
    /// Factor of what the base leaves open.
    rest: Factor,
    /// Logarithm of the expected gain.
    value: f64,
    /// Its derivative to each sampled value, m x SAMPLES.
    pulls: Array2<f64>,
}

impl<'a> NoisyGain<'a> {
    fn new(s: &'a Situation<'a>) -> Result<Self, FactorError> {
        let m = s.environments.len();
        let dx = s.space.encoded_dimension();
        let surface = RiskSurface::new(s.posterior, dx, s.environments, s.risk);
        let count = (BASE_POINTS / m).clamp(1, BASE);
        let best = pool::best(s.observed.to_vec(), count, |u| surface.value(&s.encode(u)));
        let units = std::iter::once(s.incumbent.to_vec()).chain(best.into_iter().map(|(u, _)| u));
        let units: Vec<Vec<f64>> = pool::distinct(units).into_iter().take(count).collect();
        let encoded: Vec<Vec<f64>> = units.iter().map(|u| s.encode(u)).collect();
        let base = seen(s.posterior, &encoded, s.environments);
        let covariance = s.posterior.covariance_between(&base, &base);
        let factor = s.posterior.joint_factor(covariance.view())?;
        let points = base.points.nrows();
        let seed = sobol_seed(s.seed, s.iteration, Purpose::PosteriorSamples);
        let all = normals(points + m, seed);
        let normals = (
            all.slice(s![..points, ..]).to_owned(),
            all.slice(s![points.., ..]).to_owned(),
        );
        let mut values = Array2::zeros((points, SAMPLES));
        values += &base.mean.view().insert_axis(Axis(1));
        values += &factor.lower().dot(&normals.0);
        let best = values
            .columns()
            .into_iter()
            .map(|sample| {
                let risks = sample.to_vec();
                let risks = risks.chunks(m);
                let risks = risks.map(|v| s.risk.evaluate(v, &s.environments.masses));
                risks.fold(f64::NEG_INFINITY, f64::max)
            })
            .collect();
        Ok(Self {
            s,
            base,
            factor,
            normals,
            best,
        })
    }

    /// Logarithm of the expected gain; not a number where there are no samples.
    fn value(&self, x: &[f64]) -> f64 {
        self.draw(x).map_or(f64::NAN, |drawn| drawn.value)
    }

    fn draw(&self, x: &[f64]) -> Result<Drawn, FactorError> {
        let (posterior, masses) = (self.s.posterior, &self.s.environments.masses);
        let own = seen(posterior, &[x.to_vec()], self.s.environments);
        let to_base = posterior.covariance_between(&self.base, &own);
        let known = self.factor.half_solve(to_base);
        let left = posterior.covariance_between(&own, &own) - known.t().dot(&known);
        let rest = posterior.joint_factor(left.view())?;
        let mut values = known.t().dot(&self.normals.0);
        values += &own.mean.view().insert_axis(Axis(1));
        values += &rest.lower().dot(&self.normals.1);
        let mut pulls = Array2::zeros(values.dim());
        let mut logarithms = Vec::with_capacity(SAMPLES);
        let samples = values.columns().into_iter().zip(pulls.columns_mut());
        for ((sample, mut pull), best) in samples.zip(&self.best) {
            let sample = sample.to_vec();
            let gain = self.s.risk.evaluate(&sample, masses) - best;
            let (logarithm, slope) = log_smooth(gain / WIDTH);
            logarithms.push(logarithm);
            let shares = self.s.risk.tail_weights(&sample, masses);
            pull.assign(&(Array1::from(shares) * (slope / WIDTH)));
        }
        let top = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logarithms.iter().map(|l| (l - top).exp()).sum();
        for (mut pull, logarithm) in pulls.columns_mut().into_iter().zip(&logarithms) {
            pull *= (logarithm - top).exp() / total;
        }
        Ok(Drawn {
            own,
            known,
            rest,
            value: top + (total * WIDTH / SAMPLES as f64).ln(),
            pulls,
        })
    }

    fn slope(&self, x: &[f64]) -> Slope {
        let Ok(drawn) = self.draw(x) else {
            return (f64::NAN, vec![0.0; x.len()]);
        };
        let sensitivity = drawn.pulls.dot(&self.normals.1.t());
        let own = through_factor(&drawn.rest, &sensitivity);
        let mut pulls = self.normals.0.dot(&drawn.pulls.t());
        pulls -= &(drawn.known.dot(&own) * 2.0);
        let pulls = self.factor.back_solve(pulls);
        let adjoint = Adjoint {
            mean: drawn.pulls.sum_axis(Axis(1)).to_vec(),
            own,
            others: Some((&self.base, pulls)),
        };
        let gradient = adjoint.gradient(self.s.posterior, &drawn.own, x);
        (drawn.value, gradient)
    }
}

/// Standard normal numbers, `dimensions` x 128: scrambled Sobol points through the inverse distribution.
fn normals(dimensions: usize, seed: u32) -> Array2<f64> {
    let standard = Normal::standard();
    Array2::from_shape_fn((dimensions, SAMPLES), |(d, k)| {
        standard.inverse_cdf(sobol::coordinate(k as u64, d, seed))
    })
}

/// Logarithm of `ln(1 + e^u) + TAIL / (1 + u^2)`, a smooth stand-in for max(u, 0), and its derivative.
fn log_smooth(u: f64) -> (f64, f64) {
    let soft = u.max(0.0) + (-u.abs()).exp().ln_1p();
    let square = 1.0 / (1.0 + u * u);
    let value = soft + TAIL * square;
    let rise = 1.0 / (1.0 + (-u).exp()) - 2.0 * TAIL * u * square * square;
    (value.ln(), rise / value)
}

/// Sensitivity to a covariance from that to its Cholesky factor: `(X + X') / 2` with
/// `X = L^-T phi(L' S) L^-1`, phi the lower triangle with its diagonal halved.
fn through_factor(factor: &Factor, sensitivity: &Array2<f64>) -> Array2<f64> {
    let (m, lower) = (factor.size(), factor.lower());
    let lower_part = |a: &Array2<f64>, diagonal: f64| {
        Array2::from_shape_fn((m, m), |(i, j)| match i.cmp(&j) {
            std::cmp::Ordering::Greater => a[(i, j)],
            std::cmp::Ordering::Equal => diagonal * a[(i, j)],
            std::cmp::Ordering::Less => 0.0,
        })
    };
    let phi = lower_part(&lower.t().dot(&lower_part(sensitivity, 1.0)), 0.5);
    // L^-T phi L^-1 by two rounds of back substitution: X = L^-T (L^-T phi')'.
    let half = factor.back_solve(phi.reversed_axes());
    let x = factor.back_solve(half.reversed_axes());
    (&x + &x.t()) * 0.5
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Example, agrees_within, worth};
    use super::*;

    #[test]
    fn a_choice_is_worth_what_its_rounded_point_is() {
        let example = Example::mixed(14, 4, 3);
        for iteration in 0..4 {
            let mut s = example.situation();
            s.iteration = iteration;
            let choice = choose(&s).unwrap();
            let x = example.rounded(&choice);
            worth(&choice, NoisyGain::new(&s).unwrap().value(&x).exp());
        }
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let examples = [Example::new(12, 4, 1), Example::bent(12, 4, 5)];
        for example in examples {
            let s = example.situation();
            let gain = NoisyGain::new(&s).unwrap();
            for k in 0..5 {
                let x = sobol::point(k, 2, 9);
                let (value, gradient) = gain.slope(&x);
                assert_eq!(value, gain.value(&x));
                // gains are smoothed over 1e-4 of a value
                agrees_within(1e-6, &x, &gradient, |x| gain.value(x));
            }
        }
    }

    #[test]
    fn the_value_agrees_with_plain_monte_carlo() {
        // Fresh joint samples at base and candidate by one factor, and the plain max with 0.
        let example = Example::new(10, 4, 3);
        let s = example.situation();
        let gain = NoisyGain::new(&s).unwrap();
        let (x, found) = (0..32)
            .map(|k| sobol::point(k, 2, 9))
            .map(|x| (x.clone(), gain.value(&x).exp()))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        let own = seen(s.posterior, &[x], s.environments);
        let mut points = gain.base.points.clone();
        points.append(Axis(0), own.points.view()).unwrap();
        let all = s.posterior.whiten(points.view());
        let covariance = s.posterior.covariance_between(&all, &all);
        let factor = Factor::new(covariance.view()).unwrap();
        let mut random = crate::stream::stream(8, 0, Purpose::PosteriorSamples);
        let standard = Normal::standard();
        let (m, n) = (s.environments.len(), 40_000);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            use rand::RngExt as _;
            let e: Array1<f64> = (0..all.mean.len())
                .map(|_| standard.inverse_cdf(random.random::<f64>().max(1e-300)))
                .collect();
            let f = factor.lower().dot(&e) + &all.mean;
            let risks: Vec<f64> = f
                .to_vec()
                .chunks(m)
                .map(|v| s.risk.evaluate(v, &s.environments.masses))
                .collect();
            let (own, base) = risks.split_last().unwrap();
            let best = base.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let g = (own - best).max(0.0);
            sum += g;
            squares += g * g;
        }
        let n = f64::from(n);
        let (mean, error) = (sum / n, ((squares / n - (sum / n).powi(2)) / n).sqrt());
        // 128 quasi-random samples have an error of their own.
        assert!(
            (found - mean).abs() < 4.0 * error + 0.15 * mean,
            "{found} against {mean} +- {error}"
        );
        assert!(mean > 1e-3, "a case with something to gain: {mean}");
    }

    #[test]
    fn far_below_the_best_there_is_still_a_direction() {
        for u in [-1e6, -50.0, -1.0, 0.0, 2.0, 1e5] {
            let (value, slope) = log_smooth(u);
            assert!(value.is_finite() && slope > 0.0, "{u}: {value} {slope}");
        }
    }
}
