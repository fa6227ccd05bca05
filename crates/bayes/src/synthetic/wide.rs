//! Functions of many variables: Ackley, Levy and Rosenbrock as Surjanovic and Bingham's *Virtual Library of
//! Simulation Experiments* has them, and Hartmann 6 in the first 6 of 50 variables.

use super::{Function, Synthetic, hartmann};
use crate::environment::{Environments, Finite};
use crate::space::Parameter;
use std::f64::consts::{E, PI};

/// A problem of `n` variables on [low, high] without environments.
fn ordinary(
    name: &'static str,
    (n, low, high): (usize, f64, f64),
    f: fn(&[f64], &[f64]) -> f64,
    optimum: (f64, Vec<f64>),
) -> Synthetic {
    Synthetic {
        name,
        environments: Environments::None,
        truth: Environments::None.judging(0),
        parameters: (1..=n)
            .map(|i| Parameter::real(format!("x{i}"), low, high))
            .collect(),
        tail: 1.0,
        noise: 0.0,
        f: Function::Formula(f),
        optimum,
    }
}

/// Hartmann 6 of the first 6 of 50 variables; the others mean nothing.
pub(super) fn hartmann_in_fifty() -> Synthetic {
    let six = hartmann::six();
    let (best, at) = six.optimum();
    let mut all = at.to_vec();
    all.resize(50, 0.5);
    let f = |x: &[f64], _: &[f64]| hartmann::hartmann(&x[..6], &[]);
    ordinary("hartmann6_50", (50, 0.0, 1.0), f, (best, all))
}

/// Ackley's function of 20 variables on [-5, 10]: a bowl covered with ripples.
pub(super) fn ackley() -> Synthetic {
    let f = |x: &[f64], _: &[f64]| {
        let n = x.len() as f64;
        let square = x.iter().map(|v| v * v).sum::<f64>() / n;
        let ripples = x.iter().map(|v| (2.0 * PI * v).cos()).sum::<f64>() / n;
        20.0 * (-0.2 * square.sqrt()).exp() + ripples.exp() - 20.0 - E
    };
    ordinary("ackley20", (20, -5.0, 10.0), f, (0.0, vec![0.0; 20]))
}

/// Levy's function: the sum of terms that are 0 at 1 and negative elsewhere, each `weight(i)` times.
fn levy(x: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
    let y: Vec<f64> = x.iter().map(|v| 1.0 + (v - 1.0) / 4.0).collect();
    let last = y.len() - 1;
    let inner = (0..last).map(|i| {
        let wave = (PI * y[i] + 1.0).sin();
        weight(i) * (y[i] - 1.0).powi(2) * (1.0 + 10.0 * wave * wave)
    });
    let wave = (2.0 * PI * y[last]).sin();
    let end = weight(last) * (y[last] - 1.0).powi(2) * (1.0 + wave * wave);
    -(weight(0) * (PI * y[0]).sin().powi(2) + inner.sum::<f64>() + end)
}

/// Levy's function of `n` variables on [-10, 10].
pub(super) fn levy_ordinary(name: &'static str, n: usize) -> Synthetic {
    let f = |x: &[f64], _: &[f64]| levy(x, |_| 1.0);
    ordinary(name, (n, -10.0, 10.0), f, (0.0, vec![1.0; n]))
}

/// Levy's function of 20 variables under 8 environments w in [-1, 1]: each tilts the weights of the terms, from
/// 1 - w at the first to 1 + w at the last. The optimum stays, the worst environment of another x does not.
pub(super) fn levy_tilted() -> Synthetic {
    let points = (0..8).map(|i| vec![f64::from(2 * i - 7) / 8.0]).collect();
    let set = Finite::new(vec!["w".into()], points, None, None);
    let environments = Environments::Finite(set.expect("a grid of finite points"));
    let f = |x: &[f64], w: &[f64]| {
        let middle = 0.5 * (x.len() - 1) as f64;
        levy(x, |i| 1.0 + w[0] * (i as f64 / middle - 1.0))
    };
    Synthetic {
        truth: environments.judging(0),
        environments,
        tail: 0.3,
        ..ordinary("levy20_w", (20, -10.0, 10.0), f, (0.0, vec![1.0; 20]))
    }
}

/// Rosenbrock's valley in 100 variables on [-2.048, 2.048].
pub(super) fn rosenbrock() -> Synthetic {
    let f = |x: &[f64], _: &[f64]| {
        let steps = x.windows(2);
        -steps
            .map(|p| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2))
            .sum::<f64>()
    };
    ordinary(
        "rosenbrock100",
        (100, -2.048, 2.048),
        f,
        (0.0, vec![1.0; 100]),
    )
}
