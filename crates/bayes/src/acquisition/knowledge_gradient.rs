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
/// exactly. The quantile and mean minus deviations are interpolated linearly between 85 nodes
/// on [-9, 9], an eighth apart where |z| < 4; gradients are those of the interpolation. Its error has no bound, as a
/// quantile may turn between two nodes: tests hold the gain to Monte Carlo's, within two thousandths there.
#[derive(Clone, Debug)]
pub(super) enum Curve {
    Tail(TailSet),
    Nodes {
        risk: RiskMeasure,
        means: Vec<f64>,
        masses: Vec<f64>,
    },
}

/// Reused memory of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) envelope: Envelope,
    function: PiecewiseLinear,
    walk: Vec<f64>,
}

impl Curve {
    pub(super) fn new(risk: RiskMeasure, means: &[f64], masses: &[f64]) -> Self {
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
                let nodes = nodes();
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

/// Where risks that are not followed are evaluated, ascending from -REACH to REACH.
pub(super) fn nodes() -> Vec<f64> {
    let far = (0..10).map(|k| -REACH + 0.5 * f64::from(k));
    let near = (0..=64).map(|k| -4.0 + 0.125 * f64::from(k));
    far.clone()
        .chain(near)
        .chain(far.rev().map(|z| -z))
        .collect()
}

/// Candidates x in one product against the comparison set, which is packed anew for each.
const BLOCK: usize = 8;

/// The knowledge gradient of one decision: model, environments and comparison set fixed.
#[derive(Debug)]
pub struct KnowledgeGradient<'a> {
    pub(super) posterior: &'a Posterior,
    pub(super) environments: &'a EnvironmentSet,
    pub(super) risk: RiskMeasure,
    /// A x W, the incumbent's block first.
    pub(super) comparison: Whitened,
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
        let comparison = seen(posterior, comparison, environments);
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

    /// The candidate's own x in every environment of the decision.
    pub(super) fn own(&self, x: &[f64]) -> Whitened {
        seen(self.posterior, &[x.to_vec()], self.environments)
    }

    /// KG at encoded `x` with each of the decision's environments, in their order.
    pub fn at(&self, x: &[f64]) -> Vec<f64> {
        self.at_block(&[x.to_vec()]).remove(0)
    }

    /// KG at each encoded x with each of the decision's environments, in their order: blocks of x in parallel, each
    /// one solve and one product against the comparison set; the same bits for any number of threads.
    pub fn at_all(&self, xs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        xs.par_chunks(BLOCK)
            .flat_map(|block| self.at_block(block))
            .collect()
    }

    fn at_block(&self, xs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n = self.environments.len();
        let all = seen(self.posterior, xs, self.environments);
        let to_comparison = self.posterior.fantasy_directions(&self.comparison, &all);
        let mut work = Workspace::default();
        (0..xs.len())
            .map(|i| {
                let own = all.block(i * n..(i + 1) * n);
                let own_curve =
                    Curve::new(self.risk, &own.mean.to_vec(), &self.environments.masses);
                let to_own = self.posterior.fantasy_directions(&own, &own);
                (0..n)
                    .map(|j| {
                        let (there, here) = (to_comparison.column(i * n + j), to_own.column(j));
                        self.gain(&there.to_vec(), (&own_curve, &here.to_vec()), &mut work)
                    })
                    .collect()
            })
            .collect()
    }

    /// Expected gain for directions `b` on A x W and on the candidate's own x; leaves the envelope in
    /// `work`, its owners numbered as A, then the own x.
    pub(super) fn gain(
        &self,
        directions: &[f64],
        own: (&Curve, &[f64]),
        work: &mut Workspace,
    ) -> f64 {
        let n = self.environments.len();
        let mut blocks = self.curves.iter().zip(directions.chunks(n));
        let Some((incumbent, slopes)) = blocks.next() else {
            return 0.0;
        };
        incumbent.follow(slopes, &mut work.walk, &mut work.function);
        work.envelope.start(&work.function);
        let floor = Floor::new(&work.function);
        for (curve, slopes) in blocks.chain([own]) {
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

/// Every x in every environment, the environments' own effects added to the means.
pub(crate) fn seen(
    posterior: &Posterior,
    xs: &[Vec<f64>],
    environments: &EnvironmentSet,
) -> Whitened {
    let mut set = posterior.whiten(joint(xs, environments).view());
    for (mean, effect) in set.mean.iter_mut().zip(environments.effects.iter().cycle()) {
        *mean += effect;
    }
    set
}

/// Rows (x, w) for every x with every environment, x by x.
pub(super) fn joint(xs: &[Vec<f64>], environments: &EnvironmentSet) -> Array2<f64> {
    let (dx, n) = (xs[0].len(), environments.len());
    let dw = environments.encoded.width();
    let mut rows = Array2::zeros((xs.len() * n, dx + dw));
    for (i, x) in xs.iter().enumerate() {
        for (j, w) in environments.encoded.iter().enumerate() {
            let mut row = rows.row_mut(i * n + j);
            row.slice_mut(s![..dx]).assign(&ArrayView1::from(&x[..]));
            row.slice_mut(s![dx..]).assign(&ArrayView1::from(w));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::examples::{agrees, weighted};
    use super::*;
    use crate::gp::{Hyperparameters, Warp};
    use crate::kernel::{KernelForm, KernelKind};
    use crate::sobol;
    use crate::stream::{Purpose, stream};
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    fn posterior(n: usize, seed: u32, noise: f64, lengthscale: f64) -> Posterior {
        of_form(
            KernelKind::Matern52.into(),
            vec![],
            n,
            (seed, noise, lengthscale),
        )
    }

    fn of_form(
        form: KernelForm,
        warp: Vec<Warp>,
        n: usize,
        (seed, noise, lengthscale): (u32, f64, f64),
    ) -> Posterior {
        let x = Array2::from_shape_fn((n, 3), |(i, d)| sobol::coordinate(i as u64, d, seed));
        let y = (0..n)
            .map(|i| (7.0 * x[[i, 0]] + 3.0 * x[[i, 1]] * x[[i, 2]]).sin())
            .collect();
        let hyper = Hyperparameters {
            lengthscales: vec![lengthscale; 3],
            outputscale: 1.3,
            noise,
            mean: 0.1,
            rough_noise: None,
            warp,
        };
        Posterior::new(form, &hyper, x, y).unwrap()
    }

    /// The definition, sample by sample, with its standard error.
    fn monte_carlo(
        posterior: &Posterior,
        w: &EnvironmentSet,
        risk: RiskMeasure,
        xs: &[Vec<f64>],
        at: (&[f64], usize),
        samples: usize,
    ) -> (f64, f64) {
        let all: Vec<Vec<f64>> = xs.iter().cloned().chain([at.0.to_vec()]).collect();
        let points = joint(&all, w);
        let candidate: Vec<f64> = at.0.iter().chain(&w.encoded[at.1]).copied().collect();
        let mean = posterior.mean(points.view());
        let b = posterior.fantasy_direction(points.view(), ArrayView1::from(&candidate[..]));
        let mut random = stream(5, 0, Purpose::PosteriorSamples);
        let (mut sum, mut squares) = (0.0, 0.0);
        let normal = Normal::standard();
        for _ in 0..samples {
            let z = normal.inverse_cdf(random.random::<f64>().max(1e-300));
            let values: Vec<f64> = mean.iter().zip(&b).map(|(m, b)| m + b * z).collect();
            let risks: Vec<f64> = values
                .chunks(w.len())
                .map(|v| risk.evaluate(v, &w.masses))
                .collect();
            let gain = risks.iter().copied().fold(f64::NEG_INFINITY, f64::max) - risks[0];
            sum += gain;
            squares += gain * gain;
        }
        let n = samples as f64;
        (sum / n, ((squares / n - (sum / n).powi(2)) / n).sqrt())
    }

    /// Incumbent first: the best of a few x by risk.
    fn comparison(posterior: &Posterior, w: &EnvironmentSet, risk: RiskMeasure) -> Vec<Vec<f64>> {
        let mut xs: Vec<Vec<f64>> = (0..6).map(|k| sobol::point(k, 2, 77)).collect();
        let value = |x: &Vec<f64>| {
            let means = posterior.mean(joint(std::slice::from_ref(x), w).view());
            risk.evaluate(&means.to_vec(), &w.masses)
        };
        xs.sort_by(|a, b| value(b).total_cmp(&value(a)));
        xs
    }

    #[test]
    fn the_exact_value_agrees_with_monte_carlo() {
        let w = weighted(5, 3);
        let p = posterior(9, 4, 0.01, 0.4);
        let cvar = |a: f64| RiskMeasure::Cvar(TailMass::new(a).unwrap());
        let cases = [
            (cvar(0.3), 1_000_000),
            (cvar(0.05), 100_000),
            (cvar(1.0), 100_000),
            (RiskMeasure::Mean, 100_000),
            (RiskMeasure::Worst, 100_000),
            (RiskMeasure::Var(TailMass::new(0.4).unwrap()), 100_000),
            (RiskMeasure::MeanDeviation { k: 1.5 }, 100_000),
        ];
        for (risk, samples) in cases {
            let xs = comparison(&p, &w, risk);
            let kg = KnowledgeGradient::new(&p, &w, risk, &xs);
            // The candidate of most gain among a few.
            let pairs = (0..16).flat_map(|k| {
                let x = sobol::point(k, 2, 5);
                let values = kg.at(&x);
                values
                    .into_iter()
                    .enumerate()
                    .map(move |(j, v)| (x.clone(), j, v))
            });
            let (x, j, exact) = pairs.max_by(|a, b| a.2.total_cmp(&b.2)).unwrap();
            let (estimate, error) = monte_carlo(&p, &w, risk, &xs, (&x, j), samples);
            // Interpolated curves may be off by their own error.
            let slack = if matches!(risk, RiskMeasure::Var(_)) {
                2e-3
            } else {
                1e-4
            };
            assert!(
                (exact - estimate).abs() < 4.0 * error + slack * estimate,
                "{risk:?}: {exact} against {estimate} +- {error}"
            );
            assert!(exact > 1e-4, "{risk:?}: a case with something to gain");
        }
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let plain = [(0.3, 4), (0.05, 9), (1.0, 2)]
            .map(|(alpha, seed)| (alpha, posterior(12, seed, 0.01, 0.4)));
        let warp = [(0.7, 1.2), (1.5, 0.8), (1.1, 1.6)].map(|(a, b)| Warp { a, b });
        let form = KernelForm::product(KernelKind::Matern52, 2);
        let bent = of_form(form, warp.to_vec(), 12, (9, 0.01, 0.4));
        let cvar = |(alpha, p)| (RiskMeasure::Cvar(TailMass::new(alpha).unwrap()), p);
        let others = [
            RiskMeasure::Var(TailMass::new(0.4).unwrap()),
            RiskMeasure::Worst,
            RiskMeasure::Mean,
            RiskMeasure::MeanDeviation { k: 1.5 },
        ]
        .map(|risk| (risk, posterior(12, 4, 0.01, 0.4)));
        let cvars = plain.into_iter().chain([(0.3, bent)]).map(cvar);
        for (risk, p) in cvars.chain(others) {
            let w = weighted(5, 3);
            let xs = comparison(&p, &w, risk);
            let kg = KnowledgeGradient::new(&p, &w, risk, &xs);
            for k in 0..12 {
                let (x, j) = (sobol::point(k, 2, 5), (k % 5) as usize);
                let (value, gradient) = kg.slope(&x, j);
                assert!((value - kg.at(&x)[j]).abs() < 1e-13);
                agrees(&x, &gradient, |x| kg.at(x)[j]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn the_value_is_never_negative_nor_infinite(
            n in 1_usize..15,
            seed in 0_u32..1000,
            noise in prop::sample::select(vec![1e-8, 1e-3, 1.0]),
            lengthscale in prop::sample::select(vec![0.01, 0.3, 30.0]),
            alpha in prop::sample::select(vec![1e-3, 0.1, 0.33, 1.0]),
            count in 1_usize..9,
        ) {
            let w = weighted(count, seed);
            let p = posterior(n, seed, noise, lengthscale);
            let risk = RiskMeasure::Cvar(TailMass::new(alpha).unwrap());
            let xs: Vec<Vec<f64>> = (0..5).map(|k| sobol::point(k, 2, seed)).collect();
            let kg = KnowledgeGradient::new(&p, &w, risk, &xs);
            for k in 0..4 {
                for value in kg.at(&sobol::point(k, 2, seed ^ 1)) {
                    prop_assert!(value >= 0.0 && value.is_finite(), "{value}");
                }
            }
        }
    }
}
