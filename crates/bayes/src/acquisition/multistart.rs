//! The maximum over x of an acquisition that is a function of x alone.
//!
//! A first look at the incumbent, the observed x, points around the best of them and Sobol points; from the
//! best few of these a climb each ([`pool::climb`]), in parallel, results in order.

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
/// Power of the probability of a value beside the logarithm of a gain.
const CAUTION: f64 = 4.0;
/// Points climbed from.
const CLIMBED: usize = 6;
/// Effort of one climb.
const CLIMB: Effort = Effort {
    steps: 20,
    shortest: 1e-5,
};

/// Unit points with their gains, best first: those climbed to, then those looked at. A gain counts times the
/// probability of a value where something failed; one that is not a number counts lowest.
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
            gain if gain > 0.0 => gain * viable.value(x),
            loss => loss,
        },
        |x| expected(slope(x), || viable.slope(x)),
    )
}

/// The same for logarithms of gains, the probability counting to the power of [`CAUTION`]: extrapolated into a
/// failing region a gain can be thousands of times what is left to be gained elsewhere.
pub(super) fn by_log_gain(
    s: &Situation<'_>,
    value: impl Fn(&[f64]) -> f64 + Sync,
    slope: impl Fn(&[f64]) -> Slope + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let Some(viable) = s.viable else {
        return ranked(s, value, slope);
    };
    ranked(
        s,
        |x| value(x) + CAUTION * viable.value(x).ln(),
        |x| {
            let ((gain, gradient), (p, rise)) = (slope(x), viable.slope(x));
            let sum = gradient.iter().zip(rise).map(|(g, r)| g + CAUTION * r / p);
            (gain + CAUTION * p.ln(), sum.collect())
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
    let all = looked.len();
    let looked = pool::best(looked, all, |u| value(&s.encode(u)));
    let mut found: Vec<(Vec<f64>, f64)> = looked[..CLIMBED.min(all)]
        .par_iter()
        .map(|(u, _)| s.climb(u, CLIMB, &slope))
        .filter(|(_, v)| !v.is_nan())
        .collect();
    found.extend(looked);
    // Stable: of equals the climbed one stands first.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}
