//! `run.json`: what was asked for, and everything needed to recognise and rebuild it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::environments::Environments;
use super::hashes::Hashes;
use super::seal::Sealed;
use crate::settings::Acquisition;

/// Settings that say where inputs lie: what lies there is compared by its hash, wherever it is now.
const PLACES: [&str; 5] = ["images", "labels", "space", "weights", "adapter"];
/// What a run began with stands in its record: another table is another run.
const OBSERVATIONS: &str = "observations";
/// Names of differences that a message gives in full.
const NAMED: usize = 5;

/// What a run is. `fixed` and `hashes` may never change in a run, `free` may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of `bo` that began it.
    pub program: String,
    /// Seed of every random number.
    pub seed: u64,
    /// Iterations asked for (the total).
    pub iterations: u64,
    /// `maximize` or `minimize`.
    pub direction: String,
    /// Decision parameters, in order.
    pub x: Vec<ParameterRecord>,
    /// Environment variables, in order.
    pub w: Vec<ParameterRecord>,
    /// The environments of a finite set, in order; empty for a continuous law or none.
    pub environments: Environments,
    /// `scenes`, `images`, `command` or `problem`.
    pub objective: String,
    /// Device in use.
    pub device: String,
    /// Settings on which results depend, by name.
    pub fixed: BTreeMap<String, Value>,
    /// Settings that may change on resume, by name.
    pub free: BTreeMap<String, Value>,
    /// Content hashes by name: images, labels, weights, space.
    pub hashes: Hashes,
    /// What some of `hashes` are of, by the same names: the space file and its table, so that a run goes on where they
    /// have moved. Absent from runs begun before they were kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// Whatever else helps a reader.
    #[serde(default)]
    pub notes: BTreeMap<String, Value>,
}

impl Sealed for Manifest {
    const FORMAT: &'static str = "bo/run";
    const VERSION: u32 = 1;
}

/// A parameter: its name and what values it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterRecord {
    /// Its name.
    pub name: String,
    /// What values it takes.
    #[serde(flatten)]
    pub range: RangeRecord,
}

/// The values of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RangeRecord {
    /// Any number between two.
    Real {
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
        /// Searched on a logarithmic scale.
        #[serde(default)]
        log: bool,
    },
    /// Any whole number between two.
    Int {
        /// Smallest.
        low: i64,
        /// Largest.
        high: i64,
        /// Searched on a logarithmic scale.
        #[serde(default)]
        log: bool,
    },
    /// One of several; x holds its index.
    Choice {
        /// In order.
        choices: Vec<String>,
    },
    /// Normally distributed (environment variables only).
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
}

/// On what two manifests differ, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What is optimised: seed, x, w, environments, settings. Never the same run.
    pub problem: Vec<String>,
    /// Hashes of what was read: the same run where that is accepted.
    pub content: Vec<String>,
}

impl Differences {
    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.problem.is_empty() && self.content.is_empty()
    }

    /// All of them; of many the first.
    pub fn names(&self) -> String {
        let mut all = [self.problem.as_slice(), self.content.as_slice()].concat();
        let mut seen = BTreeSet::new();
        all.retain(|name| seen.insert(name.clone()));
        let more = all.len().saturating_sub(NAMED);
        all.truncate(NAMED);
        match more {
            0 => all.join(", "),
            more => format!("{} and {more} more", all.join(", ")),
        }
    }
}

impl Manifest {
    /// x by name, a category as its text, an integer as one: the form in which people read it.
    pub fn named_x(&self, x: &[f64]) -> BTreeMap<String, Value> {
        self.x
            .iter()
            .zip(x)
            .map(|(parameter, &value)| (parameter.name.clone(), parameter.shown(value)))
            .collect()
    }

    /// On what `other` differs so that it cannot be the same run. A setting that this one does not name is newer than
    /// the program that wrote it, and has its default in `other`.
    pub fn differences(&self, other: &Self) -> Differences {
        let mut found = Vec::new();
        let mut check = |name: &str, same: bool| {
            if !same {
                found.push(name.to_owned());
            }
        };
        check("seed", self.seed == other.seed);
        check("direction", self.direction == other.direction);
        check("objective", self.objective == other.objective);
        check("x", self.x == other.x);
        check("w", self.w == other.w);
        check("environments", self.environments == other.environments);
        let fixed = self.fixed.keys();
        for name in fixed.filter(|name| !PLACES.contains(&name.as_str())) {
            check(name, self.setting(name) == other.setting(name));
        }
        let (begun_with, content): (Vec<String>, Vec<String>) = self
            .hashes
            .differing(&other.hashes)
            .into_iter()
            .partition(|name| name == OBSERVATIONS);
        found.extend(begun_with);
        Differences {
            problem: found,
            content,
        }
    }

    /// A fixed setting. Runs begun before the record named what it stands for hold the acquisition `auto`.
    fn setting(&self, name: &str) -> Option<Value> {
        let value = self.fixed.get(name)?.clone();
        match serde_json::from_value::<Acquisition>(value.clone()) {
            Ok(acquisition) if name == "acquisition" => {
                serde_json::to_value(acquisition.fitted(!self.w.is_empty())).ok()
            }
            _ => Some(value),
        }
    }
}

impl ParameterRecord {
    pub fn shown(&self, value: f64) -> Value {
        match &self.range {
            RangeRecord::Int { .. } => Value::from(value as i64),
            RangeRecord::Choice { choices } => choices
                .get(value as usize)
                .map_or_else(|| Value::from(value), |choice| Value::from(choice.as_str())),
            RangeRecord::Real { .. } | RangeRecord::Normal { .. } => Value::from(value),
        }
    }
}
