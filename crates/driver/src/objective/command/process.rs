//! A running program in its own process group, with its output as lines.
//!
//! Central type: [`Process`]. Whatever happens, its whole group is gone when the [`Process`] is: the leader
//! is not reaped before the group has been killed, so its number cannot belong to another by then.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::line::each_line;
use super::stray;
use crate::lineage::{PROGRAM, PULSE, SWEPT_BY, WATCHED_BY};
use crate::record::Birth;

/// How long a program may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long to listen on when the program has ended but something holds its output open.
const LINGER: Duration = Duration::from_millis(300);
/// Lines waiting to be heard; beyond that the program waits.
const WAITING: usize = 256;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl End {
    /// Exit code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

/// What was heard in a short while.
pub enum Said {
    /// A line of stdout.
    Line(String),
    /// Nothing yet.
    Nothing,
    /// The process has ended and everything it said has been heard.
    Ended(End),
}

/// A running program.
pub struct Process {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    output_open: bool,
    /// When it was first seen to have ended.
    ended: Option<Instant>,
    /// What all it starts carries in the environment.
    mark: String,
    /// It was ended before it ended itself: so is all it started.
    forced: bool,
}

impl Process {
    /// Starts `words[0]` with the rest as arguments in `folder` (empty: where this process is); stderr goes to
    /// `log` line by line.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn start(
        words: &[String],
        folder: &Path,
        log: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> std::io::Result<Self> {
        let mut command = match words[0].contains('/') {
            true => Command::new(folder.join(&words[0])),
            false => Command::new(&words[0]),
        };
        if !folder.as_os_str().is_empty() {
            command.current_dir(folder);
        }
        let mark = stray::mark();
        let mut child = command
            .args(&words[1..])
            .env(PROGRAM, &mark)
            // a `bo` that the program starts is nobody's worker and of no sweep
            .env_remove(WATCHED_BY)
            .env_remove(PULSE)
            .env_remove(SWEPT_BY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, lines) = sync_channel(WAITING);
        let stdin = child.stdin.take();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || each_line(stdout, |line| sender.send(line).is_ok()));
        }
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                each_line(stderr, |line| {
                    log(&line);
                    true
                });
            });
        }
        Ok(Self {
            child,
            pid,
            stdin,
            lines,
            output_open: true,
            ended: None,
            mark,
            forced: false,
        })
    }

    /// Its process group: the number of its first process.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// When its first process was started.
    pub fn birth(&self) -> Option<Birth> {
        // not reaped before it is dropped: the number is its own
        Birth::of(self.child.id())
    }

    /// Whether it runs still.
    pub fn is_alive(&self) -> bool {
        self.poll().is_none()
    }

    /// Sends a line; then closes stdin if asked to. A program that does not listen is no error: it may
    /// answer all the same.
    pub fn ask(&mut self, line: &str, close: bool) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin
                .write_all(format!("{line}\n").as_bytes())
                .and_then(|()| stdin.flush());
        }
        if close {
            self.stdin = None;
        }
    }

    /// What it says next, waiting a short while.
    pub fn hear(&mut self) -> Said {
        const WHILE: Duration = Duration::from_millis(20);
        if self.output_open {
            match self.lines.recv_timeout(WHILE) {
                Ok(line) => return Said::Line(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.output_open = false,
            }
        }
        let Some(end) = self.poll() else {
            if !self.output_open {
                std::thread::sleep(Duration::from_millis(2));
            }
            return Said::Nothing;
        };
        let since = *self.ended.get_or_insert_with(Instant::now);
        if self.output_open && since.elapsed() < LINGER {
            Said::Nothing
        } else {
            Said::Ended(end)
        }
    }

    /// How it ended, if it has; leaves it unreaped.
    fn poll(&self) -> Option<End> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Code(code),
                (None, Some(signal)) => End::Signal(signal),
                (None, None) => End::Code(-1),
            }),
            Err(_) => Some(End::Code(-1)),
        }
    }

    /// Ends it with everything it started: SIGTERM, three seconds, SIGKILL; what left its process group gets SIGKILL too.
    /// At once if it has ended.
    pub fn end(mut self) {
        self.stdin = None;
        if self.is_alive() {
            self.forced = true;
            let _ = kill_process_group(self.pid, Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while self.is_alive() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
        if self.forced {
            stray::end_marked(&self.mark);
        }
    }
}
