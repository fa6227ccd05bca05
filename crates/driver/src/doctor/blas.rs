//! Whether the linear algebra is right, and the same bit for bit when several threads call it at once: a library without locks
//! is not, and two runs then differ.

use bo_bayes::linalg::{factorise, one_thread};

use super::{Answer, Patient};

/// Size of the matrix.
const N: usize = 200;
/// Threads that factorise at once.
const THREADS: usize = 8;
/// Largest relative error of L L' allowed.
const ERROR: f64 = 1e-12;

const REBUILD: &str =
    "link OpenBLAS's pthread build: see ./setup, or name it in BO_OPENBLAS_DIR and build again";

pub fn check(_: &Patient) -> Answer {
    one_thread();
    let matrix = matrix();
    let factors: Vec<Result<Vec<f64>, usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = matrix.clone();
                    factorise(&mut own, N).map(|()| own)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(0)))
            .collect()
    });
    let Ok(first) = &factors[0] else {
        return Answer::bad("a positive definite matrix was not factorised", REBUILD);
    };
    if factors.iter().any(|factor| factor.as_ref() != Ok(first)) {
        return Answer::bad(
            format!("{THREADS} threads at once got different factors of one matrix"),
            REBUILD,
        );
    }
    let error = error(&matrix, first);
    if error > ERROR {
        return Answer::bad(
            format!("a factor of {N} x {N} is wrong by {error:.1e}"),
            REBUILD,
        );
    }
    Answer::good(format!(
        "{THREADS} threads at once factorise {N} x {N} alike, error {error:.0e}"
    ))
}

/// A positive definite matrix, column by column: exp(-|i - j| / 7), and a little on the diagonal.
fn matrix() -> Vec<f64> {
    let entry = |at: usize| {
        let apart = (at / N).abs_diff(at % N);
        (-(apart as f64) / 7.0).exp() + if apart == 0 { 0.1 } else { 0.0 }
    };
    (0..N * N).map(entry).collect()
}

/// Largest difference between L L' and the matrix.
fn error(matrix: &[f64], factor: &[f64]) -> f64 {
    let lower = |row: usize, column: usize| factor[column * N + row];
    let mut largest = 0.0_f64;
    for column in (0..N).step_by(7) {
        for row in column..N {
            let sum: f64 = (0..=column).map(|k| lower(row, k) * lower(column, k)).sum();
            largest = largest.max((sum - matrix[column * N + row]).abs());
        }
    }
    largest
}
