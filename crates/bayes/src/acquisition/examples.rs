//! Small situations that tests of several acquisitions share.

use super::{Situation, Taken};
use crate::environment::{Environment, EnvironmentSet};
use crate::gp::{Hyperparameters, Posterior, Warp};
use crate::kernel::{KernelForm, KernelKind};
use crate::risk::{RiskMeasure, TailMass};
use crate::sobol;
use crate::space::{Parameter, Space};
use ndarray::Array2;

/// `m` environments of one variable, of unequal masses.
pub(super) fn weighted(m: usize, seed: u32) -> EnvironmentSet {
    let encoded: Vec<Vec<f64>> = (0..m as u64)
        .map(|k| vec![sobol::coordinate(k, 7, seed)])
        .collect();
    let raw: Vec<f64> = (0..m as u64)
        .map(|k| 0.1 + sobol::coordinate(k, 8, seed))
        .collect();
    let total: f64 = raw.iter().sum();
    EnvironmentSet {
        environments: encoded
            .iter()
            .map(|w| Environment {
                index: None,
                w: w.clone(),
            })
            .collect(),
        encoded,
        masses: raw.iter().map(|w| w / total).collect(),
        effects: vec![0.0; m],
    }
}

/// Two reals in the unit box, one environment variable, a posterior on Sobol points.
pub(super) struct Example {
    pub posterior: Posterior,
    space: Space,
    environments: EnvironmentSet,
    observed: Vec<Vec<f64>>,
    taken: Taken,
}

impl Example {
    pub(super) fn new(n: usize, environments: usize, seed: u32) -> Self {
        let form = KernelKind::Matern52.into();
        Self::of_form(form, Vec::new(), (n, environments, seed))
    }

    /// With the product kernel and warped inputs.
    pub(super) fn bent(n: usize, environments: usize, seed: u32) -> Self {
        let warp = [(0.7, 1.2), (1.5, 0.8), (1.1, 1.6)].map(|(a, b)| Warp { a, b });
        let form = KernelForm::product(KernelKind::Matern52, 2);
        Self::of_form(form, warp.to_vec(), (n, environments, seed))
    }

    pub(super) fn of_form(
        form: KernelForm,
        warp: Vec<Warp>,
        (n, m, seed): (usize, usize, u32),
    ) -> Self {
        let x = Array2::from_shape_fn((n, 3), |(i, d)| sobol::coordinate(i as u64, d, seed));
        let y = (0..n)
            .map(|i| (7.0 * x[[i, 0]] + 3.0 * x[[i, 1]] * x[[i, 2]]).sin())
            .collect();
        let hyper = Hyperparameters {
            lengthscales: vec![0.4, 0.6, 0.5],
            outputscale: 1.3,
            noise: 0.01,
            mean: 0.1,
            rough_noise: None,
            warp,
        };
        Self {
            observed: x.rows().into_iter().map(|r| vec![r[0], r[1]]).collect(),
            posterior: Posterior::new(form, &hyper, x, y).unwrap(),
            space: Space::new(vec![
                Parameter::real("a", 0.0, 1.0),
                Parameter::real("b", 0.0, 1.0),
            ])
            .unwrap(),
            environments: weighted(m, seed),
            taken: Taken::default(),
        }
    }

    pub(super) fn situation(&self) -> Situation<'_> {
        Situation {
            space: &self.space,
            posterior: &self.posterior,
            environments: &self.environments,
            risk: RiskMeasure::Cvar(TailMass::new(0.4).unwrap()),
            incumbent: &self.observed[2],
            region: None,
            observed: &self.observed,
            viable: None,
            taken: &self.taken,
            seed: 7,
            iteration: 3,
        }
    }
}

/// Asserts that a gradient is the one of `f` by central differences.
pub(super) fn agrees(at: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    for d in 0..at.len() {
        let moved = |by: f64| {
            let mut at = at.to_vec();
            at[d] += by;
            f(&at)
        };
        let h = 1e-5;
        let difference = (moved(h) - moved(-h)) / (2.0 * h);
        assert!(
            (gradient[d] - difference).abs() < 1e-5 * (1.0 + difference.abs()),
            "at {at:?}, {d}: {} against {difference}",
            gradient[d]
        );
    }
}
