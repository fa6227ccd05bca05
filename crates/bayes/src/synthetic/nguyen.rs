//! The two synthetic problems of Nguyen, Dai, Low and Jaillet (*Optimizing Conditional Value-at-Risk of
//! Black-Box Functions*, 2021) as their published program BayesOpt-LV has them: rescaled, both variables in
//! [0, 1], the second an environment on an even grid, noise of variance 0.01, tail mass 0.1.

use super::{Function, Synthetic};
use crate::environment::{Environments, Finite};
use crate::space::Parameter;
use std::f64::consts::PI;

/// `n` environments from 0 to 1, ends included, of equal weight.
fn grid(n: u32) -> Environments {
    let points = (0..n).map(|i| vec![f64::from(i) / f64::from(n - 1)]);
    let set = Finite::new(vec!["w".into()], points.collect(), None, None);
    Environments::Finite(set.expect("a grid of finite points"))
}

fn problem(
    name: &'static str,
    environments: Environments,
    f: fn(&[f64], &[f64]) -> f64,
    optimum: (f64, &'static [f64]),
) -> Synthetic {
    Synthetic {
        name,
        truth: environments.judging(0),
        environments,
        parameters: vec![Parameter::real("x", 0.0, 1.0)],
        tail: 0.1,
        noise: 0.1,
        f: Function::Formula(f),
        optimum: (optimum.0, optimum.1.to_vec()),
    }
}

/// Branin, shifted and scaled to mean 0 and variance 1 (Picheny et al. 2013), 30 environments. Their
/// optimum, -0.28996, agrees with ours.
pub(super) fn branin() -> Synthetic {
    let f = |x: &[f64], w: &[f64]| {
        let (a, b) = (15.0 * x[0] - 5.0, 15.0 * w[0]);
        let bent = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
        -(bent * bent + (10.0 - 10.0 / (8.0 * PI)) * a.cos() - 44.81) / 51.95
    };
    let optimum = (-0.289_960_095, &[0.274_688_802][..]);
    problem("branin_lv", grid(30), f, optimum)
}

/// Logarithm of Goldstein and Price's function (1971) on [-2, 2]^2, less 8.693; 50 environments. Their
/// optimum, -2.39441, agrees with ours.
pub(super) fn goldstein_price() -> Synthetic {
    let f = |x: &[f64], w: &[f64]| {
        let (a, b) = (4.0 * x[0] - 2.0, 4.0 * w[0] - 2.0);
        let (sum, difference) = (a + b + 1.0, 2.0 * a - 3.0 * b);
        let first = 19.0 - 14.0 * (a + b) + 3.0 * (a + b).powi(2);
        let second = 18.0 - 32.0 * a + 48.0 * b + 3.0 * difference * difference;
        8.693 - ((1.0 + sum * sum * first) * (30.0 + difference * difference * second)).ln()
    };
    let optimum = (-2.394_390_671, &[0.801_553_742][..]);
    problem("goldstein_price", grid(50), f, optimum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_have_their_published_minima() {
        // Goldstein-Price: 3 at (0, -1); Branin: 0.397887 at (pi, 2.275).
        let found = goldstein_price().value(&[0.5], &[0.25]);
        assert!((found - (8.693 - 3.0_f64.ln())).abs() < 1e-12);
        let found = branin().value(&[(PI + 5.0) / 15.0], &[2.275 / 15.0]);
        assert!((found - (44.81 + 10.0 - 0.397_887_357) / 51.95).abs() < 1e-9);
    }
}
