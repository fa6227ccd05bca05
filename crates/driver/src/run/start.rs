//! Beginning a run, and taking one up where it ended.

use std::path::Path;

use serde_json::Value;

use super::locate::{Base, Located, Place};
use super::mirror;
use super::session::Session;
use super::setup::{OUTSIDE, Setup};
use super::stop::End;
use crate::event::{Level, Reporter, RunEvent, Started};
use crate::exit::Failure;
use crate::objective::Breaker;
use crate::record::{
    Checkpoint, DecisionLine, EvaluationLine, IncumbentRecord, ModelRecord, RecordError,
    RunDirectory, memory_lines, spent,
};
use crate::summary::risk_words;

/// Points log and notes at a run's directory.
type Attach<'a> = &'a dyn Fn(&RunDirectory) -> Result<(), Failure>;

/// Runs from the beginning in a directory that must not hold a run.
///
/// # Errors
/// [`Failure::Held`], [`Failure::HoldsRun`], and those of the loop.
pub fn begin(
    setup: Setup,
    out: &Path,
    attach: Attach<'_>,
    reporter: &mut dyn Reporter,
) -> Result<End, Failure> {
    let directory = RunDirectory::begin(out, &setup.manifest)?;
    attach(&directory)?;
    let mut session = Session::new(setup, directory, None, reporter);
    session.announce(0, None);
    let outside = session.manifest.notes.get(OUTSIDE);
    if let Some(outside) = outside.and_then(Value::as_array) {
        let words: Vec<&str> = outside.iter().filter_map(Value::as_str).collect();
        let message = format!(
            "resumed after a kill it comes to the same answer; not promised for {}",
            words.join(", nor for ")
        );
        session.notice(Level::Info, message);
    }
    session.course()
}

/// Goes on with a run that was located; `attach` hears of a directory that is made for it. Its manifest must agree with the
/// setup's: the caller has compared.
///
/// # Errors
/// [`Failure::Unusable`] naming the iteration whose record does not fit; those of the loop.
pub fn proceed(
    setup: Setup,
    located: Located,
    attach: Attach<'_>,
    reporter: &mut dyn Reporter,
) -> Result<End, Failure> {
    let Located {
        place,
        history,
        base,
    } = located;
    let (directory, history) = match place {
        Place::Here(directory) => (*directory, history),
        Place::Fork(path) => {
            let made = RunDirectory::restore(&path, history)?;
            attach(&made.0)?;
            made
        }
    };
    let notices = history.notices.clone();
    let found = history.evaluations.len();
    let complete = match &base {
        Base::Checkpoint(checkpoint) if checkpoint.iteration.is_some() => checkpoint.iteration,
        _ => history.complete(),
    };
    let mut session = Session::new(setup, directory, Some(history), reporter);
    match base {
        Base::Last => session.restore_last()?,
        Base::Checkpoint(checkpoint) => session.restore_checkpoint(*checkpoint)?,
    }
    session.announce(found, complete);
    for notice in notices {
        session.notice(Level::Warning, notice);
    }
    session.course()
}

impl Session<'_> {
    fn announce(&mut self, found: usize, resumed_after: Option<u64>) {
        let names = |all: &[crate::record::ParameterRecord]| {
            all.iter().map(|parameter| parameter.name.clone()).collect()
        };
        let started = Started {
            out: self.directory.path().to_owned(),
            x_names: names(&self.manifest.x),
            w_names: names(&self.manifest.w),
            risk_name: risk_words(&self.manifest).0.to_owned(),
            iterations: self.schedule.iterations,
            initial: self.optimizer.initial_design().len(),
            found,
            resumed_after,
        };
        self.emit(&RunEvent::Started(started));
    }

    /// To the state in which the last recorded decision was made; the decision itself lies ahead.
    fn restore_last(&mut self) -> Result<(), Failure> {
        let Some((&last, decision)) = self.ahead.decisions.last_key_value() else {
            return Ok(());
        };
        let model = decision.model.clone();
        let incumbent = decision.incumbent.clone();
        let decisions: Vec<DecisionLine> = (1..last)
            .filter_map(|iteration| self.ahead.decisions.remove(&iteration))
            .collect();
        let before = |line: &EvaluationLine| line.iteration < last;
        let evaluations = self.ahead.evaluations.values().filter(|line| before(line));
        let evaluations: Vec<EvaluationLine> = evaluations.cloned().collect();
        self.ahead.evaluations.retain(|_, line| !before(line));
        self.take_up(evaluations, decisions, model.as_ref(), incumbent)
    }

    /// To the state after a checkpoint's iteration; what the directory holds beyond lies ahead.
    fn restore_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Failure> {
        let Some(iteration) = checkpoint.iteration else {
            return self.restore_last();
        };
        self.verify = true;
        let within = |line: &EvaluationLine| line.iteration <= iteration;
        let mut evaluations = checkpoint.evaluations;
        evaluations.retain(within);
        let mut decisions = checkpoint.decisions;
        decisions.retain(|line| line.iteration <= iteration);
        for line in &evaluations {
            match self.ahead.evaluations.remove(&line.id) {
                Some(found) if !found.agrees(line) => {
                    let reason = format!(
                        "evaluation {} of the checkpoint is not the one in evaluations.jsonl",
                        line.id
                    );
                    return Err(self.contradiction(line.iteration, reason));
                }
                _ => {}
            }
        }
        for line in &decisions {
            if let Some(found) = self.ahead.decisions.remove(&line.iteration)
                && let Some(reason) = found.difference(line)
            {
                return Err(self.contradiction(line.iteration, reason));
            }
        }
        let model = checkpoint.model.as_ref();
        self.take_up(evaluations, decisions, model, checkpoint.incumbent)
    }

    /// Tells what was reached and puts back the model and the incumbent after it.
    fn take_up(
        &mut self,
        evaluations: Vec<EvaluationLine>,
        decisions: Vec<DecisionLine>,
        model: Option<&ModelRecord>,
        incumbent: Option<IncumbentRecord>,
    ) -> Result<(), Failure> {
        self.check_against_decisions(&evaluations, &decisions)?;
        let lines = memory_lines(self.directory.path());
        self.accounted = lines.iter().map(|line| line.iteration).max();
        self.total.add(spent(&lines, &evaluations, &decisions));
        let complete = decisions.len() as u64;
        for line in evaluations {
            let told = self
                .crew
                .during(|| self.optimizer.tell(mirror::observation(&line)));
            told.map_err(|error| self.contradiction(line.iteration, error.to_string()))?;
            // a later decision stands, or all that the record holds is complete: it had not given up here
            if self.note(&line).is_err() {
                self.breaker = Breaker::default();
            }
            self.keep_evaluation(line);
        }
        for line in decisions {
            self.keep_decision(line);
        }
        if let Some(model) = model {
            let restored = self
                .crew
                .during(|| self.optimizer.restore(mirror::state(model)));
            restored.map_err(|error| self.contradiction(complete, error.to_string()))?;
        }
        self.complete = Some(complete);
        self.newest = incumbent;
        Ok(())
    }

    /// Every evaluation must be the one that was decided.
    fn check_against_decisions(
        &self,
        evaluations: &[EvaluationLine],
        decisions: &[DecisionLine],
    ) -> Result<(), Failure> {
        let design = self.optimizer.initial_design();
        let planned = design.iter().map(|query| (0, &query.x, &query.w));
        let decided = decisions
            .iter()
            .flat_map(|line| line.members().map(|m| (line.iteration, &m.x, &m.w)));
        let expected: Vec<_> = planned.chain(decided).collect();
        if expected.len() != evaluations.len() {
            let iteration = evaluations.last().map_or(0, |line| line.iteration);
            let reason = format!(
                "evaluations.jsonl holds {} evaluations where {} belong, by the decisions that were made after them",
                evaluations.len(),
                expected.len()
            );
            return Err(self.contradiction(iteration, reason));
        }
        for ((iteration, x, w), line) in expected.into_iter().zip(evaluations) {
            let same = crate::record::same_bits(x, &line.x) && crate::record::same_bits(w, &line.w);
            if line.iteration != iteration || !same {
                let reason = format!(
                    "evaluation {} is recorded at x {:?} w {:?}, decided was x {x:?} w {w:?}",
                    line.id, line.x, line.w
                );
                return Err(self.contradiction(iteration, reason));
            }
        }
        Ok(())
    }

    fn contradiction(&self, iteration: u64, reason: String) -> Failure {
        Failure::from(RecordError::Differs {
            path: self.directory.path().to_owned(),
            iteration,
            reason,
        })
    }
}
