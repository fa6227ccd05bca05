//! The `bo` binary.
fn main() {}
