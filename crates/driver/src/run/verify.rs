//! Checks a run against itself: every file whole, every decision what the record before it leads to.

use std::path::{Path, PathBuf};

use bo_bayes::optimizer::{Optimizer, Query};
use serde::Serialize;

use super::launch::{World, not_there, prepare};
use super::mirror;
use super::provenance;
use super::step::unanswered;
use super::trust::{foreign, trusted_settings};
use crate::event::{Reporter, RunEvent};
use crate::exit::Failure;
use crate::objective::Objective;
use crate::quantity::typed;
use crate::record::{
    Checkpoint, DecisionLine, EvaluationLine, History, HistoryEntry, INTERRUPTED, IncumbentRecord,
    Manifest, ModelRecord, RecordError, RunResult, checkpoint_files, damaged_checkpoints,
    memory_damage, read_sealed, same_bits,
};
use crate::settings::{Origin, RawSettings};

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
/// [`Failure::Setting`] where a program would be started that is not trusted, or an input is not what it was;
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
    if let Some(error) = memory_damage(path)? {
        return Err(Failure::unusable(
            &path.join("memory.jsonl"),
            damage(&error),
            format!("to have that line left out: bo resume {}", typed(path)),
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
    let setup = prepare(&settings, &World::reading(), &mut Silent)
        .map_err(|failure| not_there(failure, path, &RawSettings::default()))?;
    let differences = history.manifest.differences(&setup.manifest);
    if !differences.is_empty() {
        // what is computed from other inputs says nothing of the record
        return Err(Failure::Setting {
            key: differences.names(),
            origin: Origin::Record,
            reason: "not what it was when the run began, so that decisions cannot be computed again; the run's own files are whole".into(),
            remedy: "put it back and type the same again".into(),
        });
    }
    let not_comparable = provenance::not_comparable(&history.manifest);
    let mut check = Check {
        path,
        manifest: &history.manifest,
        optimizer: setup.optimizer,
        objective: setup.objective,
        batch: setup.schedule.batch,
        compare: not_comparable.is_none(),
        reached: Vec::new(),
    };
    let decisions = check.run(&history)?;
    check.saved(&checkpoints)?;
    if let Some(result) = &history.result {
        check.result(result, &history)?;
    }
    Ok(Verified {
        checkpoints: checkpoints.len(),
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

/// What a checkpoint says of the iteration that it ends with.
struct Saved {
    file: PathBuf,
    iteration: u64,
    reached: Reached,
}

/// Model and recommendation after an iteration.
type Reached = (Option<ModelRecord>, Option<IncumbentRecord>);

/// Every checkpoint must be readable and say what the journals say; what they do not say of it is returned.
fn checkpoints(path: &Path, history: &History) -> Result<Vec<Saved>, Failure> {
    let complete = checkpoint_files(path).into_iter();
    let interrupted = path.join(INTERRUPTED);
    let also = interrupted.exists().then_some((None, interrupted));
    let mut all = Vec::new();
    for (number, file) in complete
        .map(|(number, file)| (Some(number), file))
        .chain(also)
    {
        let checkpoint: Checkpoint = read_sealed(&file)?;
        if let Some((iteration, reason)) = contradiction(&checkpoint, number, history) {
            return Err(altered(path, &file, iteration, &reason));
        }
        if let Some(iteration) = checkpoint.iteration {
            all.push(Saved {
                file,
                iteration,
                reached: (checkpoint.model, checkpoint.incumbent),
            });
        }
    }
    Ok(all)
}

/// Where a checkpoint (of the iteration `number`, or of a stop) differs from the journals, and in what.
fn contradiction(
    checkpoint: &Checkpoint,
    number: Option<u64>,
    history: &History,
) -> Option<(u64, String)> {
    // what it does not name is newer than the program that wrote it
    let problem = checkpoint.run.differences(&history.manifest).problem;
    if !problem.is_empty() {
        let reason = format!(
            "it is of another problem than run.json: {}",
            problem.join(", ")
        );
        return Some((checkpoint.iteration.unwrap_or(0), reason));
    }
    for saved in &checkpoint.evaluations {
        let found = history.evaluations.iter().find(|line| line.id == saved.id);
        if !found.is_some_and(|line| line.agrees(saved)) {
            let reason = format!(
                "evaluation {} is not the one in evaluations.jsonl",
                saved.id
            );
            return Some((saved.iteration, reason));
        }
    }
    for saved in &checkpoint.decisions {
        let mut lines = history.decisions.iter();
        let reason = match lines.find(|line| line.iteration == saved.iteration) {
            Some(line) => saved.difference(line),
            None => Some("it is missing there".into()),
        };
        if let Some(reason) = reason {
            let reason = format!("not the one in decisions.jsonl: {reason}");
            return Some((saved.iteration, reason));
        }
    }
    let number = number?;
    let within = |line: &&EvaluationLine| line.iteration <= number;
    let counts = (
        history.evaluations.iter().filter(within).count(),
        number as usize,
    );
    let whole = checkpoint.iteration == Some(number)
        && (checkpoint.evaluations.len(), checkpoint.decisions.len()) == counts;
    (!whole).then(|| {
        (
            number,
            "it does not hold all up to its iteration".to_owned(),
        )
    })
}

/// A file that does not say what the rest of the record does.
fn altered(path: &Path, file: &Path, iteration: u64, reason: &str) -> Failure {
    let remedy = RecordError::Differs {
        path: path.to_owned(),
        iteration,
        reason: reason.to_owned(),
    }
    .remedy();
    Failure::unusable(
        file,
        format!("iteration {iteration}: {reason}"),
        format!("one of the two was altered; {remedy}"),
    )
}

struct Check<'p> {
    path: &'p Path,
    manifest: &'p Manifest,
    optimizer: Optimizer,
    objective: Box<dyn Objective>,
    batch: usize,
    compare: bool,
    /// After each iteration from 0: computed, or where that cannot be compared as the next decision says.
    reached: Vec<Reached>,
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
        match evaluations.next() {
            Some(line) => Err(self.wrong(line.iteration, "an evaluation that nobody decided")),
            None => Ok(checked),
        }
    }

    /// What checkpoints say of model and recommendation after their iteration.
    fn saved(&self, checkpoints: &[Saved]) -> Result<(), Failure> {
        for saved in checkpoints {
            let Some((model, incumbent)) = self.reached.get(saved.iteration as usize) else {
                continue;
            };
            let (saved_model, saved_incumbent) = &saved.reached;
            let reason = if !agree(model.as_ref(), saved_model.as_ref(), ModelRecord::agrees) {
                "the model is not the one its observations lead to"
            } else if !agree(
                incumbent.as_ref(),
                saved_incumbent.as_ref(),
                IncumbentRecord::agrees,
            ) {
                "the incumbent is not the one of its model"
            } else {
                continue;
            };
            return Err(altered(self.path, &saved.file, saved.iteration, reason));
        }
        Ok(())
    }

    /// `result.json` is that of some iteration: of the last, or of the last before the run was extended.
    fn result(&self, result: &RunResult, history: &History) -> Result<(), Failure> {
        let last = history.decisions.len() as u64;
        let wrong = |iteration, reason: &str| {
            let file = self.path.join("result.json");
            Err(altered(self.path, &file, iteration, reason))
        };
        let count = |iteration: u64| {
            let within = |line: &&EvaluationLine| line.iteration <= iteration;
            history.evaluations.iter().filter(within).count() as u64
        };
        let Some(end) = (0..=last).find(|&iteration| count(iteration) == result.evaluations) else {
            let reason = format!(
                "it counts {} evaluations where {} are recorded",
                result.evaluations,
                history.evaluations.len()
            );
            return wrong(last, &reason);
        };
        let known = self.reached.len() as u64;
        let expected = (1..known.min(end + 1)).filter_map(|iteration| {
            let incumbent = self.reached[iteration as usize].1.as_ref()?;
            Some(HistoryEntry {
                iteration,
                x: history.manifest.named_x(&incumbent.x),
                risk: incumbent.risk,
            })
        });
        let recorded = result
            .history
            .iter()
            .filter(|entry| entry.iteration < known);
        if !recorded.cloned().eq(expected) {
            return wrong(end, "its history is not what was recommended");
        }
        let Some((_, now)) = self.reached.get(end as usize) else {
            return Ok(());
        };
        let same = match (now, &result.incumbent) {
            (None, None) => true,
            (Some(now), Some(recorded)) => {
                let unnamed = IncumbentRecord {
                    x: now.x.clone(),
                    risk: recorded.risk,
                    mean: recorded.mean,
                    interval: recorded.interval,
                    per_environment: recorded.per_environment.clone(),
                };
                history.manifest.named_x(&now.x) == recorded.x && now.agrees(&unnamed)
            }
            _ => false,
        };
        if !same {
            return wrong(end, "it recommends something else");
        }
        let risk = self.optimizer.settings().risk;
        let truth = now
            .as_ref()
            .and_then(|now| self.objective.truth(&now.x, risk));
        if self.compare && result.truth.is_some() && truth != result.truth {
            return wrong(end, "its truth is not that of the problem");
        }
        Ok(())
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
            self.reached
                .push((line.model.clone(), line.incumbent.clone()));
            return self.restore(line);
        }
        let (model, incumbent) = self.reached.last().cloned().unwrap_or_default();
        if !agree(model.as_ref(), line.model.as_ref(), ModelRecord::agrees) {
            return Err(self.wrong(
                line.iteration,
                "the model is not the one its observations lead to",
            ));
        }
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
        refitted.map_err(|error| self.wrong(iteration, &error.to_string()))?;
        let model = mirror::model(self.optimizer.state());
        self.reached.push((model, self.incumbent(iteration)?));
        Ok(())
    }

    fn incumbent(&self, iteration: u64) -> Result<Option<IncumbentRecord>, Failure> {
        match self.optimizer.incumbent() {
            Ok(incumbent) => {
                let interval = self.optimizer.interval(iteration);
                Ok(Some(mirror::incumbent(&incumbent, interval)))
            }
            Err(bo_bayes::optimizer::Error::NothingObserved) => Ok(None),
            Err(error) => Err(Failure::unexpected("judging the incumbent", error)),
        }
    }

    fn wrong(&self, iteration: u64, reason: &str) -> Failure {
        if let Some(reason) = self.objective.trouble() {
            // a constraint that could not be asked says nothing of the record
            return unanswered(self.manifest, reason);
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
