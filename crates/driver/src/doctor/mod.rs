//! `bo doctor`: why a run would die on this machine, found out before one does. Checks in order, each with a verdict.
//!
//! Central type: [`Diagnosis`]. One file a check; a check measures, and says what to change where something is wrong.

mod blas;
mod clean_up;
mod climb;
mod clock;
mod cpu;
mod device;
mod disk;
mod memory;
mod networks;
mod regions;
mod rounds;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use bo_memory::{cgroup, host};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

/// What is examined.
#[derive(Clone, Debug)]
pub struct Patient {
    /// Folder in which runs will be.
    pub folder: PathBuf,
    /// Host memory to climb to, bytes.
    pub budget: u64,
    /// Share of a GPU's memory to climb to, in (0, 1].
    pub share: f64,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// A run finishes, but something is worth knowing.
    Note,
    /// It could not be found out.
    Skipped,
    /// It would stop a run.
    Bad,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which check.
    check: &'static str,
    verdict: Verdict,
    /// In words, with figures.
    found: String,
    /// What to change; empty where nothing needs to be.
    #[serde(skip_serializing_if = "String::is_empty")]
    change: String,
    seconds: f64,
}

/// What a check answers.
struct Answer {
    verdict: Verdict,
    found: String,
    change: String,
}

impl Answer {
    fn good(found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Good,
            found: found.into(),
            change: String::new(),
        }
    }

    fn note(found: impl Into<String>, change: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Note,
            found: found.into(),
            change: change.into(),
        }
    }

    fn skipped(found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Skipped,
            ..Self::good(found)
        }
    }

    fn bad(found: impl Into<String>, change: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::note(found, change)
        }
    }
}

type Check = fn(&Patient) -> Answer;

/// Whether a check takes so much memory that it is not made where [`MEMORY`] was bad: the machine would kill this program, or
/// another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Light,
    Heavy,
}
use Weight::{Heavy, Light};

/// The check on whose verdict heavy ones depend.
const MEMORY: &str = "memory";

/// In the order in which they are made.
const CHECKS: [(&str, Weight, Check); 12] = [
    ("disk", Light, disk::check),
    ("clock", Light, clock::check),
    ("processor", Light, cpu::check),
    ("linear algebra", Light, blas::check),
    (MEMORY, Light, memory::check),
    ("device", Light, device::check),
    ("clean-up", Heavy, clean_up::check),
    ("networks", Heavy, networks::check),
    ("region growing", Light, regions::check),
    ("heavy rounds", Heavy, rounds::check),
    ("climb", Heavy, climb::check),
    ("device climb", Heavy, climb::on_device),
];

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    format: &'static str,
    version: u32,
    /// No check was bad.
    will_finish: bool,
    findings: Vec<Finding>,
}

/// Makes every check; `tell` hears of each finding at once.
pub fn examine(patient: &Patient, tell: impl FnMut(&Finding)) -> Diagnosis {
    examine_by(&CHECKS, patient, tell)
}

fn examine_by(
    checks: &[(&'static str, Weight, Check)],
    patient: &Patient,
    mut tell: impl FnMut(&Finding),
) -> Diagnosis {
    let mut findings: Vec<Finding> = Vec::with_capacity(checks.len());
    for &(name, weight, check) in checks {
        let begun = Instant::now();
        let pressed = findings
            .iter()
            .any(|finding| finding.check == MEMORY && finding.verdict == Verdict::Bad);
        let Answer {
            verdict,
            found,
            change,
        } = match weight {
            Heavy if pressed => Answer::skipped("not tried: there is too little memory for it"),
            _ => check(patient),
        };
        let finding = Finding {
            check: name,
            verdict,
            found,
            change,
            seconds: begun.elapsed().as_secs_f64(),
        };
        tell(&finding);
        findings.push(finding);
    }
    Diagnosis {
        format: "bo/diagnosis",
        version: 1,
        will_finish: findings
            .iter()
            .all(|finding| finding.verdict != Verdict::Bad),
        findings,
    }
}

impl Diagnosis {
    /// Whether nothing would stop a run.
    pub fn will_finish(&self) -> bool {
        self.will_finish
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Note => "note",
            Verdict::Skipped => "-   ",
            Verdict::Bad => "BAD ",
        };
        write!(f, "{verdict}  {:<14}  {}", self.check, self.found)?;
        match self.change.as_str() {
            "" => Ok(()),
            change => write!(f, "\n{:22}{change}", ""),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.will_finish {
            return f.write_str("this machine will finish your run");
        }
        f.write_str("this would stop your run:")?;
        for finding in self
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Bad)
        {
            write!(
                f,
                "\n  {}: {}\n    {}",
                finding.check, finding.found, finding.change
            )?;
        }
        Ok(())
    }
}

/// Bytes that this process may still take: what the machine has free, its cgroup's limit, RLIMIT_AS; none where nothing
/// tells.
fn room() -> Option<u64> {
    let room = [
        host::available(),
        cgroup::limit().map(|limit| limit.saturating_sub(cgroup::in_use().unwrap_or(0))),
        getrlimit(Resource::As).current,
    ];
    room.into_iter().flatten().min()
}

/// Resident bytes of this process after giving free pages back; 0 where the system does not tell.
fn resident() -> u64 {
    host::trim();
    host::resident().map_or(0, |resident| resident.now)
}

/// Growth of resident memory from one round to a later one that is more than noise: 5 % and 8 MB.
fn grew(from: u64, to: u64) -> bool {
    to > from + from / 20 + (8 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that measure nothing of the whole process, which other tests share.
    #[test]
    fn the_light_checks_find_nothing_bad_here() {
        let folder = tempfile::tempdir().unwrap();
        let patient = Patient {
            folder: folder.path().to_owned(),
            budget: 64 << 20,
            share: 0.8,
        };
        let light: [(&str, Check); 7] = [
            ("disk", disk::check),
            ("clock", clock::check),
            ("processor", cpu::check),
            ("linear algebra", blas::check),
            ("device", device::check),
            ("climb", climb::check),
            ("device climb", climb::on_device),
        ];
        for (name, check) in light {
            let answer = check(&patient);
            assert_ne!(answer.verdict, Verdict::Bad, "{name}: {}", answer.found);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = Patient {
            folder: "/proc/nowhere".into(),
            ..patient
        };
        assert_eq!(disk::check(&nowhere).verdict, Verdict::Bad);
    }

    #[test]
    fn nothing_heavy_is_done_where_memory_is_bad() {
        let patient = Patient {
            folder: ".".into(),
            budget: 0,
            share: 0.8,
        };
        let verdicts = |memory: Check| -> Vec<Verdict> {
            let heavy: Check = |_| Answer::good("took much");
            let checks = [
                (MEMORY, Light, memory),
                ("rounds", Heavy, heavy),
                ("regions", Light, heavy),
            ];
            let diagnosis = examine_by(&checks, &patient, |_| {});
            let found = diagnosis.findings.iter();
            found.map(|finding| finding.verdict).collect()
        };
        assert_eq!(
            verdicts(|_| Answer::bad("1 MB", "buy more")),
            [Verdict::Bad, Verdict::Skipped, Verdict::Good]
        );
        assert_eq!(
            verdicts(|_| Answer::note("no limit tells", "watch")),
            [Verdict::Note, Verdict::Good, Verdict::Good]
        );
    }

    #[test]
    fn one_bad_finding_is_named_with_what_to_change() {
        let finding = |verdict| Finding {
            check: "disk",
            verdict,
            found: "full".into(),
            change: "make room".into(),
            seconds: 0.0,
        };
        let diagnosis = |verdict| Diagnosis {
            format: "bo/diagnosis",
            version: 1,
            will_finish: verdict != Verdict::Bad,
            findings: vec![finding(verdict)],
        };
        assert_eq!(
            diagnosis(Verdict::Note).to_string(),
            "this machine will finish your run"
        );
        assert!(
            diagnosis(Verdict::Bad)
                .to_string()
                .ends_with("disk: full\n    make room")
        );
        assert!(grew(100 << 20, 120 << 20) && !grew(100 << 20, 108 << 20));
    }
}
