//! Ends a program that outlived the worker that had started it, before its evaluation is started again.

use rustix::process::{Pid, Signal, kill_process_group};

use super::explain::boot_time;
use crate::record::{Birth, Program};

/// Seconds by which the start of a program may lie beside its question, in records that do not hold its birth.
const SLACK: u64 = 3;

/// Clock ticks a second in `/proc/PID/stat`: fixed by the kernel's interface.
const TICKS: u64 = 100;

/// Ends the process group of a program if its leader is still the one that was started then; returns whether there was
/// one.
pub fn end_leftover(program: &Program) -> bool {
    let group = program.group;
    let same = match &program.birth {
        Some(birth) => Birth::of(group).as_ref() == Some(birth),
        None => start_of(group).is_some_and(|since| since.abs_diff(program.asked) <= SLACK),
    };
    let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // never group 1 and below: those are not ours whatever a file says
    same && group > 1 && kill_process_group(pid, Signal::KILL).is_ok()
}

/// When a process was started, in seconds since 1970.
fn start_of(pid: u32) -> Option<u64> {
    Some(boot_time()? + Birth::of(pid)?.ticks / TICKS)
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
        let program = |group: u32, birth: Option<Birth>, asked: u64| Program {
            group,
            birth,
            asked,
        };
        let pid = child.id();
        assert!(!end_leftover(&program(pid, None, now() - 1000)));
        // another process that has its number by now
        let other = Birth::of(std::process::id());
        assert!(!end_leftover(&program(pid, other, now())));
        assert!(child.try_wait().unwrap().is_none());
        // a server, asked long after it was started
        let asked = now() + 1000;
        assert!(end_leftover(&program(pid, Birth::of(pid), asked)));
        assert!(!child.wait().unwrap().success());
        assert!(!end_leftover(&program(pid, None, now())));
        assert!(!end_leftover(&program(1, Birth::of(1), now())));
    }
}
