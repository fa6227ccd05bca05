//! The maximum over x of an acquisition that is a function of x alone.
//!
//! A first look at the incumbent, the observed x, points around the best of them and Sobol points; from the
//! best few of these a climb each ([`pool::climb`]), in parallel, results in order.
//!
//! Where evaluations failed a gain counts times a power of the probability of a value, and an x that is not likely to
//! return one stands behind all others. The weight alone is not enough: where f gets better into a region that fails, all
//! that is left to be gained lies beyond its border, and any fraction of that is more than nothing.

use super::Situation;
use crate::maximize::{Effort, Slope};
use crate::pool;
use crate::stream::{Purpose, sobol_seed};
use crate::viability::expected;
use rayon::prelude::*;

/// Sobol points looked at.
const SOBOL: usize = 128;
/// Observed x looked at: those of the newest evaluations come last and are kept.
const OBSERVED: usize = 128;
/// Radii of points around the incumbent.
const RADII: [f64; 3] = [0.2, 0.05, 0.01];
/// Power of the probability of a value beside a gain: extrapolated into a failing region gains are large.
const CAUTION: i32 = 4;
/// Probability from which on an x is likely to return a value.
const LIKELY: f64 = 0.8;
/// Where none that is looked at reaches that, because some environments always fail: this share of the best of them.
const NEAR_BEST: f64 = 0.95;
/// Points climbed from.
const CLIMBED: usize = 6;
/// Effort of one climb.
const CLIMB: Effort = Effort {
    steps: 20,
    shortest: 1e-5,
};

/// Unit points with their gains, best first, those that are not likely to return a value behind all others. A gain counts times
/// the fourth power of the probability of a value where something failed; one that is not a number counts lowest.
pub(super) fn by_gain(
    s: &Situation<'_>,
    value: impl Fn(&[f64]) -> f64 + Sync,
    slope: impl Fn(&[f64]) -> Slope + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let Some(viable) = s.viable else {
        return ranked(s, value, slope);
    };
    ranked(
        s,
        |x| match value(x) {
            gain if gain > 0.0 => gain * viable.value(x).powi(CAUTION),
            loss => loss,
        },
        |x| {
            expected(slope(x), || {
                let (p, mut rise) = viable.slope(x);
                let steepness = f64::from(CAUTION) * p.powi(CAUTION - 1);
                rise.iter_mut().for_each(|r| *r *= steepness);
                (p.powi(CAUTION), rise)
            })
        },
    )
}

/// The same for logarithms of gains.
pub(super) fn by_log_gain(
    s: &Situation<'_>,
    value: impl Fn(&[f64]) -> f64 + Sync,
    slope: impl Fn(&[f64]) -> Slope + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let Some(viable) = s.viable else {
        return ranked(s, value, slope);
    };
    let caution = f64::from(CAUTION);
    ranked(
        s,
        |x| value(x) + caution * viable.value(x).ln(),
        |x| {
            let ((gain, gradient), (p, rise)) = (slope(x), viable.slope(x));
            let sum = gradient.iter().zip(rise).map(|(g, r)| g + caution * r / p);
            (gain + caution * p.ln(), sum.collect())
        },
    )
}

fn ranked(
    s: &Situation<'_>,
    value: impl Fn(&[f64]) -> f64 + Sync,
    slope: impl Fn(&[f64]) -> Slope + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let seed = sobol_seed(s.seed, s.iteration, Purpose::Candidates);
    let around = RADII
        .iter()
        .zip(0..)
        .flat_map(|(radius, k)| s.near(*radius, 64 * k, 8, seed));
    let observed = &s.observed[s.observed.len().saturating_sub(OBSERVED)..];
    let looked = pool::distinct(
        std::iter::once(s.incumbent.to_vec())
            .chain(observed.iter().cloned())
            .chain(around)
            .chain(s.spread(0, SOBOL, seed))
            .filter(|u| s.searches(u)),
    );
    let chance = |x: &[f64]| s.viable.map_or(1.0, |viable| viable.value(x));
    let chances: Vec<f64> = looked.par_iter().map(|u| chance(&s.encode(u))).collect();
    let bar = LIKELY.min(NEAR_BEST * chances.iter().copied().fold(0.0, f64::max));
    let (likely, others): (Vec<_>, Vec<_>) = looked
        .into_iter()
        .zip(chances)
        .partition(|(_, p)| *p >= bar);
    let best = |points: Vec<(Vec<f64>, f64)>| {
        let points = points.into_iter().map(|(u, _)| u).collect();
        pool::ranked(points, |u| value(&s.encode(u)))
    };
    let looked = best(likely);
    let mut found: Vec<(Vec<f64>, f64)> = looked[..CLIMBED.min(looked.len())]
        .par_iter()
        .map(|(u, _)| {
            s.climb(u, CLIMB, |x| match chance(x) >= bar {
                true => slope(x),
                false => (f64::NEG_INFINITY, vec![0.0; x.len()]),
            })
        })
        .filter(|(_, v)| !v.is_nan())
        .collect();
    found.extend(looked);
    // Stable: of equals the climbed one stands first.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.extend(best(others));
    found
}
