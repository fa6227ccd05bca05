//! Processes that a program started and that left its process group (a session of their own, a daemon): found by a mark
//! that they inherit in their environment.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::lineage::PROGRAM;

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
            .strip_prefix(PROGRAM)?
            .strip_prefix('=')?
            .split_once('-')?;
        let (started, _) = rest.split_once('-')?;
        Some(pid.parse() == Ok(worker) && started.parse::<u64>().ok()? >= since)
    };
    let begun = Instant::now();
    let mut any = false;
    loop {
        let Sighting { carrying, unclear } = look(|entry| theirs(entry) == Some(true));
        let over = carrying.is_empty() && !unclear;
        if over || begun.elapsed() > PATIENCE {
            return any;
        }
        any |= !carrying.is_empty();
        for pid in carrying {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends every process that carries `mark`, at once. Those that cleared their environment, and those of other users, are
/// not found.
pub fn end_marked(mark: &str) {
    let wanted = format!("{PROGRAM}={mark}");
    for _ in 0..ROUNDS {
        let found = look(|entry| entry == wanted.as_bytes()).carrying;
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// What a look at all processes shows.
struct Sighting {
    /// Those with an entry of their environment that is wanted.
    carrying: Vec<Pid>,
    /// Some process could not be told: to be looked at again.
    unclear: bool,
}

fn look(wanted: impl Fn(&[u8]) -> bool) -> Sighting {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut sighting = Sighting {
        carrying: Vec::new(),
        unclear: false,
    };
    for number in processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        // unreadable: another user's, or gone
        let Ok(environment) = fs::read(format!("/proc/{number}/environ")) else {
            continue;
        };
        if environment.split(|&byte| byte == 0).any(&wanted) {
            sighting.carrying.extend(Pid::from_raw(number));
        } else if environment.is_empty() {
            let stat = fs::read_to_string(format!("/proc/{number}/stat"));
            sighting.unclear |= stat.is_ok_and(|stat| between(&stat) == Some(true));
        }
    }
    sighting
}

/// Whether a process (its `/proc/PID/stat`) has no environment for the moment only: it is about to become another
/// program, or on its way out. One that has ended and is not reaped, and the kernel's own, have none for good.
fn between(stat: &str) -> Option<bool> {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    // the name, in brackets, may hold anything: fields are counted from its end
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let (flags, end_of_environment) = (number(6)?, number(48)?);
    let ended = matches!(*fields.first()?, "Z" | "X");
    Some(!ended && flags & KERNEL_THREAD == 0 && end_of_environment == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_orphans_of_a_worker_that_is_gone_are_ended() {
        let started = |mark: &str| {
            let mut command = Command::new("sleep");
            command.arg("30").env(PROGRAM, mark).spawn().unwrap()
        };
        // no process has so high a number
        let gone = u32::MAX;
        let mut mine = started(&format!("{gone}-1000-0"));
        let mut earlier = started(&format!("{gone}-900-0"));
        let living = std::process::id();
        let mut its = started(&format!("{living}-1000-0"));
        // the name is in the environment once the program is
        while look(|entry| entry.ends_with(b"-1000-0")).carrying.len() < 2 {
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
    #[test]
    fn only_a_process_between_two_programs_is_unclear() {
        let stat = |state: &str, flags: u64, end: u64| {
            let zeros = |n: usize| vec!["0"; n].join(" ");
            format!(
                "7 (a) b)) {state} {} {flags} {} {end} 0",
                zeros(5),
                zeros(41)
            )
        };
        assert_eq!(between(&stat("R", 0x40_0000, 0)), Some(true));
        assert_eq!(between(&stat("Z", 0x40_000c, 0)), Some(false));
        assert_eq!(
            between(&stat("S", 0x20_8040, 0)),
            Some(false),
            "the kernel's own"
        );
        assert_eq!(
            between(&stat("S", 0x40_0000, 4096)),
            Some(false),
            "started without any"
        );
        assert_eq!(between("7 (a"), None);
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(between(&own), Some(false));
        let mut child = Command::new("true").env_clear().spawn().unwrap();
        while !fs::read_to_string(format!("/proc/{}/stat", child.id()))
            .unwrap()
            .contains(") Z ")
        {
            std::thread::yield_now();
        }
        let ended = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        assert_eq!(between(&ended), Some(false));
        child.wait().unwrap();
    }
}
