//! Everything the loop works with, and what it has reached.

use std::collections::BTreeMap;
use std::time::Instant;

use bo_bayes::optimizer::{Event, Optimizer};
use bo_memory::budget::Budget;
use bo_memory::device::DevicePool;
use bo_memory::{Counting, Ledger, Slope};

use super::crew::Crew;
use super::stop::{Stop, StopFlag};
use super::told::Told;
use super::{Schedule, Setup, mirror};
use crate::event::{EvaluationDone, Level, Reporter, RunEvent, Seconds};
use crate::exit::Failure;
use crate::objective::{Breaker, Objective};
use crate::record::{
    Attempts, Checkpoint, DecisionLine, EvaluationLine, Heart, History, HistoryEntry,
    IncumbentRecord, IncumbentResult, Manifest, RecordError, RunDirectory, RunResult,
};

/// Note in `run.json`: how many evaluations there were when the run last gave up on its objective (exit 5).
pub(super) const GAVE_UP: &str = "gave_up_at";

/// Why the loop leaves an iteration.
#[derive(Debug)]
pub enum Halt {
    /// It was asked to, or the objective keeps failing: everything is saved.
    Stop(Stop),
    /// It cannot go on.
    Failure(Box<Failure>),
}

impl<E: Into<Failure>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failure(Box::new(error.into()))
    }
}

/// A run under way.
pub struct Session<'r> {
    pub(super) optimizer: Optimizer,
    /// What the optimiser works on.
    pub(super) crew: Crew,
    pub(super) objective: Box<dyn Objective>,
    /// One for each of `--jobs`; empty where evaluations are done one by one.
    pub(super) workers: Vec<Box<dyn Objective + Send>>,
    pub(super) schedule: Schedule,
    pub(super) stop: StopFlag,
    pub(super) directory: RunDirectory,
    pub(super) reporter: &'r mut dyn Reporter,
    pub(super) ledger: Ledger,
    /// The GPU's memory, where the objective works on one.
    pub(super) pool: Option<DevicePool>,
    pub(super) slope: Slope,
    /// What the run may hold of the host's memory.
    pub(super) budget: Budget,
    /// It was said that more was held for a while.
    pub(super) told_peak: bool,
    pub(super) breaker: Breaker,
    /// Evaluations below this one were failing when the run last gave up, and it was resumed: they count no more.
    forgiven: u64,
    /// `run.json`; `changed` until it is written.
    pub(super) manifest: Manifest,
    pub(super) changed: bool,
    /// On disk and not reached yet.
    pub(super) ahead: Ahead,
    /// Each decision found ahead is computed and compared.
    pub(super) verify: bool,
    /// Reached, in order.
    pub(super) evaluations: Vec<EvaluationLine>,
    /// Reached, in order.
    pub(super) decisions: Vec<DecisionLine>,
    /// Last complete iteration.
    pub(super) complete: Option<u64>,
    /// Incumbent after it; those before stand in the decisions.
    pub(super) newest: Option<IncumbentRecord>,
    /// Anything out of the ordinary in the last fit; recorded with the decision that follows.
    pub(super) fit_events: Vec<Event>,
    pub(super) told: Told,
    /// Finished, and not known to be on disk: nobody is told yet.
    pub(super) untold: Vec<EvaluationDone>,
    /// Steps so far, and who writes them down.
    pub(super) beats: u64,
    pub(super) heart: Heart,
    /// Time of this iteration and of the whole run.
    pub(super) seconds: Seconds,
    pub(super) total: Seconds,
    /// Last iteration whose time, its evaluations' included, an earlier process has noted.
    pub(super) accounted: Option<u64>,
    pub(super) begun: Instant,
    /// What this iteration did to keep within memory, in words.
    pub(super) memory_steps: Vec<String>,
    /// Bytes of the reached lines and of what the optimiser was told.
    pub(super) kept_bytes: u64,
}

/// What the record holds beyond the point that was reached.
#[derive(Debug, Default)]
pub struct Ahead {
    /// By id.
    pub evaluations: BTreeMap<u64, EvaluationLine>,
    /// By iteration.
    pub decisions: BTreeMap<u64, DecisionLine>,
    /// Starts so far, by id.
    pub attempts: BTreeMap<u64, Attempts>,
}

impl<'r> Session<'r> {
    /// A run from its beginning; `history` is empty for a new one.
    pub fn new(
        setup: Setup,
        directory: RunDirectory,
        history: Option<History>,
        reporter: &'r mut dyn Reporter,
    ) -> Self {
        let pool = setup.objective.pool();
        let mut session = Self {
            optimizer: setup.optimizer,
            crew: setup.crew,
            objective: setup.objective,
            workers: setup.workers,
            schedule: setup.schedule,
            stop: setup.stop,
            heart: Heart::new(directory.path()),
            directory,
            reporter,
            ledger: ledger(pool.as_ref()),
            pool,
            slope: Slope::default(),
            budget: setup.budget,
            told_peak: false,
            breaker: Breaker::default(),
            forgiven: 0,
            manifest: setup.manifest,
            changed: false,
            ahead: Ahead::default(),
            verify: false,
            evaluations: Vec::new(),
            decisions: Vec::new(),
            complete: None,
            newest: None,
            fit_events: Vec::new(),
            told: Told::default(),
            untold: Vec::new(),
            beats: 0,
            seconds: Seconds::default(),
            total: Seconds::default(),
            accounted: None,
            begun: Instant::now(),
            memory_steps: Vec::new(),
            kept_bytes: 0,
        };
        if let Some(history) = history {
            if let Some(at) = history.manifest.notes.get(GAVE_UP) {
                session.forgiven = at.as_u64().unwrap_or(0);
                session.manifest.notes.insert(GAVE_UP.into(), at.clone());
            }
            session.changed = history.manifest != session.manifest;
            session.ahead = Ahead {
                evaluations: history
                    .evaluations
                    .into_iter()
                    .map(|line| (line.id, line))
                    .collect(),
                decisions: history
                    .decisions
                    .into_iter()
                    .map(|line| (line.iteration, line))
                    .collect(),
                attempts: history.attempts,
            };
        }
        session
    }

    /// Last complete iteration; `None` before the initial design is complete.
    pub fn complete(&self) -> Option<u64> {
        self.complete
    }

    /// Tells reporters.
    pub fn emit(&mut self, event: &RunEvent) {
        self.reporter.event(event);
    }

    /// Tells reporters one line.
    pub fn notice(&mut self, level: Level, message: String) {
        self.emit(&RunEvent::Notice { level, message });
    }

    /// Waits until what is finished is on disk, and tells of it.
    ///
    /// # Errors
    /// [`RecordError`]: then it does not count.
    pub fn count(&mut self) -> Result<(), RecordError> {
        self.directory.settle()?;
        for done in std::mem::take(&mut self.untold) {
            self.emit(&RunEvent::EvaluationDone(done));
        }
        Ok(())
    }

    /// # Errors
    /// [`Halt::Stop`] once a stop was asked for.
    pub fn check_stop(&self) -> Result<(), Halt> {
        match self.stop.asked() {
            Some(signal) => Err(Halt::Stop(Stop::Signal { signal })),
            None => Ok(()),
        }
    }

    /// Lets the breaker note an evaluation, in the order of ids. Where a later decision is recorded the run went on.
    ///
    /// # Errors
    /// [`Stop::KeepsFailing`].
    pub fn note(&mut self, line: &EvaluationLine) -> Result<(), Stop> {
        if line.id < self.forgiven {
            return Ok(());
        }
        match self.breaker.note(line, self.directory.path()) {
            Err(Failure::KeepsFailing { count, reason, .. }) if self.ahead.decisions.is_empty() => {
                Err(Stop::KeepsFailing { count, reason })
            }
            Err(_) => {
                self.breaker = Breaker::default();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Records that the run gives up on an objective that keeps failing, so that whoever resumes it has mended that.
    pub fn give_up(&mut self) {
        let done = self.evaluations.iter().map(|line| line.id);
        let last = done.chain(self.ahead.evaluations.keys().copied()).max();
        let at = last.map_or(0, |last| last + 1);
        self.manifest.notes.insert(GAVE_UP.into(), at.into());
        self.changed = true;
    }

    /// Whether everything so far was found on disk: nothing may be changed yet.
    pub fn replaying(&self) -> bool {
        self.verify && !self.ahead.decisions.is_empty()
    }

    /// Writes a changed `run.json`, once the replay has shown that the run may go on.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn settle(&mut self) -> Result<(), RecordError> {
        if self.changed && !self.replaying() {
            self.directory.write_manifest(&self.manifest)?;
            self.changed = false;
        }
        Ok(())
    }

    /// The checkpoint of the last complete iteration, with what lies beyond it if `inside` one.
    pub fn checkpoint(&self, inside: bool) -> Checkpoint {
        let mut evaluations = self.evaluations.clone();
        let mut decisions = self.decisions.clone();
        if inside {
            evaluations.extend(self.ahead.evaluations.values().cloned());
            decisions.extend(self.ahead.decisions.values().cloned());
        }
        let complete = self.complete();
        Checkpoint {
            iteration: complete,
            run: self.manifest.clone(),
            evaluations,
            decisions,
            model: match complete {
                Some(_) => mirror::model(self.optimizer.state()),
                None => None,
            },
            incumbent: self.newest.clone(),
        }
    }

    /// The result as it stands.
    pub fn result(&self) -> RunResult {
        let named = |incumbent: &IncumbentRecord| self.manifest.named_x(&incumbent.x);
        let last = self.newest.as_ref();
        // a decision holds the incumbent of the iteration before it
        let before = (0..)
            .zip(&self.decisions)
            .map(|(iteration, decision)| (iteration, decision.incumbent.as_ref()));
        let complete = self.complete.unwrap_or(0);
        let all = before
            .take_while(|(iteration, _)| *iteration < complete)
            .chain([(complete, last)]);
        RunResult {
            incumbent: last.map(|incumbent| IncumbentResult {
                x: named(incumbent),
                risk: incumbent.risk,
                mean: incumbent.mean,
                interval: incumbent.interval,
                per_environment: incumbent.per_environment.clone(),
            }),
            history: all
                .skip(1)
                .filter_map(|(iteration, incumbent)| {
                    incumbent.map(|incumbent| HistoryEntry {
                        iteration,
                        x: named(incumbent),
                        risk: incumbent.risk,
                    })
                })
                .collect(),
            evaluations: self.evaluations.len() as u64,
            truth: last.and_then(|incumbent| {
                let risk = self.optimizer.settings().risk;
                self.objective.truth(&incumbent.x, risk)
            }),
            seconds: self.total,
        }
    }
}

/// Books over the host and, where there is one, a GPU, whose unused bytes a deep clean-up gives back.
fn ledger(pool: Option<&DevicePool>) -> Ledger {
    let Some(pool) = pool else {
        return Ledger::new();
    };
    let ledger = Ledger::with_meters(Box::new(Counting), Box::new(pool.clone()));
    let pool = pool.clone();
    // a card that does not answer is told of by whoever computes there
    ledger.on_clean("pool of the GPU", move || pool.trim().unwrap_or(0));
    ledger
}
