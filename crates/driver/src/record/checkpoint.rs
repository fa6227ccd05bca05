//! `iter_NNN.json` and `interrupted.json`: a run up to a point, complete in one file; and which of them a
//! directory holds.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::decision::{DecisionLine, IncumbentRecord, ModelRecord};
use super::directory::{LARGEST, read_sealed};
use super::error::RecordError;
use super::evaluation::EvaluationLine;
use super::manifest::Manifest;
use super::replace::read_limited;
use super::seal::{Sealed, whole};

/// The checkpoint of a stop inside an iteration.
pub const INTERRUPTED: &str = "interrupted.json";

/// Everything a run needs to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Last complete iteration, 0 = the initial design; `None` when that is not complete.
    pub iteration: Option<u64>,
    /// The run.
    pub run: Manifest,
    /// All finished evaluations up to there; in `interrupted.json` also those beyond.
    pub evaluations: Vec<EvaluationLine>,
    /// All decisions up to there; in `interrupted.json` also the one that was under way.
    pub decisions: Vec<DecisionLine>,
    /// The model after the last complete iteration, which decides the next.
    pub model: Option<ModelRecord>,
    /// The recommendation after the last complete iteration.
    pub incumbent: Option<IncumbentRecord>,
}

impl Sealed for Checkpoint {
    const FORMAT: &'static str = "bo/checkpoint";
    const VERSION: u32 = 1;
}

/// Name of the checkpoint of an iteration.
pub fn checkpoint_name(iteration: u64) -> String {
    format!("iter_{iteration:03}.json")
}

/// Checkpoints of complete iterations in a directory, oldest first.
pub fn checkpoint_files(folder: &Path) -> Vec<(u64, PathBuf)> {
    let mut files: Vec<(u64, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let digits = name
                .to_str()?
                .strip_prefix("iter_")?
                .strip_suffix(".json")?;
            Some((digits.parse().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    files
}

/// The newest checkpoint of an iteration up to `last` that can be read.
pub fn newest_good(folder: &Path, last: u64) -> Option<PathBuf> {
    let files = checkpoint_files(folder).into_iter().rev();
    files
        .filter(|(iteration, _)| *iteration <= last)
        .map(|(_, file)| file)
        .find(|file| read_sealed::<Checkpoint>(file).is_ok())
}

/// Checkpoints whose bytes are not what was written, oldest first, with their iteration (none for
/// `interrupted.json`) and the reason.
pub fn damaged_checkpoints(folder: &Path) -> Vec<(Option<u64>, PathBuf, RecordError)> {
    let complete = checkpoint_files(folder).into_iter();
    let files = complete.map(|(iteration, file)| (Some(iteration), file));
    let interrupted = folder.join(INTERRUPTED);
    let also = interrupted.exists().then_some((None, interrupted));
    let fault = |file: &Path| {
        let bytes = read_limited(file, LARGEST);
        let whole = bytes.and_then(|bytes| {
            whole(bytes.trim_ascii()).map_err(|error| RecordError::damaged(file, error))
        });
        // a file that the system does not give is another matter than one that is damaged
        whole
            .err()
            .filter(|error| matches!(error, RecordError::Damaged { .. }))
    };
    files
        .chain(also)
        .filter_map(|(iteration, file)| fault(&file).map(|error| (iteration, file, error)))
        .collect()
}
