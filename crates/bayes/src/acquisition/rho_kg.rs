//! Choosing the next (x, environment) by the exact knowledge gradient.
//!
//! The comparison set A is, in this order and without repeats: the incumbent; maxima of the risk of
//! the posterior mean over the decision's environments, climbed to from the best observed and Sobol
//! points; the best observed x by that risk; points around the incumbent at radii 0.2, 0.1, 0.05 and
//! 0.02; the best of 128 Sobol points. At most 64, fewer where there are many environments (so that A x W has at most
//! 4,096 points, but never fewer than 8 members). A candidate's own x always belongs to the comparison too.
//!
//! Candidates are x of the same kinds, each with every environment of the decision; from the best few
//! pairs the gradient is climbed in the box, the environment held, and the x reached are tried again with
//! every environment.

use super::knowledge_gradient::KnowledgeGradient;
use super::{Choice, Situation};
use crate::incumbent::RiskSurface;
use crate::maximize::{Effort, Slope};
use crate::pool;
use crate::stream::{Purpose, sobol_seed};
use crate::viability::expected;
use rayon::prelude::*;

/// Most members of A.
const COMPARED: usize = 64;
/// Most points of A x W.
const COMPARED_POINTS: usize = 4096;
/// Candidates x in the first pass.
const CANDIDATES: usize = 96;
/// Most candidate (x, environment) pairs in the first pass.
const CANDIDATE_PAIRS: usize = 4096;
/// Radii of points around the incumbent.
const RADII: [f64; 4] = [0.2, 0.1, 0.05, 0.02];
/// Pairs climbed from.
const REFINED: usize = 6;
/// Effort of one climb.
const CLIMB: Effort = Effort {
    steps: 15,
    shortest: 1e-4,
};

/// What the exact value makes of a decision.
pub(super) struct Screened {
    /// A, encoded.
    pub(super) compared: Vec<Vec<f64>>,
    /// Free pairs of the candidates, best first.
    pub(super) first: Vec<Choice>,
    /// Free pairs of the x climbed to, best first.
    pub(super) refined: Vec<Choice>,
}

/// The pair of highest knowledge gradient that is not taken; `None` if all candidates are, or none has a
/// value.
pub fn choose(s: &Situation<'_>) -> Option<Choice> {
    let Screened { first, refined, .. } = screened(s, 1);
    // On a tie the start stands: its value was not bought with anything.
    first
        .into_iter()
        .take(1)
        .chain(refined.into_iter().take(1))
        .reduce(|a, b| if b.value > a.value { b } else { a })
}

/// Comparison set and ranked candidates, at most `pairs_of_x` pairs of each x.
pub(super) fn screened(s: &Situation<'_>, pairs_of_x: usize) -> Screened {
    let seed = sobol_seed(s.seed, s.iteration, Purpose::Candidates);
    let dx = s.space.encoded_dimension();
    let surface = RiskSurface::new(s.posterior, dx, s.environments, s.risk);
    let encode = |unit: &[f64]| s.encode(unit);
    let risk = |unit: &[f64]| surface.value(&encode(unit));

    let observed = pool::best(s.observed.to_vec(), 24, risk);
    let sobol = pool::best(s.spread(0, 128, seed), 16, risk);
    let starts = pool::distinct(
        observed
            .iter()
            .take(3)
            .chain(sobol.iter().take(3))
            .map(|(u, _)| u.clone()),
    );
    let maxima = starts.iter().map(|u| {
        s.climb(
            u,
            Effort {
                steps: 15,
                shortest: 1e-4,
            },
            |e| surface.slope(e),
        )
        .0
    });
    let near = |count: usize, first: u64| {
        RADII
            .iter()
            .enumerate()
            .flat_map(|(k, r)| s.near(*r, first + 64 * k as u64, count, seed))
            .collect::<Vec<_>>()
    };
    let compared = (COMPARED_POINTS / s.environments.len()).clamp(8, COMPARED);
    let mut a = pool::distinct(
        std::iter::once(s.incumbent.to_vec())
            .chain(maxima)
            .chain(observed.iter().map(|(u, _)| u.clone()))
            .chain(near(4, 0))
            .chain(sobol.iter().map(|(u, _)| u.clone())),
    );
    a.truncate(compared);
    let compared: Vec<Vec<f64>> = a.iter().map(|u| encode(u)).collect();
    let kg = KnowledgeGradient::new(s.posterior, s.environments, s.risk, &compared);

    let mut xs = pool::distinct(
        a.iter()
            .take(24)
            .cloned()
            .chain(near(6, 16))
            .chain(s.spread(128, CANDIDATES, seed))
            .filter(|u| s.searches(u)),
    );
    xs.truncate((CANDIDATE_PAIRS / s.environments.len()).clamp(16, CANDIDATES));
    let first = ranked(s, &kg, xs, pairs_of_x);
    let starts = &first[..first.len().min(REFINED)];
    let climbed: Vec<Vec<f64>> = starts
        .par_iter()
        .map(|c| s.climb(&c.x, CLIMB, |e| slope(s, &kg, e, c.environment)).0)
        .collect();
    let refined = ranked(s, &kg, climbed, pairs_of_x);
    Screened {
        compared,
        first,
        refined,
    }
}

/// The knowledge gradient times the probability of a value, with its gradient.
fn slope(s: &Situation<'_>, kg: &KnowledgeGradient<'_>, x: &[f64], j: usize) -> Slope {
    let plain = kg.slope(x, j);
    match s.viable {
        Some(viable) => expected(plain, || viable.slope_in(x, j)),
        None => plain,
    }
}

/// The best free pairs of each x, at most `pairs_of_x`; all best first.
fn ranked(
    s: &Situation<'_>,
    kg: &KnowledgeGradient<'_>,
    xs: Vec<Vec<f64>>,
    pairs_of_x: usize,
) -> Vec<Choice> {
    let encoded: Vec<Vec<f64>> = xs.iter().map(|u| s.encode(u)).collect();
    let mut values = kg.at_all(&encoded);
    if let Some(viable) = s.viable {
        for (values, x) in values.iter_mut().zip(&encoded) {
            let likely = viable.each(x);
            values.iter_mut().zip(likely).for_each(|(v, p)| *v *= p);
        }
    }
    let mut choices: Vec<Choice> = xs
        .into_iter()
        .zip(values)
        .flat_map(|(x, values)| {
            let mut pairs: Vec<(usize, f64)> = values
                .into_iter()
                .enumerate()
                .filter(|(j, v)| !v.is_nan() && s.is_free(&x, *j))
                .collect();
            pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
            let best = pairs.into_iter().take(pairs_of_x);
            best.map(move |(environment, value)| Choice {
                x: x.clone(),
                environment,
                value,
                jitter: 0.0,
            })
        })
        .collect();
    choices.sort_by(|a, b| b.value.total_cmp(&a.value));
    choices
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Example, worth};
    use super::*;

    #[test]
    fn a_choice_is_worth_what_its_rounded_point_is() {
        let example = Example::mixed(14, 4, 3);
        for iteration in 0..4 {
            let mut s = example.situation();
            s.iteration = iteration;
            let choice = choose(&s).unwrap();
            let x = example.rounded(&choice);
            let compared = screened(&s, 1).compared;
            let kg = KnowledgeGradient::new(s.posterior, s.environments, s.risk, &compared);
            worth(&choice, kg.at(&x)[choice.environment]);
        }
    }
}
