//! Checks a run against itself: every file whole, every decision what the record before it leads to.

use std::path::Path;

use bo_bayes::optimizer::{Optimizer, Query};
use serde::Serialize;

use super::launch::{World, prepare};
use super::mirror;
use super::provenance;
use super::step::unanswered;
use super::trust::{foreign, trusted_settings};
use crate::event::{Reporter, RunEvent};
use crate::exit::Failure;
use crate::objective::Objective;
use crate::quantity::typed;
use crate::record::{
    Checkpoint, DecisionLine, EvaluationLine, History, IncumbentRecord, ModelRecord, RecordError,
    checkpoint_files, damaged_checkpoints, read_sealed, same_bits,
};

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whole checkpoints that agree with the journals.
    pub checkpoints: usize,
    /// Evaluations that are where they were decided.
    pub evaluations: usize,
    /// Decisions computed again.
    pub decisions: usize,
    /// Set where the numbers cannot be compared: the run was made on another type of processor, or by another version
    /// of the optimiser.
    pub not_comparable: Option<String>,
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} checkpoints whole, {} evaluations where they were decided, ",
            self.checkpoints, self.evaluations
        )?;
        match &self.not_comparable {
            None => write!(f, "{} decisions computed again: all agree", self.decisions),
            Some(reason) => write!(f, "decisions not comparable: {reason}"),
        }
    }
}

struct Silent;

impl Reporter for Silent {
    fn event(&mut self, _: &RunEvent) {}
}

/// Checks a run. Takes no lock, writes nothing, asks no objective but the constraint programs of one: `command` is the
/// run's, repeated where its files belong to another user.
///
/// # Errors
/// [`Failure::Setting`] where a program would be started that is not trusted;
/// [`Failure::Unusable`] naming the file, or the iteration whose record does not follow from what stands
/// before it.
pub fn verify(path: &Path, command: Option<&str>) -> Result<Verified, Failure> {
    let history = History::read(path)?;
    if let Some((_, file, error)) = damaged_checkpoints(path).into_iter().next() {
        return Err(Failure::unusable(
            &file,
            damage(&error),
            format!(
                "the run itself is whole; to have this moved aside and written again: bo resume {}",
                typed(path)
            ),
        ));
    }
    if let Some(notice) = history.notices.first() {
        return Err(Failure::unusable(
            path,
            notice,
            format!("to have it mended: bo resume {}", typed(path)),
        ));
    }
    let checkpoints = checkpoints(path, &history)?;
    let settings = trusted_settings(&history.manifest, foreign(path), command, false)?.at(path);
    let setup = prepare(&settings, &World::reading(), &mut Silent)?;
    let not_comparable = provenance::not_comparable(&history.manifest);
    let mut check = Check {
        path,
        optimizer: setup.optimizer,
        objective: setup.objective,
        batch: setup.schedule.batch,
        compare: not_comparable.is_none(),
    };
    let decisions = check.run(&history)?;
    Ok(Verified {
        checkpoints,
        evaluations: history.evaluations.len(),
        decisions,
        not_comparable,
    })
}

/// What is wrong with a file that its caller names.
pub(super) fn damage(error: &RecordError) -> String {
    match error {
        RecordError::Damaged { reason, .. } => format!("damaged: {reason}"),
        other => other.to_string(),
    }
}

/// Every checkpoint must be readable and say what the journals say.
fn checkpoints(path: &Path, history: &History) -> Result<usize, Failure> {
    let files = checkpoint_files(path);
    for (_, file) in &files {
        let checkpoint: Checkpoint = read_sealed(file)?;
        let evaluations = checkpoint.evaluations.iter().zip(&history.evaluations);
        let wrong = evaluations
            .clone()
            .find(|(saved, line)| !saved.agrees(line));
        let decisions = checkpoint.decisions.iter().zip(&history.decisions);
        let other = decisions.clone().find_map(|(saved, line)| {
            saved
                .difference(line)
                .map(|reason| (saved.iteration, reason))
        });
        let (iteration, reason) = match (wrong, other) {
            (Some((saved, _)), _) => (
                saved.iteration,
                format!(
                    "evaluation {} is not the one in evaluations.jsonl",
                    saved.id
                ),
            ),
            (None, Some((iteration, reason))) => (
                iteration,
                format!("not the one in decisions.jsonl: {reason}"),
            ),
            (None, None) => continue,
        };
        let remedy = RecordError::Differs {
            path: path.to_owned(),
            iteration,
            reason: reason.clone(),
        }
        .remedy();
        return Err(Failure::unusable(
            file,
            format!("iteration {iteration}: {reason}"),
            format!("one of the two was altered; {remedy}"),
        ));
    }
    Ok(files.len())
}

struct Check<'p> {
    path: &'p Path,
    optimizer: Optimizer,
    objective: Box<dyn Objective>,
    batch: usize,
    compare: bool,
}

impl Check<'_> {
    /// Follows the run from its first evaluation; returns the decisions that were computed again.
    fn run(&mut self, history: &History) -> Result<usize, Failure> {
        let mut evaluations = history.evaluations.iter().peekable();
        let design: Vec<_> = (0..).zip(self.optimizer.initial_design()).collect();
        if !self.round(&mut evaluations, 0, &design)? {
            return Ok(0);
        }
        self.refit(0)?;
        let mut checked = 0;
        for line in &history.decisions {
            self.decided(line)?;
            checked += usize::from(self.compare);
            let queries: Vec<_> = line.members().map(mirror::query).collect();
            if !self.round(&mut evaluations, line.iteration, &queries)? {
                return Ok(checked);
            }
            self.refit(line.iteration)?;
        }
        match (evaluations.next(), &history.result) {
            (Some(line), _) => Err(self.wrong(line.iteration, "an evaluation that nobody decided")),
            (None, Some(result)) if self.compare => {
                let iteration = history.decisions.len() as u64;
                let now = self.incumbent()?;
                let named = now
                    .as_ref()
                    .map(|now| (history.manifest.named_x(&now.x), now.risk));
                let recorded = result
                    .incumbent
                    .as_ref()
                    .map(|inc| (inc.x.clone(), inc.risk));
                if named == recorded || result.evaluations < history.evaluations.len() as u64 {
                    Ok(checked)
                } else {
                    Err(self.wrong(iteration, "result.json recommends something else"))
                }
            }
            _ => Ok(checked),
        }
    }

    /// Tells the evaluations of one iteration; false where some are not there yet: the run was stopped inside it.
    fn round<'l>(
        &mut self,
        lines: &mut std::iter::Peekable<impl Iterator<Item = &'l EvaluationLine>>,
        iteration: u64,
        queries: &[(u64, Query)],
    ) -> Result<bool, Failure> {
        let mut whole = true;
        for (id, query) in queries {
            match lines.next_if(|line| line.id == *id) {
                Some(line) => self.told(line, iteration, &query.x, &query.w)?,
                None => whole = false,
            }
        }
        match lines.peek() {
            Some(line) if !whole => {
                Err(self.wrong(line.iteration, "an evaluation that nobody decided"))
            }
            _ => Ok(whole),
        }
    }

    /// The decision of a line, from the state before it.
    fn decided(&mut self, line: &DecisionLine) -> Result<(), Failure> {
        if !self.compare {
            return self.restore(line);
        }
        let model = mirror::model(self.optimizer.state());
        if !agree(model.as_ref(), line.model.as_ref(), ModelRecord::agrees) {
            return Err(self.wrong(
                line.iteration,
                "the model is not the one its observations lead to",
            ));
        }
        let incumbent = self.incumbent()?;
        if !agree(
            incumbent.as_ref(),
            line.incumbent.as_ref(),
            IncumbentRecord::agrees,
        ) {
            return Err(self.wrong(line.iteration, "the incumbent is not the one of its model"));
        }
        let computed = self
            .optimizer
            .decide_batch(line.iteration, self.batch)
            .map_err(|error| self.wrong(line.iteration, &error.to_string()))?;
        if computed.len() != line.members().count() {
            return Err(self.wrong(line.iteration, "the batch has another size"));
        }
        for (computed, member) in computed.iter().zip(line.members()) {
            let same = same_bits(&computed.query.x, &member.x)
                && same_bits(&computed.query.w, &member.w)
                && computed.acquisition.to_bits() == member.acquisition.to_bits();
            if !same {
                let reason = format!(
                    "the decision is x {:?} w {:?}, recorded is x {:?} w {:?}",
                    computed.query.x, computed.query.w, member.x, member.w
                );
                return Err(self.wrong(line.iteration, &reason));
            }
        }
        Ok(())
    }

    fn restore(&mut self, line: &DecisionLine) -> Result<(), Failure> {
        let Some(model) = &line.model else {
            return Ok(());
        };
        let restored = self.optimizer.restore(mirror::state(model));
        restored.map_err(|error| self.wrong(line.iteration, &error.to_string()))
    }

    fn told(
        &mut self,
        line: &EvaluationLine,
        iteration: u64,
        x: &[f64],
        w: &[f64],
    ) -> Result<(), Failure> {
        if line.iteration != iteration || !same_bits(&line.x, x) || !same_bits(&line.w, w) {
            let reason = format!(
                "evaluation {} is recorded at x {:?} w {:?}, decided was x {x:?} w {w:?}",
                line.id, line.x, line.w
            );
            return Err(self.wrong(iteration, &reason));
        }
        let told = self.optimizer.tell(mirror::observation(line));
        told.map_err(|error| self.wrong(iteration, &error.to_string()))
    }

    fn refit(&mut self, iteration: u64) -> Result<(), Failure> {
        if !self.compare {
            return Ok(());
        }
        let refitted = self.optimizer.refit(iteration).map(|_| ());
        refitted.map_err(|error| self.wrong(iteration, &error.to_string()))
    }

    fn incumbent(&self) -> Result<Option<IncumbentRecord>, Failure> {
        match self.optimizer.incumbent() {
            Ok(incumbent) => Ok(Some(mirror::incumbent(&incumbent, None))),
            Err(bo_bayes::optimizer::Error::NothingObserved) => Ok(None),
            Err(error) => Err(Failure::unexpected("judging the incumbent", error)),
        }
    }

    fn wrong(&self, iteration: u64, reason: &str) -> Failure {
        if let Some(reason) = self.objective.trouble() {
            // a constraint that could not be asked says nothing of the record
            return unanswered(reason);
        }
        Failure::from(RecordError::Differs {
            path: self.path.to_owned(),
            iteration,
            reason: reason.to_owned(),
        })
    }
}

fn agree<T>(a: Option<&T>, b: Option<&T>, same: impl Fn(&T, &T) -> bool) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}
