//! Climbing to the memory budget in steps, and back: what is promised can be had, and comes back.
//!
//! Linux promises more than there is and kills whoever touches it: each step is taken only while the system says that
//! there is room for it, and then touched.

use std::hint::black_box;

use super::{Answer, Patient, grew, resident, room};
use crate::quantity::bytes;

const STEPS: u64 = 8;
/// Left to everything else on this machine.
const SPARE: u64 = 32 << 20;

pub fn check(patient: &Patient) -> Answer {
    climb(patient.budget, room)
}

fn climb(budget: u64, room: impl Fn() -> Option<u64>) -> Answer {
    let before = resident();
    let step = budget / STEPS;
    let mut steps = Vec::new();
    let mut reached = 0;
    for _ in 0..STEPS {
        let mut piece: Vec<u8> = Vec::new();
        let size = usize::try_from(step).unwrap_or(usize::MAX);
        let there = room().is_none_or(|room| room >= step + SPARE);
        if !there || piece.try_reserve_exact(size).is_err() {
            break;
        }
        piece.resize(size, 1);
        steps.push(black_box(piece));
        reached += step;
    }
    drop(steps);
    let after = resident();
    let budget = STEPS * step;
    let found = format!(
        "reached {} of {} of host memory; resident {} before, {} after",
        bytes(reached),
        bytes(budget),
        bytes(before),
        bytes(after)
    );
    if reached < budget {
        Answer::bad(
            found,
            format!("give runs less: --host-memory-mb {}", reached >> 20),
        )
    } else if grew(before, after) {
        Answer::note(
            found,
            "the system's allocator keeps what was freed: runs hold more than they use",
        )
    } else {
        Answer::good(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::cell::Cell;

    #[test]
    fn no_step_is_taken_beyond_what_the_system_has() {
        let asked = Cell::new(0);
        let answer = climb(8 << 20, || {
            asked.set(asked.get() + 1);
            Some(if asked.get() <= 3 { 1 << 40 } else { 1 << 20 })
        });
        assert_eq!((answer.verdict, asked.get()), (Verdict::Bad, 4));
        assert!(
            answer.change.ends_with("--host-memory-mb 3"),
            "{}",
            answer.change
        );
    }
}
