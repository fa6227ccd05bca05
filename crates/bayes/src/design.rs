//! The initial design: one joint scrambled Sobol sequence over x and w.
//!
//! `n_initial` points x, each with environments of its own, no (x, environment) twice. With one
//! environment per x it is an ordinary Sobol design in the joint space.

use crate::environment::{Environment, Environments};
use crate::optimizer::{Problem, Query};
use crate::sobol;
use crate::space::Space;
use crate::stream::{Purpose, sobol_seed};

/// Most Sobol points tried for one x that is not yet in the design.
const TRIES: u64 = 64;
/// Sobol points tried for one x that a condition admits.
pub const ADMISSION_TRIES: u64 = 1 << 14;
/// Largest number of x that is enumerated in search of one not yet in the design.
const ENUMERATED: u64 = 100_000;

/// `n_initial` x `per_x` queries, x by x. The i-th x is point i of the sequence in its first
/// coordinates; its j-th environment is point `i * per_x + j` in the remaining ones, snapped (finite
/// sets) to the nearest environment not yet taken by this x. In a discrete space an x met before is
/// passed over while new ones are left within reach. Fewer environments than `per_x`: all of them.
pub fn initial_design(problem: &Problem, n_initial: usize, per_x: usize, seed: u64) -> Vec<Query> {
    let sobol = sobol_seed(seed, 0, Purpose::Design);
    let dx = problem.space.dimension();
    let per_x = problem.environments.count().map_or(per_x, |n| per_x.min(n));
    let mut queries = Vec::with_capacity(n_initial * per_x);
    let mut seen: Vec<Vec<f64>> = Vec::new();
    let mut next = 0_u64;
    for i in 0..n_initial {
        let x = unseen_x(&problem.space, &mut next, &seen, sobol);
        seen.push(x.clone());
        // A repeated x (all are in the design) goes on with environments it has not had.
        let had = queries.iter().filter(|q: &&Query| q.x == x);
        let mut taken: Vec<usize> = had.filter_map(|q| q.environment).collect();
        for j in 0..per_x {
            let point = (i * per_x + j) as u64;
            let u: Vec<f64> = (0..problem.environments.encoded_dimension())
                .map(|d| sobol::coordinate(point, dx + d, sobol))
                .collect();
            let Environment { index, w } = snapped(&problem.environments, &u, &mut taken);
            queries.push(Query {
                x: x.clone(),
                environment: index,
                w,
            });
        }
    }
    queries
}

/// The next admitted Sobol x that is not in `seen`; after [`TRIES`] repeats the first of an enumeration
/// that is not, or one met before if there is none.
fn unseen_x(space: &Space, next: &mut u64, seen: &[Vec<f64>], sobol: u32) -> Vec<f64> {
    let mut repeats = 0;
    for _ in 0..ADMISSION_TRIES {
        let x = space.from_unit(&sobol::point(*next, space.dimension(), sobol));
        *next += 1;
        if !space.admits(&x) {
            continue;
        }
        if !seen.contains(&x) {
            return x;
        }
        repeats += 1;
        if repeats == TRIES {
            let all = space.enumerate(ENUMERATED).unwrap_or_default();
            let mut all = all.iter().map(|unit| space.from_unit(unit));
            return all
                .find(|x| space.admits(x) && !seen.contains(x))
                .unwrap_or(x);
        }
    }
    seen.last()
        .cloned()
        .unwrap_or_else(|| space.from_unit(&vec![0.5; space.dimension()]))
}

/// Whether the design of this seed finds an x that the space admits.
pub fn finds_admitted(space: &Space, seed: u64) -> bool {
    let sobol = sobol_seed(seed, 0, Purpose::Design);
    (0..ADMISSION_TRIES).any(|k| space.admits_unit(&sobol::point(k, space.dimension(), sobol)))
}

fn snapped(environments: &Environments, u: &[f64], taken: &mut Vec<usize>) -> Environment {
    match environments {
        Environments::None => Environment {
            index: None,
            w: Vec::new(),
        },
        Environments::Continuous(c) => Environment {
            index: None,
            w: c.quantile(u),
        },
        Environments::Finite(f) => {
            let row = f.nearest_free(u, taken);
            taken.push(row);
            f.environment(row)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Finite;
    use crate::optimizer::Direction;
    use crate::space::Parameter;

    fn problem(parameters: Vec<Parameter>, environments: usize) -> Problem {
        let points = (0..environments).map(|i| vec![i as f64]).collect();
        Problem {
            space: Space::new(parameters).unwrap(),
            environments: Environments::Finite(
                Finite::new(vec!["w".into()], points, None, None).unwrap(),
            ),
            direction: Direction::Maximize,
        }
    }

    #[test]
    fn no_pair_twice_and_each_x_has_its_own_environments() {
        let p = problem(
            vec![
                Parameter::real("a", -23.0, 7.0),
                Parameter::real("b", 0.0, 1.0),
            ],
            8,
        );
        let design = initial_design(&p, 5, 3, 11);
        assert_eq!(design.len(), 15);
        for (i, q) in design.iter().enumerate() {
            p.space.check(&q.x).unwrap();
            assert!(
                !design[..i]
                    .iter()
                    .any(|r| r.x == q.x && r.environment == q.environment)
            );
        }
        assert_eq!(design, initial_design(&p, 5, 3, 11));
        assert_ne!(design, initial_design(&p, 5, 3, 12));
    }

    #[test]
    fn a_small_discrete_space_is_not_repeated_while_points_are_left() {
        let p = problem(vec![Parameter::integer("k", 1, 6)], 2);
        let mut xs: Vec<_> = initial_design(&p, 6, 1, 3)
            .into_iter()
            .map(|q| q.x[0])
            .collect();
        xs.sort_by(f64::total_cmp);
        assert_eq!(xs, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
