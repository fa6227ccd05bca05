//! Climbing to the memory budget in steps, and back: what is promised can be had, and comes back.

use std::hint::black_box;

use super::{Answer, Patient, grew, resident};
use crate::quantity::bytes;

const STEPS: u64 = 8;

pub fn check(patient: &Patient) -> Answer {
    let before = resident();
    let step = usize::try_from(patient.budget / STEPS).unwrap_or(0);
    let mut steps = Vec::new();
    let mut reached = 0;
    for _ in 0..STEPS {
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact(step).is_err() {
            break;
        }
        // touched, so that it is really there
        piece.resize(step, 1);
        steps.push(black_box(piece));
        reached += step as u64;
    }
    drop(steps);
    let after = resident();
    let budget = STEPS * step as u64;
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
