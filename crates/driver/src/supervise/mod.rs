//! A parent that watches the run: it explains how a worker died and starts the next one.
//!
//! The worker is the same program with the same words, one process down. It is given the run's lock as its
//! standard input, so that the lock is held until both are gone, and dies with its parent. Signals go
//! to the parent, which passes them on.

mod death;
mod explain;
#[cfg(debug_assertions)]
mod fault;
mod kernel;
mod leftover;
mod memory;
mod monitor;
mod pulse;
mod watch;
mod words;

use std::fs::{File, OpenOptions};
use std::io::IsTerminal as _;
use std::path::Path;

use bo_vision::edge::{Attempt, EdgeError};
use bo_vision::train::Pace;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::event::Phase;
use crate::lineage::{SWEPT_BY, WATCHED_BY};

pub use leftover::end_leftover;
pub use pulse::Step;
pub use watch::{Orders, watch};

/// Whether this process is a worker: it was started by a parent that watches it.
pub fn is_worker() -> bool {
    std::env::var_os(WATCHED_BY).is_some()
}

/// Whether the parent that the environment names under `by` is the one this process has still.
fn has_parent(by: &str) -> bool {
    let named = std::env::var(by).ok().and_then(|pid| pid.parse().ok());
    named == rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get())
}

/// Makes a worker die with its parent, and the run of a sweep end with the sweep, also with one that died before it
/// could. Call it first.
pub fn follow_parent() {
    let (by, with) = match is_worker() {
        true => (WATCHED_BY, Signal::KILL),
        false if std::env::var_os(SWEPT_BY).is_some() => (SWEPT_BY, Signal::TERM),
        false => return,
    };
    // where the system cannot do this the lock still tells that this process lives
    let _ = set_parent_process_death_signal(Some(with));
    if !has_parent(by) {
        std::process::exit(137);
    }
    if by == WATCHED_BY {
        tell(Step::Start);
    }
}

/// The terminal on which the parent speaks, if this is a worker and there is one: a worker's own stderr goes to its
/// parent, which keeps its last words.
pub fn terminal() -> Option<File> {
    let parent = std::env::var(WATCHED_BY).ok()?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/{parent}/fd/2"))
        .ok()?;
    file.is_terminal().then_some(file)
}

/// How an attempt of the edge network is to fail, as if the device had: tests ask for that.
pub fn device_failure(attempt: Attempt) -> Option<EdgeError> {
    #[cfg(debug_assertions)]
    return fault::device_failure(attempt);
    #[cfg(not(debug_assertions))]
    {
        let _ = attempt;
        None
    }
}

/// How a step of training is to fail at a pace, as if the device had: tests ask for that.
pub fn training_failure(step: usize, pace: Pace) -> Option<EdgeError> {
    #[cfg(debug_assertions)]
    return fault::training_failure(step, pace);
    #[cfg(not(debug_assertions))]
    {
        let _ = (step, pace);
        None
    }
}

/// A step before the loop of the run makes any; tests have workers die there.
pub fn tell(step: Step<'_>) {
    pulse::tell(&step);
    #[cfg(debug_assertions)]
    fault::tell(step);
}

/// A step of the loop of the run in `folder`; tests have workers die there.
pub fn reach(phase: Phase, iteration: u64, folder: &Path) {
    #[cfg(debug_assertions)]
    fault::reach(phase, iteration, folder);
    #[cfg(not(debug_assertions))]
    let _ = (phase, iteration, folder);
}
