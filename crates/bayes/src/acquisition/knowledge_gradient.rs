//! The exact knowledge gradient of the risk.
//!
//! After one more observation at c = (x, w) the posterior mean is `mu + b z`, z standard normal. For
//! every x' of a finite set A the risk over the decision's environments is then a piecewise-linear
//! function g_x'(z) (for CVaR, worst case and mean exactly; see [`Curve`] for the others), and
//!
//! `KG(c) = E_z[max over x' in A u {x} of g_x'(z) - g_x*(z)] >= 0`,
//!
//! with x* the incumbent, the first of A, and x the candidate's own decision. The expectation is
//! exact, piece by piece ([`Envelope`]). A fantasy is never a refit. In the spirit of Cakmak et al.
//! (2020), without its Monte Carlo.

use super::envelope::{Envelope, REACH};
use crate::environment::EnvironmentSet;
use crate::gp::{Posterior, Whitened};
use crate::risk::{PiecewiseLinear, RiskMeasure, TailMass, TailSet};
use ndarray::{Array2, ArrayView1, s};
use rayon::prelude::*;

/// Risk at one x' as a function of z.
///
/// CVaR, worst case (CVaR of a tail smaller than every mass) and mean (tail mass 1) are followed
/// exactly. The quantile and mean minus deviations are interpolated linearly between 37 nodes on
/// [-9, 9], half a deviation apart: an error far below the model's own.
#[derive(Clone, Debug)]
enum Curve {
    Tail(TailSet),
    Nodes {
        risk: RiskMeasure,
        means: Vec<f64>,
        masses: Vec<f64>,
    },
}

/// Reused memory of one evaluation.
#[derive(Debug, Default)]
struct Workspace {
    envelope: Envelope,
    function: PiecewiseLinear,
    walk: Vec<f64>,
}

impl Curve {
    fn new(risk: RiskMeasure, means: &[f64], masses: &[f64]) -> Self {
        let tail = match risk {
            RiskMeasure::Cvar(tail) => Some(tail),
            RiskMeasure::Mean => TailMass::new(1.0).ok(),
            RiskMeasure::Worst => {
                let total: f64 = masses.iter().sum();
                let least = masses
                    .iter()
                    .copied()
                    .filter(|m| *m > 0.0)
                    .fold(total, f64::min);
                TailMass::new(0.5 * least / total).ok()
            }
            RiskMeasure::Var(_) | RiskMeasure::MeanDeviation { .. } => None,
        };
        match tail {
            Some(tail) => Self::Tail(TailSet::new(means, masses, tail)),
            None => Self::Nodes {
                risk,
                means: means.to_vec(),
                masses: masses.to_vec(),
            },
        }
    }

    fn follow(&self, slopes: &[f64], walk: &mut Vec<f64>, out: &mut PiecewiseLinear) {
        match self {
            Self::Tail(set) => set.follow(slopes, (-REACH, REACH), walk, out),
            Self::Nodes {
                risk,
                means,
                masses,
            } => {
                let at = |z: f64| {
                    let values: Vec<f64> =
                        means.iter().zip(slopes).map(|(m, b)| m + b * z).collect();
                    risk.evaluate(&values, masses)
                };
                out.breakpoints.clear();
                out.pieces.clear();
                let nodes: Vec<f64> = (0..=36).map(|k| -REACH + 0.5 * f64::from(k)).collect();
                let values: Vec<f64> = nodes.iter().map(|z| at(*z)).collect();
                for k in 1..nodes.len() {
                    let slope = (values[k] - values[k - 1]) / (nodes[k] - nodes[k - 1]);
                    out.pieces.push((values[k] - slope * nodes[k], slope));
                    if k + 1 < nodes.len() {
                        out.breakpoints.push(nodes[k]);
                    }
                }
            }
        }
    }
}

/// The knowledge gradient of one decision: model, environments and comparison set fixed.
#[derive(Debug)]
pub struct KnowledgeGradient<'a> {
    posterior: &'a Posterior,
    environments: &'a EnvironmentSet,
    risk: RiskMeasure,
    /// A x W, the incumbent's block first.
    comparison: Whitened,
    curves: Vec<Curve>,
}

impl<'a> KnowledgeGradient<'a> {
    /// Prepares the comparison set A (encoded x', the incumbent first): one triangular solve that all
    /// candidates share.
    ///
    /// # Panics
    /// If A is empty.
    pub fn new(
        posterior: &'a Posterior,
        environments: &'a EnvironmentSet,
        risk: RiskMeasure,
        comparison: &[Vec<f64>],
    ) -> Self {
        assert!(
            !comparison.is_empty(),
            "the comparison set holds at least the incumbent"
        );
        let comparison = posterior.whiten(joint(comparison, environments).view());
        let means = comparison.mean.to_vec();
        let curves = means
            .chunks(environments.len())
            .map(|block| Curve::new(risk, block, &environments.masses))
            .collect();
        Self {
            posterior,
            environments,
            risk,
            comparison,
            curves,
        }
    }

    /// KG at encoded `x` with each of the decision's environments, in their order.
    pub fn at(&self, x: &[f64]) -> Vec<f64> {
        let own = self
            .posterior
            .whiten(joint(&[x.to_vec()], self.environments).view());
        let own_curve = Curve::new(self.risk, &own.mean.to_vec(), &self.environments.masses);
        let to_comparison = self.posterior.fantasy_directions(&self.comparison, &own);
        let to_own = self.posterior.fantasy_directions(&own, &own);
        let mut work = Workspace::default();
        (0..self.environments.len())
            .map(|j| {
                self.gain(
                    to_comparison.column(j),
                    Some((&own_curve, to_own.column(j))),
                    &mut work,
                )
            })
            .collect()
    }

    /// [`Self::at`] for many x, in parallel over single x; results in order, the same bits for any
    /// number of threads.
    pub fn at_all(&self, xs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        xs.par_iter().map(|x| self.at(x)).collect()
    }

    /// Expected gain for directions `b` on A x W and, if given, on the candidate's own x.
    fn gain(
        &self,
        directions: ArrayView1<f64>,
        own: Option<(&Curve, ArrayView1<f64>)>,
        work: &mut Workspace,
    ) -> f64 {
        let directions = directions.to_vec();
        let n = self.environments.len();
        let mut blocks = self.curves.iter().zip(directions.chunks(n));
        let Some((incumbent, slopes)) = blocks.next() else {
            return 0.0;
        };
        incumbent.follow(slopes, &mut work.walk, &mut work.function);
        work.envelope.start(&work.function);
        let floor = Floor::new(&work.function);
        let own_slopes = own.as_ref().map(|(_, b)| b.to_vec());
        let own = own
            .iter()
            .zip(&own_slopes)
            .map(|((curve, _), b)| (*curve, &b[..]));
        for (curve, slopes) in blocks.chain(own) {
            if floor.covers(curve, slopes) {
                work.envelope.skip();
            } else {
                curve.follow(slopes, &mut work.walk, &mut work.function);
                work.envelope.merge(&work.function);
            }
        }
        work.envelope.expected_gain()
    }
}

/// A lower bound of the incumbent's concave curve: the polygon through its values at -REACH, 0, REACH.
struct Floor([f64; 3]);

impl Floor {
    fn new(base: &PiecewiseLinear) -> Self {
        Self([base.value(-REACH), base.value(0.0), base.value(REACH)])
    }

    /// Whether a concave curve's tangent at 0 lies nowhere above the polygon: it can never win.
    fn covers(&self, curve: &Curve, slopes: &[f64]) -> bool {
        let Curve::Tail(set) = curve else {
            return false;
        };
        let (value, slope) = (set.cvar(), set.slope(slopes));
        value - REACH * slope <= self.0[0]
            && value <= self.0[1]
            && value + REACH * slope <= self.0[2]
    }
}

/// Rows (x, w) for every x with every environment, x by x.
pub(crate) fn joint(xs: &[Vec<f64>], environments: &EnvironmentSet) -> Array2<f64> {
    let (dx, n) = (xs[0].len(), environments.len());
    let dw = environments.encoded[0].len();
    let mut rows = Array2::zeros((xs.len() * n, dx + dw));
    for (i, x) in xs.iter().enumerate() {
        for (j, w) in environments.encoded.iter().enumerate() {
            let mut row = rows.row_mut(i * n + j);
            row.slice_mut(s![..dx]).assign(&ArrayView1::from(&x[..]));
            row.slice_mut(s![dx..]).assign(&ArrayView1::from(&w[..]));
        }
    }
    rows
}
