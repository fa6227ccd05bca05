//! What a run survives: kills at any moment and between any two system calls, a loss of power, a disk that is full
//! or fails. A short form runs with the tests, the long one with `BO_TORTURE=1` (`make torture`).
#![expect(clippy::print_stderr, reason = "says what was held, for --nocapture")]

mod bytes;
mod calls;
mod disk;
mod kills;
mod power;
#[path = "../runs/mod.rs"]
#[expect(
    dead_code,
    reason = "shared by test programs that each use a part of it"
)]
mod runs;
mod strace;

/// Whether the long form is asked for.
fn long() -> bool {
    std::env::var_os("BO_TORTURE").is_some_and(|set| !set.is_empty())
}

/// Numbers that look random and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
