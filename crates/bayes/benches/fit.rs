//! Times of the hyperparameter fit on 14 inputs: rows of real runs where `$BO_DATA` has them,
//! synthetic rows beyond. Prints one line per size.
//!
//! `cargo bench -p bo-bayes --bench fit -- [sizes...]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod rows;

use std::time::Instant;

use bo_bayes::gp::{Evidence, FitSettings, Priors, Replicates, Standardizer, fit};
use bo_bayes::kernel::KernelKind;
use rows::{INPUTS, cpu_seconds};

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
            let (name, x, y) = rows::rows(n, set);
            let scale = Standardizer::from_observations(&y.to_vec());
            let y = y.mapv(|y| scale.standardize(y));
            let priors = Priors::for_dimension(INPUTS);
            let data = Replicates::single(x, y).expect("valid data");
            let mut evidence = Evidence::new(KernelKind::Matern52, data.clone());
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
            let cold = timed(|| found = Some(fit(&data, None, &settings)));
            let cold_cpu = cpu_seconds() - before;
            let found = found.expect("timed once");
            let before = cpu_seconds();
            let settings = FitSettings {
                starts: 3,
                ..settings
            };
            timed(|| fit(&data, Some(&found.hyper), &settings));
            let warm_cpu = cpu_seconds() - before;
            println!(
                "{n:>6} {name:>10} {:>14.2} {cold:>12.3} {cold_cpu:>12.3} {warm_cpu:>12.3} {:>14} {:>14.3}",
                1e3 * evaluation,
                found.evaluations,
                found.log_posterior.unwrap_or(f64::NAN)
            );
        }
    }
    println!("peak memory {} MB", rows::peak_megabytes());
}

fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}
