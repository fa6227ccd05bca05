//! Small situations that tests of several acquisitions share.

use super::{Choice, Situation, Taken};
use crate::environment::{EnvironmentSet, Rows};
use crate::gp::{Hyperparameters, Posterior, Warp};
use crate::kernel::{KernelForm, KernelKind};
use crate::risk::{RiskMeasure, TailMass};
use crate::sobol;
use crate::space::{Parameter, Space};
use ndarray::Array2;

/// `m` environments of one variable, of unequal masses.
pub(super) fn weighted(m: usize, seed: u32) -> EnvironmentSet {
    let encoded = Rows::new(1, (0..m as u64).map(|k| [sobol::coordinate(k, 7, seed)]));
    let raw: Vec<f64> = (0..m as u64)
        .map(|k| 0.1 + sobol::coordinate(k, 8, seed))
        .collect();
    let total: f64 = raw.iter().sum();
    let masses = raw.iter().map(|w| w / total).collect();
    EnvironmentSet::own(encoded.clone(), encoded, masses)
}

/// Two reals in the unit box (or a mixed space), one environment variable, a posterior on Sobol points.
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
        let reals = ["a", "b"].map(|name| Parameter::real(name, 0.0, 1.0));
        let hyper = Hyperparameters {
            lengthscales: vec![0.4, 0.6, 0.5],
            outputscale: 1.3,
            noise: 0.01,
            mean: 0.1,
            rough_noise: None,
            warp,
        };
        let f = |z: &[f64]| (7.0 * z[0] + 3.0 * z[1] * z[2]).sin();
        Self::on(reals.to_vec(), form, &hyper, (n, m, seed), f)
    }

    /// A real, an integer of four values and a category of three. The best integer, were it a real number, would lie
    /// between two of its values, and the best category between two choices.
    pub(super) fn mixed(n: usize, environments: usize, seed: u32) -> Self {
        let parameters = vec![
            Parameter::real("a", 0.0, 1.0),
            Parameter::integer("k", 1, 4),
            Parameter::categorical("c", ["x", "y", "z"]),
        ];
        let hyper = Hyperparameters {
            lengthscales: vec![0.4, 0.3, 0.8, 0.8, 0.8, 0.5],
            outputscale: 1.0,
            noise: 0.01,
            mean: -1.0,
            rough_noise: None,
            warp: Vec::new(),
        };
        let f = |z: &[f64]| {
            let category = (z[2] - 0.5).powi(2) + (z[3] - 0.4).powi(2);
            -(z[0] - 0.3).powi(2) - 9.0 * (z[1] - 0.52).powi(2) - category + z[0] * z[5]
        };
        let form = KernelKind::Matern52.into();
        Self::on(parameters, form, &hyper, (n, environments, seed), f)
    }

    /// `n` observations of `f`, a function of what is encoded.
    fn on(
        parameters: Vec<Parameter>,
        form: KernelForm,
        hyper: &Hyperparameters,
        (n, m, seed): (usize, usize, u32),
        f: impl Fn(&[f64]) -> f64,
    ) -> Self {
        let space = Space::new(parameters).unwrap();
        let (d, dx) = (space.dimension(), space.encoded_dimension());
        let (mut observed, mut rows, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n as u64 {
            let mut unit = sobol::point(i, d, seed);
            space.snap_unit(&mut unit);
            let mut row = Vec::new();
            space.encode_unit_into(&unit, &mut row);
            row.push(sobol::coordinate(i, d, seed));
            values.push(f(&row));
            rows.extend(row);
            observed.push(unit);
        }
        let x = Array2::from_shape_vec((n, dx + 1), rows).unwrap();
        Self {
            posterior: Posterior::new(form, hyper, x, values.into()).unwrap(),
            space,
            environments: weighted(m, seed),
            observed,
            taken: Taken::default(),
        }
    }

    /// What is encoded of a choice once it is rounded to the space, as an evaluation would be; asserts that rounding
    /// changes nothing.
    pub(super) fn rounded(&self, choice: &Choice) -> Vec<f64> {
        let natural = self.space.from_unit(&choice.x);
        assert_eq!(self.space.to_unit(&natural), choice.x, "{natural:?}");
        self.space.encode(&natural)
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

/// Asserts that a choice is worth what the rule says of the rounded point.
pub(super) fn worth(choice: &Choice, rounded: f64) {
    let value = choice.value;
    assert!(
        (value - rounded).abs() <= 1e-10 * rounded.abs(),
        "{choice:?}: {rounded} once rounded"
    );
    assert!(value > 1e-6, "a case with something to gain: {choice:?}");
}

/// Asserts that a gradient is the one of `f` by central differences of the fourth order: to 1e-6 of its largest entry,
/// beside the rounding of `f`.
pub(super) fn agrees(at: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    agrees_within(1e-4, at, gradient, f);
}

/// The same by differences over `h`, for what bends within less.
pub(super) fn agrees_within(h: f64, at: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    let rounding = 1e-14 * f(at).abs().max(1.0) / h;
    let differences: Vec<f64> = (0..at.len())
        .map(|d| {
            let moved = |by: f64| {
                let mut at = at.to_vec();
                at[d] += by;
                f(&at)
            };
            let near = moved(h) - moved(-h);
            let far = moved(2.0 * h) - moved(-2.0 * h);
            (8.0 * near - far) / (12.0 * h)
        })
        .collect();
    let largest = differences.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    for (found, difference) in gradient.iter().zip(&differences) {
        assert!(
            (found - difference).abs() < 1e-6 * largest + rounding,
            "at {at:?}: {gradient:?} against {differences:?}"
        );
    }
}
