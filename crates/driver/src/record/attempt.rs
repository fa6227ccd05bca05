//! The start of an evaluation, as a line of `attempts.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::birth::Birth;
use super::error::RecordError;
use super::lease::Fence;
use super::seal::{Sealed, seal};

/// An evaluation was about to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// The evaluation.
    pub id: u64,
    /// 0 for its first start.
    pub attempt: u32,
    /// Its iteration; absent in the line that notes a started program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u64>,
    /// Process that started it.
    pub pid: u32,
    /// Process group of the program that was started for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_group: Option<u32>,
    /// When that program was started, which is long before with a server; absent in older lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<Birth>,
    /// How the worker died that had started it; the line was then written by who found it dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<String>,
    /// That death is the evaluation's own: it counts against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// That death is the own one of some evaluation of several under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// When, in seconds since 1970.
    pub started: u64,
}

impl Sealed for AttemptLine {
    const FORMAT: &'static str = "bo/attempt";
    const VERSION: u32 = 1;
}

/// A second hand on `attempts.jsonl`, for notes from inside an objective. Each is one write at the end of
/// the file, so the two hands never mix their lines.
#[derive(Debug)]
pub struct StartedJournal {
    file: File,
    fence: Option<Fence>,
}

impl StartedJournal {
    /// Opens it in a run's directory; `fence` is asked before each note.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn open(folder: &Path, fence: Option<Fence>) -> Result<Self, RecordError> {
        let path = folder.join("attempts.jsonl");
        let options = OpenOptions::new().append(true).create(true).open(&path);
        let file = options.map_err(RecordError::io(&path, "open"))?;
        Ok(Self { file, fence })
    }

    /// Notes a started program. Best effort: the evaluation itself is recorded elsewhere, and whoever was overtaken
    /// ends at its next line there.
    pub fn note(&mut self, line: &AttemptLine) {
        let held = self
            .fence
            .as_ref()
            .is_none_or(|fence| fence.check().is_ok());
        if held && let Ok(text) = seal(line) {
            let _ = self.file.write_all((text + "\n").as_bytes());
        }
    }
}
