//! Why a run ended before its last iteration, and the flag by which it is asked to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use serde::Serialize;

/// Why a run stopped. Reaches the summary, the record and the exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum Stop {
    /// A signal, with everything saved.
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
}

/// Asks a run to stop. Clones share it; objectives watch it while they wait.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicI32>);

impl StopFlag {
    /// Asks for a stop because of a signal.
    pub fn ask(&self, signal: i32) {
        self.0.store(signal, SeqCst);
    }

    /// The signal, once there was one.
    pub fn asked(&self) -> Option<i32> {
        match self.0.load(SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }
}
