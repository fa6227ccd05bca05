//! How steady the reported CVaR is: a real run replayed row by row, and the same rows fitted anew.
//!
//! Environments are the w of the first 15 rows, alpha 0.3. After each of rows 76 to 250 the model is
//! fitted (warm) and the incumbent searched; printed are the one-row changes of its CVaR above 0.1,
//! and the spread over ten cold fits with different seeds. Needs `$BO_DATA`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[expect(dead_code, reason = "shared by benchmarks that need different parts")]
mod rows;

use bo_bayes::environment::{Environment, EnvironmentSet};
use bo_bayes::gp::{FitSettings, Hyperparameters, Posterior, Standardizer, fit};
use bo_bayes::incumbent::{self, RiskSurface};
use bo_bayes::kernel::KernelKind;
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::space::{Parameter, Space};
use ndarray::{Array1, Array2, s};
use rows::DECISIONS;

const LOOKED_AT: usize = 15;

fn main() {
    let Some((x, y)) = rows::weld_run() else {
        println!("skipped: weld_runs absent");
        return;
    };
    let replay = Replay::new(x, y);
    let mut warm: Option<Hyperparameters> = None;
    let mut previous: Option<(Vec<f64>, f64)> = None;
    let mut large = 0;
    for rows in 75..=replay.y.len() {
        let settings = FitSettings {
            starts: if warm.is_some() { 3 } else { 8 },
            iteration: rows as u64,
            ..FitSettings::default()
        };
        let (hyper, log_posterior, unit, risk) = replay.incumbent(
            rows,
            warm.as_ref(),
            previous.as_ref().map(|p| &p.0[..]),
            &settings,
        );
        if let Some((_, before)) = &previous
            && (risk - before).abs() > 0.1
        {
            large += 1;
            println!(
                "row {rows}: y {:.2}, CVaR {before:.3} -> {risk:.3}; log posterior {log_posterior:.2}, noise {:.4}, outputscale {:.2}, mean {:.2}",
                replay.y[rows - 1],
                hyper.noise,
                hyper.outputscale,
                hyper.mean
            );
        }
        warm = Some(hyper);
        previous = Some((unit, risk));
    }
    println!(
        "changes above 0.1: {large}; last CVaR {:.3}",
        previous.map_or(f64::NAN, |p| p.1)
    );
    for rows in [80, 100, 150, 200, 250] {
        let risks: Vec<f64> = (0..10)
            .map(|seed| {
                replay
                    .incumbent(
                        rows,
                        None,
                        None,
                        &FitSettings {
                            seed,
                            ..FitSettings::default()
                        },
                    )
                    .3
            })
            .collect();
        let low = risks.iter().copied().fold(f64::INFINITY, f64::min);
        let high = risks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "{rows} rows, ten cold fits: CVaR {low:.4} to {high:.4}, spread {:.4}",
            high - low
        );
    }
}

struct Replay {
    space: Space,
    environments: EnvironmentSet,
    x: Array2<f64>,
    y: Array1<f64>,
}

impl Replay {
    fn new(x: Array2<f64>, y: Array1<f64>) -> Self {
        let parameters = (0..DECISIONS)
            .map(|d| Parameter::real(format!("x{d}"), 0.0, 1.0))
            .collect();
        let space = Space::new(parameters).expect("eight named unit intervals");
        let encoded: Vec<Vec<f64>> = (0..LOOKED_AT)
            .map(|i| x.slice(s![i, DECISIONS..]).to_vec())
            .collect();
        let environments = EnvironmentSet {
            environments: encoded
                .iter()
                .map(|w| Environment {
                    index: None,
                    w: w.clone(),
                })
                .collect(),
            masses: vec![1.0 / LOOKED_AT as f64; LOOKED_AT],
            effects: vec![0.0; LOOKED_AT],
            encoded,
        };
        Self {
            space,
            environments,
            x,
            y,
        }
    }

    /// Fits the first `rows` rows; hyperparameters, log posterior, incumbent and its CVaR in y's unit.
    fn incumbent(
        &self,
        rows: usize,
        warm: Option<&Hyperparameters>,
        previous: Option<&[f64]>,
        settings: &FitSettings,
    ) -> (Hyperparameters, f64, Vec<f64>, f64) {
        let x = self.x.slice(s![..rows, ..]).to_owned();
        let y = self.y.slice(s![..rows]).to_vec();
        let scale = Standardizer::from_observations(&y);
        let y: Array1<f64> = y.iter().map(|y| scale.standardize(*y)).collect();
        let found = fit(x.view(), y.view(), warm, settings).expect("real rows are valid");
        let mut observed: Vec<Vec<f64>> = Vec::new();
        for row in x.rows() {
            let unit = row.slice(s![..DECISIONS]).to_vec();
            if !observed.contains(&unit) {
                observed.push(unit);
            }
        }
        let posterior =
            Posterior::new(KernelKind::Matern52, &found.hyper, x, y).expect("the fit had a factor");
        let risk = RiskMeasure::Cvar(TailMass::new(0.3).expect("0.3 is in (0, 1]"));
        let (unit, risk) = incumbent::search(
            &self.space,
            |set| RiskSurface::new(&posterior, DECISIONS, set, risk),
            &self.environments,
            &observed,
            previous,
            rows as u32,
        );
        (found.hyper, found.log_posterior, unit, scale.restore(risk))
    }
}
