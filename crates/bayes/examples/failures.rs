//! What is recommended where evaluations fail for reasons that have nothing to do with x:
//! `failures SHARE SEEDS`, the share that fails.
//!
//! f(x, w) = -(a - 0.3)^2 - (b - w)^2, a in [0, 1], b in [-1, 1], 24 environments w in [-0.5, 0.5], the CVaR of the worst
//! tenth; three environments a decision, 25 decisions after the initial design. One line a seed: failures, the x
//! recommended and its true CVaR; then the worst, the median, and how many lie below -0.3. The best is -0.243.

#![expect(clippy::print_stdout, reason = "prints its table")]

use bo_bayes::environment::{Environments, Finite, Look};
use bo_bayes::optimizer::{Direction, Observation, Optimizer, Outcome, Problem, Query, Settings};
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::space::{Parameter, Space};
use bo_bayes::stream::{Purpose, stream};
use rand::RngExt as _;

const DECISIONS: u64 = 25;
const ENVIRONMENTS: usize = 24;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "failures SHARE SEEDS";
    let share: f64 = arguments.next().ok_or(usage)?.parse()?;
    let seeds: u64 = arguments.next().ok_or(usage)?.parse()?;
    let mut all = Vec::new();
    for seed in 0..seeds {
        let (failed, x) = run(share, seed)?;
        let truth = risk(&x);
        println!("seed {seed}: {failed} failed, x {x:.3?}, CVaR {truth:.3}");
        all.push(truth);
    }
    all.sort_by(f64::total_cmp);
    let (worst, median) = (all[0], all[all.len() / 2]);
    let below = all.iter().filter(|risk| **risk < -0.3).count();
    println!("share {share}: worst {worst:.3}, median {median:.3}, {below} of {seeds} below -0.3");
    Ok(())
}

fn points() -> Vec<Vec<f64>> {
    let last = (ENVIRONMENTS - 1) as f64;
    (0..ENVIRONMENTS)
        .map(|i| vec![i as f64 / last - 0.5])
        .collect()
}

fn value(x: &[f64], w: &[f64]) -> f64 {
    -(x[0] - 0.3).powi(2) - (x[1] - w[0]).powi(2)
}

fn risk(x: &[f64]) -> f64 {
    let values: Vec<f64> = points().iter().map(|w| value(x, w)).collect();
    let tail = TailMass::new(0.1).expect("in (0, 1]");
    RiskMeasure::Cvar(tail).evaluate(&values, &[1.0; ENVIRONMENTS])
}

/// Failures, and the x recommended at the end.
fn run(share: f64, seed: u64) -> Result<(usize, Vec<f64>), Box<dyn std::error::Error>> {
    let environments = Finite::new(vec!["w".into()], points(), None, None)?;
    let parameters = [("a", 0.0), ("b", -1.0)];
    let parameters = parameters.map(|(name, low)| Parameter::real(name, low, 1.0));
    let problem = Problem {
        space: Space::new(parameters.to_vec())?,
        environments: Environments::Finite(environments),
        direction: Direction::Maximize,
    };
    let settings = Settings {
        n_w: Look::Count(3),
        seed,
        ..Settings::default()
    };
    let mut optimizer = Optimizer::new(problem, settings)?;
    let (mut id, mut failed) = (0, 0);
    let mut random = stream(seed, 0, Purpose::SyntheticNoise);
    let mut tell = |optimizer: &mut Optimizer, query: Query, iteration| {
        let fails = random.random::<f64>() < share;
        failed += usize::from(fails);
        let outcome = match fails {
            true => Outcome::Failed,
            false => Outcome::Value(value(&query.x, &query.w)),
        };
        let observation = Observation {
            id,
            iteration,
            query,
            outcome,
        };
        id += 1;
        optimizer.tell(observation)
    };
    for query in optimizer.initial_design() {
        tell(&mut optimizer, query, 0)?;
    }
    for iteration in 1..=DECISIONS {
        optimizer.refit(iteration)?;
        let query = optimizer.decide(iteration)?.query;
        tell(&mut optimizer, query, iteration)?;
    }
    optimizer.refit(DECISIONS + 1)?;
    Ok((failed, optimizer.incumbent()?.x))
}
