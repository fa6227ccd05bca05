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
    /// What the recommendation is worth in truth, where the truth is known (`--problem`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
    /// Where the time went.
    pub seconds: Seconds,
}

/// A recommendation held against the truth of a test function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// True risk, by the run's own risk measure.
    pub risk: f64,
    /// Tail mass that belongs to the problem's known optimum.
    pub tail: f64,
    /// True CVaR at that tail mass.
    pub cvar: f64,
    /// The best CVaR known at that tail mass.
    pub best: f64,
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
    /// Between which values the risk lies with nine chances in ten by the model. `risk` is that of the posterior
    /// mean, which may lie outside: the worst of what is uncertain is worse than the worst of its means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
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
