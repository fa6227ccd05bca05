//! Points chosen without a model: uniformly random, or as far as possible from everything tried.

use super::Taken;
use crate::environment::{Environment, EnvironmentSet, Environments};
use crate::pool;
use crate::space::Space;
use crate::stream::{Purpose, sobol_seed, stream};
use rand::RngExt as _;

/// A natural x with an environment.
pub type Pair = (Vec<f64>, Environment);

/// Random pairs tried before the enumeration of a discrete space takes over.
const TRIES: usize = 32;
/// Random x drawn in search of those that a condition admits.
const DRAWN: usize = 1 << 14;
/// Largest number of x that is enumerated in search of a free pair.
const ENUMERATED: u64 = 100_000;

/// Uniformly random admitted x (in unit coordinates) with an environment drawn by mass from all of them. A
/// taken pair is drawn again; after that the first free one is taken, if any is left.
pub fn random(
    space: &Space,
    judging: &EnvironmentSet,
    taken: &Taken,
    seed: u64,
    iteration: u64,
) -> Option<Pair> {
    let mut random = stream(seed, iteration, Purpose::RandomSearch);
    let mut tries = 0;
    for _ in 0..DRAWN {
        let unit: Vec<f64> = (0..space.dimension()).map(|_| random.random()).collect();
        let mut left: f64 = random.random();
        let row = judging.masses.iter().position(|m| {
            left -= m;
            left < 0.0
        });
        let environment = judging.environment(row.unwrap_or(judging.len() - 1));
        let x = space.from_unit(&unit);
        if !space.admits(&x) {
            continue;
        }
        if !taken.contains(&x, &environment) {
            return Some((x, environment));
        }
        tries += 1;
        if tries == TRIES {
            break;
        }
    }
    first_free(space, judging, taken)
}

/// Of 64 Sobol x with each environment of the decision, the free pair farthest (in encoded
/// coordinates) from `tried`; then the first free pair.
pub fn farthest(
    space: &Space,
    environments: &Environments,
    decision: &EnvironmentSet,
    tried: &[Vec<f64>],
    taken: &Taken,
    (seed, iteration): (u64, u64),
) -> Option<Pair> {
    let sobol = sobol_seed(seed, iteration, Purpose::Candidates);
    let mut best: Option<(f64, Pair)> = None;
    for unit in pool::spread(space, 0, 64, sobol) {
        let x = space.from_unit(&unit);
        let encoded = space.encode(&x);
        for (e, w) in decision.environments().zip(decision.encoded.iter()) {
            let here = encoded.iter().chain(w);
            let distance = tried
                .iter()
                .map(|t| {
                    t.iter()
                        .zip(here.clone())
                        .map(|(a, b)| (a - b).powi(2))
                        .sum::<f64>()
                })
                .fold(f64::INFINITY, f64::min);
            if best.as_ref().is_none_or(|(d, _)| distance > *d) && !taken.contains(&x, &e) {
                best = Some((distance, (x.clone(), e)));
            }
        }
    }
    best.map(|(_, pair)| pair).or_else(|| {
        let all = environments.judging(seed);
        first_free(space, &all, taken)
    })
}

/// Whether [`first_free`] looks at every pair of the space, so that there is no free one where it finds none.
pub fn counted(space: &Space, environments: &Environments) -> bool {
    environments.count().is_some() && space.size().is_some_and(|n| n <= ENUMERATED)
}

/// The first free pair of a discrete space in the order of enumeration, environments running fastest.
/// `None` where all are taken, or the space has real parameters or too many points to enumerate.
pub fn first_free(space: &Space, environments: &EnvironmentSet, taken: &Taken) -> Option<Pair> {
    space.enumerate(ENUMERATED)?.iter().find_map(|unit| {
        let x = space.from_unit(unit);
        if !space.admits(&x) {
            return None;
        }
        let free = environments
            .environments()
            .find(|e| !taken.contains(&x, e))?;
        Some((x, free))
    })
}
