//! A run in one screen, whether it works, has finished or was interrupted. Reads; never locks or writes.
//!
//! Central type: [`State`].

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::exit::Failure;
use crate::quantity::{bars, typed, value};
use crate::record::{History, IncumbentRecord, Lock, memory_lines, spent};
use crate::summary::{Summary, risk_words};

/// Bars of the history.
const BARS: usize = 60;
/// Failures shown.
const FAILURES: usize = 3;
/// Steps to keep within memory shown.
const STEPS: usize = 6;

/// A run at this moment.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// `finished`, `running` or `interrupted`.
    state: &'static str,
    /// Last complete iteration.
    iteration: Option<u64>,
    /// Risk of what was recommended after each complete iteration, from 0.
    risks: Vec<f64>,
    last_failures: Vec<String>,
    notices: Vec<String>,
    /// What was done to keep within memory, the last ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memory_steps: Vec<String>,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip)]
    risk: &'static str,
    #[serde(skip)]
    headline: String,
}

impl State {
    /// Reads the run in `out`.
    ///
    /// # Errors
    /// [`Failure::Unusable`]: there is no run, or it cannot be read.
    pub fn read(out: &Path) -> Result<Self, Failure> {
        if out.is_file() {
            let folder = out
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            let remedy = format!("name the directory of the run: bo show {}", typed(folder));
            return Err(Failure::unusable(out, "is a file, not a run", remedy));
        }
        let history = History::read(out)?;
        let holder = Lock::holder(out);
        let finished = is_finished(&history);
        let iterations = history.manifest.iterations;
        let mut risks: Vec<f64> = history
            .decisions
            .iter()
            .filter_map(|line| line.incumbent.as_ref())
            .map(|known| known.risk)
            .collect();
        let incumbent = recommended(&history);
        if finished && let Some(last) = &incumbent {
            risks.push(last.risk);
        }
        let initial = history
            .evaluations
            .iter()
            .filter(|line| line.iteration == 0)
            .count();
        let iteration = history.complete();
        let at = match iteration {
            Some(iteration) => format!("iteration {iteration} of {iterations} complete"),
            None => format!("in its initial design, {initial} evaluations done"),
        };
        let (state, next) = match &holder {
            Some(holder) => ("running", format!("held by {holder}")),
            None if finished => ("finished", String::new()),
            None => ("interrupted", format!("to go on: bo resume {}", typed(out))),
        };
        let separator = if next.is_empty() { "" } else { "; " };
        let headline = format!("{}: {state}, {at}{separator}{next}", out.display());
        let failures = history
            .evaluations
            .iter()
            .rev()
            .filter(|line| line.value.is_none())
            .take(FAILURES);
        let last_failures = failures
            .map(|line| {
                let reason = line.reason.as_deref().unwrap_or("no reason recorded");
                format!(
                    "evaluation {} of iteration {}, {}: {reason}",
                    line.id, line.iteration, line.status
                )
            })
            .collect();
        let mut summary = Summary::new(out, &history, incumbent.as_ref(), peak(out));
        if !finished {
            let lines = memory_lines(out);
            summary.unfinished(
                out,
                state == "running",
                spent(&lines, &history.evaluations, &history.decisions),
            );
        }
        Ok(Self {
            state,
            iteration,
            risks,
            last_failures,
            notices: history.notices.clone(),
            memory_steps: memory_steps(out),
            summary,
            risk: risk_words(&history.manifest).0,
            headline,
        })
    }
}

impl State {
    /// Whether somebody works on it.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// In one line: how far it is and what it recommends.
    pub fn line(&self) -> String {
        let risk = match self.risks.last() {
            Some(risk) => format!("; {} of the recommendation {}", self.risk, value(*risk)),
            None => String::new(),
        };
        format!("{}{risk}", self.headline)
    }
}

/// Whether every iteration asked for is complete and the result says so.
pub fn is_finished(history: &History) -> bool {
    history.result.as_ref().is_some_and(|result| {
        history.decisions.len() as u64 >= history.manifest.iterations
            && result.evaluations == history.evaluations.len() as u64
    })
}

/// What the run recommends now: its result, or what it knew at its last decision.
pub fn recommended(history: &History) -> Option<IncumbentRecord> {
    match &history.result {
        Some(result) if is_finished(history) => {
            let incumbent = result.incumbent.as_ref()?;
            Some(IncumbentRecord {
                x: crate::summary::unnamed(&history.manifest, &incumbent.x)?,
                risk: incumbent.risk,
                mean: incumbent.mean,
                interval: incumbent.interval,
                per_environment: incumbent.per_environment.clone(),
            })
        }
        _ => history.decisions.last()?.incumbent.clone(),
    }
}

/// The last steps taken to keep within memory, the oldest first.
fn memory_steps(out: &Path) -> Vec<String> {
    let lines = memory_lines(out);
    let told = lines.iter().flat_map(|line| {
        let of = |step: &String| format!("iteration {}: {step}", line.iteration);
        line.steps.iter().map(of)
    });
    let mut steps: Vec<String> = told.collect();
    steps.drain(..steps.len().saturating_sub(STEPS));
    steps
}

/// Most memory held in any iteration, bytes.
pub fn peak(out: &Path) -> u64 {
    memory_lines(out)
        .iter()
        .map(|line| line.most())
        .max()
        .unwrap_or(0)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline)?;
        if let (Some(first), Some(last)) = (self.risks.first(), self.risks.last()) {
            let bars = bars(&self.risks, BARS);
            writeln!(
                f,
                "\n{} of the recommendation  {} {bars} {}",
                self.risk,
                value(*first),
                value(*last)
            )?;
        }
        writeln!(f, "\n{}", self.summary)?;
        for failure in &self.last_failures {
            writeln!(f, "failed: {failure}")?;
        }
        for step in &self.memory_steps {
            writeln!(f, "memory: {step}")?;
        }
        for notice in &self.notices {
            writeln!(f, "note: {notice}")?;
        }
        Ok(())
    }
}
