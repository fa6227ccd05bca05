//! Resident memory of another process over its last minutes.

use std::collections::VecDeque;
use std::fs;
use std::time::Instant;

/// Samples kept: ten minutes at one a second.
const KEPT: usize = 600;

/// The curve.
#[derive(Debug)]
pub struct Curve {
    pid: u32,
    samples: VecDeque<(Instant, u64)>,
}

impl Curve {
    /// Of a process.
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            samples: VecDeque::new(),
        }
    }

    /// Takes a sample, if the process still has memory.
    pub fn sample(&mut self) {
        let Some(bytes) = resident(self.pid).filter(|&bytes| bytes > 0) else {
            return;
        };
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((Instant::now(), bytes));
    }

    /// As (seconds before now, bytes), oldest first.
    pub fn before_now(&self) -> Vec<(u64, u64)> {
        let now = Instant::now();
        self.samples
            .iter()
            .map(|(time, bytes)| (now.duration_since(*time).as_secs(), *bytes))
            .collect()
    }
}

/// Resident bytes of a process.
fn resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}
