//! Global allocator that counts: the system's allocator plus bytes in use and their peak.
//!
//! Counting must not slow a run down, so threads add to separate cache lines ([`SHARDS`]) and the
//! sum is formed only when somebody asks, or when a thread's own count has moved by [`STEP`]. The
//! bytes in use are exact; the peak is exact to within `SHARDS * STEP` = 1 MiB. What counts is what the heap
//! gives up for a piece ([`piece`]), not only what was asked for.
//!
//! `unsafe` because [`GlobalAlloc`] is: each method passes its arguments unchanged to [`System`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use crate::meter::Meter;

const SHARDS: usize = 16;
const STEP: i64 = 64 * 1024;

/// Bytes of the heap that a piece of `bytes` takes: glibc puts a word before each, rounds up to 16 and hands out
/// no less than 32 (`malloc.c`, `request2size`, on 64 bits; other C libraries round much alike). 0 for nothing.
///
/// ```
/// assert_eq!([0, 1, 24, 25, 40, 41, 100].map(bo_memory::piece), [0, 32, 32, 48, 48, 64, 112]);
/// ```
pub const fn piece(bytes: usize) -> u64 {
    match bytes {
        0 => 0,
        1..=24 => 32,
        _ => ((bytes as u64) + 8).next_multiple_of(16),
    }
}

/// One thread group's count on a cache line of its own.
#[repr(align(128))]
struct Shard(AtomicI64);

static COUNTS: [Shard; SHARDS] = [const { Shard(AtomicI64::new(0)) }; SHARDS];
static PEAK: AtomicI64 = AtomicI64::new(0);
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // const and without a destructor, so that reading it neither allocates nor can fail late
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The counting allocator. The binary installs it:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: bo_memory::Counting = bo_memory::Counting;
/// let before = bo_memory::Counting::in_use();
/// let kept = vec![1_u8; 1 << 20];
/// assert!(bo_memory::Counting::in_use() >= before + kept.len() as u64);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

impl Counting {
    /// Bytes allocated and not yet freed, over all threads; 0 where it is not installed.
    pub fn in_use() -> u64 {
        total().max(0).cast_unsigned()
    }

    /// Most bytes in use since the last [`Counting::reset_peak`], to within 1 MiB.
    pub fn peak() -> u64 {
        PEAK.load(Relaxed).max(total()).max(0).cast_unsigned()
    }

    /// Begins a new peak.
    pub fn reset_peak() {
        PEAK.store(total(), Relaxed);
    }
}

impl Meter for Counting {
    fn in_use(&self) -> u64 {
        Self::in_use()
    }
    fn peak(&self) -> u64 {
        Self::peak()
    }
    fn reset_peak(&mut self) {
        Self::reset_peak();
    }
}

fn total() -> i64 {
    COUNTS.iter().map(|shard| shard.0.load(Relaxed)).sum()
}

fn shard() -> usize {
    SHARD
        .try_with(|own| {
            if own.get() == usize::MAX {
                own.set(NEXT_SHARD.fetch_add(1, Relaxed) % SHARDS);
            }
            own.get()
        })
        .unwrap_or(0)
}

fn count(bytes: i64) {
    let before = COUNTS[shard()].0.fetch_add(bytes, Relaxed);
    if climbs(before, bytes) {
        PEAK.fetch_max(total(), Relaxed);
    }
}

/// Whether a shard's count rises past a multiple of [`STEP`]. One that frees what others took lies below 0, where `/`
/// would make one step of two.
fn climbs(before: i64, bytes: i64) -> bool {
    before.div_euclid(STEP) < (before + bytes).div_euclid(STEP)
}

fn taken(bytes: usize) -> i64 {
    // no allocation exceeds isize::MAX
    piece(bytes).cast_signed()
}

// SAFETY: every method forwards to `System` with the arguments it was given and returns what it
// returned; the counters are atomics that never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            count(taken(layout.size()));
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(taken(layout.size()));
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-taken(layout.size()));
        // SAFETY: `pointer` came from `System` with this layout, as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `pointer` came from `System` with this layout, as the caller promises.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            count(taken(size) - taken(layout.size()));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_looked_at_once_in_each_step_upwards_and_never_downwards() {
        for from in [-3 * STEP, -STEP, -1, 0, 1, 5 * STEP + 7] {
            // however it is cut, a way of ten steps is looked at ten times
            for piece in [32, 1000, STEP / 2, STEP] {
                let (mut at, mut looks) = (from, 0);
                while at < from + 10 * STEP {
                    let bytes = piece.min(from + 10 * STEP - at);
                    looks += i64::from(climbs(at, bytes));
                    assert!(!climbs(at, -bytes) && !climbs(at, 0));
                    at += bytes;
                }
                assert_eq!(looks, 10, "{from}, {piece}");
            }
        }
    }
}
