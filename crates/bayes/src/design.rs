//! The initial design: one joint scrambled Sobol sequence over x and w.
//!
//! `n_initial` points x, each with environments of its own, no (x, environment) twice: where there are not as many
//! pairs the design is shorter. With one environment per x it is an ordinary Sobol design in the joint space.

use crate::environment::{Environment, Environments};
use crate::sobol;
use crate::space::Space;
use crate::stream::{Purpose, sobol_seed};

/// Most Sobol points tried for one x that is not yet in the design.
const TRIES: u64 = 64;
/// Sobol points tried for one x that a condition admits.
pub const ADMISSION_TRIES: u64 = 1 << 14;
/// Largest number of x that is enumerated in search of one not yet in the design.
const ENUMERATED: u64 = 100_000;

/// `n_initial` x `per_x` pairs, x by x, or fewer. The x are the points of the sequence in its first
/// coordinates, in their order; one that is not admitted is passed over, and in a discrete space one met
/// before while new ones are left within reach. The j-th environment of the i-th x is point `i * per_x + j` in the
/// remaining coordinates, snapped (finite sets) to the nearest environment not yet taken by this x. Fewer
/// environments than `per_x`: all of them. Pairs that would repeat are left out, and the design ends where no admitted x is
/// found any more.
pub fn initial_design(
    space: &Space,
    environments: &Environments,
    (n_initial, per_x): (usize, usize),
    seed: u64,
) -> Vec<(Vec<f64>, Environment)> {
    let sobol = sobol_seed(seed, 0, Purpose::Design);
    let dx = space.dimension();
    let per_x = environments.count().map_or(per_x, |n| per_x.min(n));
    let mut pairs: Vec<(Vec<f64>, Environment)> = Vec::with_capacity(n_initial * per_x);
    let mut seen: Vec<Vec<f64>> = Vec::new();
    let mut next = 0_u64;
    for i in 0..n_initial {
        let Some(x) = next_x(space, &mut next, &seen, sobol) else {
            break;
        };
        seen.push(x.clone());
        // A repeated x (all are in the design) goes on with environments it has not had.
        let had = pairs.iter().filter(|pair| pair.0 == x);
        let mut taken: Vec<usize> = had.filter_map(|pair| pair.1.index).collect();
        for j in 0..per_x {
            let point = (i * per_x + j) as u64;
            let u: Vec<f64> = (0..environments.encoded_dimension())
                .map(|d| sobol::coordinate(point, dx + d, sobol))
                .collect();
            let pair = (x.clone(), snapped(environments, &u, &mut taken));
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    pairs
}

/// The next admitted Sobol x that is not in `seen`; after [`TRIES`] repeats the first of an enumeration
/// that is not, or one met before if there is none. `None` where none is admitted of as many as are tried.
fn next_x(space: &Space, next: &mut u64, seen: &[Vec<f64>], sobol: u32) -> Option<Vec<f64>> {
    let mut repeats = 0;
    for _ in 0..ADMISSION_TRIES {
        let x = space.from_unit(&sobol::point(*next, space.dimension(), sobol));
        *next += 1;
        if !space.admits(&x) {
            continue;
        }
        if !seen.contains(&x) {
            return Some(x);
        }
        repeats += 1;
        if repeats == TRIES {
            let all = space.enumerate(ENUMERATED).unwrap_or_default();
            let mut all = all.iter().map(|unit| space.from_unit(unit));
            let unseen = all.find(|x| space.admits(x) && !seen.contains(x));
            return Some(unseen.unwrap_or(x));
        }
    }
    None
}

/// The first unit x of the sequence that the space admits, as the design of this seed begins with; `None` where it
/// finds none.
pub fn first_admitted(space: &Space, seed: u64) -> Option<Vec<f64>> {
    let sobol = sobol_seed(seed, 0, Purpose::Design);
    (0..ADMISSION_TRIES)
        .map(|k| {
            let mut unit = sobol::point(k, space.dimension(), sobol);
            space.snap_unit(&mut unit);
            unit
        })
        .find(|unit| space.admits_unit(unit))
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
    use crate::space::Parameter;

    /// Of these parameters and as many environments, in one variable.
    fn design(
        parameters: &[Parameter],
        environments: usize,
        sizes: (usize, usize),
        seed: u64,
    ) -> Vec<(Vec<f64>, Environment)> {
        let space = Space::new(parameters.to_vec()).unwrap();
        let points = (0..environments).map(|i| vec![i as f64]).collect();
        let finite = Finite::new(vec!["w".into()], points, None, None).unwrap();
        let design = initial_design(&space, &Environments::Finite(finite), sizes, seed);
        for (x, _) in &design {
            space.check(x).unwrap();
        }
        design
    }

    #[test]
    fn no_pair_twice_and_each_x_has_its_own_environments() {
        let parameters = [
            Parameter::real("a", -23.0, 7.0),
            Parameter::real("b", 0.0, 1.0),
        ];
        let first = design(&parameters, 8, (5, 3), 11);
        assert_eq!(first.len(), 15);
        for (i, pair) in first.iter().enumerate() {
            assert!(!first[..i].contains(pair), "{pair:?} twice");
        }
        assert_eq!(first, design(&parameters, 8, (5, 3), 11));
        assert_ne!(first, design(&parameters, 8, (5, 3), 12));
    }

    #[test]
    fn where_pairs_are_fewer_than_asked_for_none_is_repeated() {
        for environments in [1, 2] {
            let few = design(&[Parameter::integer("k", 1, 3)], environments, (9, 2), 3);
            for (i, pair) in few.iter().enumerate() {
                assert!(!few[..i].contains(pair), "{pair:?} twice");
            }
            assert!(few.len() >= 3 * environments, "{}", few.len());
        }
    }

    #[test]
    fn a_small_discrete_space_is_not_repeated_while_points_are_left() {
        let six = design(&[Parameter::integer("k", 1, 6)], 2, (6, 1), 3);
        let mut xs: Vec<f64> = six.into_iter().map(|(x, _)| x[0]).collect();
        xs.sort_by(f64::total_cmp);
        assert_eq!(xs, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
