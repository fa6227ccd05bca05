//! Time of one evaluation of the evidence, of a cold and of a warm fit of the hyperparameters; 14 inputs, by number of rows.
//!
//! `cargo bench -p bo-bayes --bench fit`; a part of a name picks: `-- "cold fit/250"`.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

#[expect(dead_code, reason = "shared by programs that need different parts")]
mod rows;

use std::time::Duration;

use bo_bayes::gp::{Evidence, FitSettings, Priors, Replicates, Standardizer, fit};
use bo_bayes::kernel::KernelKind;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rows::INPUTS;

/// Starting points of a fit that continues an earlier one.
const WARM_STARTS: usize = 4;

fn data(n: usize) -> Replicates {
    let (_, x, y) = rows::rows(n, 0);
    let scale = Standardizer::from_observations(&y.to_vec());
    Replicates::single(x, y.mapv(|y| scale.standardize(y))).expect("valid data")
}

fn evaluation(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluation of the evidence");
    let mode = Priors::for_dimension(INPUTS).mode(INPUTS);
    for n in rows::SIZES {
        let mut evidence = Evidence::new(KernelKind::Matern52, data(n));
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| evidence.evaluate(&mode).expect("the prior mode is valid"));
        });
    }
}

fn cold(c: &mut Criterion) {
    let mut group = c.benchmark_group("cold fit");
    for n in rows::SIZES {
        let data = data(n);
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| fit(&data, None, &FitSettings::default()));
        });
    }
}

fn warm(c: &mut Criterion) {
    let mut group = c.benchmark_group("warm fit");
    let settings = FitSettings {
        starts: WARM_STARTS,
        ..FitSettings::default()
    };
    for n in rows::SIZES {
        let data = data(n);
        let found = fit(&data, None, &FitSettings::default()).hyper;
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| fit(&data, Some(&found), &settings));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = evaluation, cold, warm
}
criterion_main!(benches);
