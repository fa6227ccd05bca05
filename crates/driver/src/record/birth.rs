//! When a process was started, by the machine's own count: with its number that names one process for good.

use std::fs;

use serde::{Deserialize, Serialize};

/// The start of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Clock ticks since the machine was started.
    pub ticks: u64,
    /// Which start of the machine.
    pub boot: String,
}

impl Birth {
    /// That of process `pid`; `None` where there is none, or the system does not tell.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // the name, in brackets, may hold anything: fields are counted from its end
        let fields = stat.rsplit_once(')')?.1;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            ticks: fields.split_whitespace().nth(19)?.parse().ok()?,
            boot: boot.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_birth_and_shares_it_with_no_later_one() {
        let own = Birth::of(std::process::id()).unwrap();
        assert_eq!(Birth::of(std::process::id()).unwrap(), own);
        let first = Birth::of(1).unwrap();
        assert_eq!(first.boot, own.boot);
        assert!(first.ticks < own.ticks);
        assert_eq!(Birth::of(u32::MAX), None);
    }
}
