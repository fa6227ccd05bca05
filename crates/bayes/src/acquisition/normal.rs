//! The standard normal's density, upper tail, and integrals of hat functions against it.
//!
//! Formulas are taken on the side where nothing cancels, so that relative precision holds in the tails.

use statrs::function::erf::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Density at `t`.
pub(super) fn density(t: f64) -> f64 {
    (-0.5 * t * t).exp() / (2.0 * PI).sqrt()
}

/// Mass above `t`.
pub(super) fn upper(t: f64) -> f64 {
    0.5 * erfc(t * FRAC_1_SQRT_2)
}

/// E[max(z - t, 0)] for t >= 0.
fn excess(t: f64) -> f64 {
    (density(t) - t * upper(t)).max(0.0)
}

/// What an integral up to `end` needs of it, computed once per breakpoint.
#[derive(Clone, Copy, Debug)]
struct End {
    at: f64,
    upper: f64,
    excess: f64,
}

impl End {
    fn new(at: f64) -> Self {
        Self {
            at,
            upper: upper(at),
            excess: excess(at),
        }
    }
}

/// Integral over [l, u] of (linear function with values `at_l`, `at_u` at the ends) x density.
/// Never negative for ends that are not; l <= u, both finite.
pub(super) fn integrate_linear(l: f64, u: f64, at_l: f64, at_u: f64) -> f64 {
    if u <= l {
        return 0.0;
    }
    if l < 0.0 && u > 0.0 {
        let at_0 = (at_l * u - at_u * l) / (u - l);
        return integrate_linear(l, 0.0, at_l, at_0) + integrate_linear(0.0, u, at_0, at_u);
    }
    if u <= 0.0 {
        return integrate_linear(-u, -l, at_u, at_l);
    }
    let width = u - l;
    if width * (1.0 + l) < 1e-4 {
        // At the centroids of the two hats, exact to second order where the formulas would cancel.
        let (falling, rising) = (density(l + width / 3.0), density(u - width / 3.0));
        return 0.5 * width * (at_l * falling + at_u * rising);
    }
    let (l, u) = (End::new(l), End::new(u));
    // Hat functions falling from l to 0 at u, and rising from 0 at l to u.
    let rising = ((l.excess - u.excess) / (u.at - l.at) - u.upper).max(0.0);
    let falling = (l.upper - (l.excess - u.excess) / (u.at - l.at)).max(0.0);
    at_l * falling + at_u * rising
}

/// Integrals over [l, u] of the density and of z x density.
pub(super) fn moments(l: f64, u: f64) -> (f64, f64) {
    let mass = if l >= 0.0 {
        upper(l) - upper(u)
    } else {
        upper(-u) - upper(-l)
    };
    (mass, density(l) - density(u))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrals_agree_with_the_trapezium_rule() {
        for (l, u) in [
            (-9.0, 9.0),
            (-1.0, 0.5),
            (0.3, 2.0),
            (4.0, 6.0),
            (-7.5, -7.0),
            (0.5, 0.50001),
        ] {
            let n = 200_000;
            let h = (u - l) / f64::from(n);
            let (a, b) = (0.7, 2.0);
            let f = |k: i32| {
                let t = f64::from(k) / f64::from(n);
                (a + (b - a) * t) * density(l + t * (u - l))
            };
            let sum: f64 = (1..n).map(f).sum::<f64>() + 0.5 * (f(0) + f(n));
            let exact = integrate_linear(l, u, a, b);
            assert!(
                (sum * h / exact - 1.0).abs() < 1e-7,
                "{l} {u}: {} {exact}",
                sum * h
            );
        }
    }
}
