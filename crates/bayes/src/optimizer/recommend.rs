//! The x to recommend now.

use super::{Error, Incumbent, Optimizer};
use crate::acquisition::seen;
use crate::incumbent::{RiskSurface, thinned};
use crate::sobol;
use crate::stream::{Purpose, sobol_seed};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use statrs::distribution::{ContinuousCDF, Normal};
use std::ops::Range;

/// Joint samples behind an interval.
const SAMPLES: usize = 512;
/// Of them made at a time: a table for all at once would be the largest of an iteration.
const BLOCK: usize = 64;
/// Most environments in a joint sample.
const JOINT: usize = 256;
/// Share of the samples below an interval, and above it.
const OUTSIDE: f64 = 0.05;

impl Optimizer {
    /// The x to recommend now: best risk of the posterior mean over all judging environments, as found
    /// by the last [`Self::refit`]. Without a model: the best single observation, as it is, of those whose x are admitted (what was
    /// evaluated elsewhere may not be) where there is one.
    ///
    /// # Errors
    /// [`Error::NothingObserved`].
    pub fn incumbent(&self) -> Result<Incumbent, Error> {
        let sign = self.problem.direction.sign();
        let (Some(model), Some(state)) = (&self.model, &self.state) else {
            let best = |admitted: bool| {
                self.successes()
                    .filter(|(o, _)| !admitted || self.problem.space.admits(&o.query.x))
                    .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
            };
            let (observation, value) = best(true)
                .or_else(|| best(false))
                .ok_or(Error::NothingObserved)?;
            return Ok(Incumbent {
                x: observation.query.x.clone(),
                risk: value,
                mean: value,
                per_environment: vec![value; self.judging.len()],
            });
        };
        let dx = self.problem.space.encoded_dimension();
        let risk = self.settings.risk;
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let surface =
            RiskSurface::new(&model.posterior, dx, &judging, risk).expanding(model.compression());
        let means = surface.means(&self.problem.space.encode(&state.incumbent));
        let restore = |v: f64| sign * model.scale.standardizer.restore(v);
        Ok(Incumbent {
            x: state.incumbent.clone(),
            risk: restore(risk.evaluate(&means, &self.judging.masses)),
            mean: restore(crate::risk::mean(&means, &self.judging.masses)),
            per_environment: means.into_iter().map(restore).collect(),
        })
    }

    /// Between which values the risk of the incumbent lies with nine chances in ten by the model, in the user's
    /// sign, the lower first: quantiles of the risk over joint samples of the posterior in all judging
    /// environments. [`Incumbent::risk`] is the risk of the mean and may lie outside, at the good end: a concave
    /// risk such as the CVaR of what is uncertain is on average worse than that of its mean (Jensen). Of more than 256 every k-th is sampled and the interval shifted by what that changes
    /// in the risk of the mean. `None` without a model, and where the joint covariance has no factor. A pure function of model, seed and `iteration`.
    pub fn interval(&self, iteration: u64) -> Option<[f64; 2]> {
        let (Some(model), Some(state)) = (&self.model, &self.state) else {
            return None;
        };
        let all = self.judging.clone().with_effects(&model.scale.effects);
        let few = thinned(&all, JOINT);
        let judging = few.as_ref().unwrap_or(&all);
        let x = self.problem.space.encode(&state.incumbent);
        let (risk, compression) = (self.settings.risk, model.compression());
        let expand = |v: f64| compression.map_or(v, |c| c.expand(v).0);
        let judged = |values: &[f64]| {
            let values: Vec<f64> = values.iter().map(|v| expand(*v)).collect();
            risk.evaluate(&values, &judging.masses)
        };
        let own = seen(&model.posterior, std::slice::from_ref(&x), judging);
        let covariance = model.posterior.covariance_between(&own, &own);
        let factor = model.posterior.joint_factor(covariance.view()).ok()?;
        drop(covariance);
        let seed = sobol_seed(self.settings.seed, iteration, Purpose::Interval);
        let mut risks = Vec::with_capacity(SAMPLES);
        for first in (0..SAMPLES).step_by(BLOCK) {
            let samples = joint_samples(&own.mean, factor.lower(), first..first + BLOCK, seed);
            risks.extend(
                samples
                    .columns()
                    .into_iter()
                    .map(|sample| judged(&sample.to_vec())),
            );
        }
        risks.sort_by(f64::total_cmp);
        let surface = RiskSurface::new(&model.posterior, x.len(), &all, risk);
        let centre = surface.expanding(compression).means(&x);
        let shift = risk.evaluate(&centre, &all.masses) - judged(&own.mean.to_vec());
        let sign = self.problem.direction.sign();
        let at = |share: f64| {
            let risk = risks[(share * (SAMPLES - 1) as f64).round() as usize] + shift;
            sign * model.scale.standardizer.restore(risk)
        };
        let (a, b) = (at(OUTSIDE), at(1.0 - OUTSIDE));
        Some([a.min(b), a.max(b)])
    }
}

/// Samples `which` of a normal law of mean `mean` (m values) and covariance L L^T (`factor` = L, m x m): a column each.
/// Sample k is the same whatever stands beside it, bit for bit.
fn joint_samples(
    mean: &Array1<f64>,
    factor: ArrayView2<f64>,
    which: Range<usize>,
    seed: u32,
) -> Array2<f64> {
    let standard = Normal::standard();
    let normals = Array2::from_shape_fn((mean.len(), which.len()), |(d, k)| {
        standard.inverse_cdf(sobol::coordinate((which.start + k) as u64, d, seed))
    });
    let mut samples = Array2::zeros(normals.dim());
    samples += &mean.view().insert_axis(Axis(1));
    samples += &factor.dot(&normals);
    samples
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, Observation, Outcome, Problem, Query, Settings};
    use super::*;
    use crate::environment::{Environments, Finite, Look};
    use crate::space::{Parameter, Space};
    use ndarray::ShapeBuilder as _;

    fn told(environments: Environments, direction: Direction) -> Optimizer {
        let problem = Problem {
            space: Space::new(vec![Parameter::real("a", 0.0, 1.0)]).unwrap(),
            environments,
            direction,
        };
        let settings = Settings {
            n_w: Look::All,
            ..Settings::default()
        };
        let mut o = Optimizer::new(problem, settings).unwrap();
        let value = |q: &Query| (9.0 * q.x[0]).sin() * (1.0 + q.w.iter().sum::<f64>());
        for (id, query) in (0..).zip(o.initial_design()) {
            let outcome = Outcome::Value(direction.sign() * value(&query));
            let observation = Observation {
                id,
                iteration: 0,
                query,
                outcome,
            };
            o.tell(observation).unwrap();
        }
        o.refit(0).unwrap();
        o
    }

    #[test]
    fn samples_made_in_blocks_are_those_made_at_once() {
        for m in [1, 7, 24, 119, 250, 256] {
            let mean = Array1::from_shape_fn(m, |i| (i as f64).sin());
            // as a factor lies in memory
            let factor = Array2::from_shape_fn((m, m).f(), |(i, j)| {
                let entry = ((i * 31 + j * 17) as f64).cos();
                if j <= i { entry } else { 0.0 }
            });
            let whole = joint_samples(&mean, factor.view(), 0..SAMPLES, 7);
            for first in (0..SAMPLES).step_by(BLOCK) {
                let block = joint_samples(&mean, factor.view(), first..first + BLOCK, 7);
                let part = whole.slice(ndarray::s![.., first..first + BLOCK]);
                let same = block
                    .iter()
                    .zip(part)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{m} environments, from sample {first}");
            }
        }
    }

    #[test]
    fn without_environments_it_is_the_normal_interval_of_the_mean() {
        let o = told(Environments::None, Direction::Maximize);
        let (model, incumbent) = (o.model.as_ref().unwrap(), o.incumbent().unwrap());
        let x = Array2::from_shape_vec((1, 1), vec![incumbent.x[0]]).unwrap();
        let deviation = model.posterior.variance(x.view())[0].sqrt();
        let half = 1.645 * deviation * model.scale.standardizer.scale;
        assert!(half > 1e-4, "something to be unsure of");
        let [low, high] = o.interval(0).unwrap();
        for (found, expected) in [(low, incumbent.risk - half), (high, incumbent.risk + half)] {
            assert!((found - expected).abs() < 0.03 * half, "{found} {expected}");
        }
    }

    #[test]
    fn what_is_uncertain_lies_below_the_risk_of_its_mean() {
        let points = (0..40).map(|i| vec![f64::from(i) / 40.0]).collect();
        let finite = Finite::new(vec!["w".into()], points, None, None).unwrap();
        let mut o = told(Environments::Finite(finite), Direction::Maximize);
        // Hardly correlated environments: every one may be the worst.
        let mut state = o.state.clone().unwrap();
        *state.hyper.lengthscales.last_mut().unwrap() = 0.02;
        o.restore(state).unwrap();
        let [_, high] = o.interval(4).unwrap();
        assert!(
            high < o.incumbent().unwrap().risk,
            "the worst of what is uncertain"
        );
    }

    #[test]
    fn it_holds_the_risk_and_turns_with_the_sign() {
        let points = (0..300).map(|i| vec![f64::from(i) / 300.0]).collect();
        let finite = Finite::new(vec!["w".into()], points, None, None).unwrap();
        let up = told(Environments::Finite(finite.clone()), Direction::Maximize);
        let down = told(Environments::Finite(finite), Direction::Minimize);
        let [low, high] = up.interval(4).unwrap();
        let risk = up.incumbent().unwrap().risk;
        assert!(low < risk && risk < high, "{low} {risk} {high}");
        assert_eq!(down.interval(4).unwrap(), [-high, -low]);
        assert_eq!(up.interval(4), up.interval(4));
    }
}
