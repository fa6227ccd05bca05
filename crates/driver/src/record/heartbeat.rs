//! `heartbeat.json`: where a run is and what it holds, for whoever watches it or finds it dead.
//!
//! Written by the loop itself at every step, so that a loop that hangs shows; replaced whole, not synced.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::replace::read_limited;
use super::seal::{Sealed, open, seal};
use crate::event::Phase;

/// One beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Process of the loop.
    pub pid: u32,
    /// Beats so far.
    pub beat: u64,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Iteration; 0 = initial design.
    pub iteration: u64,
    /// What began.
    pub phase: Phase,
    /// The evaluation, in that phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Which attempt at it.
    #[serde(default)]
    pub attempt: u32,
    /// Its decision parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x: Vec<f64>,
    /// Its environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub w: Vec<f64>,
    /// Its environment's name, of a finite set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The phase waits for a program that may take as long as it likes.
    #[serde(default)]
    pub waits: bool,
    /// Resident bytes.
    pub resident: u64,
    /// Evaluations under way, in that phase: more than one with `--jobs`.
    #[serde(default)]
    pub under_way: u32,
    /// The run came to an end of its own.
    #[serde(default)]
    pub ended: bool,
}

impl Sealed for Heartbeat {
    const FORMAT: &'static str = "bo/heartbeat";
    const VERSION: u32 = 1;
}

impl Heartbeat {
    /// Replaces the file. Best effort: a beat that is missed harms nothing.
    pub fn write(&self, folder: &Path) {
        let (path, temporary) = (folder.join(NAME), folder.join("heartbeat.json.tmp"));
        if let Ok(text) = seal(self)
            && fs::write(&temporary, text + "\n").is_ok()
        {
            let _ = fs::rename(&temporary, &path);
        }
    }

    /// What begins the lines of `log.txt` that process `pid` of the loop says of its own end.
    pub fn mark(pid: u32) -> String {
        format!("bo[{pid}]")
    }

    /// The last beat of a run.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = read_limited(&folder.join(NAME), 1 << 20).ok()?;
        open(&bytes).ok()
    }
}

const NAME: &str = "heartbeat.json";
