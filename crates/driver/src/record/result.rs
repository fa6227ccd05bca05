//! `result.json`: what a finished run recommends, and how it got there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seal::Sealed;
use crate::event::Seconds;

/// The result of a run. Two runs of one promise agree on all of it apart from `seconds` (and the
/// checksum over it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// What to use; `None` when no evaluation succeeded.
    pub incumbent: Option<IncumbentResult>,
    /// What would have been recommended after each iteration, from 1.
    pub history: Vec<HistoryEntry>,
    /// Finished evaluations, failed ones included.
    pub evaluations: u64,
    /// Where the time went.
    pub seconds: Seconds,
}

impl Sealed for RunResult {
    const FORMAT: &'static str = "bo/result";
    const VERSION: u32 = 1;
}

/// The recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncumbentResult {
    /// By name: numbers, whole numbers, or the text of a choice.
    pub x: BTreeMap<String, Value>,
    /// Risk measure of the posterior mean over all environments, in the user's sign.
    pub risk: f64,
    /// Mean of the posterior mean over all environments.
    pub mean: f64,
    /// Posterior mean by environment of a finite set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_environment: Vec<f64>,
}

/// One iteration's recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The iteration.
    pub iteration: u64,
    /// By name.
    pub x: BTreeMap<String, Value>,
    /// As in [`IncumbentResult`].
    pub risk: f64,
}
