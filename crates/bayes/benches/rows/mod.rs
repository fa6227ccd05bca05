//! Data of what is timed: a recorded run of `$BO_DATA` (14 inputs: 8 of x, 6 of w), and synthetic rows
//! like it where more are asked for than it has.

use std::path::PathBuf;

use bo_bayes::environment::{Environments, Finite, Look};
use bo_bayes::optimizer::{Direction, Observation, Optimizer, Outcome, Problem, Query, Settings};
use bo_bayes::space::{Parameter, Space};
use ndarray::{Array1, Array2, Axis, s};

/// Numbers of rows that benches time.
pub const SIZES: [usize; 3] = [100, 250, 1000];
/// Inputs of a row.
pub const INPUTS: usize = 14;
/// Of these, decision parameters.
pub const DECISIONS: usize = 8;

/// n rows, inputs in [0, 1]: spread over the real run by `set`, or Sobol points with a rough function of
/// a few inputs; 54 different environments either way.
pub fn rows(n: usize, set: u64) -> (&'static str, Array2<f64>, Array1<f64>) {
    match weld_run() {
        Some((x, y)) if n <= x.nrows() => {
            // A step coprime to the number of rows visits each once.
            let step = [7, 11, 13, 17, 19][set as usize % 5];
            let pick: Vec<usize> = (0..n).map(|i| i * step % x.nrows()).collect();
            ("weld", x.select(Axis(0), &pick), y.select(Axis(0), &pick))
        }
        _ => {
            let uniform = |i: usize, d: usize| {
                f64::from(sobol_burley::sample(i as u32, d as u32, set as u32))
            };
            let x = Array2::from_shape_fn((n, INPUTS), |(i, d)| match d {
                d if d < DECISIONS => uniform(i, d),
                d => uniform(i % 54, d),
            });
            let value = |i: usize, x: ndarray::ArrayView1<f64>| {
                (5.0 * x[0]).sin() * (3.0 * x[8]).cos()
                    + (x[1] - x[9]).powi(2)
                    + 0.3 * (9.0 * x[2]).sin() * x[10]
                    + 0.1 * (uniform(i, 50) - 0.5)
            };
            let y = x
                .rows()
                .into_iter()
                .enumerate()
                .map(|(i, x)| value(i, x))
                .collect();
            ("synthetic", x, y)
        }
    }
}

/// An optimiser that was told n rows, and one row more.
pub fn told(n: usize, set: u64) -> (&'static str, Optimizer, Observation) {
    let (name, x, y) = rows(if n == 250 { n } else { n + 1 }, set);
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

/// Inputs scaled to [0, 1] and values of the longest recorded run; `None` where it is absent.
pub fn weld_run() -> Option<(Array2<f64>, Array1<f64>)> {
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
    let x = Array2::from_shape_fn((rows.len(), INPUTS), |(i, d)| {
        let raw = rows[i][d].as_f64().expect("14 numbers a row");
        match (bounds["low"][d].as_f64(), bounds["high"][d].as_f64()) {
            (Some(low), Some(high)) => (raw - low) / (high - low),
            _ => raw,
        }
    });
    let value = |y: &serde_json::Value| y[0].as_f64().or(y.as_f64()).expect("a number a row");
    let y = run["train_Y"].as_array()?.iter().map(value).collect();
    Some((x, y))
}

/// Processor seconds of all threads so far: what a busy machine does not change much.
pub fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return f64::NAN;
    };
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Largest resident memory of the process so far.
pub fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}
