//! Time of a rho-KG decision, and of one more observation with the decision after it (no refit), through the library's
//! face; 14 inputs, n_w 15, by number of rows.
//!
//! `cargo bench -p bo-bayes --bench decision`; a part of a name picks: `-- "decision/250"`.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

#[expect(dead_code, reason = "shared by programs that need different parts")]
mod rows;

use std::time::Duration;

use bo_bayes::optimizer::{Observation, Optimizer};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

/// An optimiser fitted to n rows, and one row more.
fn fitted(n: usize) -> (Optimizer, Observation) {
    let (_, mut optimizer, next) = rows::told(n, 0);
    optimizer.refit(1).expect("rows of the problem");
    (optimizer, next)
}

fn decision(c: &mut Criterion) {
    let mut group = c.benchmark_group("rho-kg decision");
    for n in rows::SIZES {
        let (optimizer, _) = fitted(n);
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| optimizer.decide(1).expect("settings that fit the problem"));
        });
    }
}

fn one_more(c: &mut Criterion) {
    let mut group = c.benchmark_group("one more observation");
    for n in rows::SIZES {
        let (optimizer, next) = fitted(n);
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            let before = || (optimizer.clone(), next.clone());
            let step = |(mut optimizer, next): (Optimizer, Observation)| {
                optimizer.tell(next).expect("a row of the problem");
                optimizer.refit(2).expect("rows of the problem");
                optimizer.decide(2).expect("settings that fit the problem")
            };
            b.iter_batched(before, step, BatchSize::PerIteration);
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = decision, one_more
}
criterion_main!(benches);
