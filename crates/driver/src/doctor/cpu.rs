//! Type of processor, cores, and the instructions that matter.

use super::{Answer, Patient};
use crate::record::cpu;

pub fn check(_: &Patient) -> Answer {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let features = features();
    let found = format!("{}, {cores} cores, {}", cpu(), features.join(" "));
    if features.contains(&"avx2") || cfg!(not(target_arch = "x86_64")) {
        Answer::good(found)
    } else {
        Answer::note(
            found,
            "without AVX2 networks are several times slower; results are right",
        )
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    known
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    vec![std::env::consts::ARCH]
}
