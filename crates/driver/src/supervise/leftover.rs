//! Ends a program that outlived the worker that had started it, before its evaluation is started again.

use std::fs;

use rustix::process::{Pid, Signal, kill_process_group};

use super::explain::boot_time;

/// Seconds by which a start noted in `attempts.jsonl` may lie beside the one that the system tells.
const SLACK: u64 = 3;

/// Clock ticks a second in `/proc/PID/stat`: fixed by the kernel's interface.
const TICKS: u64 = 100;

/// Ends process group `group` if its leader is still the program that was started at `started` (seconds since
/// 1970); returns whether there was one.
pub fn end_leftover(group: u32, started: u64) -> bool {
    let same = start_of(group).is_some_and(|since| since.abs_diff(started) <= SLACK);
    let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // never group 1 and below: those are not ours whatever a file says
    same && group > 1 && kill_process_group(pid, Signal::KILL).is_ok()
}

/// When a process was started, in seconds since 1970.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name, in brackets, may hold anything: fields are counted from its end
    let fields = stat.rsplit_once(')')?.1;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(boot_time()? + ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::now;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    #[test]
    fn only_the_program_that_was_started_then_is_ended() {
        let mut child = Command::new("sleep")
            .arg("30")
            .process_group(0)
            .spawn()
            .unwrap();
        assert!(!end_leftover(child.id(), now() - 1000));
        assert!(child.try_wait().unwrap().is_none());
        assert!(end_leftover(child.id(), now()));
        assert!(!child.wait().unwrap().success());
        assert!(!end_leftover(child.id(), now()));
        assert!(!end_leftover(1, start_of(1).unwrap_or(0)));
    }
}
