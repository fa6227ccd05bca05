//! Test problems with known optimum and known risk, by name: `--problem` and the regret experiments.
//!
//! [`Synthetic`] carries the domain, the environments with their weights, the noise, the function and
//! its true risk. Everything is to be maximised.

mod branin;
mod hartmann;
mod marzat;
mod nguyen;
mod sample;
mod wide;

use crate::environment::{EnvironmentSet, Environments};
use crate::optimizer::{Direction, Problem, Query};
use crate::risk::RiskMeasure;
use crate::space::{Parameter, Space};
use crate::stream::{Purpose, stream};
use rand::RngExt as _;
use statrs::distribution::{ContinuousCDF, Normal};
use std::sync::Arc;

/// Names [`by_name`] knows.
pub const NAMES: [&str; 14] = [
    "branin11",
    "branin_williams",
    "marzat6",
    "goldstein_price",
    "branin_lv",
    "hartmann6",
    "hartmann42",
    "gp_sample",
    "hartmann6_50",
    "ackley20",
    "levy20",
    "levy20_w",
    "levy30",
    "rosenbrock100",
];

/// A test problem.
#[derive(Clone, Debug)]
pub struct Synthetic {
    name: &'static str,
    environments: Environments,
    /// Environments that define the true risk.
    truth: EnvironmentSet,
    parameters: Vec<Parameter>,
    tail: f64,
    noise: f64,
    f: Function,
    optimum: (f64, Vec<f64>),
}

/// What gives values.
#[derive(Clone, Debug)]
enum Function {
    Formula(fn(&[f64], &[f64]) -> f64),
    Draw(Arc<sample::Draw>),
}

/// The problem of this name:
///
/// | name | x | w | tail mass |
/// | --- | --- | --- | --- |
/// | `branin11` | 1 | uniform on [0, 1] | 0.3 |
/// | `branin_williams` | 2 | 12 weighted, noise of deviation 10 | 0.3 |
/// | `marzat6` | 4 | 216 on a grid in 3 variables | 0.25 |
/// | `goldstein_price` | 1 | 50 on a grid in 1 variable, noise of deviation 0.1 | 0.1 |
/// | `branin_lv` | 1 | 30 on a grid in 1 variable, noise of deviation 0.1 | 0.1 |
/// | `hartmann6` | 6 | none | 1 |
/// | `hartmann42` | 4 | 2 variables of Hartmann 6, uniform | 0.3 |
/// | `gp_sample` | 2 | 16 on a grid in 1 variable | 0.3 |
/// | `hartmann6_50` | 50, of which 6 count | none | 1 |
/// | `ackley20`, `levy20` | 20 | none | 1 |
/// | `levy20_w` | 20 | 8 on a grid in 1 variable | 0.3 |
/// | `levy30` | 30 | none | 1 |
/// | `rosenbrock100` | 100 | none | 1 |
pub fn by_name(name: &str) -> Option<Synthetic> {
    match name {
        "branin11" => Some(branin::one_and_one()),
        "branin_williams" => Some(branin::williams()),
        "marzat6" => Some(marzat::six()),
        "goldstein_price" => Some(nguyen::goldstein_price()),
        "branin_lv" => Some(nguyen::branin()),
        "hartmann6" => Some(hartmann::six()),
        "hartmann42" => Some(hartmann::four_and_two()),
        "gp_sample" => Some(sample::gp()),
        "hartmann6_50" => Some(wide::hartmann_in_fifty()),
        "ackley20" => Some(wide::ackley()),
        "levy20" => Some(wide::levy_ordinary("levy20", 20)),
        "levy20_w" => Some(wide::levy_tilted()),
        "levy30" => Some(wide::levy_ordinary("levy30", 30)),
        "rosenbrock100" => Some(wide::rosenbrock()),
        _ => None,
    }
}

impl Synthetic {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Space, environments and direction.
    pub fn problem(&self) -> Problem {
        let space = Space::new(self.parameters.clone()).expect("the parameters above are valid");
        let environments = self.environments.clone();
        Problem {
            space,
            environments,
            direction: Direction::Maximize,
        }
    }

    /// Tail mass that belongs to the known optimum.
    pub fn tail(&self) -> f64 {
        self.tail
    }

    /// Standard deviation of the noise that belongs to the problem (0: none).
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// Known best CVaR at [`Self::tail`] and where it is reached (natural units).
    pub fn optimum(&self) -> (f64, &[f64]) {
        (self.optimum.0, &self.optimum.1)
    }

    /// The function without noise at natural (x, w).
    pub fn value(&self, x: &[f64], w: &[f64]) -> f64 {
        match &self.f {
            Function::Formula(f) => f(x, w),
            Function::Draw(draw) => draw.value(x, w),
        }
    }

    /// The value of evaluation `id`: with `deviation` x a normal number that depends on (seed, id) only.
    pub fn observe(&self, query: &Query, deviation: f64, seed: u64, id: u64) -> f64 {
        let value = self.value(&query.x, &query.w);
        if deviation == 0.0 {
            return value;
        }
        let u: f64 = stream(seed, id, Purpose::SyntheticNoise).random();
        // Strictly inside (0, 1), where the inverse is finite.
        let u = u.mul_add(1.0 - 2f64.powi(-52), 2f64.powi(-53));
        value + deviation * Normal::standard().inverse_cdf(u)
    }

    /// True risk of natural `x`: over all environments of a finite set exactly, over a midpoint grid of
    /// a continuous law.
    pub fn true_risk(&self, x: &[f64], risk: RiskMeasure) -> f64 {
        let values: Vec<f64> = self
            .truth
            .environments()
            .map(|e| self.value(x, &e.w))
            .collect();
        risk.evaluate(&values, &self.truth.masses)
    }
}

/// Midpoints of `n` equal cells per variable, the last running fastest, in [0, 1].
fn midpoints(variables: u32, n: usize) -> Vec<Vec<f64>> {
    (0..n.pow(variables))
        .map(|k| {
            (0..variables)
                .rev()
                .map(|v| ((k / n.pow(v)) % n) as f64)
                .map(|c| (c + 0.5) / n as f64)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::TailMass;

    #[test]
    fn the_known_optimum_is_reached_there_and_nowhere_exceeded() {
        for name in NAMES {
            let p = by_name(name).unwrap();
            let risk = RiskMeasure::Cvar(TailMass::new(p.tail()).unwrap());
            let (best, at) = p.optimum();
            let there = p.true_risk(at, risk);
            assert!(
                (there - best).abs() < 1e-4 * best.abs().max(1.0),
                "{name}: {there} {best}"
            );
            let space = p.problem().space;
            for k in 0..200 {
                let x = space.from_unit(&crate::sobol::point(k, space.dimension(), 1));
                let slack = 1e-5 * best.abs().max(1.0);
                assert!(p.true_risk(&x, risk) <= best + slack, "{name} at {x:?}");
            }
        }
    }

    #[test]
    fn noise_depends_on_seed_and_id_only() {
        let p = by_name("branin_williams").unwrap();
        let q = Query {
            x: vec![0.2, 0.3],
            environment: Some(0),
            w: vec![0.2, 0.25],
        };
        assert_eq!(p.observe(&q, 10.0, 1, 5), p.observe(&q, 10.0, 1, 5));
        assert_ne!(p.observe(&q, 10.0, 1, 5), p.observe(&q, 10.0, 1, 6));
        let n = 4000;
        let noise: Vec<f64> = (0..n)
            .map(|i| p.observe(&q, 10.0, 1, i) - p.value(&q.x, &q.w))
            .collect();
        let sd = (noise.iter().map(|e| e * e).sum::<f64>() / n as f64).sqrt();
        assert!((sd - 10.0).abs() < 0.5, "{sd}");
    }
}
