//! Processes that a program started and that left its process group (a session of their own, a daemon): found by a mark
//! that they inherit in their environment.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::process::{Pid, Signal, kill_process};

/// Name of the mark in the environment.
pub const NAME: &str = "BO_PROGRAM";
/// A process may start another while the list is read: the list is read again, at most so often.
const ROUNDS: usize = 4;

/// A mark that no other program has.
pub fn mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let started = crate::record::now();
    format!(
        "{}-{started}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Relaxed)
    )
}

/// Ends every process that carries `mark`, at once. Those that cleared their environment, and those of other users, are
/// not found.
pub fn end_marked(mark: &str) {
    let wanted = format!("{NAME}={mark}");
    for _ in 0..ROUNDS {
        let found = marked(&wanted);
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn marked(wanted: &str) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let carries = |pid: &i32| {
        // empty for one that has ended and is not reaped yet
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| {
            bytes
                .split(|&byte| byte == 0)
                .any(|entry| entry == wanted.as_bytes())
        })
    };
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(carries)
        .filter_map(Pid::from_raw)
        .collect()
}
