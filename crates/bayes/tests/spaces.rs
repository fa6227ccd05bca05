//! Random mixed spaces, whole short optimisations by every rule: each query lies in the space and meets its condition, and
//! no (x, w) is asked twice while an untried one is left.
//!
//! `BO_SPACES=2000 cargo test --release -p bo-bayes --test spaces` is the long form; `BO_SPACES_FROM` the first case.

use std::collections::BTreeSet;

use bo_bayes::environment::{Continuous, Environments, Finite, Look, Marginal};
use bo_bayes::optimizer::{
    AcquisitionKind, Direction, HighDimension, Observation, Optimizer, Outcome, Problem, Query,
    Settings,
};
use bo_bayes::space::{Condition, Parameter, Space};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Cases of the quick form.
const QUICK: u64 = 24;

fn parameter(random: &mut ChaCha8Rng, name: String, kind: u32) -> Parameter {
    match kind {
        0 => Parameter::integer(name, -1, random.random_range(0..3)),
        1 => Parameter::categorical(name, ["a", "b", "c"]),
        2 => Parameter::integer(name, 1, 1000).log(),
        3 => Parameter::real(name, 1e-5, 10.0).log(),
        _ => Parameter::real(name, -2.0, 3.0),
    }
}

fn problem(random: &mut ChaCha8Rng) -> Problem {
    // Every other space is finite and small.
    let kinds = if random.random() { 2 } else { 5 };
    let count = random.random_range(1..4);
    let parameters = (0..count).map(|i| {
        let kind = random.random_range(0..kinds);
        parameter(random, format!("x{i}"), kind)
    });
    let space = Space::new(parameters.collect()).unwrap();
    let slopes: Vec<f64> = (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
    // Half of the spaces are cut through their middle.
    let middle = space.from_unit(&vec![0.5; count]);
    let most: f64 = slopes.iter().zip(&middle).map(|(a, x)| a * x).sum();
    let space = if random.random() {
        space.under(Condition::new(move |x| {
            slopes.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() <= most + 1e-9
        }))
    } else {
        space
    };
    let environments = match random.random_range(0..3) {
        0 => Environments::None,
        1 => {
            let law = Marginal::Uniform {
                low: 0.0,
                high: 1.0,
            };
            Environments::Continuous(Continuous::new(vec![("w".into(), law)]).unwrap())
        }
        _ => {
            let points = vec![vec![0.0], vec![0.3], vec![1.0]];
            Environments::Finite(Finite::new(vec!["w".into()], points, None, None).unwrap())
        }
    };
    Problem {
        space,
        environments,
        direction: Direction::Maximize,
    }
}

/// Admitted pairs of a finite problem.
fn pairs(problem: &Problem) -> Option<usize> {
    let environments = problem.environments.count()?;
    let all = problem.space.enumerate(1000)?;
    Some(environments * all.iter().filter(|u| problem.space.admits_unit(u)).count())
}

fn key(query: &Query) -> (Vec<u64>, Vec<u64>) {
    let bits = |v: &[f64]| v.iter().map(|v| (v + 0.0).to_bits()).collect();
    (bits(&query.x), bits(&query.w))
}

/// Fails where the first parameter is in the upper fifth of its range.
fn outcome(problem: &Problem, query: &Query) -> Outcome {
    let unit = problem.space.to_unit(&query.x);
    if unit[0] > 0.8 {
        return Outcome::Failed;
    }
    let bowl: f64 = unit.iter().map(|u| -(u - 0.4).powi(2)).sum();
    Outcome::Value(bowl + 0.1 * query.w.iter().sum::<f64>())
}

fn run(number: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let problem = problem(&mut random);
    let all = pairs(&problem);
    let settings = Settings {
        n_initial: 2,
        initial_w: 1,
        n_w: Look::Count(problem.environments.count().unwrap_or(3).min(2)),
        acquisition: AcquisitionKind::ALL[number as usize % AcquisitionKind::ALL.len()],
        high_dimension: HighDimension::ALL[random.random_range(0..2)],
        seed: number,
        ..Settings::default()
    };
    let mut optimizer = Optimizer::new(problem.clone(), settings).unwrap();
    let mut asked = BTreeSet::new();
    let (mut iteration, mut next) = (0, optimizer.initial_design());
    loop {
        for query in next {
            let about = format!("case {number}, iteration {iteration}, {query:?}");
            problem.space.check(&query.x).expect(&about);
            assert!(problem.space.admits(&query.x), "{about}");
            let fresh = asked.insert(key(&query));
            assert!(fresh || all.is_some_and(|n| asked.len() >= n), "{about}");
            let outcome = outcome(&problem, &query);
            let id = optimizer.observations().len() as u64;
            let told = Observation {
                id,
                iteration,
                query,
                outcome,
            };
            optimizer.tell(told).unwrap();
        }
        optimizer.refit(iteration).unwrap();
        if iteration == 8 {
            return;
        }
        iteration += 1;
        let q = 1 + (number + iteration) as usize % 2;
        let batch = optimizer.decide_batch(iteration, q).unwrap();
        next = batch.into_iter().map(|d| d.query).collect();
    }
}

#[test]
fn queries_are_of_the_space_and_none_is_repeated_while_others_are_left() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("BO_SPACES_FROM").unwrap_or(0);
    let cases = number("BO_SPACES").unwrap_or(QUICK);
    (first..first + cases).for_each(run);
}
