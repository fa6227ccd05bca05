//! Time of following the CVaR of affine functions, per call, n_w 15 and 24.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Instant;

use bo_bayes::risk::{PiecewiseLinear, TailMass, TailSet};

fn main() {
    println!(
        "{:>4} {:>6} {:>8} {:>10} {:>8}",
        "n_w", "tail", "slopes", "ns a call", "pieces"
    );
    let uniform = |i: usize, d: u32| f64::from(sobol_burley::sample(i as u32, d, 11));
    for n in [15, 24] {
        for tail in [0.1, 0.3, 1.0] {
            for spread in [0.02, 0.3, 2.0] {
                let sets: Vec<(TailSet, Vec<f64>)> = (0..512)
                    .map(|k| {
                        let a: Vec<f64> = (0..n).map(|j| uniform(k * n + j, 0)).collect();
                        let b: Vec<f64> = (0..n)
                            .map(|j| spread * (uniform(k * n + j, 1) - 0.3))
                            .collect();
                        let tail = TailMass::new(tail).expect("in (0, 1]");
                        (TailSet::new(&a, &vec![1.0; n], tail), b)
                    })
                    .collect();
                let (mut scratch, mut out, mut pieces) =
                    (Vec::new(), PiecewiseLinear::default(), 0);
                let mut least = f64::INFINITY;
                for _ in 0..20 {
                    pieces = 0;
                    let start = Instant::now();
                    for (set, slopes) in &sets {
                        set.follow(slopes, (-9.0, 9.0), &mut scratch, &mut out);
                        pieces += std::hint::black_box(&out).pieces.len();
                    }
                    least = least.min(start.elapsed().as_secs_f64() / sets.len() as f64);
                }
                println!(
                    "{n:>4} {tail:>6} {spread:>8} {:>10.0} {:>8.1}",
                    1e9 * least,
                    pieces as f64 / sets.len() as f64
                );
            }
        }
    }
}
