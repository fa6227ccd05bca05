//! Where the time of looking at images goes: decoding, contrast and voters, network, lines.
//!
//! Central type [`Clock`]. It adds up over threads. A thread that takes up another image while it waits for the network
//! works at one part at a time: the outer one stands still meanwhile.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bo_vision::pipeline::{Stage, Stages};
use serde::Serialize;

/// A part of looking at an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Reading or generating pixels, and corrupting them.
    Decode,
    /// Contrast enhancement before the network, voters that look at pixels.
    Classical,
    /// The edge network.
    Network,
    /// From what is kept to lines and their score.
    Lines,
}

/// Seconds of all threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PartSeconds {
    /// Reading or generating pixels.
    pub decode: f64,
    /// Contrast enhancement and the voters that look at pixels.
    pub classical: f64,
    /// The edge network.
    pub network: f64,
    /// From what is kept to lines and their score.
    pub lines: f64,
}

thread_local! {
    /// What this thread is at, and since when.
    static AT: Cell<Option<(Part, Instant)>> = const { Cell::new(None) };
}

/// Adds up what each part takes.
#[derive(Debug, Default)]
pub struct Clock {
    /// Nanoseconds, in the order of [`Part`].
    spent: [AtomicU64; 4],
}

impl Clock {
    /// Does `work` as this part.
    pub fn during<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let outer = self.turn_to(Some(part));
        let done = work();
        self.turn_to(outer);
        done
    }

    /// Seconds so far.
    pub fn seconds(&self) -> PartSeconds {
        let of = |part: Part| self.spent[part as usize].load(Relaxed) as f64 / 1e9;
        PartSeconds {
            decode: of(Part::Decode),
            classical: of(Part::Classical),
            network: of(Part::Network),
            lines: of(Part::Lines),
        }
    }

    /// Books the time since the last turn and goes on with `next`; answers what this thread was at.
    fn turn_to(&self, next: Option<Part>) -> Option<Part> {
        let now = Instant::now();
        let (part, since) = AT.replace(next.map(|part| (part, now)))?;
        let nanoseconds = u64::try_from((now - since).as_nanos()).unwrap_or(u64::MAX);
        self.spent[part as usize].fetch_add(nanoseconds, Relaxed);
        Some(part)
    }
}

impl Stages for Clock {
    fn during<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let part = match stage {
            Stage::Classical => Part::Classical,
            Stage::Network => Part::Network,
        };
        Clock::during(self, part, work)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_outer_part_stands_still_while_an_inner_one_runs() {
        let (clock, nap) = (Clock::default(), Duration::from_millis(40));
        clock.during(Part::Network, || {
            clock.during(Part::Decode, || std::thread::sleep(nap));
        });
        let seconds = clock.seconds();
        assert!(seconds.decode >= nap.as_secs_f64(), "{seconds:?}");
        assert!(seconds.network < seconds.decode, "{seconds:?}");
        assert_eq!(seconds.lines, 0.0);
    }
}
