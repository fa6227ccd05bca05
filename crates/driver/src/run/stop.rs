//! How a run ended, and the flag by which it is asked to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use bo_memory::budget::{Budget, Source};
use serde::Serialize;

use super::allowance::{holders, mebibytes, too_small};
use crate::bounded;
use crate::exit::Failure;
use crate::quantity::{bytes, typed};
use crate::record::RunResult;

/// How a run ended without a failure of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All iterations are done.
    Complete(RunResult),
    /// Earlier, with everything saved.
    Stopped(Stop),
}

/// Why a run stopped before its last iteration. Reaches the summary, the record and the exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum Stop {
    /// A signal.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// The objective failed too often in a row.
    KeepsFailing {
        /// How often.
        count: usize,
        /// What the last one said.
        reason: String,
    },
    /// More stays in memory than the run may hold.
    Memory {
        /// After which iteration.
        iteration: u64,
        /// What it may hold.
        budget: Budget,
        /// Resident bytes after a clean-up.
        resident: u64,
        /// Bytes of them that are allocated.
        allocated: u64,
        /// Bytes of those by holder.
        held: Vec<(String, u64)>,
    },
}

impl Stop {
    /// With its exit code.
    pub fn failure(&self, out: &Path) -> Failure {
        match self {
            Self::Signal { signal } => Failure::Stopped {
                signal: *signal,
                asked: StopRequest::stands(out),
                out: out.to_owned(),
            },
            Self::KeepsFailing { count, reason } => Failure::KeepsFailing {
                count: *count,
                reason: reason.clone(),
                out: out.to_owned(),
            },
            Self::Memory {
                iteration,
                budget,
                resident,
                allocated,
                held,
            } => too_small(
                *budget,
                format!(
                    "{} are resident after iteration {iteration}: {}",
                    bytes(*resident),
                    holders(*resident, *allocated, held)
                ),
                match budget.source {
                    Source::Asked => format!(
                        "everything is saved; to go on: bo resume {} --host-memory-mb {}",
                        typed(out),
                        mebibytes(*resident)
                    ),
                    _ => format!(
                        "everything is saved; where there is more: bo resume {}",
                        typed(out)
                    ),
                },
            ),
        }
    }
}

/// Asks a run to stop. Clones share it; objectives watch it while they wait.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicI32>);

impl StopFlag {
    /// Asks for a stop because of a signal; returns whether it was the first.
    pub fn ask(&self, signal: i32) -> bool {
        self.0.compare_exchange(0, signal, SeqCst, SeqCst).is_ok()
    }

    /// The signal, once there was one.
    pub fn asked(&self) -> Option<i32> {
        match self.0.load(SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// The file by which `bo stop` says that a signal is its own; it stands while `bo stop` waits.
#[derive(Debug)]
pub struct StopRequest(PathBuf);

impl StopRequest {
    /// Puts it into a run's directory. Best effort: without it the run names the signal.
    pub fn place(folder: &Path) -> Self {
        let path = folder.join("stop");
        let _ = std::fs::write(&path, std::process::id().to_string());
        Self(path)
    }

    /// Whether a `bo stop` waits for the run in `folder` now.
    pub fn stands(folder: &Path) -> bool {
        let pid: Option<u32> = bounded::read_text(&folder.join("stop"), 20)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }
}

impl Drop for StopRequest {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
