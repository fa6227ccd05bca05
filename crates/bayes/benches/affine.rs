//! Time of following the CVaR of 512 times n_w affine functions over all z, by n_w, tail and spread of the slopes: what the knowledge
//! gradient does most.
//!
//! `cargo bench -p bo-bayes --bench affine`; the throughput is in risks a second.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::time::Duration;

use bo_bayes::risk::{PiecewiseLinear, TailMass, TailSet};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Risks followed in one iteration.
const RISKS: usize = 512;

fn follow(c: &mut Criterion) {
    let mut group = c.benchmark_group("risk of affine functions");
    group.throughput(Throughput::Elements(RISKS as u64));
    let uniform = |i: usize, d: u32| f64::from(sobol_burley::sample(i as u32, d, 11));
    for n in [15, 24] {
        for tail in [0.1, 0.3, 1.0] {
            for spread in [0.02, 0.3, 2.0] {
                let sets: Vec<(TailSet, Vec<f64>)> = (0..RISKS)
                    .map(|k| {
                        let a: Vec<f64> = (0..n).map(|j| uniform(k * n + j, 0)).collect();
                        let b: Vec<f64> = (0..n)
                            .map(|j| spread * (uniform(k * n + j, 1) - 0.3))
                            .collect();
                        let tail = TailMass::new(tail).expect("in (0, 1]");
                        (TailSet::new(&a, &vec![1.0; n], tail), b)
                    })
                    .collect();
                let (mut scratch, mut out) = (Vec::new(), PiecewiseLinear::default());
                let name = format!("n_w {n}, tail {tail}, slopes {spread}");
                group.bench_function(BenchmarkId::from_parameter(name), |b| {
                    b.iter(|| {
                        for (set, slopes) in &sets {
                            set.follow(slopes, (-9.0, 9.0), &mut scratch, &mut out);
                            std::hint::black_box(&out);
                        }
                    });
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500));
    targets = follow
}
criterion_main!(benches);
