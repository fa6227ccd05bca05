//! Times of a cold fit and of the decision after it, through the library's face: 14 inputs, n_w 15.
//!
//! `cargo bench -p bo-bayes --bench decision -- [sizes...]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod rows;

use std::time::Instant;

use bo_bayes::environment::{Environments, Finite, Look};
use bo_bayes::optimizer::{Direction, Observation, Optimizer, Outcome, Problem, Query, Settings};
use bo_bayes::space::{Parameter, Space};
use ndarray::s;
use rows::DECISIONS;

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![100, 250]
    } else {
        sizes
    };
    println!(
        "{:>6} {:>10} {:>9} {:>9} {:>11} {:>9} {:>12} {:>9}",
        "n", "data", "fit s", "cpu s", "decision s", "cpu s", "one more s", "cpu s"
    );
    for n in sizes {
        for set in 0..if n > 250 { 1 } else { 5 } {
            let (name, mut optimizer, last) = told(n, set);
            let (_, fit, fit_cpu) = timed(|| optimizer.refit(1).is_ok());
            let (_, decide, decide_cpu) = timed(|| optimizer.decide(1).is_ok());
            optimizer.tell(last).expect("an environment of the problem");
            let (_, more, more_cpu) =
                timed(|| optimizer.refit(2).is_ok() && optimizer.decide(2).is_ok());
            println!(
                "{n:>6} {name:>10} {fit:>9.3} {fit_cpu:>9.2} {decide:>11.3} {decide_cpu:>9.2} {more:>12.3} {more_cpu:>9.2}"
            );
        }
    }
    println!("peak memory {} MB", rows::peak_megabytes());
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (start, cpu) = (Instant::now(), rows::cpu_seconds());
    let done = work();
    (
        done,
        start.elapsed().as_secs_f64(),
        rows::cpu_seconds() - cpu,
    )
}

/// An optimiser that was told n rows, and one row more.
fn told(n: usize, set: u64) -> (&'static str, Optimizer, Observation) {
    let (name, x, y) = rows::rows(if n == 250 { n } else { n + 1 }, set);
    let mut points: Vec<Vec<f64>> = Vec::new();
    for row in x.rows() {
        let w = row.slice(s![DECISIONS..]).to_vec();
        if !points.contains(&w) {
            points.push(w);
        }
    }
    let names = |letter: &str, n: usize| (0..n).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
    let parameters = names("x", DECISIONS)
        .into_iter()
        .map(|name| Parameter::real(name, 0.0, 1.0))
        .collect();
    let problem = Problem {
        space: Space::new(parameters).expect("unit intervals"),
        environments: Environments::Finite(
            Finite::new(names("w", points[0].len()), points.clone(), None, None)
                .expect("real environments"),
        ),
        direction: Direction::Maximize,
    };
    let settings = Settings {
        n_w: Look::Count(15.min(points.len())),
        seed: set,
        ..Settings::default()
    };
    let mut optimizer = Optimizer::new(problem, settings).expect("n_w environments are there");
    let mut observations: Vec<Observation> = x
        .rows()
        .into_iter()
        .zip(&y)
        .enumerate()
        .map(|(id, (row, y))| {
            let w = row.slice(s![DECISIONS..]).to_vec();
            let environment = points.iter().position(|p| *p == w);
            let x = row
                .slice(s![..DECISIONS])
                .iter()
                .map(|x| x.clamp(0.0, 1.0))
                .collect();
            Observation {
                id: id as u64,
                iteration: 0,
                query: Query { x, environment, w },
                outcome: Outcome::Value(*y),
            }
        })
        .collect();
    let last = observations.pop().expect("there are rows");
    for observation in observations {
        optimizer
            .tell(observation)
            .expect("an environment of the problem");
    }
    (name, optimizer, last)
}
