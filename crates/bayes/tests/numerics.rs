//! Random awkward optimisations through tell, refit, decide and incumbent: huge and tiny scales, ties,
//! constants, outliers, repeats and near repeats, failures, NaN (refused), spaces of one point. Nothing
//! panics, no NaN comes out, and a restored state decides alike.
//!
//! `BO_NUMERICS=100000 cargo test --release -p bo-bayes --test numerics -- --nocapture` is the long form;
//! `BO_NUMERICS_FROM` the first case, to repeat one.

#![expect(clippy::print_stdout, reason = "the long form prints what it met")]

#[path = "numerics/case.rs"]
mod case;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

/// Cases of the quick form.
const QUICK: u64 = 200;

/// How often each kind of event happened.
type Counts = BTreeMap<String, u64>;

#[test]
fn no_data_end_it_and_no_nan_comes_out() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (cases, first) = (
        number("BO_NUMERICS").unwrap_or(QUICK),
        number("BO_NUMERICS_FROM").unwrap_or(0),
    );
    let results: Vec<(u64, Option<Counts>)> = (first..first + cases)
        .into_par_iter()
        .map(|number| {
            let bytes: [u8; 512] = ChaCha8Rng::seed_from_u64(number).random();
            let run = || case::run(&mut case::Bytes(&bytes));
            let events = catch_unwind(AssertUnwindSafe(run)).ok();
            (number, events.map(|events| counted(&events)))
        })
        .collect();
    let mut all = BTreeMap::new();
    for (name, count) in results.iter().filter_map(|(_, r)| r.as_ref()).flatten() {
        *all.entry(name).or_insert(0) += count;
    }
    println!("{cases} data sets; events: {all:?}");
    let failed: Vec<u64> = results
        .iter()
        .filter(|(_, r)| r.is_none())
        .map(|(n, _)| *n)
        .collect();
    assert!(
        failed.is_empty(),
        "{} failed: BO_NUMERICS=1 BO_NUMERICS_FROM={:?}",
        failed.len(),
        &failed[..failed.len().min(10)]
    );
}

fn counted(events: &[bo_bayes::optimizer::Event]) -> Counts {
    let mut counts = Counts::new();
    for event in events {
        let name = serde_json::to_value(event).expect("events are written")["event"].to_string();
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}
