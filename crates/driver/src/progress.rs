//! What a run shows while it works: one live line on a terminal, plain lines elsewhere, all of it in the log.
//!
//! Central types: [`Progress`] for stderr and [`Chronicle`] for `log.txt`; [`Telling`] turns events into words
//! for both. Writing that fails is dropped: a closed terminal does not end a run.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{EvaluationDone, IterationDone, Level, Phase, Reporter, RunEvent};
use crate::quantity::{bytes, clock, value};
use crate::record::Log;
use crate::supervise;

/// Iterations whose mean time foretells the rest.
const RECENT: usize = 5;
/// Plain lines about single evaluations come at most so often.
const PAUSE: Duration = Duration::from_secs(5);

/// Several listeners as one.
pub struct Reporters(pub Vec<Box<dyn Reporter>>);

impl Reporter for Reporters {
    fn event(&mut self, event: &RunEvent) {
        for reporter in &mut self.0 {
            reporter.event(event);
        }
    }
}

/// What has to be remembered to put events into words.
#[derive(Clone, Debug)]
struct Telling {
    /// What the risk measure is called: `CVaR`.
    risk: String,
    iterations: u64,
    initial: usize,
    initial_done: usize,
    /// Iteration that the last evaluation belonged to.
    evaluated: u64,
    /// Values of the iteration under way, in no particular order.
    values: Vec<f64>,
    /// Seconds of recent iterations, the newest last.
    recent: Vec<f64>,
}

impl Telling {
    fn new() -> Self {
        Self {
            risk: "risk".to_owned(),
            iterations: 0,
            initial: 0,
            initial_done: 0,
            evaluated: 0,
            values: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// Takes note of an event.
    fn note(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started(started) => {
                self.risk.clone_from(&started.risk_name);
                self.iterations = started.iterations;
                self.initial = started.initial;
                self.initial_done = 0;
            }
            RunEvent::EvaluationDone(done) => {
                if done.iteration != self.evaluated {
                    (self.evaluated, self.values) = (done.iteration, Vec::new());
                }
                self.values.extend(done.value);
                self.initial_done += usize::from(done.iteration == 0);
            }
            RunEvent::IterationDone(done) => {
                let seconds = done.seconds;
                if done.iteration > 0 {
                    self.recent
                        .push(seconds.fit + seconds.acquire + seconds.evaluate + seconds.other);
                    if self.recent.len() > RECENT {
                        self.recent.remove(0);
                    }
                }
            }
            _ => {}
        }
    }

    /// Seconds left, once an iteration foretells them.
    fn left(&self, done: &IterationDone) -> Option<f64> {
        let mean = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
        (!self.recent.is_empty())
            .then(|| mean * done.iterations.saturating_sub(done.iteration) as f64)
    }

    /// The values of this iteration: of several the least and the greatest, whichever came last.
    fn seen(&self) -> Option<String> {
        let least = self.values.iter().copied().reduce(f64::min)?;
        let greatest = self.values.iter().copied().reduce(f64::max)?;
        Some(match least == greatest {
            true => value(least),
            false => format!("{} to {}", value(least), value(greatest)),
        })
    }

    /// The line of a complete iteration.
    fn iteration(&self, done: &IterationDone) -> String {
        let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
        let width = done.iterations.to_string().len();
        let seen = match (done.iteration, self.seen()) {
            (0, _) => format!("{} evaluations", self.initial_done),
            (_, Some(seen)) => format!("value {seen:>7}"),
            (_, None) => "failed       ".to_owned(),
        };
        let left = self
            .left(done)
            .map_or_else(String::new, |left| format!("  left {}", clock(left)));
        let now = if done.resident > 0 {
            done.resident
        } else {
            done.in_use
        };
        format!(
            "iteration {:>width$}/{}  {seen}  by the model: {} {:>7}{left}  memory {} (peak {})",
            done.iteration,
            done.iterations,
            self.risk,
            shown(done.incumbent.as_ref().map(|incumbent| incumbent.risk)),
            bytes(now),
            bytes(done.peak.max(now)),
        )
    }

    /// The same for a live line of a narrow terminal.
    fn short(&self, done: &IterationDone) -> String {
        let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
        let seen = match done.iteration {
            0 => String::new(),
            _ => format!("value {}  ", self.seen().unwrap_or_else(|| "-".to_owned())),
        };
        let left = self
            .left(done)
            .map_or_else(String::new, |left| format!("left {}  ", clock(left)));
        let now = if done.resident > 0 {
            done.resident
        } else {
            done.in_use
        };
        format!(
            "{}/{}  {seen}best {} {}  {left}{} (peak {})",
            done.iteration,
            done.iterations,
            self.risk,
            shown(done.incumbent.as_ref().map(|incumbent| incumbent.risk)),
            bytes(now),
            bytes(done.peak.max(now)),
        )
    }

    /// The line of a failed evaluation.
    fn failure(done: &EvaluationDone) -> Option<String> {
        let reason = done.reason.as_deref().unwrap_or("no reason given");
        done.value
            .is_none()
            .then(|| format!("evaluation {} {}: {reason}", done.id, verb(&done.status)))
    }

    /// A line worth keeping about an event; none for those that say nothing new.
    fn line(&self, event: &RunEvent) -> Option<String> {
        match event {
            RunEvent::Started(started) => Some(match started.found {
                0 => format!(
                    "{}, then {}; everything goes to {}",
                    counted(started.initial as u64, "evaluation"),
                    counted(started.iterations, "decision"),
                    started.out.display()
                ),
                found => format!(
                    "going on in {}: {found} evaluations are there{}",
                    started.out.display(),
                    match started.resumed_after {
                        Some(iteration) => format!(
                            ", iteration {iteration} of {} is complete",
                            started.iterations
                        ),
                        None => String::new(),
                    }
                ),
            }),
            RunEvent::Notice {
                level: Level::Info,
                message,
            } => Some(message.clone()),
            RunEvent::Notice {
                level: Level::Warning,
                message,
            } => Some(format!("warning: {message}")),
            RunEvent::EvaluationDone(done) => {
                Self::failure(done).map(|line| format!("warning: {line}"))
            }
            RunEvent::IterationDone(done) => Some(self.iteration(done)),
            RunEvent::Leak {
                iteration,
                owner,
                bytes: count,
            } => Some(format!(
                "warning: iteration {iteration}: {owner} left {} behind",
                bytes(*count)
            )),
            RunEvent::Memory { step, .. } => Some(format!("memory: {step}")),
            RunEvent::DeepClean {
                iteration,
                resident_before,
                resident_after,
            } => Some(format!(
                "deep clean-up after iteration {iteration}: {} before, {} after",
                bytes(*resident_before),
                bytes(*resident_after)
            )),
            RunEvent::Checkpoint {
                iteration,
                file,
                bytes: count,
            } => Some(format!(
                "checkpoint of iteration {iteration}: {} ({})",
                file.display(),
                bytes(*count)
            )),
            RunEvent::Phase { .. } | RunEvent::Stopped(_) | RunEvent::Finished(_) => None,
        }
    }
}

/// `1 decision`, `2 decisions`.
fn counted(count: u64, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn verb(status: &str) -> &str {
    match status {
        "timeout" => "timed out",
        "oom" => "ran out of memory",
        "invalid" => "gave no valid value",
        _ => "failed",
    }
}

/// Progress on stderr.
pub struct Progress {
    telling: Telling,
    /// The live line, on a terminal.
    live: Option<ProgressBar>,
    /// When a plain line was last written about an evaluation.
    spoke: Instant,
}

impl Progress {
    /// On this process's stderr.
    pub fn new() -> Self {
        let live = terminal().map(|target| {
            let bar = ProgressBar::with_draw_target(None, target);
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            telling: Telling::new(),
            live,
            spoke: Instant::now(),
        }
    }

    fn say(&self, line: &str) {
        match &self.live {
            Some(bar) => bar.println(line),
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    fn phase(&self, iteration: u64, phase: Phase) {
        let Some(bar) = &self.live else { return };
        let doing = match phase {
            Phase::Fit => "fitting the model",
            Phase::Acquire => "choosing what to evaluate",
            Phase::Evaluate => "evaluating",
            Phase::Record => "saving",
        };
        let before = bar.message();
        let before = before.split("  · ").next().unwrap_or_default();
        let start = if before.is_empty() {
            format!("iteration {iteration}")
        } else {
            before.to_owned()
        };
        bar.set_message(format!("{start}  · {doing}"));
    }
}

/// The terminal that shows progress, if there is one: this process's own or its parent's.
fn terminal() -> Option<ProgressDrawTarget> {
    if std::io::stderr().is_terminal() {
        return Some(ProgressDrawTarget::stderr());
    }
    let write = supervise::terminal()?;
    let read = write.try_clone().ok()?;
    Some(ProgressDrawTarget::term(
        Term::read_write_pair(read, write),
        20,
    ))
}

impl Reporter for Progress {
    fn event(&mut self, event: &RunEvent) {
        self.telling.note(event);
        match event {
            RunEvent::Phase { iteration, phase } => self.phase(*iteration, *phase),
            // Routine that the log keeps.
            RunEvent::Checkpoint { .. } | RunEvent::DeepClean { .. } => {}
            RunEvent::IterationDone(done) => match &self.live {
                Some(bar) => bar.set_message(self.telling.short(done)),
                None => self.say(&self.telling.iteration(done)),
            },
            RunEvent::EvaluationDone(done) if done.value.is_some() => {
                if done.iteration > 0 {
                    return;
                }
                let line = format!(
                    "initial design {}/{}",
                    self.telling.initial_done, self.telling.initial
                );
                match &self.live {
                    Some(bar) => bar.set_message(line),
                    None if self.spoke.elapsed() >= PAUSE => {
                        self.spoke = Instant::now();
                        self.say(&line);
                    }
                    None => {}
                }
            }
            RunEvent::Stopped(_) | RunEvent::Finished(_) => {
                if let Some(bar) = self.live.take() {
                    bar.finish_and_clear();
                }
            }
            other => {
                if let Some(line) = self.telling.line(other) {
                    self.say(&line);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
    }
}

/// All events in words, in `log.txt`.
pub struct Chronicle {
    telling: Telling,
    log: Arc<Log>,
}

impl Chronicle {
    /// Writes to `log`.
    pub fn new(log: Arc<Log>) -> Self {
        Self {
            telling: Telling::new(),
            log,
        }
    }
}

impl Reporter for Chronicle {
    fn event(&mut self, event: &RunEvent) {
        self.telling.note(event);
        // who does it says so in the log at once: the process may not live to the next event
        if matches!(event, RunEvent::Memory { .. }) {
            return;
        }
        if let Some(line) = self.telling.line(event) {
            self.log.say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Seconds;
    use crate::record::IncumbentRecord;

    fn done(iteration: u64, risk: f64) -> RunEvent {
        RunEvent::IterationDone(IterationDone {
            iteration,
            iterations: 30,
            incumbent: Some(IncumbentRecord {
                x: vec![0.0],
                risk,
                mean: 0.0,
                interval: None,
                per_environment: Vec::new(),
            }),
            acquisition: None,
            seconds: Seconds {
                evaluate: 2.0,
                ..Seconds::default()
            },
            elapsed: 2.0,
            resident: 182_000_000,
            in_use: 0,
            peak: 240_000_000,
        })
    }

    fn evaluated(id: u64, value: f64) -> RunEvent {
        RunEvent::EvaluationDone(EvaluationDone {
            id,
            iteration: 3,
            x: vec![0.0],
            w: Vec::new(),
            environment: None,
            value: Some(value),
            status: "ok".into(),
            reason: None,
            seconds: 2.0,
            from_record: false,
        })
    }

    #[test]
    fn the_line_says_what_was_seen_what_is_best_and_what_is_left() {
        let mut telling = Telling {
            risk: "CVaR".into(),
            ..Telling::new()
        };
        let mut line = None;
        for event in [done(1, 0.4), done(2, 0.5)] {
            telling.note(&event);
            line = telling.line(&event);
        }
        assert_eq!(
            line.unwrap(),
            "iteration  2/30  failed         by the model: CVaR  0.5000  left 0:56  memory 182 MB (peak 240 MB)"
        );
        // of a batch all values count, in whichever order they came
        for (id, value) in [(0, 0.3), (1, -0.2), (2, 0.1)] {
            telling.note(&evaluated(id, value));
        }
        telling.note(&done(3, 0.5));
        let line = telling.line(&done(3, 0.5)).unwrap();
        assert!(line.contains("value -0.2000 to 0.3000  "), "{line}");
    }
}
