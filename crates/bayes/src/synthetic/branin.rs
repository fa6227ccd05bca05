//! Two problems made of the Branin function: one decision and one environment variable, and the
//! product of Williams, Santner and Notz (2000) with its 12 weighted environments.

use super::{Function, Synthetic, midpoints};
use crate::environment::{Continuous, Environments, Finite, Marginal};
use crate::space::Parameter;
use std::f64::consts::PI;

/// Branin on the unit square, to be minimised, least value 0.397887.
fn branin(u: f64, v: f64) -> f64 {
    let (a, b) = (15.0 * u - 5.0, 15.0 * v);
    let bent = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
    bent * bent + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0
}

/// f(x, w) = -branin(x, w), w uniform on [0, 1]; judged on 512 midpoints.
pub(super) fn one_and_one() -> Synthetic {
    let names = vec!["w".to_owned()];
    let truth = Finite::new(names, midpoints(1, 512), None, None).expect("a grid of finite points");
    let uniform = Marginal::Uniform {
        low: 0.0,
        high: 1.0,
    };
    let law = Continuous::new(vec![("w".into(), uniform)]).expect("bounds in order");
    Synthetic {
        name: "branin11",
        environments: Environments::Continuous(law),
        truth: Environments::Finite(truth).judging(0),
        parameters: vec![Parameter::real("x", 0.0, 1.0)],
        tail: 0.3,
        noise: 0.0,
        f: Function::Formula(|x, w| -branin(x[0], w[0])),
        optimum: (-55.680_868_955, vec![0.249_078_575]),
    }
}

/// f(x, w) = -branin(x1, w1) branin(w2, x2), w on a 4 x 3 grid with weights.
pub(super) fn williams() -> Synthetic {
    let points = [0.25, 0.5, 0.75]
        .iter()
        .flat_map(|b| [0.2, 0.4, 0.6, 0.8].map(|a| vec![a, *b]))
        .collect();
    let outer = [0.0375, 0.0875, 0.0875, 0.0375];
    let weights = outer
        .into_iter()
        .chain(outer.map(|w| 2.0 * w))
        .chain(outer)
        .collect();
    let set = Finite::new(vec!["w1".into(), "w2".into()], points, Some(weights), None)
        .expect("a grid of finite points");
    let environments = Environments::Finite(set);
    Synthetic {
        name: "branin_williams",
        truth: environments.judging(0),
        environments,
        parameters: vec![
            Parameter::real("x1", 0.0, 1.0),
            Parameter::real("x2", 0.0, 1.0),
        ],
        tail: 0.3,
        noise: 10.0,
        f: Function::Formula(|x, w| -branin(x[0], w[0]) * branin(w[1], x[1])),
        optimum: (-722.662_927, vec![0.222_599, 0.295_322]),
    }
}
