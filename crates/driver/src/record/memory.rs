//! Memory of one iteration, as a line of `memory.jsonl`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bo_memory::device::DeviceBytes;
use bo_memory::{Bytes, Growth, ScopeReport};
use serde::{Deserialize, Serialize};

use super::decision::DecisionLine;
use super::error::RecordError;
use super::evaluation::EvaluationLine;
use super::journal;
use super::seal::Sealed;
use crate::event::Seconds;

/// Bytes of one iteration, host and device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryLine {
    /// The iteration; 0 = initial design.
    pub iteration: u64,
    /// In use when it began, at its peak, when it ended.
    pub before: Bytes,
    /// See `before`.
    pub peak: Bytes,
    /// See `before`.
    pub after: Bytes,
    /// Peak by owner of the work.
    pub owners: BTreeMap<String, Bytes>,
    /// Bytes held by name at the end.
    pub held: BTreeMap<String, u64>,
    /// Change that no name explains; within the tolerance it is no leak.
    pub unexplained: i64,
    /// Leaks by owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaks: BTreeMap<String, u64>,
    /// What was done to keep within memory, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Memory that grew from iteration to iteration, seen at this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// Bytes of the GPU at the end, its peaks since the last deep clean-up or phase; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceBytes>,
    /// Resident bytes at the end; 0 where the system does not tell.
    pub resident: u64,
    /// Most resident bytes since the last deep clean-up; absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_peak: Option<u64>,
    /// Resident bytes that a deep clean-up after this iteration gave back; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freed: Option<u64>,
    /// Where the time of this iteration went.
    pub seconds: Seconds,
}

/// The lines of a run that can be read, in order; none if there are none.
pub fn memory_lines(folder: &Path) -> Vec<MemoryLine> {
    let contents = journal::read(&folder.join("memory.jsonl"));
    contents.map_or_else(
        |_| Vec::new(),
        |contents| contents.lines.into_iter().map(|(_, line)| line).collect(),
    )
}

/// The first line of a run's memory that is damaged.
///
/// # Errors
/// [`RecordError`], where the file cannot be read at all.
pub fn memory_damage(folder: &Path) -> Result<Option<RecordError>, RecordError> {
    let path = folder.join("memory.jsonl");
    let contents = journal::read::<MemoryLine>(&path)?;
    let first = contents.damaged.first();
    Ok(first.map(|(line, reason)| RecordError::damaged(&path, format!("line {line}: {reason}"))))
}

/// Time that a run has taken: what the lines of its iterations say; where an iteration left none, what its decision and
/// its evaluations say of themselves. Never less than before.
pub fn spent(
    lines: &[MemoryLine],
    evaluations: &[EvaluationLine],
    decisions: &[DecisionLine],
) -> Seconds {
    let mut total = Seconds::default();
    let mut noted = BTreeSet::new();
    for line in lines {
        noted.insert(line.iteration);
        total.add(line.seconds);
    }
    for line in decisions {
        if !noted.contains(&line.iteration) {
            total.add(line.seconds);
        }
    }
    for line in evaluations {
        if !noted.contains(&line.iteration) {
            total.evaluate += line.seconds;
        }
    }
    total
}

impl Sealed for MemoryLine {
    const FORMAT: &'static str = "bo/memory";
    const VERSION: u32 = 1;
}

impl MemoryLine {
    /// The most that is known to have been held in this iteration, bytes.
    pub fn most(&self) -> u64 {
        let resident = self.resident_peak.unwrap_or(self.resident);
        resident.max(self.peak.host)
    }

    /// From a closed scope.
    pub fn new(iteration: u64, report: &ScopeReport, resident: u64, seconds: Seconds) -> Self {
        let mut owners: BTreeMap<String, Bytes> = BTreeMap::new();
        for child in &report.children {
            let peak = owners.entry(child.owner.clone()).or_default();
            *peak = peak.max(child.peak);
        }
        Self {
            iteration,
            before: report.before,
            peak: report.peak,
            after: report.after,
            owners,
            held: report
                .held
                .iter()
                .map(|held| (held.name.clone(), held.bytes))
                .collect(),
            unexplained: report.unexplained,
            leaks: report
                .leaks
                .iter()
                .map(|leak| (leak.owner.clone(), leak.bytes))
                .collect(),
            steps: Vec::new(),
            growth: None,
            device: None,
            resident,
            resident_peak: None,
            freed: None,
            seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_earlier_processes_counts() {
        let line = |iteration, fit| MemoryLine {
            seconds: Seconds {
                fit,
                other: 0.5,
                evaluate: 9.0,
                ..Seconds::default()
            },
            ..MemoryLine::new(
                iteration,
                &bo_memory::Ledger::new().scope("x").close(),
                0,
                Seconds::default(),
            )
        };
        // iteration 1 was done twice, by two processes
        let total = spent(&[line(0, 1.0), line(1, 2.0), line(1, 3.0)], &[], &[]);
        assert_eq!((total.fit, total.other, total.evaluate), (6.0, 1.5, 27.0));
        // an evaluation counts by itself only while its iteration has left no line
        let evaluation = |iteration| EvaluationLine {
            id: iteration,
            iteration,
            x: Vec::new(),
            w: Vec::new(),
            environment: None,
            value: None,
            status: "ok".into(),
            scale: None,
            reason: None,
            attempt: 0,
            seconds: 8.0,
        };
        let before = spent(&[line(0, 1.0)], &[evaluation(0), evaluation(1)], &[]);
        assert_eq!(before.evaluate, 17.0);
        let after = [line(0, 1.0), line(1, 2.0)];
        assert_eq!(
            spent(&after, &[evaluation(0), evaluation(1)], &[]).evaluate,
            18.0
        );
    }
}
