//! What share of the machine's dgemm and dpotrf an evaluation of the evidence reaches, one thread, 14 inputs.
//!
//! `cargo run --release -p bo-bayes --example share -- [sizes...]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../benches/rows/mod.rs"]
#[expect(dead_code, reason = "shared by programs that need different parts")]
mod rows;

use std::time::Instant;

use bo_bayes::gp::{Evidence, Priors, Replicates, Standardizer};
use bo_bayes::kernel::KernelKind;
use bo_bayes::linalg::{factorise, invert, one_thread};
use ndarray::Array2;

fn main() {
    one_thread();
    let sizes: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![2000] } else { sizes };
    println!(
        "{:>6} {:>14} {:>15} {:>15} {:>15} {:>15} {:>9} {:>9}",
        "n",
        "dgemm GFLOP/s",
        "dpotrf GFLOP/s",
        "dpotri GFLOP/s",
        "evaluation ms",
        "of it LAPACK ms",
        "of dgemm",
        "of dpotrf"
    );
    for n in sizes {
        let (_, x, y) = rows::rows(n, 0);
        let scale = Standardizer::from_observations(&y.to_vec());
        let y = y.mapv(|y| scale.standardize(y));
        let mode = Priors::for_dimension(rows::INPUTS).mode(rows::INPUTS);
        let mut covariance = mode.kernel(KernelKind::Matern52).matrix(x.view());
        covariance.diag_mut().mapv_inplace(|k| k + mode.noise);
        let columns: Vec<f64> = covariance.t().iter().copied().collect();
        let data = Replicates::single(x, y).expect("valid data");
        let mut evidence = Evidence::new(KernelKind::Matern52, data);
        let a = Array2::from_shape_fn((n, n), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
        let (mut gemm, mut factor, mut inverse, mut whole) =
            (f64::INFINITY, f64::INFINITY, f64::INFINITY, f64::INFINITY);
        // The least of a few in turn, since the machine may be doing something else.
        for _ in 0..3 {
            gemm = gemm.min(timed(|| drop(a.dot(&a))));
            let mut matrix = columns.clone();
            factor = factor.min(timed(|| {
                factorise(&mut matrix, n).expect("positive definite")
            }));
            inverse = inverse.min(timed(|| invert(&mut matrix, n).expect("a factor")));
            whole = whole.min(timed(|| {
                drop(evidence.evaluate(&mode).expect("the mode is valid"))
            }));
        }
        let cube = (n as f64).powi(3) / 1e9;
        let (gemm, factor_rate, inverse_rate) = (
            2.0 * cube / gemm,
            cube / 3.0 / factor,
            2.0 * cube / 3.0 / inverse,
        );
        println!(
            "{n:>6} {gemm:>14.1} {factor_rate:>15.1} {inverse_rate:>15.1} {:>15.0} {:>15.0} {:>8.0}% {:>8.0}%",
            1e3 * whole,
            1e3 * (factor + inverse),
            100.0 * cube / whole / gemm,
            100.0 * cube / whole / factor_rate
        );
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
