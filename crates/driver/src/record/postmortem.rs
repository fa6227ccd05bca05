//! `postmortem-NNN.json`: how a worker died.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::RecordError;
use super::heartbeat::Heartbeat;
use super::replace::replace;
use super::seal::{Sealed, seal};

/// A death, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Postmortem {
    /// When, in seconds since 1970.
    pub time: u64,
    /// Process of the worker.
    pub pid: u32,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Exit code that ended it.
    pub code: Option<i32>,
    /// Its last beat: phase, iteration, (x, w), image.
    pub last: Option<Heartbeat>,
    /// Seconds between the last beat and the death.
    pub silent: u64,
    /// Resident bytes over its last minutes, as (seconds before death, bytes).
    pub memory: Vec<(u64, u64)>,
    /// Most that it may have held: the machine's memory or the tightest limit.
    pub limit: Option<u64>,
    /// Out-of-memory kills that the kernel counted in its group meanwhile.
    pub kills: Option<u64>,
    /// Whether the death is the evaluation's own, not somebody else's.
    pub own: bool,
    /// One sentence.
    pub verdict: String,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// Last lines of the log.
    pub log: Vec<String>,
}

impl Sealed for Postmortem {
    const FORMAT: &'static str = "bo/postmortem";
    const VERSION: u32 = 1;
}

impl Postmortem {
    /// Writes it beside earlier ones; returns the file.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn write(&self, folder: &Path) -> Result<PathBuf, RecordError> {
        let path = (1..)
            .map(|number: u32| folder.join(format!("postmortem-{number:03}.json")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| folder.join("postmortem-last.json"));
        let text = seal(self).map_err(|error| RecordError::damaged(&path, error))?;
        replace(&path, (text + "\n").as_bytes())?;
        Ok(path)
    }
}
