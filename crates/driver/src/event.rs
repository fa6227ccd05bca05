//! What a run says: [`RunEvent`] is the whole interface between the run and whoever shows it.
//!
//! The loop emits, a [`Reporter`] listens: progress line, `--json`, log file, summary. Values and risks
//! are in the user's sign; x and w are in natural units, in the order of [`Started::x_names`].

use std::path::PathBuf;

use serde::Serialize;

use crate::record::{IncumbentRecord, RunResult};
use crate::run::Stop;

/// Listens to a run. A reporter never fails a run: what it cannot write it drops.
pub trait Reporter {
    /// Called in order, on the thread of the loop.
    fn event(&mut self, event: &RunEvent);
}

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run (or its continuation) begins.
    Started(Started),
    /// Something the user should know, in one line.
    Notice {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
    /// A part of an iteration begins; for a live line, not for the log.
    Phase {
        /// The iteration; 0 = initial design.
        iteration: u64,
        /// What begins.
        phase: Phase,
    },
    /// An evaluation is on disk, or was found there.
    EvaluationDone(EvaluationDone),
    /// An iteration is complete.
    IterationDone(IterationDone),
    /// A checkpoint is on disk.
    Checkpoint {
        /// The iteration that it holds complete.
        iteration: u64,
        /// Its file.
        file: PathBuf,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A deep clean-up was made.
    DeepClean {
        /// After which iteration.
        iteration: u64,
        /// Resident bytes before.
        resident_before: u64,
        /// Resident bytes after.
        resident_after: u64,
    },
    /// What was done to keep within memory: a smaller batch, tiles, the CPU.
    Memory {
        /// The iteration.
        iteration: u64,
        /// In words.
        step: String,
    },
    /// An iteration left bytes behind that nobody named.
    Leak {
        /// The iteration.
        iteration: u64,
        /// Who left them.
        owner: String,
        /// How many.
        bytes: u64,
    },
    /// The run ends before its last iteration, with everything saved.
    Stopped(Stop),
    /// The run is complete.
    Finished(RunResult),
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is not as it should be; the run goes on.
    Warning,
}

/// Parts of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fitting the model.
    Fit,
    /// Choosing the next (x, w).
    Acquire,
    /// Asking the objective.
    Evaluate,
    /// Writing to disk.
    Record,
}

/// The run begins.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// Its directory.
    pub out: PathBuf,
    /// Names of x.
    pub x_names: Vec<String>,
    /// Names of w.
    pub w_names: Vec<String>,
    /// Short name of the risk measure: `CVaR`.
    pub risk_name: String,
    /// Iterations asked for (the total).
    pub iterations: u64,
    /// Evaluations of the initial design.
    pub initial: usize,
    /// Evaluations found on disk: 0 for a new run.
    pub found: usize,
    /// Iterations found complete; `None` when the initial design is not, or for a new run.
    pub resumed_after: Option<u64>,
}

/// An evaluation is finished.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationDone {
    /// Its number.
    pub id: u64,
    /// Its iteration; 0 = initial design.
    pub iteration: u64,
    /// Decision parameters.
    pub x: Vec<f64>,
    /// Environment variables.
    pub w: Vec<f64>,
    /// Index of the environment in a finite set.
    pub environment: Option<usize>,
    /// The value; `None` when it failed.
    pub value: Option<f64>,
    /// `ok`, or how it failed.
    pub status: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Seconds the objective took.
    pub seconds: f64,
    /// Taken from the record instead of asking the objective.
    pub from_record: bool,
}

/// An iteration is complete.
#[derive(Clone, Debug, Serialize)]
pub struct IterationDone {
    /// Which; 0 = initial design.
    pub iteration: u64,
    /// The total asked for.
    pub iterations: u64,
    /// What would be recommended now; `None` before anything succeeded.
    pub incumbent: Option<IncumbentRecord>,
    /// Value of the acquisition at the decision; `None` for the initial design.
    pub acquisition: Option<f64>,
    /// Seconds of this iteration.
    pub seconds: Seconds,
    /// Seconds since this process began the run.
    pub elapsed: f64,
    /// Resident bytes now; 0 where the system does not tell.
    pub resident: u64,
    /// Host bytes in use by the allocator's count, at the end and at the peak of the iteration.
    pub in_use: u64,
    /// See [`IterationDone::in_use`].
    pub peak: u64,
}

/// Where time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct Seconds {
    /// Fitting the model and judging the incumbent.
    pub fit: f64,
    /// Choosing what to evaluate.
    pub acquire: f64,
    /// In the objective.
    pub evaluate: f64,
    /// Everything else: recording, checkpoints, clean-ups.
    pub other: f64,
}

impl Seconds {
    /// Adds another split.
    pub fn add(&mut self, more: Self) {
        self.fit += more.fit;
        self.acquire += more.acquire;
        self.evaluate += more.evaluate;
        self.other += more.other;
    }
}
