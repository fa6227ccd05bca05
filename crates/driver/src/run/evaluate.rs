//! The evaluations of an iteration: from the record, or asked of the objective and recorded as they end.
//!
//! With `--jobs` above 1 each of the session's workers has a thread of its own while an iteration is
//! evaluated; this thread hands out requests in the order of ids and alone writes the record. Lines may then
//! reach the disk in another order than that of ids: what is told to the optimiser afterwards is in
//! the order of ids all the same.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use bo_bayes::optimizer::Query;
use bo_memory::Scope;
use bo_memory::device::DeviceFault;

use super::mirror;
use super::session::{Halt, Session};
use super::step::done;
use super::stop::Stop;
use crate::event::{Level, Phase, RunEvent};
use crate::exit::Failure;
use crate::objective::end_orphans;
use crate::objective::{Outcome, Request, Status};
use crate::record::{AttemptLine, Attempts, EvaluationLine, now, same_bits};
use crate::supervise::end_leftover;

/// The evaluations of an iteration under way.
struct Round<'q> {
    iteration: u64,
    /// Not started.
    open: VecDeque<(u64, &'q Query)>,
    /// Not yet noted by the breaker, in the order of ids.
    order: VecDeque<u64>,
    /// Written down.
    done: BTreeMap<u64, EvaluationLine>,
}

/// A finished evaluation: lane, request, outcome (or a panic), seconds.
type Answer = (usize, Request, std::thread::Result<Outcome>, f64);

impl Session<'_> {
    /// The evaluations of queries, in the order of ids. On a halt those on disk wait in the record ahead.
    pub(super) fn evaluate(
        &mut self,
        scope: &Scope,
        iteration: u64,
        queries: &[(u64, Query)],
    ) -> Result<Vec<EvaluationLine>, Halt> {
        let mut round = Round {
            iteration,
            open: VecDeque::new(),
            order: queries.iter().map(|(id, _)| *id).collect(),
            done: BTreeMap::new(),
        };
        for (id, query) in queries {
            match self.recorded(iteration, *id, query)? {
                Some(line) => {
                    round.done.insert(*id, line);
                }
                None => round.open.push_back((*id, query)),
            }
        }
        let begun = Instant::now();
        let asked = self.heed(&mut round).and_then(|()| {
            if self.workers.is_empty() {
                self.one_by_one(scope, &mut round)
            } else {
                self.at_once(scope, &mut round)
            }
        });
        self.seconds.evaluate += begun.elapsed().as_secs_f64();
        match asked {
            Ok(()) => {
                // what follows is computed alone until an iteration is concluded
                self.directory.begin_to_settle();
                Ok(round.done.into_values().collect())
            }
            Err(halt) => {
                self.ahead.evaluations.extend(round.done);
                Err(halt)
            }
        }
    }

    /// An evaluation found on disk; it must be the one that was decided.
    fn recorded(
        &mut self,
        iteration: u64,
        id: u64,
        query: &Query,
    ) -> Result<Option<EvaluationLine>, Halt> {
        let Some(line) = self.ahead.evaluations.remove(&id) else {
            return Ok(None);
        };
        let same = same_bits(&line.x, &query.x) && same_bits(&line.w, &query.w);
        if line.iteration != iteration || !same {
            let reason = format!(
                "evaluation {id} is recorded at x {:?} w {:?}, decided was x {:?} w {:?}",
                line.x, line.w, query.x, query.w
            );
            return Err(self.differs(iteration, reason).into());
        }
        if self.accounted.is_none_or(|last| iteration > last) {
            // into the iteration's own time: its line in memory.jsonl then tells all of it to whoever resumes
            self.seconds.evaluate += line.seconds;
        }
        self.emit(&RunEvent::EvaluationDone(done(&line, true)));
        Ok(Some(line))
    }

    /// Passes on what the objective did to keep within memory.
    fn tell_memory(&mut self, iteration: u64) {
        for step in self.objective.memory_steps() {
            self.emit(&RunEvent::Memory {
                iteration,
                step: step.clone(),
            });
            self.memory_steps.push(step);
        }
    }

    fn one_by_one(&mut self, scope: &Scope, round: &mut Round<'_>) -> Result<(), Halt> {
        if round.open.len() > 1 {
            self.check_stop()?;
            let queries: Vec<&Query> = round.open.iter().map(|(_, query)| *query).collect();
            scope.during("evaluate", || self.objective.prepare(&queries));
            self.tell_memory(round.iteration);
        }
        while let Some((id, query)) = round.open.pop_front() {
            let (request, aside) = self.begin(scope, round.iteration, (id, query), 0)?;
            let begun = Instant::now();
            let outcome = match aside {
                Some(outcome) => outcome,
                None => scope.during("evaluate", || self.objective.evaluate(&request)),
            };
            self.tell_memory(round.iteration);
            self.end(
                scope,
                round,
                request,
                outcome,
                begun.elapsed().as_secs_f64(),
            )?;
        }
        Ok(())
    }

    fn at_once(&mut self, scope: &Scope, round: &mut Round<'_>) -> Result<(), Halt> {
        let mut workers = std::mem::take(&mut self.workers);
        let ended = std::thread::scope(|threads| {
            let (answers, heard) = channel::<Answer>();
            let mut lanes = Vec::new();
            for (lane, worker) in workers.iter_mut().enumerate() {
                let (ask, asked) = channel::<Request>();
                let answers = answers.clone();
                lanes.push(ask);
                threads.spawn(move || {
                    for request in asked {
                        let begun = Instant::now();
                        let outcome = catch_unwind(AssertUnwindSafe(|| worker.evaluate(&request)));
                        let seconds = begun.elapsed().as_secs_f64();
                        if answers.send((lane, request, outcome, seconds)).is_err() {
                            return;
                        }
                    }
                });
            }
            self.drive(scope, round, &lanes, &heard)
        });
        self.workers = workers;
        ended
    }

    /// Keeps every lane busy until all is evaluated. After trouble nothing is started any more, and what is
    /// under way is waited for and recorded.
    fn drive(
        &mut self,
        scope: &Scope,
        round: &mut Round<'_>,
        lanes: &[Sender<Request>],
        heard: &Receiver<Answer>,
    ) -> Result<(), Halt> {
        let mut idle: Vec<usize> = (0..lanes.len()).rev().collect();
        let mut trouble = Ok(());
        // whether what was started last is to run beside no other
        let mut alone = false;
        loop {
            while trouble.is_ok()
                && let (Some(lane), Some((id, query))) = (idle.last(), round.open.front())
            {
                let busy = lanes.len() - idle.len();
                let suspect = self.is_suspect(*id);
                if busy > 0 && (alone || suspect) {
                    break;
                }
                trouble = match self.begin(scope, round.iteration, (*id, query), busy) {
                    Ok((request, Some(outcome))) => {
                        round.open.pop_front();
                        self.end(scope, round, request, outcome, 0.0)
                    }
                    Ok((request, None)) => {
                        round.open.pop_front();
                        let sent = lanes[*lane].send(request);
                        sent.expect("a lane listens until its sender is gone");
                        idle.pop();
                        alone = suspect;
                        Ok(())
                    }
                    Err(halt) => Err(halt),
                };
            }
            if idle.len() == lanes.len() {
                return trouble;
            }
            // what runs on may take hours
            trouble = trouble.and(self.count().map_err(Halt::from));
            let (lane, request, outcome, seconds) =
                heard.recv().expect("a lane that is busy answers");
            idle.push(lane);
            let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic));
            let ended = self.end(scope, round, request, outcome, seconds);
            trouble = trouble.and(ended);
        }
    }

    /// Whether a worker may have died of this evaluation, which was not under way alone.
    fn is_suspect(&self, id: u64) -> bool {
        let attempts = self.ahead.attempts.get(&id);
        attempts.is_some_and(|attempts| attempts.suspect)
    }

    /// What must be on disk before an evaluation starts; with an outcome if it has killed its worker too often
    /// to be started again. `busy`: evaluations under way beside it.
    fn begin(
        &mut self,
        scope: &Scope,
        iteration: u64,
        (id, query): (u64, &Query),
        busy: usize,
    ) -> Result<(Request, Option<Outcome>), Halt> {
        self.check_stop()?;
        self.settle()?;
        let attempts = self.ahead.attempts.get(&id).cloned().unwrap_or_default();
        let attempt = attempts.started;
        self.phase_of(
            iteration,
            Phase::Evaluate,
            Some((id, attempt, query, busy as u32 + 1)),
        );
        scope.during("record", || {
            self.directory.start(&AttemptLine {
                id,
                attempt,
                iteration: Some(iteration),
                pid: std::process::id(),
                process_group: None,
                birth: None,
                death: None,
                own: false,
                shared: false,
                started: now(),
            })
        })?;
        self.count()?;
        let group = attempts.program.as_ref().is_some_and(end_leftover);
        let orphans = attempts
            .worker
            .is_some_and(|(worker, since)| end_orphans(worker, since));
        if group || orphans {
            let message = format!(
                "evaluation {id}: the program of its earlier attempt was still running and was ended"
            );
            self.notice(Level::Warning, message);
        }
        let request = Request {
            id,
            attempt,
            iteration,
            query: query.clone(),
            seed: evaluation_seed(self.manifest.seed, id),
        };
        Ok((request, set_aside(&attempts)))
    }

    /// Records an outcome and lets the breaker note it in its turn.
    fn end(
        &mut self,
        scope: &Scope,
        round: &mut Round<'_>,
        request: Request,
        outcome: Outcome,
        seconds: f64,
    ) -> Result<(), Halt> {
        if let Outcome::Lost { reason } = outcome {
            let fault = DeviceFault::of(&reason);
            return Err(Halt::from(Failure::DeviceLost {
                device: self.manifest.device.clone(),
                meaning: fault.map_or("it failed", DeviceFault::meaning),
                said: reason,
                out: self.directory.path().to_owned(),
            }));
        }
        let Some((value, status, reason)) = mirror::outcome(&outcome) else {
            let signal = self.stop.asked().unwrap_or(15);
            return Err(Halt::Stop(Stop::Signal { signal }));
        };
        let line = EvaluationLine {
            id: request.id,
            iteration: request.iteration,
            x: request.query.x,
            w: request.query.w,
            environment: request.query.environment.map(|row| row as u64),
            value,
            status: status.to_owned(),
            scale: match outcome {
                Outcome::Reduced { scale, .. } => Some(scale),
                _ => None,
            },
            reason,
            attempt: request.attempt,
            seconds,
        };
        scope.during("record", || self.directory.finish(&line))?;
        self.untold.push(done(&line, false));
        round.done.insert(line.id, line);
        self.heed(round)
    }

    /// Lets the breaker note what is done of a round, each in its turn.
    fn heed(&mut self, round: &mut Round<'_>) -> Result<(), Halt> {
        while let Some(line) = round.order.front().and_then(|id| round.done.get(id)) {
            round.order.pop_front();
            self.note(line).map_err(Halt::Stop)?;
        }
        Ok(())
    }
}

/// Deaths of its own after which an evaluation is not tried again.
const DEATHS: usize = 2;

/// The outcome of an evaluation that has killed its worker too often.
fn set_aside(attempts: &Attempts) -> Option<Outcome> {
    let last = attempts.deaths.last()?;
    (attempts.deaths.len() >= DEATHS).then(|| Outcome::Failed {
        status: if last.starts_with("out of memory") {
            Status::Oom
        } else {
            Status::Failed
        },
        reason: format!(
            "set aside: its worker died {} times: {last}",
            attempts.deaths.len()
        ),
    })
}

/// Seed that an objective is given for an evaluation: a function of the run's seed and the id alone.
fn evaluation_seed(seed: u64, id: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"bo/evaluation seed");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&id.to_le_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 53 bits: any JSON reader of any objective takes it without loss
    u64::from_le_bytes(first) >> 11
}
