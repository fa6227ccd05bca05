//! Hartmann's six-dimensional function (Dixon and Szegoe 1978), whole and split into four decision and
//! two environment variables.

use super::{Function, Synthetic, midpoints};
use crate::environment::{Continuous, Environments, Finite, Marginal};
use crate::space::Parameter;

const HEIGHT: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
const STEEPNESS: [[f64; 6]; 4] = [
    [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
    [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
    [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
    [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
];
const CENTRE: [[f64; 6]; 4] = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
];

/// To be maximised, greatest value 3.32237 on the unit cube; the variables are those of x, then of w.
pub(super) fn hartmann(x: &[f64], w: &[f64]) -> f64 {
    let hill = |k: usize| {
        let u = x.iter().chain(w);
        let square = u.zip(&STEEPNESS[k]).zip(&CENTRE[k]);
        HEIGHT[k] * (-square.map(|((u, a), p)| a * (u - p) * (u - p)).sum::<f64>()).exp()
    };
    (0..4).map(hill).sum()
}

fn parameters(n: usize) -> Vec<Parameter> {
    (1..=n)
        .map(|i| Parameter::real(format!("x{i}"), 0.0, 1.0))
        .collect()
}

pub(super) fn six() -> Synthetic {
    Synthetic {
        name: "hartmann6",
        environments: Environments::None,
        truth: Environments::None.judging(0),
        parameters: parameters(6),
        tail: 1.0,
        noise: 0.0,
        f: Function::Formula(hartmann),
        optimum: (
            3.32237,
            vec![0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],
        ),
    }
}

/// The fifth and sixth variable as environments, uniform on [0, 1]; judged on 32 x 32 midpoints.
pub(super) fn four_and_two() -> Synthetic {
    let names = ["w1", "w2"].map(str::to_owned).to_vec();
    let uniform = Marginal::Uniform {
        low: 0.0,
        high: 1.0,
    };
    let law = Continuous::new(names.iter().map(|n| (n.clone(), uniform)).collect())
        .expect("bounds in order");
    let truth = Finite::new(names, midpoints(2, 32), None, None).expect("a grid of finite points");
    Synthetic {
        name: "hartmann42",
        environments: Environments::Continuous(law),
        truth: Environments::Finite(truth).judging(0),
        parameters: parameters(4),
        tail: 0.3,
        noise: 0.0,
        f: Function::Formula(hartmann),
        optimum: (0.355783, vec![0.249684, 0.532091, 0.558313, 0.323637]),
    }
}
