//! How steady the reported CVaR is through the ask/tell face: a real run replayed row by row, and the same
//! rows fitted anew from other starts, both with the optimiser's own settings.
//!
//! Judged are the environments of the first 15 rows, alpha 0.3; rows of other environments are told with
//! weight 0. After each of rows 76 to 250 the model is refitted; printed are the one-row changes of the
//! incumbent's CVaR above 0.1, and the spread over ten optimisers with different seeds. Needs `$BO_DATA`.
//!
//! `cargo run --release -p bo-bayes --example stability -- [product] [warp]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../benches/rows/mod.rs"]
#[expect(dead_code, reason = "shared by programs that need different parts")]
mod rows;

use bo_bayes::environment::{Environments, Finite, Look};
use bo_bayes::optimizer::{
    Direction, Observation, Optimizer, Outcome, Problem, Query, Settings, Surrogate,
};
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::space::{Parameter, Space};
use ndarray::{Array1, Array2, s};
use rows::DECISIONS;

const JUDGED: usize = 15;

fn main() {
    let Some((x, y)) = rows::weld_run() else {
        println!("skipped: weld_runs absent");
        return;
    };
    let asked = |name: &str| std::env::args().any(|a| a == name);
    let surrogate = Surrogate {
        product: asked("product"),
        warp: asked("warp"),
        ..Surrogate::default()
    };
    println!("{surrogate:?}");
    let replay = Replay::new(x, y, surrogate);
    row_by_row(&replay);
    for rows in [80, 100, 150, 200, 250] {
        let risks: Vec<f64> = (0..10)
            .map(|seed| {
                let mut optimizer = replay.told(rows, seed);
                refitted(&mut optimizer, rows)
            })
            .collect();
        let low = risks.iter().copied().fold(f64::INFINITY, f64::min);
        let high = risks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "{rows} rows, ten cold refits: CVaR {low:.4} to {high:.4}, spread {:.4}",
            high - low
        );
    }
}

/// Refits and reports the incumbent's CVaR in y's unit.
fn refitted(optimizer: &mut Optimizer, rows: usize) -> f64 {
    let report = optimizer.refit(rows as u64).expect("rows of the problem");
    for event in &report.events {
        println!("row {rows}: {event}");
    }
    optimizer.incumbent().expect("there are successes").risk
}

fn row_by_row(replay: &Replay) {
    let mut optimizer = replay.told(75, 0);
    let mut before = refitted(&mut optimizer, 75);
    let (mut large, mut largest) = (0, 0.0_f64);
    for row in 75..replay.y.len() {
        optimizer
            .tell(replay.observation(row))
            .expect("a row of the problem");
        let risk = refitted(&mut optimizer, row + 1);
        let change = (risk - before).abs();
        largest = largest.max(change);
        if change > 0.1 {
            large += 1;
            let hyper = &optimizer.state().expect("just refitted").hyper;
            println!(
                "row {}: y {:.2}, CVaR {before:.3} -> {risk:.3}; noise {:.5}, outputscale {:.2}, mean {:.2}",
                row + 1,
                replay.y[row],
                hyper.noise,
                hyper.outputscale,
                hyper.mean
            );
        }
        before = risk;
    }
    println!(
        "rows 76 to {}: changes above 0.1: {large}; largest {largest:.3}; last CVaR {before:.3}",
        replay.y.len()
    );
}

struct Replay {
    problem: Problem,
    surrogate: Surrogate,
    x: Array2<f64>,
    y: Array1<f64>,
    environments: Vec<Vec<f64>>,
}

impl Replay {
    fn new(x: Array2<f64>, y: Array1<f64>, surrogate: Surrogate) -> Self {
        let parameters = (0..DECISIONS).map(|d| Parameter::real(format!("x{d}"), 0.0, 1.0));
        let (mut environments, mut weights) = (Vec::<Vec<f64>>::new(), Vec::new());
        for (i, row) in x.rows().into_iter().enumerate() {
            let w = row.slice(s![DECISIONS..]).to_vec();
            let weight = f64::from(u8::from(i < JUDGED));
            match environments.iter().position(|known| *known == w) {
                Some(known) => weights[known] += weight,
                None => {
                    environments.push(w);
                    weights.push(weight);
                }
            }
        }
        let names = (0..environments[0].len())
            .map(|d| format!("w{d}"))
            .collect();
        let set = Finite::new(names, environments.clone(), Some(weights), None);
        let problem = Problem {
            space: Space::new(parameters.collect()).expect("eight named unit intervals"),
            environments: Environments::Finite(set.expect("real environments")),
            direction: Direction::Maximize,
        };
        Self {
            problem,
            surrogate,
            x,
            y,
            environments,
        }
    }

    fn observation(&self, row: usize) -> Observation {
        let w = self.x.slice(s![row, DECISIONS..]).to_vec();
        let x = self.x.slice(s![row, ..DECISIONS]);
        Observation {
            id: row as u64,
            iteration: row as u64,
            query: Query {
                x: x.iter().map(|x| x.clamp(0.0, 1.0)).collect(),
                environment: self.environments.iter().position(|known| *known == w),
                w,
            },
            outcome: Outcome::Value(self.y[row]),
        }
    }

    /// An optimiser that was told the first rows.
    fn told(&self, rows: usize, seed: u64) -> Optimizer {
        let settings = Settings {
            n_w: Look::Count(JUDGED),
            risk: RiskMeasure::Cvar(TailMass::new(0.3).expect("0.3 is in (0, 1]")),
            surrogate: self.surrogate,
            seed,
            ..Settings::default()
        };
        let mut optimizer = Optimizer::new(self.problem.clone(), settings).expect("15 of 54");
        for row in 0..rows {
            optimizer
                .tell(self.observation(row))
                .expect("a row of the problem");
        }
        optimizer
    }
}
