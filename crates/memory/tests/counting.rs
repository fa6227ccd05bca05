//! The counting allocator to the byte, in a process of one thread (no test harness): nothing else allocates meanwhile.

use bo_memory::{Counting, piece};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pieces of every size up to `most`, and their bytes on the heap.
fn pieces(most: usize) -> (Vec<Vec<u8>>, u64) {
    let mut all = Vec::with_capacity(most);
    all.extend((1..=most).map(|size| vec![1_u8; size]));
    let bytes = (1..=most).map(piece).sum::<u64>() + piece(most * size_of::<Vec<u8>>());
    (all, bytes)
}

/// The peak lies below the truth by no more.
const BLUR: u64 = 1 << 20;

fn main() {
    every_piece_is_counted_once_whoever_takes_it_and_whoever_frees_it();
}

fn every_piece_is_counted_once_whoever_takes_it_and_whoever_frees_it() {
    let begun = Counting::in_use();
    let (all, bytes) = pieces(3000);
    assert_eq!(Counting::in_use() - begun, bytes);
    drop(all);
    assert_eq!(Counting::in_use(), begun);

    // growing and shrinking in place or by moving
    let mut grown: Vec<u8> = Vec::new();
    for capacity in [10, 1000, 100_000, 3_000_000, 50, 7] {
        match capacity > grown.capacity() {
            true => grown.reserve_exact(capacity),
            false => grown.shrink_to(capacity),
        }
        assert_eq!(grown.capacity(), capacity);
        assert_eq!(Counting::in_use() - begun, piece(capacity));
    }
    drop(grown);
    let zeroed = vec![0_u8; 5_000_000];
    assert_eq!(Counting::in_use() - begun, piece(5_000_000));
    drop(zeroed);

    // taken by one thread, freed by others, whose own counts so fall below nothing; what the first thread of a process keeps
    // is there after the first round
    let mut before = 0;
    for round in 0..4 {
        let (all, bytes) = pieces(3000);
        if round > 0 {
            assert_eq!(Counting::in_use() - before, bytes);
        }
        std::thread::spawn(move || drop(all)).join().unwrap();
        if round > 0 {
            assert_eq!(Counting::in_use(), before);
        }
        before = Counting::in_use();
    }

    // the peak: below the truth by the blur at most, never above it
    let begun = Counting::in_use();
    for most in [3000, 6000] {
        Counting::reset_peak();
        let (all, bytes) = pieces(most);
        drop(all);
        let peak = Counting::peak() - begun;
        assert!(peak <= bytes && peak + BLUR >= bytes, "{peak} of {bytes}");
    }
    Counting::reset_peak();
    assert_eq!(Counting::peak(), begun);
}
