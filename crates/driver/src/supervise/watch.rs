//! The parent's loop: start a worker, wait, explain, start again.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bo_memory::cgroup;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::end_leftover;
use super::explain::{explain, explain_earlier};
use super::memory::Curve;
use super::monitor::{Seen, monitor};
use super::pulse::Pulse;
use super::words::Words;
use crate::bounded;
use crate::exit::Failure;
use crate::lineage::{PULSE, SWEPT_BY, WATCHED_BY};
use crate::record::{History, Lock, Log};
use crate::run::StopRequest;

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
        let entries = fs::read_dir(&orders.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            if name == "lock" || name.as_encoded_bytes().starts_with(b"lease.") {
                let _ = fs::remove_file(entry.path());
            }
        }
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
pub struct Ended {
    /// Its process.
    pub pid: u32,
    /// Code or signal.
    pub status: ExitStatus,
    /// Its memory.
    pub curve: Curve,
    /// Ended by its parent after so many seconds without a step.
    pub hung: Option<u64>,
    /// Out-of-memory kills that the kernel counted in its last seconds.
    pub kills: Option<u64>,
    /// Its last step before its loop, in words.
    pub told: Option<String>,
    /// Last lines on its stderr.
    pub words: Vec<String>,
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
                // with the lock held: whoever begins a worker sees it, or it reaches that worker, never both
                let worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                stop.store(signal, SeqCst);
                pass_on(signal, *worker);
            }
        });
        Ok(())
    }

    fn workers(&self) -> Result<(), Failure> {
        let folder = &self.orders.folder;
        if let Some((postmortem, path)) = explain_earlier(folder, &self.lock)? {
            self.say(&format!(
                "the run had ended without a word: {}\n  evidence in {}",
                postmortem.verdict,
                path.display()
            ));
        }
        let mut deaths = 0;
        let mut finished = evaluations(folder);
        let asked = manifest(folder);
        loop {
            // what the first words ask for is done once the manifest says it
            let words = if manifest(folder) == asked {
                &self.orders.first
            } else {
                &self.orders.again
            };
            // asked for while there was no worker to pass it on to
            self.not_stopped()?;
            let ended = self.one(words)?;
            match ended.status.code() {
                Some(0) => return Ok(()),
                Some(code @ (1..=6 | 130 | 143)) => {
                    end_programs(folder);
                    return Err(Failure::Said { code: code as u8 });
                }
                _ => {}
            }
            self.not_stopped()?;
            let (postmortem, path) = explain(folder, &self.lock, &ended)?;
            let now = evaluations(folder);
            deaths = if now > finished { 1 } else { deaths + 1 };
            finished = now;
            if deaths > self.orders.max_restarts {
                end_programs(folder);
                self.log(&format!("the worker died: {}", postmortem.verdict));
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
        let pulse = Pulse::new().map_err(failed)?;
        let mut child = Command::new(program)
            .args(words)
            .env(WATCHED_BY, std::process::id().to_string())
            .env(PULSE, pulse.number())
            .env_remove(SWEPT_BY)
            .stdin(Stdio::from(self.lock.share().map_err(failed)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = child.id();
        self.set_worker(Some(pid));
        let words = Words::of(child.stdout.take(), child.stderr.take());
        let (done, over) = channel::<()>();
        let folder = self.orders.folder.clone();
        let monitor = thread::spawn(move || monitor(pid, &folder, &pulse, kills, &over));
        // nobody else gets its number before it is reaped: until then signals reach nobody else
        let _ = waitid(
            WaitId::Pid(Pid::from_child(&child)),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        self.set_worker(None);
        drop(done);
        let seen = monitor.join().unwrap_or_else(|_| Seen {
            curve: Curve::of(pid),
            hung: None,
            kills: None,
            told: None,
        });
        Ok(Ended {
            pid,
            status: child.wait().map_err(failed)?,
            curve: seen.curve,
            hung: seen.hung,
            kills: seen.kills,
            told: seen.told,
            words: words.close(),
        })
    }

    /// # Errors
    /// [`Failure::Stopped`] once a stop was asked for; programs that a worker left are ended first.
    fn not_stopped(&self) -> Result<(), Failure> {
        let signal @ 1.. = self.stop.load(SeqCst) else {
            return Ok(());
        };
        let folder = &self.orders.folder;
        end_programs(folder);
        Err(Failure::Stopped {
            signal,
            asked: StopRequest::stands(folder),
            out: folder.clone(),
        })
    }

    /// Who gets signals from now on, and the one that came while it was being started.
    fn set_worker(&self, pid: Option<u32>) {
        let pid = pid.and_then(|pid| Pid::from_raw(pid as i32));
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        *worker = pid;
        pass_on(self.stop.load(SeqCst), pid);
    }

    /// A death is no progress: it is said to whoever asked for quiet too.
    fn say(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "bo: {message}");
        self.log(message);
    }

    /// Into `log.txt`, for whoever looks there in the morning. One that cannot be written ends no run.
    fn log(&self, message: &str) {
        let log = Log::default();
        if log.attach(&self.orders.folder).is_ok() {
            log.say(message);
        }
    }
}

/// Sends a signal (0 = none) to a worker, if there is one.
fn pass_on(signal: i32, worker: Option<Pid>) {
    if let (Some(worker), Some(signal)) = (worker, Signal::from_named_raw(signal)) {
        let _ = kill_process(worker, signal);
    }
}

/// Bytes of finished evaluations: grows with each.
fn evaluations(folder: &Path) -> u64 {
    fs::metadata(folder.join("evaluations.jsonl")).map_or(0, |data| data.len())
}

/// `run.json` as it stands.
fn manifest(folder: &Path) -> Option<Vec<u8>> {
    bounded::read(&folder.join("run.json"), bounded::LEDGER).ok()
}

/// Ends the programs that a worker left behind which ended at once.
fn end_programs(folder: &Path) {
    let attempts =
        History::read(folder).map_or_else(|_| Default::default(), |history| history.attempts);
    let programs = attempts.into_values().filter_map(|one| one.program);
    programs.for_each(|program| {
        end_leftover(&program);
    });
}
