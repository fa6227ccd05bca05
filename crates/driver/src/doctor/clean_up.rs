//! The clean-up test: 150, 200 and 150 MB are taken and released, and nothing of them is left.

use bo_memory::{Counting, Ledger};

use super::{Answer, Patient, grew, resident};
use crate::quantity::bytes;

/// In MB.
const PIECES: [usize; 3] = [150, 200, 150];

pub fn check(_: &Patient) -> Answer {
    let ledger = Ledger::new();
    let (before, resident_before) = (Counting::in_use(), resident());
    let mut top = 0;
    for megabytes in PIECES {
        let piece = vec![1_u8; megabytes * 1_000_000];
        top = top.max(Counting::in_use() - before);
        drop(std::hint::black_box(piece));
    }
    let left = Counting::in_use().saturating_sub(before);
    ledger.deep_clean();
    let resident_after = resident();
    let found = format!(
        "took {}, {left} bytes left; resident {} before, {} after",
        PIECES.map(|megabytes| format!("{megabytes} MB")).join(", "),
        bytes(resident_before),
        bytes(resident_after)
    );
    if left > 0 || top < 200_000_000 {
        Answer::bad(
            found,
            "a bug in bo: memory is not counted right; please report this line",
        )
    } else if grew(resident_before, resident_after) {
        Answer::note(
            found,
            "the system's allocator keeps what was freed: runs hold more than they use",
        )
    } else {
        Answer::good(found)
    }
}
