//! Processes that a program started and that left its process group (a session of their own, a daemon): found by a mark
//! that they inherit in their environment.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

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

/// How long a process that was killed may take to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends what the programs left behind that a worker which is gone had started at `since` (seconds since 1970) or later,
/// and waits until it is gone; returns whether there was any. A worker's number that somebody has now is left alone.
pub fn end_orphans(worker: u32, since: u64) -> bool {
    // empty for one that has ended and is not reaped yet
    if fs::read(format!("/proc/{worker}/environ")).is_ok_and(|bytes| !bytes.is_empty()) {
        return false;
    }
    let theirs = |entry: &[u8]| {
        let mark = std::str::from_utf8(entry).ok()?;
        let (pid, rest) = mark
            .strip_prefix(NAME)?
            .strip_prefix('=')?
            .split_once('-')?;
        let (started, _) = rest.split_once('-')?;
        Some(pid.parse() == Ok(worker) && started.parse::<u64>().ok()? >= since)
    };
    let begun = Instant::now();
    let mut any = false;
    loop {
        let found = marked(|entry| theirs(entry) == Some(true));
        if found.is_empty() || begun.elapsed() > PATIENCE {
            return any;
        }
        any = true;
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends every process that carries `mark`, at once. Those that cleared their environment, and those of other users, are
/// not found.
pub fn end_marked(mark: &str) {
    let wanted = format!("{NAME}={mark}");
    for _ in 0..ROUNDS {
        let found = marked(|entry| entry == wanted.as_bytes());
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Processes with an entry of their environment that is wanted.
fn marked(wanted: impl Fn(&[u8]) -> bool) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let carries = |pid: &i32| {
        // empty for one that has ended and is not reaped yet
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|bytes| bytes.split(|&byte| byte == 0).any(&wanted))
    };
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(carries)
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_orphans_of_a_worker_that_is_gone_are_ended() {
        let started = |mark: &str| {
            let mut command = Command::new("sleep");
            command.arg("30").env(NAME, mark).spawn().unwrap()
        };
        // no process has so high a number
        let gone = u32::MAX;
        let mut mine = started(&format!("{gone}-1000-0"));
        let mut earlier = started(&format!("{gone}-900-0"));
        let living = std::process::id();
        let mut its = started(&format!("{living}-1000-0"));
        // the name is in the environment once the program is
        while marked(|entry| entry.ends_with(b"-1000-0")).len() < 2 {
            std::thread::yield_now();
        }
        let reaper = std::thread::spawn(move || mine.wait().unwrap());
        assert!(end_orphans(gone, 1000));
        assert!(!reaper.join().unwrap().success());
        assert!(!end_orphans(gone, 1000));
        assert!(!end_orphans(living, 1000));
        for child in [&mut earlier, &mut its] {
            assert!(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
