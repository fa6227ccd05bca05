//! What the kernel said of a process: out-of-memory kills, faults, errors of a GPU. Empty where its log may not be read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

/// Most records read: the kernel keeps a few thousand.
const RECORDS: usize = 100_000;
/// Longest record, by the kernel's interface.
const LONGEST: usize = 8192;
/// Lines kept.
const KEPT: usize = 5;

/// Lines about process `pid`, the last ones; `None` where the log may not be read.
pub fn lines_about(pid: u32) -> Option<Vec<String>> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg")
        .ok()?;
    let mut found = Vec::new();
    let mut record = [0; LONGEST];
    for _ in 0..RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => found.extend(about(&String::from_utf8_lossy(&record[..length]), pid)),
            // a record that was overwritten meanwhile
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(_) => break,
        }
    }
    Some(found.split_off(found.len().saturating_sub(KEPT)))
}

/// The message of a record `priority,number,microseconds,flags;message` if it tells of the death of `pid`.
fn about(record: &str, pid: u32) -> Option<String> {
    const TELLING: [&str; 6] = [
        "Killed process",
        "segfault at",
        "traps:",
        "general protection",
        "Xid",
        "oom-kill:",
    ];
    let message = record.split_once(';')?.1.lines().next()?;
    // a CPU, a user or the code of an Xid may have the same number
    let names = ["process ", "pid=", "["].iter().any(|before| {
        let after = message.split(*before).skip(1);
        let mut numbers = after.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        numbers.any(|number| number.is_some_and(|number| number.parse() == Ok(pid)))
    });
    (names && TELLING.iter().any(|word| message.contains(word))).then(|| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_deaths_of_that_process_are_told() {
        let record = "6,1234,98765,-;Memory cgroup out of memory: Killed process 71 (bo) total-vm:9kB\n SUBSYSTEM=x";
        assert!(about(record, 71).is_some_and(|line| line.ends_with("9kB")));
        assert_eq!(about(record, 7), None);
        let fault =
            "4,1,2,-;bo[71]: segfault at 9 ip 0 error 4 in bo[3,1] likely on CPU 7 (core 5)";
        assert!(about(fault, 71).is_some());
        assert_eq!(about(fault, 7), None);
        assert_eq!(about("6,1,2,-;Killed process 71 (bo) UID:7", 7), None);
        assert!(
            about(
                "4,1,2,-;NVRM: Xid (PCI:0000:01:00): 31, pid=71, name=bo",
                71
            )
            .is_some()
        );
        assert_eq!(about("6,1,2,-;eth0: link 71 up", 71), None);
    }
}
