//! Times of a cold fit and of the decision after it, through the library's face: 14 inputs, n_w 15. Each once, on five
//! data sets up to 250 rows; wall and CPU seconds, and the peak memory of it all.
//!
//! `cargo run --release -p bo-bayes --example iteration -- [sizes...]`; `experiments/speed` takes medians of it. The benches
//! `fit` and `decision` time the same work again and again on one data set.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../benches/rows/mod.rs"]
#[expect(dead_code, reason = "shared by programs that need different parts")]
mod rows;

use std::time::Instant;

use rows::told;

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
