//! The start of an evaluation, as a line of `attempts.jsonl`.

use serde::{Deserialize, Serialize};

use super::seal::Sealed;

/// An evaluation was about to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// The evaluation.
    pub id: u64,
    /// 0 for its first start.
    pub attempt: u32,
    /// Its iteration.
    pub iteration: u64,
    /// Process that started it.
    pub pid: u32,
    /// When, in seconds since 1970.
    pub started: u64,
}

impl Sealed for AttemptLine {
    const FORMAT: &'static str = "bo/attempt";
    const VERSION: u32 = 1;
}
