//! The alarm for memory that grows slowly: a robust slope over the last iterations.
//!
//! Central type [`Slope`]. One iteration may stay under [`crate::TOLERANCE`] for ever and still end a
//! run after a thousand of them; over many iterations its bytes add up to a line that rises.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::scope::ScopeReport;

/// Iterations looked at.
pub const WINDOW: usize = 24;

/// Iterations before anything is said.
const FIRST: usize = 12;

/// Growth per iteration, in bytes, from which it is told.
pub const BOUND: f64 = 16.0 * 1024.0;

/// Memory grows from iteration to iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Who left most behind over the window.
    pub owner: String,
    /// Bytes an iteration, beyond what is held by name.
    pub bytes: u64,
    /// Iterations looked at.
    pub iterations: usize,
}

/// What the last iterations left behind.
#[derive(Debug, Default)]
pub struct Slope {
    window: VecDeque<(i64, BTreeMap<String, i64>)>,
    quiet: usize,
}

impl Slope {
    /// Takes the report of an iteration. `Some` when unnamed bytes have risen by more than `BOUND`
    /// an iteration (the median of the slopes of all pairs, Theil and Sen) with both halves of the
    /// window rising; then not again before the window is a new one.
    pub fn push(&mut self, report: &ScopeReport) -> Option<Growth> {
        let total = self.window.back().map_or(0, |(total, _)| *total) + report.unexplained;
        let mut left: BTreeMap<String, i64> = BTreeMap::new();
        for child in &report.children {
            *left.entry(child.owner.clone()).or_default() += child.left();
        }
        let inside: i64 = left.values().sum();
        left.insert("between the steps".into(), report.unexplained - inside);
        self.window.push_back((total, left));
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return None;
        }
        let growth = self.growth()?;
        self.quiet = WINDOW;
        Some(growth)
    }

    fn growth(&self) -> Option<Growth> {
        let totals: Vec<f64> = self.window.iter().map(|(total, _)| *total as f64).collect();
        if totals.len() < FIRST {
            return None;
        }
        let (early, late) = totals.split_at(totals.len() / 2);
        let slope = theil_sen(&totals);
        if slope <= BOUND || theil_sen(early) <= 0.0 || theil_sen(late) <= 0.0 {
            return None;
        }
        let mut owners: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, left) in &self.window {
            for (owner, bytes) in left {
                *owners.entry(owner).or_default() += bytes;
            }
        }
        let (owner, _) = owners.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        Some(Growth {
            owner: owner.to_owned(),
            bytes: slope as u64,
            iterations: totals.len(),
        })
    }
}

/// Median of the slopes between all pairs of equally spaced values.
fn theil_sen(values: &[f64]) -> f64 {
    let mut slopes = Vec::new();
    for (i, a) in values.iter().enumerate() {
        for (j, b) in values.iter().enumerate().skip(i + 1) {
            slopes.push((b - a) / (j - i) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, ChildReport};

    /// An iteration in which `owner` left so many bytes.
    fn iteration(owner: &str, left: i64) -> ScopeReport {
        let at = |host: i64| Bytes {
            host: (1_000_000_000 + host) as u64,
            device: 0,
        };
        let child = |owner: &str, bytes: i64| ChildReport {
            owner: owner.into(),
            before: at(0),
            peak: at(bytes),
            after: at(bytes),
            held: 0,
        };
        ScopeReport {
            name: "iteration".into(),
            before: at(0),
            peak: at(left),
            after: at(left),
            held: Vec::new(),
            children: vec![child("fit", 10), child(owner, left - 10)],
            leaks: Vec::new(),
            unexplained: left,
        }
    }

    fn alarms(left: impl Fn(usize) -> i64) -> Vec<(usize, Growth)> {
        let mut slope = Slope::default();
        let found = (0..60).filter_map(|i| Some((i, slope.push(&iteration("evaluate", left(i)))?)));
        found.collect()
    }

    #[test]
    fn steady_growth_is_told_with_its_owner_and_not_every_time() {
        let told = alarms(|_| 40_000);
        assert_eq!(told[0].0, 11);
        assert_eq!(told[0].1.owner, "evaluate");
        assert!((39_000..41_000).contains(&told[0].1.bytes), "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn one_large_step_noise_and_slow_drift_are_no_growth() {
        assert!(alarms(|i| if i == 5 { 50_000_000 } else { 0 }).is_empty());
        assert!(alarms(|i| if i % 2 == 0 { 200_000 } else { -200_000 }).is_empty());
        assert!(alarms(|_| 1000).is_empty());
    }
}
