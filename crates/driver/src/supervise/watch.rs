//! The parent's loop: start a worker, wait, explain, start again.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bo_memory::{cgroup, host};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::PARENT;
use super::death::{Signs, judge};
use super::memory::Curve;
use crate::exit::Failure;
use crate::record::{AttemptLine, Heartbeat, Lock, Postmortem, StartedJournal, now};

/// Shortest time without a step of the loop that is called a hang.
const HANG: Duration = Duration::from_secs(600);
/// A hang is also this many times longer than the longest step so far.
const HANG_FACTOR: u32 = 10;

/// What the parent was asked.
#[derive(Debug)]
pub struct Orders {
    /// Directory that the run will be in.
    pub folder: PathBuf,
    /// Words for the first worker.
    pub first: Vec<OsString>,
    /// Words for the next ones, once the run has begun.
    pub again: Vec<OsString>,
    /// Deaths in a row, without an evaluation finished between, after which it gives up.
    pub max_restarts: u32,
    /// Says nothing on stderr.
    pub quiet: bool,
}

/// Runs workers until one ends of its own.
///
/// # Errors
/// [`Failure::Held`]; [`Failure::Said`] with the code of a worker that has spoken; [`Failure::KeepsDying`].
pub fn watch(orders: &Orders) -> Result<(), Failure> {
    let made = !orders.folder.exists();
    fs::create_dir_all(&orders.folder).map_err(|error| {
        Failure::input(
            &orders.folder,
            error,
            "give --out a directory that can be made",
        )
    })?;
    let lock = Lock::take(&orders.folder)?;
    let end = Watch::new(orders, lock)?.workers();
    if made && !orders.folder.join("run.json").exists() {
        // nothing began: leave nothing behind
        let _ = fs::remove_file(orders.folder.join("lock"));
        let _ = fs::remove_dir(&orders.folder);
    }
    end
}

struct Watch<'o> {
    orders: &'o Orders,
    lock: Lock,
    worker: Arc<Mutex<Option<Pid>>>,
    stop: Arc<AtomicI32>,
}

/// How a worker ended, with what was seen of it.
struct Ended {
    pid: u32,
    status: ExitStatus,
    curve: Curve,
    hung: Option<u64>,
    kills: Option<u64>,
}

impl<'o> Watch<'o> {
    fn new(orders: &'o Orders, lock: Lock) -> Result<Self, Failure> {
        let watch = Self {
            orders,
            lock,
            worker: Arc::default(),
            stop: Arc::default(),
        };
        watch.pass_signals_on()?;
        Ok(watch)
    }

    /// Signals go to the worker, which is in a process group of its own; a lost terminal ends nobody.
    fn pass_signals_on(&self) -> Result<(), Failure> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| Failure::unexpected("watching for signals", error))?;
        let (worker, stop) = (Arc::clone(&self.worker), Arc::clone(&self.stop));
        thread::spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    continue;
                }
                stop.store(signal, SeqCst);
                let pid = worker.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(pid), Some(signal)) = (*pid, Signal::from_named_raw(signal)) {
                    let _ = kill_process(pid, signal);
                }
            }
        });
        Ok(())
    }

    fn workers(&self) -> Result<(), Failure> {
        let folder = &self.orders.folder;
        self.explain_earlier()?;
        let mut deaths = 0;
        let mut finished = evaluations(folder);
        loop {
            let begun = folder.join("run.json").exists();
            let first = deaths == 0 || !begun;
            let ended = self.one(if first {
                &self.orders.first
            } else {
                &self.orders.again
            })?;
            match ended.status.code() {
                Some(0) => return Ok(()),
                Some(code @ (1..=6 | 130 | 143)) => return Err(Failure::Said { code: code as u8 }),
                _ => {}
            }
            if let signal @ 1.. = self.stop.load(SeqCst) {
                return Err(Failure::Stopped {
                    signal,
                    out: folder.clone(),
                });
            }
            let (postmortem, path) = self.explain(&ended)?;
            let now = evaluations(folder);
            deaths = if now > finished { 1 } else { deaths + 1 };
            finished = now;
            if deaths > self.orders.max_restarts {
                return Err(Failure::KeepsDying {
                    deaths,
                    verdict: postmortem.verdict,
                    postmortem: path,
                    out: folder.clone(),
                });
            }
            self.say(&format!(
                "the worker died: {}\n  evidence in {}; going on from the last finished evaluation ({deaths} of at most {} restarts)",
                postmortem.verdict,
                path.display(),
                self.orders.max_restarts
            ));
        }
    }

    /// One worker, from start to end.
    fn one(&self, words: &[OsString]) -> Result<Ended, Failure> {
        let failed = |error| Failure::unexpected("starting the worker", error);
        let program = std::env::current_exe().map_err(failed)?;
        let kills = cgroup::kills();
        let mut child = Command::new(program)
            .args(words)
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::from(self.lock.share().map_err(failed)?))
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = child.id();
        self.set_worker(Some(pid));
        let (done, over) = channel::<()>();
        let folder = self.orders.folder.clone();
        let monitor = thread::spawn(move || monitor(pid, &folder, &over));
        let status = child.wait();
        self.set_worker(None);
        drop(done);
        let (curve, hung) = monitor.join().unwrap_or_else(|_| (Curve::of(pid), None));
        Ok(Ended {
            pid,
            status: status.map_err(failed)?,
            curve,
            hung,
            kills: match (kills, cgroup::kills()) {
                (Some(before), Some(after)) => Some(after.saturating_sub(before)),
                _ => None,
            },
        })
    }

    fn set_worker(&self, pid: Option<u32>) {
        let pid = pid.and_then(|pid| Pid::from_raw(pid as i32));
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }

    /// What the system and the watch over the worker say of its death.
    fn explain(&self, ended: &Ended) -> Result<(Postmortem, PathBuf), Failure> {
        let folder = &self.orders.folder;
        let last = Heartbeat::read(folder).filter(|beat| beat.pid == ended.pid);
        let memory = ended.curve.before_now();
        let signs = Signs {
            signal: ended.status.signal(),
            code: ended.status.code(),
            hung: ended.hung,
            kills: ended.kills,
            resident: memory.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0),
            limit: host::limit(),
            last,
            log: log_tail(folder),
        };
        self.bury(ended.pid, signs, memory)
    }

    /// A run whose parent died with its worker left only its heartbeat: that is explained now.
    fn explain_earlier(&self) -> Result<(), Failure> {
        let folder = &self.orders.folder;
        let Some(last) = Heartbeat::read(folder).filter(|beat| !beat.ended) else {
            return Ok(());
        };
        let signs = Signs {
            resident: last.resident,
            limit: host::limit(),
            log: log_tail(folder),
            last: Some(last.clone()),
            ..Signs::default()
        };
        let memory = vec![(now().saturating_sub(last.time), last.resident)];
        let (postmortem, path) = self.bury(last.pid, signs, memory)?;
        self.say(&format!(
            "the run had ended without a word: {}\n  evidence in {}",
            postmortem.verdict,
            path.display()
        ));
        Ok(())
    }

    /// Judges, writes it down, and counts the death against the evaluation where it is to blame.
    fn bury(
        &self,
        pid: u32,
        signs: Signs,
        memory: Vec<(u64, u64)>,
    ) -> Result<(Postmortem, PathBuf), Failure> {
        let folder = &self.orders.folder;
        let verdict = judge(&signs);
        let last = signs.last;
        if let Some(beat) = &last
            && let Some(id) = beat.id
        {
            let mut journal = StartedJournal::open(folder)?;
            journal.note(&AttemptLine {
                id,
                attempt: beat.attempt,
                iteration: None,
                pid,
                process_group: None,
                death: Some(verdict.sentence.clone()),
                own: verdict.own,
                started: now(),
            });
        }
        let postmortem = Postmortem {
            time: now(),
            pid,
            signal: signs.signal,
            code: signs.code,
            silent: last
                .as_ref()
                .map_or(0, |beat| now().saturating_sub(beat.time)),
            last,
            memory,
            limit: signs.limit,
            kills: signs.kills,
            own: verdict.own,
            verdict: verdict.sentence,
            evidence: verdict.evidence,
            log: signs.log,
        };
        let path = postmortem.write(folder)?;
        if let Some(last) = postmortem.last.clone() {
            // explained once
            let ended = Heartbeat {
                ended: true,
                ..last
            };
            ended.write(folder);
        }
        Ok((postmortem, path))
    }

    fn say(&self, message: &str) {
        if !self.orders.quiet {
            let _ = writeln!(std::io::stderr(), "bo: {message}");
        }
    }
}

/// Samples the worker's memory until it is gone, and ends it when its loop makes no step any more.
fn monitor(pid: u32, folder: &Path, over: &Receiver<()>) -> (Curve, Option<u64>) {
    let mut curve = Curve::of(pid);
    let mut last = (0, Instant::now());
    let mut longest = Duration::ZERO;
    let mut hung = None;
    while over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        curve.sample();
        let beat = Heartbeat::read(folder).filter(|beat| beat.pid == pid);
        let number = beat.as_ref().map_or(0, |beat| beat.beat);
        if number != last.0 {
            longest = longest.max(last.1.elapsed());
            last = (number, Instant::now());
        }
        let waits = beat.is_none_or(|beat| beat.waits);
        let patience = HANG.max(longest * HANG_FACTOR);
        if !waits && hung.is_none() && last.1.elapsed() > patience {
            hung = Some(last.1.elapsed().as_secs());
            if let Some(pid) = Pid::from_raw(pid as i32) {
                // the worker is not reaped before this thread ends its watch: the number is still its own
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    (curve, hung)
}

/// Bytes of finished evaluations: grows with each.
fn evaluations(folder: &Path) -> u64 {
    fs::metadata(folder.join("evaluations.jsonl")).map_or(0, |data| data.len())
}

/// Last lines of the log.
fn log_tail(folder: &Path) -> Vec<String> {
    let text = fs::read(folder.join("log.txt")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .rev()
        .take(20)
        .rev()
        .map(|&line| line.to_owned())
        .collect()
}
