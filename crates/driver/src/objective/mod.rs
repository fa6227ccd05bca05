//! What is being optimised: one trait, one file per kind.
//!
//! Central type: the trait [`Objective`]; a kind is opened from checked settings by [`open`], which also says
//! what the optimiser needs to know (space, environments, direction) and what the record needs to
//! recognise it again ([`Description`]). An evaluation never panics and never invents a value: it
//! returns a number or a failure with its reason.

use serde::{Deserialize, Serialize};

/// The point (x, w) of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Decision parameters in natural units; a category is the index of its choice.
    pub x: Vec<f64>,
    /// Index of the environment in a finite set.
    pub environment: Option<usize>,
    /// Environment variables in natural units.
    pub w: Vec<f64>,
}

/// One evaluation to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Number of the evaluation, from 0, unique in the run.
    pub id: u64,
    /// 0 at first; one more each time the evaluation is started again after it did not finish.
    pub attempt: u32,
    /// Iteration it belongs to; 0 = initial design.
    pub iteration: u64,
    /// Where.
    pub query: Query,
    /// Seed for objectives that draw random numbers: a function of the run's seed and `id` alone.
    pub seed: u64,
}

/// How an evaluation ended, as recorded in `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A finite value.
    Ok,
    /// A failure without a name of its own: non-zero exit, no answer, an error message.
    Failed,
    /// Out of memory, also at the smallest scale.
    Oom,
    /// No answer in the time allowed.
    Timeout,
    /// NaN, infinite, or called invalid by the objective.
    Invalid,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A finite number in the user's sign.
    Value(f64),
    /// No value.
    Failed {
        /// Which kind of failure; never [`Status::Ok`].
        status: Status,
        /// Why, in words a user understands.
        reason: String,
    },
    /// A stop was asked for while this was running: not recorded, started again on resume.
    Stopped,
}

/// What the record stores about an objective, to recognise it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// `scenes`, `images`, `command` or `problem`.
    pub kind: String,
    /// Names of the environments of a finite set, in order (images: file names); empty otherwise.
    pub environments: Vec<String>,
    /// Content hashes by name: each image with its labels, weights, space. A resumed run refuses
    /// another value of one of them and names it.
    pub hashes: std::collections::BTreeMap<String, String>,
    /// Whatever else helps a reader: program, problem, folder names. Not compared.
    pub notes: std::collections::BTreeMap<String, String>,
}

/// Something that gives a value for (x, w).
pub trait Objective {
    /// Does one evaluation. May take hours; watches the stop flag it was opened with.
    fn evaluate(&mut self, request: &Request) -> Outcome;

    /// Ends whatever is still running (processes first gently, then not). Called once, at the end or on a stop.
    fn stop(&mut self);

    /// For the record.
    fn describe(&self) -> Description;

    /// Bytes the objective holds between evaluations by name (kept edge output), for the ledger.
    fn holds(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// Drops what can be computed again (every fifth iteration). Results do not change.
    fn deep_clean(&mut self) {}
}
