//! The steps of an iteration: decide, tell, refit, conclude (`evaluate` has a file of its own). What must be
//! durable is so before the next step begins.

use std::time::Instant;

use bo_bayes::optimizer;
use bo_memory::{Scope, host};
use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::mirror;
use super::provenance;
use super::session::{Halt, Session};
use crate::event::{EvaluationDone, IterationDone, Level, Phase, RunEvent, Seconds};
use crate::exit::Failure;
use crate::record::{
    DecisionLine, EvaluationLine, Heartbeat, Manifest, Member, MemoryLine, RecordError, now,
};
use crate::settings::{Keep, Origin};
use crate::supervise::{Step, reach, tell};

impl Session<'_> {
    /// The decision of an iteration: from the record, or computed and recorded. The queries it asks for, with
    /// the ids of their evaluations.
    pub(super) fn decide(
        &mut self,
        scope: &Scope,
        iteration: u64,
    ) -> Result<Vec<(u64, optimizer::Query)>, Halt> {
        let trusted = !self.verify && self.ahead.decisions.contains_key(&iteration);
        if !trusted {
            self.check_stop()?;
            // while it still lies ahead: nothing may change before the two are compared
            self.phase(iteration, Phase::Acquire);
        }
        let recorded = self.ahead.decisions.remove(&iteration);
        let line = match recorded {
            Some(line) if trusted => {
                if self.accounted.is_none_or(|last| iteration > last) {
                    self.seconds.add(line.seconds);
                }
                line
            }
            recorded => {
                let computed = self.compute_decision(scope, iteration)?;
                match recorded {
                    Some(line) => {
                        if let Some(reason) = line.difference(&computed) {
                            return Err(self.differs(iteration, reason).into());
                        }
                        line
                    }
                    None => {
                        self.settle()?;
                        let _child = scope.child("record");
                        self.directory.decide(&computed)?;
                        computed
                    }
                }
            }
        };
        let queries = line.members().map(mirror::query).collect();
        self.keep_decision(line);
        Ok(queries)
    }

    fn compute_decision(&mut self, scope: &Scope, iteration: u64) -> Result<DecisionLine, Halt> {
        let begun = Instant::now();
        let q = self.schedule.batch;
        let batch = scope
            .during("acquire", || {
                self.crew
                    .during(|| self.optimizer.decide_batch(iteration, q))
            })
            .map_err(|error| {
                Failure::unexpected(format!("deciding iteration {iteration}"), error)
            })?;
        self.check_constraints()?;
        let acquire = begun.elapsed().as_secs_f64();
        self.seconds.acquire += acquire;
        let mut events = std::mem::take(&mut self.fit_events);
        events.extend(batch.iter().flat_map(|decision| decision.events.clone()));
        for (index, event) in events.iter().enumerate() {
            // a fit and the choices that follow it may each have had to do without a model
            let news = !events[..index].contains(event);
            if let Some(words) = news.then(|| self.told.words(event)).flatten() {
                self.notice(Level::Warning, format!("iteration {iteration}: {words}"));
            }
        }
        let first = self.evaluations.len() as u64;
        let mut members = (first..).zip(batch).map(|(id, decision)| Member {
            id,
            x: decision.query.x,
            w: decision.query.w,
            environment: decision.query.environment.map(|row| row as u64),
            acquisition: decision.acquisition,
        });
        let member = members.next().expect("a batch holds at least one query");
        Ok(DecisionLine {
            iteration,
            member,
            more: members.collect(),
            model: mirror::model(self.optimizer.state()),
            incumbent: self.newest.clone(),
            events: events.iter().map(ToString::to_string).collect(),
            seconds: Seconds {
                acquire,
                ..Seconds::default()
            },
        })
    }

    /// Tells the optimiser, in the order of ids.
    pub(super) fn tell(&mut self, scope: &Scope, lines: Vec<EvaluationLine>) -> Result<(), Halt> {
        for line in lines {
            let observation = mirror::observation(&line);
            scope
                .during("fit", || {
                    self.crew.during(|| self.optimizer.tell(observation))
                })
                .map_err(|error| self.differs(line.iteration, error.to_string()))?;
            self.keep_evaluation(line);
        }
        Ok(())
    }

    /// Brings the model up to date and judges the incumbent.
    pub(super) fn refit(&mut self, scope: &Scope, iteration: u64) -> Result<(), Halt> {
        self.phase(iteration, Phase::Fit);
        let begun = Instant::now();
        let incumbent = {
            let _child = scope.child("fit");
            let report = self
                .crew
                .during(|| self.optimizer.refit(iteration))
                .map_err(|error| {
                    Failure::unexpected(format!("fitting iteration {iteration}"), error)
                })?;
            self.fit_events = report.events;
            match self.crew.during(|| self.optimizer.incumbent()) {
                Ok(incumbent) => {
                    let interval = self.crew.during(|| self.optimizer.interval(iteration));
                    Some(mirror::incumbent(&incumbent, interval))
                }
                Err(optimizer::Error::NothingObserved) => None,
                Err(error) => {
                    let what = format!("judging the incumbent of iteration {iteration}");
                    return Err(Failure::unexpected(what, error).into());
                }
            }
        };
        self.check_constraints()?;
        self.complete = Some(iteration);
        self.newest = incumbent;
        self.seconds.fit += begun.elapsed().as_secs_f64();
        Ok(())
    }

    /// Nothing counts that was chosen while constraints could not be asked.
    pub(super) fn check_constraints(&self) -> Result<(), Halt> {
        match self.objective.trouble() {
            Some(reason) => Err(unanswered(&self.manifest, reason).into()),
            None => Ok(()),
        }
    }

    /// Ends an iteration: its memory is accounted for, and every so often all is saved and cleaned.
    pub(super) fn conclude(&mut self, scope: Scope, iteration: u64) -> Result<(), Halt> {
        let begun = Instant::now();
        // its way there began before the fit
        self.count()?;
        self.phase(iteration, Phase::Record);
        self.name_holdings();
        let report = scope.close();
        let replayed = self.replaying();
        if !replayed && iteration.is_multiple_of(self.schedule.checkpoint_every) {
            self.save_checkpoint(iteration)?;
        }
        let due = iteration > 0 && iteration.is_multiple_of(self.schedule.deep_clean_every);
        let mut stays = host::resident();
        // a clean-up forgets it
        let most = stays.map(|resident| resident.peak);
        let freed = (due || self.is_too_much(stays)).then(|| self.deep_clean(iteration));
        self.seconds.other += begun.elapsed().as_secs_f64();
        if freed.is_some() {
            stays = host::resident();
        }
        let resident = stays.map_or(0, |resident| resident.now);
        let mut line = MemoryLine::new(iteration, &report, resident, self.seconds);
        line.device = self.pool.as_ref().and_then(|pool| pool.bytes().ok());
        line.freed = freed;
        line.resident_peak = most;
        line.steps = std::mem::take(&mut self.memory_steps);
        line.growth = self.slope.push(&report);
        let growth = line.growth.clone();
        if !replayed {
            self.directory.memory.append(&line)?;
        }
        for leak in &report.leaks {
            self.emit(&RunEvent::Leak {
                iteration,
                owner: leak.owner.clone(),
                bytes: leak.bytes,
            });
        }
        if let Some(growth) = growth {
            self.notice(
                Level::Warning,
                format!(
                    "iteration {iteration}: memory has grown by {} kB an iteration over the last {}; \
                     most is left by: {}",
                    growth.bytes / 1000,
                    growth.iterations,
                    growth.owner
                ),
            );
        }
        let seconds = std::mem::take(&mut self.seconds);
        self.total.add(seconds);
        let done = IterationDone {
            iteration,
            iterations: self.schedule.iterations,
            incumbent: self.newest.clone(),
            acquisition: match iteration {
                0 => None,
                _ => self
                    .decisions
                    .last()
                    .map(|decision| decision.member.acquisition),
            },
            seconds,
            elapsed: self.begun.elapsed().as_secs_f64(),
            resident,
            in_use: report.after.host,
            peak: report.peak.host,
        };
        self.emit(&RunEvent::IterationDone(done));
        self.keep_within_budget(iteration, stays, most)
    }

    /// Writes the checkpoint of a complete iteration.
    pub(super) fn save_checkpoint(&mut self, iteration: u64) -> Result<(), Failure> {
        let checkpoint = self.checkpoint(false);
        let (file, bytes) = self.directory.write_checkpoint(&checkpoint, false)?;
        if let Keep::Newest(keep) = self.schedule.keep {
            self.directory.keep_checkpoints(keep)?;
        }
        self.emit(&RunEvent::Checkpoint {
            iteration,
            file,
            bytes,
        });
        Ok(())
    }

    fn deep_clean(&mut self, iteration: u64) -> u64 {
        self.objective.deep_clean();
        if let Err(error) = self.crew.relieve() {
            let message = format!(
                "iteration {iteration}: no fresh threads ({error}): what the old ones keep stays resident"
            );
            self.notice(Level::Warning, message);
        }
        // what it no longer holds must not hide a leak, nor be one when it comes back
        self.name_holdings();
        if getrlimit(Resource::As).current.is_none() {
            // needs address space for a moment
            bo_bayes::linalg::release_scratch();
        }
        let reclaimed = self.ledger.deep_clean();
        self.emit(&RunEvent::DeepClean {
            iteration,
            resident_before: reclaimed.resident_before,
            resident_after: reclaimed.resident_after,
        });
        reclaimed.resident()
    }

    fn phase(&mut self, iteration: u64, phase: Phase) {
        self.phase_of(iteration, phase, None);
    }

    pub(super) fn phase_of(
        &mut self,
        iteration: u64,
        phase: Phase,
        evaluation: Option<(u64, u32, &optimizer::Query, u32)>,
    ) {
        self.emit(&RunEvent::Phase { iteration, phase });
        if self.replaying() {
            // nothing of the run may change yet, not even its heartbeat
            let asks = self.objective.asks();
            tell(Step::Replay { iteration, asks });
            return;
        }
        self.beats += 1;
        let query = evaluation.map(|(_, _, query, _)| query);
        let row = query.and_then(|query| query.environment);
        let beat = Heartbeat {
            pid: std::process::id(),
            beat: self.beats,
            time: now(),
            iteration,
            phase,
            id: evaluation.map(|(id, ..)| id),
            attempt: evaluation.map_or(0, |(_, attempt, ..)| attempt),
            x: query.map_or_else(Vec::new, |query| query.x.clone()),
            w: query.map_or_else(Vec::new, |query| query.w.clone()),
            environment: row
                .and_then(|row| self.manifest.environments.name(row))
                .map(str::to_owned),
            waits: self.manifest.objective == "command"
                && (phase == Phase::Evaluate || self.objective.asks()),
            under_way: evaluation.map_or(0, |(.., under_way)| under_way),
            resident: host::resident().map_or(0, |resident| resident.now),
            ended: false,
        };
        // who was overtaken is silent: its next line says so
        if self.directory.is_held() {
            self.heart.beat(&beat);
        }
        reach(phase, iteration, self.directory.path());
    }

    pub(super) fn differs(&self, iteration: u64, reason: String) -> RecordError {
        let reason = match provenance::not_comparable(&self.manifest) {
            Some(cause) => format!("{reason} ({cause})"),
            None => reason,
        };
        RecordError::Differs {
            path: self.directory.path().to_owned(),
            iteration,
            reason,
        }
    }
}

/// What reporters are told of an evaluation.
pub(super) fn done(line: &EvaluationLine, from_record: bool) -> EvaluationDone {
    EvaluationDone {
        id: line.id,
        iteration: line.iteration,
        x: line.x.clone(),
        w: line.w.clone(),
        environment: line.environment.and_then(|row| usize::try_from(row).ok()),
        value: line.value,
        status: line.status.clone(),
        reason: line.reason.clone(),
        seconds: line.seconds,
        from_record,
    }
}

/// Constraints of a run that could not be asked.
pub(super) fn unanswered(manifest: &Manifest, reason: String) -> Failure {
    let space = manifest.fixed.get("space").and_then(Value::as_str);
    Failure::Setting {
        key: "constraint".into(),
        origin: Origin::File {
            path: space.unwrap_or("the space file").into(),
            key: "constraint".into(),
        },
        reason,
        remedy: "mend the program in the space file; bo resume goes on from here".into(),
    }
}
