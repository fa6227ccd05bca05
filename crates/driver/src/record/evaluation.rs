//! A finished evaluation, as a line of `evaluations.jsonl`.

use serde::{Deserialize, Serialize};

use super::seal::Sealed;

/// Status of an evaluation that failed elsewhere, before the run.
pub const ELSEWHERE: &str = "elsewhere";

/// One finished evaluation. Identity in comparisons: id, iteration, x, w, value, status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationLine {
    /// Number of the evaluation, from 0, without gaps.
    pub id: u64,
    /// Its iteration; 0 = initial design.
    pub iteration: u64,
    /// Decision parameters in natural units; a category is the index of its choice.
    pub x: Vec<f64>,
    /// Environment variables in natural units.
    pub w: Vec<f64>,
    /// Index of the environment in a finite set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
    /// The value in the user's sign; `None` when it failed.
    pub value: Option<f64>,
    /// `ok`, `failed`, `oom`, `timeout`, `invalid`, `elsewhere`.
    pub status: String,
    /// Share of the whole work that gave the value, where it was less than all of it (after `oom`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it had been started before without finishing.
    pub attempt: u32,
    /// Seconds the objective took.
    pub seconds: f64,
}

impl Sealed for EvaluationLine {
    const FORMAT: &'static str = "bo/evaluation";
    const VERSION: u32 = 1;
}

impl EvaluationLine {
    /// Whether it failed before the run: no program of this run gave it.
    pub fn failed_elsewhere(&self) -> bool {
        self.status == ELSEWHERE
    }

    /// Whether the promise calls two evaluations the same (numbers bit for bit).
    pub fn agrees(&self, other: &Self) -> bool {
        self.id == other.id
            && self.iteration == other.iteration
            && same_bits(&self.x, &other.x)
            && same_bits(&self.w, &other.w)
            && self.value.map(f64::to_bits) == other.value.map(f64::to_bits)
            && self.status == other.status
    }
}

/// Equal length and equal bits.
pub fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
