//! `iter_NNN.json` and `interrupted.json`: a run up to a point, complete in one file.

use serde::{Deserialize, Serialize};

use super::decision::{DecisionLine, IncumbentRecord, ModelRecord};
use super::evaluation::EvaluationLine;
use super::manifest::Manifest;
use super::seal::Sealed;

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
