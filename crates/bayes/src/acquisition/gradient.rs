//! Gradient of the knowledge gradient with respect to the candidate's x.
//!
//! On each interval of z where function `o` exceeds the incumbent's and neither changes its piece, both
//! are linear. A tail has known shares q of the environments there: `g(z) = sum_k q_k (a_k + b_k z)`. Intervals move
//! with the candidate, but the envelope is continuous there (envelope theorem), so the derivative with
//! respect to each a and b is q times the interval's normal moments. An interpolated risk is
//! `(1 - t) r(z_0) + t r(z_1)` between two nodes: the shares are those at the nodes, each with the moment of its
//! weight. The rest is the chain rule through
//! `b = cov(p, c) / sqrt(var(c) + noise)`, where one back substitution replaces a solve per point.

use super::envelope::Gain;
use super::knowledge_gradient::{Curve, KnowledgeGradient, Workspace, nodes};
use super::normal::moments;
use crate::gp::Whitened;
use crate::maximize::Slope;
use crate::risk::RiskMeasure;
use ndarray::{Array1, Array2, ArrayView1};

/// Derivatives of the expected gain with respect to what it is made of.
struct Sensitivity {
    /// To b on A x W.
    comparison: Vec<f64>,
    /// To b on the candidate's own x.
    own: Vec<f64>,
    /// To the means on the candidate's own x.
    own_mean: Vec<f64>,
}

/// A z whose shares of the environments count, with the interval's normal moments that they get.
struct Knot {
    z: f64,
    mass: f64,
    first: f64,
}

/// Of an interval of one piece: its middle where the risk is followed (no `nodes`), the two nodes around it where the
/// risk is interpolated.
fn knots(nodes: &[f64], gain: &Gain) -> Vec<Knot> {
    let z = 0.5 * (gain.from + gain.to);
    let (mass, first) = moments(gain.from, gain.to);
    if nodes.is_empty() {
        return vec![Knot { z, mass, first }];
    }
    let right = nodes
        .partition_point(|node| *node <= z)
        .clamp(1, nodes.len() - 1);
    let (low, high) = (nodes[right - 1], nodes[right]);
    let of_high = (first - low * mass) / (high - low);
    [(low, mass - of_high), (high, of_high)]
        .map(|(z, mass)| Knot {
            z,
            mass,
            first: z * mass,
        })
        .into()
}

/// Columns times weights, summed: most weights are 0, outside of the tails.
fn weighted_columns(columns: &Array2<f64>, weights: &[f64]) -> Array1<f64> {
    let mut sum = Array1::zeros(columns.nrows());
    for (column, weight) in columns.columns().into_iter().zip(weights) {
        if *weight != 0.0 {
            sum.scaled_add(*weight, &column);
        }
    }
    sum
}

impl KnowledgeGradient<'_> {
    /// KG at encoded `x` with environment `j` of the decision, and its gradient with respect to `x`.
    ///
    /// # Panics
    /// If `j` is not one of the decision's environments.
    pub fn slope(&self, x: &[f64], j: usize) -> Slope {
        let own = self.own(x);
        let at = own.block(j..j + 1);
        let noise = self.posterior.hyperparameters().noise;
        let deviation = (own.variance[j] + noise).sqrt();
        let there = self
            .posterior
            .fantasy_directions(&self.comparison, &at)
            .column(0)
            .to_vec();
        let here = self
            .posterior
            .fantasy_directions(&own, &at)
            .column(0)
            .to_vec();
        let means = own.mean.to_vec();
        let curve = Curve::new(self.risk, &means, &self.environments.masses);
        let mut work = Workspace::default();
        let value = self.gain(&there, (&curve, &here), &mut work);
        let to = self.sensitivity(&work, &there, (&means, &here));
        (
            value,
            self.chain(x, j, deviation, &own, (&there, &here), &to),
        )
    }

    fn sensitivity(&self, work: &Workspace, there: &[f64], own: (&[f64], &[f64])) -> Sensitivity {
        let n = self.environments.len();
        let count = there.len() / n;
        let mut out = Sensitivity {
            comparison: vec![0.0; there.len()],
            own: vec![0.0; n],
            own_mean: vec![0.0; n],
        };
        let all_means = self
            .comparison
            .mean
            .as_slice()
            .expect("a fresh vector is contiguous");
        let interpolated = matches!(
            self.risk,
            RiskMeasure::Var(_) | RiskMeasure::MeanDeviation { .. }
        );
        let nodes = if interpolated { nodes() } else { Vec::new() };
        for gain in work.envelope.gains() {
            let knots = knots(&nodes, &gain);
            let pull = |means: &[f64],
                        slopes: &[f64],
                        to_mean: &mut [f64],
                        to_slope: &mut [f64],
                        sign: f64| {
                for knot in &knots {
                    let values: Vec<f64> = means
                        .iter()
                        .zip(slopes)
                        .map(|(a, b)| a + b * knot.z)
                        .collect();
                    let shares = self.risk.tail_weights(&values, &self.environments.masses);
                    for (k, q) in shares.into_iter().enumerate() {
                        to_mean[k] += sign * q * knot.mass;
                        to_slope[k] += sign * q * knot.first;
                    }
                }
            };
            // The comparison's means do not move with the candidate.
            let mut fixed = vec![0.0; n];
            pull(
                &all_means[..n],
                &there[..n],
                &mut fixed,
                &mut out.comparison[..n],
                -1.0,
            );
            let owner = gain.owner as usize;
            if owner < count {
                let block = owner * n..(owner + 1) * n;
                let (means, slopes) = (&all_means[block.clone()], &there[block.clone()]);
                pull(means, slopes, &mut fixed, &mut out.comparison[block], 1.0);
            } else {
                pull(own.0, own.1, &mut out.own_mean, &mut out.own, 1.0);
            }
        }
        out
    }

    fn chain(
        &self,
        x: &[f64],
        j: usize,
        deviation: f64,
        own: &Whitened,
        (there, here): (&[f64], &[f64]),
        to: &Sensitivity,
    ) -> Vec<f64> {
        let (factor, weights) = (self.posterior.factor(), self.posterior.weights());
        let solved_at: Vec<f64> = own.solved.column(j).to_vec();
        let gamma = factor.back_solve_one(ArrayView1::from(&solved_at[..]));
        // sum over points of sensitivity x whitened column, then one back substitution.
        let half = weighted_columns(&self.comparison.solved, &to.comparison)
            + weighted_columns(&own.solved, &to.own);
        let beta = factor.back_solve_one(half.view());
        let pairs = to
            .comparison
            .iter()
            .zip(there)
            .chain(to.own.iter().zip(here));
        let shrink = pairs.map(|(g, b)| g * b).sum::<f64>() / (deviation * deviation);

        // Coefficient of the derivative of k((x, w_k), X_i), for each k and i.
        let kernel = self.posterior.kernel();
        let mut gradient = vec![0.0; x.len()];
        let mut add = |part: Vec<f64>| {
            for (sum, part) in gradient.iter_mut().zip(part) {
                *sum += part;
            }
        };
        for (k, point) in own.points.rows().into_iter().enumerate() {
            if k != j && to.own_mean[k] == 0.0 && to.own[k] == 0.0 {
                continue;
            }
            let coefficients: Vec<f64> = weights
                .iter()
                .zip(&gamma)
                .zip(&beta)
                .map(|((weight, gamma), beta)| {
                    let c = to.own_mean[k] * weight - to.own[k] * gamma / deviation;
                    if k == j {
                        c + shrink * gamma - beta / deviation
                    } else {
                        c
                    }
                })
                .collect();
            let inputs = self.posterior.inputs();
            add(kernel.weighted_input_gradient(point, inputs, &coefficients));
        }
        let pulls: Vec<f64> = to.comparison.iter().map(|g| g / deviation).collect();
        let compared = self.comparison.points.view();
        add(kernel.weighted_input_gradient(own.points.row(j), compared, &pulls));
        let slopes = self.posterior.hyperparameters().feature_slopes(x.into());
        gradient.iter().zip(&slopes).map(|(g, s)| g * s).collect()
    }
}
