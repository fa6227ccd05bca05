#![no_main]
//! Awkward optimisations through ask/tell; the same cases as crates/bayes/tests/numerics.rs.
#[path = "../../crates/bayes/tests/numerics/case.rs"]
mod case;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(case::run(&mut case::Bytes(bytes))));
