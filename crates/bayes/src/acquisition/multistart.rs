//! The maximum over x of an acquisition that is a function of x alone.
//!
//! A first look at the incumbent, the observed x, points around the best of them and Sobol points; from the
//! best few of these a climb each ([`pool::climb`]), in parallel, results in order.

use super::{Situation, pool};
use crate::maximize::{Effort, Slope};
use crate::stream::{Purpose, sobol_seed};
use rayon::prelude::*;

/// Sobol points looked at.
const SOBOL: usize = 128;
/// Observed x looked at: those of the newest evaluations come last and are kept.
const OBSERVED: usize = 128;
/// Radii of points around the incumbent.
const RADII: [f64; 3] = [0.2, 0.05, 0.01];
/// Points climbed from.
const CLIMBED: usize = 6;
/// Effort of one climb.
const CLIMB: Effort = Effort {
    steps: 20,
    shortest: 1e-5,
};

/// Unit points with their values, best first: those climbed to, then those looked at. Values that are not
/// numbers count lowest.
pub(super) fn ranked(
    s: &Situation<'_>,
    value: impl Fn(&[f64]) -> f64 + Sync,
    slope: impl Fn(&[f64]) -> Slope + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let seed = sobol_seed(s.seed, s.iteration, Purpose::Candidates);
    let around = RADII
        .iter()
        .zip(0..)
        .flat_map(|(radius, k)| pool::around(s.space, s.incumbent, *radius, 64 * k, 8, seed));
    let observed = &s.observed[s.observed.len().saturating_sub(OBSERVED)..];
    let looked = pool::distinct(
        std::iter::once(s.incumbent.to_vec())
            .chain(observed.iter().cloned())
            .chain(around)
            .chain(pool::spread(s.space, 0, SOBOL, seed)),
    );
    let all = looked.len();
    let looked = pool::best(looked, all, |u| value(&s.encode(u)));
    let mut found: Vec<(Vec<f64>, f64)> = looked[..CLIMBED.min(all)]
        .par_iter()
        .map(|(u, _)| pool::climb(s.space, u, CLIMB, &slope))
        .filter(|(_, v)| !v.is_nan())
        .collect();
    found.extend(looked);
    // Stable: of equals the climbed one stands first.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}
