//! Times of the hyperparameter fit on 14 inputs: rows of real runs where `$BO_DATA` has them,
//! synthetic rows beyond. Prints one line per size.
//!
//! `cargo bench -p bo-bayes --bench fit -- [sizes...]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::PathBuf;
use std::time::Instant;

use bo_bayes::gp::{Evidence, FitSettings, Priors, Standardizer, fit};
use bo_bayes::kernel::KernelKind;
use ndarray::{Array1, Array2};

const INPUTS: usize = 14;

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![100, 250, 1000]
    } else {
        sizes
    };
    println!(
        "{:>6} {:>10} {:>14} {:>12} {:>12} {:>12} {:>14} {:>14}",
        "n",
        "data",
        "evaluation ms",
        "cold s",
        "of cpu s",
        "warm cpu s",
        "evaluations",
        "log posterior"
    );
    for n in sizes {
        for set in 0..if n > 500 { 1 } else { 5 } {
            let (name, x, y) = rows(n, set);
            let priors = Priors::for_dimension(INPUTS);
            let mut evidence =
                Evidence::new(KernelKind::Matern52, x.view(), y.view()).expect("valid data");
            let mode = priors.mode(INPUTS);
            evidence
                .evaluate(&mode)
                .expect("the prior mode can be evaluated");
            // The least of a few, since the machine may be doing something else.
            let times = (0..5).map(|_| timed(|| evidence.evaluate(&mode).is_ok()));
            let evaluation = times.fold(f64::INFINITY, f64::min);
            let settings = FitSettings {
                seed: set,
                ..FitSettings::default()
            };
            let mut found = None;
            let before = cpu_seconds();
            let cold = timed(|| found = fit(x.view(), y.view(), None, &settings).ok());
            let cold_cpu = cpu_seconds() - before;
            let found = found.expect("valid data");
            let before = cpu_seconds();
            let settings = FitSettings {
                starts: 3,
                ..settings
            };
            timed(|| fit(x.view(), y.view(), Some(&found.hyper), &settings).is_ok());
            let warm_cpu = cpu_seconds() - before;
            println!(
                "{n:>6} {name:>10} {:>14.2} {cold:>12.3} {cold_cpu:>12.3} {warm_cpu:>12.3} {:>14} {:>14.3}",
                1e3 * evaluation,
                found.evaluations,
                found.log_posterior
            );
        }
    }
}

/// Processor time of all threads so far: what a busy machine does not change much.
fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return f64::NAN;
    };
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}

/// n standardised rows: spread over a real run, or Sobol points with a rough function of a few inputs.
fn rows(n: usize, set: u64) -> (&'static str, Array2<f64>, Array1<f64>) {
    let (name, x, y) = match weld_run() {
        Some((x, y)) if n <= x.nrows() => {
            // A step coprime to the number of rows visits each once.
            let step = [7, 11, 13, 17, 19][set as usize % 5];
            let pick: Vec<usize> = (0..n).map(|i| i * step % x.nrows()).collect();
            (
                "weld",
                x.select(ndarray::Axis(0), &pick),
                y.select(ndarray::Axis(0), &pick),
            )
        }
        _ => {
            let x = Array2::from_shape_fn((n, INPUTS), |(i, d)| {
                f64::from(sobol_burley::sample(i as u32, d as u32, set as u32))
            });
            let y = x.rows().into_iter().enumerate().map(|(i, x)| {
                let noise = f64::from(sobol_burley::sample(i as u32, 50, 7)) - 0.5;
                (5.0 * x[0]).sin() * (3.0 * x[8]).cos()
                    + (x[1] - x[9]).powi(2)
                    + 0.3 * (9.0 * x[2]).sin() * x[10]
                    + 0.1 * noise
            });
            let y = y.collect();
            ("synthetic", x, y)
        }
    };
    let scale = Standardizer::from_observations(&y.to_vec());
    (name, x, y.mapv(|y| scale.standardize(y)))
}

fn weld_run() -> Option<(Array2<f64>, Array1<f64>)> {
    let folder = std::env::var_os("BO_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let read = |name: &str| -> Option<serde_json::Value> {
        serde_json::from_str(&std::fs::read_to_string(folder.join("weld_runs").join(name)).ok()?)
            .ok()
    };
    let bounds = read("bounds.json")?;
    let run = read("run_20251120_151025_iter_100.json")?;
    let rows = run["train_X_full"].as_array()?;
    let bound = |end: &str, d: usize| bounds[end][d].as_f64();
    let x = Array2::from_shape_fn((rows.len(), INPUTS), |(i, d)| {
        let raw = rows[i][d].as_f64().unwrap_or(0.0);
        match (bound("low", d), bound("high", d)) {
            (Some(low), Some(high)) => (raw - low) / (high - low),
            _ => raw,
        }
    });
    let y = run["train_Y"]
        .as_array()?
        .iter()
        .map(|y| y[0].as_f64().or(y.as_f64()).unwrap_or(0.0))
        .collect();
    Some((x, y))
}
