//! `rho-kg-paths`: the knowledge gradient of the expected risk, as published.
//!
//! `E_z[max over x' in A u {x} of G_z(x') - G_z(x*)]`, with `G_z(x') = E[risk(f(x', .)) | fantasy z]` over sample
//! paths f, and x* the best of A by the present expectation of the risk over paths. As G_z(x*) averages to
//! that expectation over the fantasies, this is the expected best after the observation less the best now.
//! Source: Cakmak, Astudillo, Frazier and Zhou (2020), *Bayesian optimization of risk measures*.
//!
//! For one x' the n_w values are jointly normal after the fantasy, with mean `mu(x') + b z` and covariance
//! `Sigma(x') - b b'`, whatever z: one Cholesky factor for each candidate and x' serves every fantasy. z takes the
//! means of equally likely slices of its distribution, paths the same scrambled Sobol normals everywhere. A and the
//! candidates are those of [`rho_kg`], whose exact value picks the few pairs judged here.

use super::knowledge_gradient::seen;
use super::normal::density;
use super::{Choice, Situation, rho_kg};
use crate::gp::Whitened;
use crate::linalg::FactorError;
use crate::sobol;
use crate::stream::{Purpose, sobol_seed};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

/// Fantasies of one observation.
const FANTASIES: usize = 8;
/// Sample paths in each fantasy.
const PATHS: usize = 32;
/// Pairs judged by paths.
const PAIRS: usize = 24;
/// Most of them at one x.
const PAIRS_OF_X: usize = 4;

/// The pair of highest value among the best by the exact knowledge gradient; `None` if all candidates are
/// taken, or none has a value: paths need a factor of their covariance, be it with jitter ([`Choice::jitter`]).
pub fn choose(s: &Situation<'_>) -> Option<Choice> {
    let screened = rho_kg::screened(s, PAIRS_OF_X);
    let mut pairs: Vec<Choice> = screened.refined.into_iter().chain(screened.first).collect();
    pairs.sort_by(|a, b| b.value.total_cmp(&a.value));
    pairs.truncate(PAIRS);
    let seed = sobol_seed(s.seed, s.iteration, Purpose::PosteriorSamples);
    let gain = PathGain::new(s, &screened.compared, (FANTASIES, PATHS), seed).ok()?;
    let judge = |mut pair: Choice| {
        let x = s.encode(&pair.x);
        let likely = s.viable.map_or(1.0, |v| v.each(&x)[pair.environment]);
        let (value, jitter) = gain.at(&x, pair.environment).ok()?;
        (pair.value, pair.jitter) = (likely * value, jitter);
        Some(pair)
    };
    let judged: Vec<Option<Choice>> = pairs.into_par_iter().map(judge).collect();
    // On a tie the better by the exact value stands.
    let judged = judged.into_iter().flatten();
    let judged = judged.filter(|c| !c.value.is_nan());
    judged.reduce(|a, b| if b.value > a.value { b } else { a })
}

/// One x' in every environment, before the observation.
struct Block {
    set: Whitened,
    covariance: Array2<f64>,
}

/// The value of one decision: comparison set, fantasies and normals of the paths fixed.
struct PathGain<'a> {
    s: &'a Situation<'a>,
    blocks: Vec<Block>,
    /// Position of x* in `blocks`.
    best: usize,
    fantasies: Vec<f64>,
    /// n_w x paths.
    normals: Array2<f64>,
}

impl<'a> PathGain<'a> {
    fn new(
        s: &'a Situation<'a>,
        compared: &[Vec<f64>],
        (fantasies, paths): (usize, usize),
        seed: u32,
    ) -> Result<Self, FactorError> {
        let standard = Normal::standard();
        let normals = Array2::from_shape_fn((s.environments.len(), paths), |(d, k)| {
            standard.inverse_cdf(sobol::coordinate(k as u64, d, seed))
        });
        let mut gain = Self {
            s,
            blocks: compared.iter().map(|x| block(s, x)).collect(),
            best: 0,
            fantasies: slices(fantasies),
            normals,
        };
        let nothing = Array1::zeros(s.environments.len());
        let now = |block: &Block| {
            let (values, _) = gain.expected(block, nothing.view(), &[0.0])?;
            Ok(values[0])
        };
        let now: Result<Vec<f64>, FactorError> = gain.blocks.iter().map(now).collect();
        let now = now?;
        gain.best = (0..now.len())
            .reduce(|a, b| if now[b] > now[a] { b } else { a })
            .expect("the comparison set holds at least the incumbent");
        Ok(gain)
    }

    /// Value of observing encoded `x` in environment `j`, never negative, and the most jitter it needed.
    fn at(&self, x: &[f64], j: usize) -> Result<(f64, f64), FactorError> {
        let own = block(self.s, x);
        let mut most = 0.0;
        let after: Result<Vec<Vec<f64>>, FactorError> = self
            .blocks
            .iter()
            .chain([&own])
            .map(|block| {
                let b = self.s.posterior.fantasy_directions(&block.set, &own.set);
                let (values, jitter) = self.expected(block, b.column(j), &self.fantasies)?;
                most = f64::max(most, jitter);
                Ok(values)
            })
            .collect();
        let after = after?;
        let gains = (0..self.fantasies.len()).map(|k| {
            let best = after.iter().map(|g| g[k]).fold(f64::NEG_INFINITY, f64::max);
            best - after[self.best][k]
        });
        Ok((gains.sum::<f64>() / self.fantasies.len() as f64, most))
    }

    /// Expected risk over the paths of a block in each fantasy, b its direction, and the jitter of their factor.
    fn expected(
        &self,
        block: &Block,
        b: ArrayView1<f64>,
        fantasies: &[f64],
    ) -> Result<(Vec<f64>, f64), FactorError> {
        let column = b.insert_axis(Axis(1));
        let left = &block.covariance - &column.dot(&column.t());
        let centre = block.set.mean.view().insert_axis(Axis(1));
        let factor = self.s.posterior.joint_factor(left.view())?;
        let paths = factor.lower().dot(&self.normals) + centre;
        let masses = &self.s.environments.masses;
        let mut values = vec![0.0; masses.len()];
        let mut mean = |z: f64| {
            let mut sum = 0.0;
            for path in paths.columns() {
                for (value, (p, b)) in values.iter_mut().zip(path.iter().zip(b)) {
                    *value = p + b * z;
                }
                sum += self.s.risk.evaluate(&values, masses);
            }
            sum / paths.ncols() as f64
        };
        let values = fantasies.iter().map(|z| mean(*z)).collect();
        Ok((values, factor.jitter()))
    }
}

fn block(s: &Situation<'_>, x: &[f64]) -> Block {
    let set = seen(s.posterior, &[x.to_vec()], s.environments);
    let covariance = s.posterior.covariance_between(&set, &set);
    Block { set, covariance }
}

/// Means of `count` equally likely slices of the standard normal distribution.
fn slices(count: usize) -> Vec<f64> {
    let standard = Normal::standard();
    let edge = |k: usize| match k {
        0 => 0.0,
        k if k == count => 0.0,
        k => density(standard.inverse_cdf(k as f64 / count as f64)),
    };
    let slice = |k| (edge(k) - edge(k + 1)) * count as f64;
    (0..count).map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::super::KnowledgeGradient;
    use super::super::examples::{Example, worth};
    use super::*;
    use crate::gp::Posterior;
    use crate::linalg::Factor;
    use crate::stream::stream;
    use rand::RngExt as _;

    fn value(gain: &PathGain<'_>, pair: &(Vec<f64>, usize)) -> f64 {
        gain.at(&pair.0, pair.1).unwrap().0
    }

    /// Observed at (x, environment), as many rows more, almost without noise.
    fn with(example: &Example, xs: &[(&[f64], usize)]) -> Posterior {
        let old = &example.posterior;
        let mut hyper = old.hyperparameters().clone();
        hyper.noise = 1e-7;
        let s = example.situation();
        let rows = xs
            .iter()
            .flat_map(|(x, j)| x.iter().chain(&s.environments.encoded[*j]).copied());
        let inputs = Array2::from_shape_vec((xs.len(), 3), rows.collect()).unwrap();
        let y = inputs.rows().into_iter();
        let y = y.map(|p| (7.0 * p[0] + 3.0 * p[1] * p[2]).sin()).collect();
        Posterior::new(old.kernel().form(), &hyper, inputs, y).unwrap()
    }

    #[test]
    fn where_one_observation_settles_everything_the_value_is_the_exact_one() {
        // x* known in every environment, the other in all but the one to be observed.
        let example = Example::new(4, 4, 3);
        let known = [0.85, 0.3];
        let values = |open: &[f64], fantasies: usize| {
            let mut told: Vec<(&[f64], usize)> = (0..4).map(|j| (&known[..], j)).collect();
            told.extend((0..3).map(|j| (open, j)));
            let posterior = with(&example, &told);
            let mut s = example.situation();
            s.posterior = &posterior;
            let mut compared = vec![known.to_vec(), open.to_vec()];
            let gain = PathGain::new(&s, &compared, (fantasies, 8), 5).unwrap();
            compared.swap(0, gain.best);
            let exact = KnowledgeGradient::new(&posterior, s.environments, s.risk, &compared);
            (exact.at(open)[3], gain.at(open, 3).unwrap().0)
        };
        let opens = (0..64).map(|k| sobol::point(k, 2, 9));
        let open = opens
            .max_by(|a, b| values(a, 8).0.total_cmp(&values(b, 8).0))
            .unwrap();
        let (exact, found) = values(&open, 2000);
        assert!(exact > 1e-3, "something to gain: {exact}");
        assert!((found - exact).abs() < 1e-2 * exact, "{found} {exact}");
    }

    #[test]
    fn the_value_agrees_with_plain_monte_carlo_over_models_told_the_fantasy() {
        let example = Example::new(9, 3, 3);
        let s = example.situation();
        let compared: Vec<Vec<f64>> = (0..3).map(|k| sobol::point(k, 2, 9)).collect();
        let gain = PathGain::new(&s, &compared, (64, 512), 5).unwrap();
        let coarse = PathGain::new(&s, &compared, (FANTASIES, PATHS), 5).unwrap();
        let pairs = (0..16).map(|k| (sobol::point(k, 2, 4), k as usize % 3));
        let (x, j) = pairs
            .max_by(|a, b| value(&gain, a).total_cmp(&value(&gain, b)))
            .unwrap();
        let mut random = stream(8, 0, Purpose::PosteriorSamples);
        let standard = Normal::standard();
        let mut normal = || standard.inverse_cdf(random.random::<f64>().max(1e-300));
        let own = block(&s, &x);
        let at: Array1<f64> = x
            .iter()
            .chain(&s.environments.encoded[j])
            .copied()
            .collect();
        let noise = s.posterior.hyperparameters().noise;
        let all: Vec<Vec<f64>> = compared.iter().cloned().chain([x.clone()]).collect();
        let (fantasies, paths) = (400, 1000);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..fantasies {
            let y = own.set.mean[j] + (own.set.variance[j] + noise).sqrt() * normal();
            let mut told = s.posterior.clone();
            told.append(at.view(), y).unwrap();
            let expected: Vec<f64> = all
                .iter()
                .map(|x| {
                    let set = seen(&told, std::slice::from_ref(x), s.environments);
                    let factor = Factor::new(told.covariance_between(&set, &set).view()).unwrap();
                    let risks = (0..paths).map(|_| {
                        let e: Array1<f64> = (0..3).map(|_| normal()).collect();
                        let f = factor.lower().dot(&e) + &set.mean;
                        s.risk.evaluate(&f.to_vec(), &s.environments.masses)
                    });
                    risks.sum::<f64>() / f64::from(paths)
                })
                .collect();
            let best = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let g = best - expected[gain.best];
            sum += g;
            squares += g * g;
        }
        let n = f64::from(fantasies);
        let (mean, error) = (sum / n, ((squares / n - (sum / n).powi(2)) / n).sqrt());
        assert!(mean > 1e-2, "a case with something to gain: {mean}");
        let pair = (x, j);
        let (fine, coarse) = (value(&gain, &pair), value(&coarse, &pair));
        assert!(
            (fine - mean).abs() < 4.0 * error + 0.02 * mean,
            "{fine} against {mean} +- {error}"
        );
        assert!((coarse - fine).abs() < 0.25 * fine, "{coarse} {fine}");
    }

    #[test]
    fn a_choice_is_worth_what_its_rounded_point_is() {
        let example = Example::mixed(14, 4, 3);
        let s = example.situation();
        let choice = choose(&s).unwrap();
        let x = example.rounded(&choice);
        let compared = rho_kg::screened(&s, PAIRS_OF_X).compared;
        let seed = sobol_seed(s.seed, s.iteration, Purpose::PosteriorSamples);
        let gain = PathGain::new(&s, &compared, (FANTASIES, PATHS), seed).unwrap();
        worth(&choice, value(&gain, &(x, choice.environment)));
    }

    #[test]
    fn slices_of_the_normal_have_its_mean_and_almost_its_variance() {
        let z = slices(FANTASIES);
        assert!(z.iter().sum::<f64>().abs() < 1e-12);
        let variance = z.iter().map(|z| z * z).sum::<f64>() / FANTASIES as f64;
        assert!((0.9..1.0).contains(&variance), "{variance}");
    }
}
