//! The watch over a living worker: samples its memory, and ends it when its loop makes no step any more.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bo_memory::cgroup;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::memory::Curve;
use super::pulse::Pulse;
use crate::record::Heartbeat;

/// Shortest time without a step of the loop that is called a hang.
const HANG: Duration = Duration::from_secs(600);
/// A hang is also this many times longer than the longest step so far that did not wait for a program.
const HANG_FACTOR: u32 = 10;
/// Seconds before a death in which an out-of-memory kill may have been the worker's: earlier ones were of programs that
/// it had started.
const RECENT: usize = 10;

/// What was seen of a worker until its end.
pub struct Seen {
    /// Its memory.
    pub curve: Curve,
    /// Ended after so many seconds without a step.
    pub hung: Option<u64>,
    /// Out-of-memory kills that the kernel counted in its last [`RECENT`] seconds.
    pub kills: Option<u64>,
    /// The last step before its loop, in words.
    pub told: Option<String>,
}

/// Watches until `over` is closed. `kills`: out-of-memory kills before the worker was started.
pub fn monitor(
    pid: u32,
    folder: &Path,
    pulse: &Pulse,
    kills: Option<u64>,
    over: &Receiver<()>,
) -> Seen {
    let mut curve = Curve::of(pid);
    let mut count = KillCount::begun_at(kills);
    let mut last = ((0, 0), Instant::now());
    // before the first step nothing is known
    let mut waits = true;
    let mut longest = Duration::ZERO;
    let mut hung = None;
    let shortest = shortest_hang();
    while over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        curve.sample();
        count.note(cgroup::kills());
        if std::process::id() == 1 {
            reap_orphans(pid);
        }
        let beat = Heartbeat::read(folder).filter(|beat| beat.pid == pid);
        // told of before the loop writes its first beat, never after
        let told = pulse.last();
        let number = (
            told.as_ref().map_or(0, |told| told.number),
            beat.as_ref().map_or(0, |beat| beat.beat),
        );
        if number != last.0 {
            if !waits {
                longest = longest.max(last.1.elapsed());
            }
            last = (number, Instant::now());
        }
        waits = beat
            .map(|beat| beat.waits)
            .or_else(|| told.map(|told| told.waits))
            .unwrap_or(true);
        let patience = shortest.max(longest * HANG_FACTOR);
        if !waits && hung.is_none() && last.1.elapsed() > patience {
            hung = Some(last.1.elapsed().as_secs());
            if let Some(pid) = Pid::from_raw(pid as i32) {
                // the worker is not reaped before this thread ends its watch: the number is still its own
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    Seen {
        curve,
        hung,
        kills: count.recent(cgroup::kills()),
        told: pulse.last().map(|told| told.place),
    }
}

/// The kernel's count of out-of-memory kills over the last [`RECENT`] seconds; none where it is not told.
struct KillCount(VecDeque<Option<u64>>);

impl KillCount {
    fn begun_at(count: Option<u64>) -> Self {
        Self(VecDeque::from([count]))
    }

    /// Once a second.
    fn note(&mut self, count: Option<u64>) {
        if self.0.len() == RECENT {
            self.0.pop_front();
        }
        self.0.push_back(count);
    }

    /// Kills between the oldest count and `now`.
    fn recent(&self, now: Option<u64>) -> Option<u64> {
        let before = self.0.front().copied().flatten()?;
        Some(now?.saturating_sub(before))
    }
}

/// The first process of a container inherits every orphan: those that have ended are let go.
fn reap_orphans(worker: u32) {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in numbers.filter(|&pid: &i32| pid > 1 && pid as u32 != worker) {
        // answered with an error for those that are no children of ours
        let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
    }
}

/// [`HANG`]; tests of builds with debug assertions wait less.
fn shortest_hang() -> Duration {
    #[cfg(debug_assertions)]
    if let Some(seconds) = std::env::var("BO_HANG_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return Duration::from_secs(seconds);
    }
    HANG
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recent_kills_may_have_been_the_workers() {
        // three programs were killed long before, one process just now
        let mut count = KillCount::begun_at(Some(2));
        assert_eq!(count.recent(Some(3)), Some(1));
        (0..RECENT).for_each(|_| count.note(Some(5)));
        assert_eq!(count.recent(Some(5)), Some(0));
        assert_eq!(count.recent(Some(6)), Some(1));
        assert_eq!(count.recent(None), None);
        // for as long as it is recent
        (0..RECENT - 1).for_each(|_| count.note(Some(6)));
        assert_eq!(count.recent(Some(6)), Some(1));
        count.note(Some(6));
        assert_eq!(count.recent(Some(6)), Some(0));
    }
}
