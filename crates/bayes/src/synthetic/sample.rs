//! A draw from the Gaussian process that the optimiser believes in: two decision variables, one environment
//! variable on 16 midpoints of [0, 1].
//!
//! The draw is a sum of cosines with random frequencies (Rahimi and Recht 2007). Those of Matern 5/2 are
//! Student-t with 5 degrees of freedom, divided by the lengthscale.

use super::{Function, Synthetic, midpoints};
use crate::environment::{Environments, Finite};
use crate::space::Parameter;
use crate::stream::{Purpose, stream};
use rand::RngExt as _;
use statrs::distribution::{ContinuousCDF, Normal};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Cosines in the sum.
const FEATURES: usize = 512;
/// Lengthscales of x1, x2 and w.
const LENGTHSCALES: [f64; 3] = [0.25, 0.25, 0.4];

/// `sqrt(2 / n) * sum_k amplitude_k cos(frequency_k . (x, w) + phase_k)`: variance 1, mean 0 over draws.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    frequencies: Vec<[f64; 3]>,
    phases: Vec<f64>,
    amplitudes: Vec<f64>,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut random = stream(seed, 0, Purpose::SyntheticSample);
        let mut uniform = || {
            random
                .random::<f64>()
                .mul_add(1.0 - 2f64.powi(-52), 2f64.powi(-53))
        };
        let mut draw = Self {
            frequencies: Vec::with_capacity(FEATURES),
            phases: Vec::with_capacity(FEATURES),
            amplitudes: Vec::with_capacity(FEATURES),
        };
        for _ in 0..FEATURES {
            let normal: [f64; 9] =
                std::array::from_fn(|_| Normal::standard().inverse_cdf(uniform()));
            let chi_square: f64 = normal[..5].iter().map(|z| z * z).sum();
            let wide = (5.0 / chi_square).sqrt();
            let frequency = std::array::from_fn(|i| normal[5 + i] * wide / LENGTHSCALES[i]);
            draw.frequencies.push(frequency);
            draw.amplitudes.push(normal[8]);
            draw.phases.push(TAU * uniform());
        }
        draw
    }

    /// Value at x (2 numbers) and w (1 number).
    pub(super) fn value(&self, x: &[f64], w: &[f64]) -> f64 {
        let terms = self
            .frequencies
            .iter()
            .zip(&self.phases)
            .zip(&self.amplitudes);
        let sum: f64 = terms
            .map(|((f, phase), amplitude)| {
                amplitude * (f[0] * x[0] + f[1] * x[1] + f[2] * w[0] + phase).cos()
            })
            .sum();
        (2.0 / FEATURES as f64).sqrt() * sum
    }
}

/// The draw of seed 0. Its optimum was found on a grid of 201 x 201 and polished.
pub(super) fn gp() -> Synthetic {
    let grid = Finite::new(vec!["w".into()], midpoints(1, 16), None, None);
    let environments = Environments::Finite(grid.expect("a grid of finite points"));
    Synthetic {
        name: "gp_sample",
        truth: environments.judging(0),
        environments,
        parameters: ["x1", "x2"].map(|n| Parameter::real(n, 0.0, 1.0)).to_vec(),
        tail: 0.3,
        noise: 0.0,
        f: Function::Draw(Arc::new(Draw::new(0))),
        optimum: (1.949_982_455, vec![0.300_317_459, 0.632_356_414]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::{RiskMeasure, TailMass};

    #[test]
    fn draws_have_the_covariance_of_matern_five_halves() {
        let (a, b) = ([0.3, 0.6], [0.45, 0.5]);
        let n = 400;
        let (mut square, mut product) = (0.0, 0.0);
        for seed in 0..n {
            let draw = Draw::new(seed);
            let (u, v) = (draw.value(&a, &[0.2]), draw.value(&b, &[0.4]));
            square += u * u / n as f64;
            product += u * v / n as f64;
        }
        let r: f64 = ((0.15 / 0.25_f64).powi(2) + (0.1 / 0.25_f64).powi(2) + 0.25).sqrt();
        let s = 5.0_f64.sqrt() * r;
        let expected = (1.0 + s + s * s / 3.0) * (-s).exp();
        // Three standard errors of 400 draws.
        assert!((square - 1.0).abs() < 0.21, "{square}");
        assert!((product - expected).abs() < 0.18, "{product} {expected}");
    }

    #[test]
    fn the_optimum_is_the_best_of_a_grid_polished() {
        let p = gp();
        let risk = RiskMeasure::Cvar(TailMass::new(p.tail()).unwrap());
        let side = 51;
        let grid = (0..side * side)
            .map(|k| [k % side, k / side].map(|i| f64::from(i) / f64::from(side - 1)));
        let all = grid.map(|x| (p.true_risk(&x, risk), x));
        let (mut best, mut x) = all.reduce(|a, b| if b.0 > a.0 { b } else { a }).unwrap();
        let mut step = 0.01;
        while step > 1e-7 {
            let ring = (0..16).map(|k| (TAU * f64::from(k) / 16.0).sin_cos());
            let moved = ring
                .map(|(sin, cos)| {
                    [
                        (x[0] + step * cos).clamp(0.0, 1.0),
                        (x[1] + step * sin).clamp(0.0, 1.0),
                    ]
                })
                .map(|x| (p.true_risk(&x, risk), x))
                .find(|(value, _)| *value > best);
            match moved {
                Some(better) => (best, x) = better,
                None => step *= 0.5,
            }
        }
        let (known, at) = p.optimum();
        assert!((best - known).abs() < 1e-6, "{best} at {x:?}");
        assert!(x.iter().zip(at).all(|(a, b)| (a - b).abs() < 1e-4), "{x:?}");
    }
}
