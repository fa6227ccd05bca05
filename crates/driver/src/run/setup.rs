//! What a run needs before it touches the disk, and how it describes itself there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bo_bayes::environment::{Environments, Marginal};
use bo_bayes::optimizer::{self, Direction, Optimizer, Problem};
use bo_bayes::space::{Domain, Scale};
use bo_memory::budget::{self, Budget};
use serde_json::Value;

use super::StopFlag;
use super::crew::Crew;
use super::provenance;
use super::step::unanswered;
use crate::exit::Failure;
use crate::objective::{Description, Objective};
use crate::record::{self, Manifest, ParameterRecord, RangeRecord, cpu};
use crate::settings::{Keep, Origin, RawSettings, Settings};

/// When a run saves and cleans up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Decisions in all.
    pub iterations: u64,
    /// Queries of a decision; at least 1.
    pub batch: usize,
    /// A checkpoint after every so many iterations; at least 1.
    pub checkpoint_every: u64,
    /// A deep clean-up after every so many iterations; at least 1.
    pub deep_clean_every: u64,
    /// Checkpoints that stay.
    pub keep: Keep,
}

/// A run before its directory.
pub struct Setup {
    /// Chooses.
    pub optimizer: Optimizer,
    /// What the optimiser works on.
    pub crew: Crew,
    /// Answers.
    pub objective: Box<dyn Objective>,
    /// Answer at once, one for each of `--jobs`; empty where evaluations are done one by one.
    pub workers: Vec<Box<dyn Objective + Send>>,
    /// What `run.json` will say.
    pub manifest: Manifest,
    /// When to save.
    pub schedule: Schedule,
    /// What it may hold of the host's memory.
    pub budget: Budget,
    /// Asks the run to stop; the objective watches the same.
    pub stop: StopFlag,
}

impl Setup {
    /// Puts checked settings, the problem and its objective together.
    ///
    /// # Errors
    /// [`Failure::Setting`]-like refusals of the optimiser: more environments asked for than there are.
    pub fn new(
        settings: &Settings,
        problem: Problem,
        choices: optimizer::Settings,
        objective: Box<dyn Objective>,
        stop: StopFlag,
    ) -> Result<Self, Failure> {
        let manifest = manifest(settings, &problem, &objective.describe())?;
        let means = settings.means();
        let workers = match means.jobs {
            0 | 1 => Vec::new(),
            jobs => (0..jobs).map_while(|_| objective.worker()).collect(),
        };
        let optimizer = Optimizer::new(problem, choices);
        if let Some(reason) = objective.trouble() {
            return Err(unanswered(&manifest, reason));
        }
        let optimizer = optimizer.map_err(|error| match error {
            optimizer::Error::Inadmissible { .. } => Failure::Setting {
                key: "constraint".into(),
                origin: Origin::Flag("--space".into()),
                reason: error.to_string(),
                remedy: "widen the constraints of the space file, or narrow the ranges to where they hold".into(),
            },
            error => Failure::unexpected("setting up the optimiser", error),
        })?;
        Ok(Self {
            optimizer,
            crew: Crew::new(means.threads)
                .map_err(|error| Failure::unexpected("starting threads", error))?,
            objective,
            workers,
            manifest,
            schedule: Schedule {
                iterations: settings.study().iterations,
                batch: settings.study().batch,
                checkpoint_every: means.checkpoint_every.max(1),
                deep_clean_every: means.deep_clean_every.max(1),
                keep: means.keep_checkpoints,
            },
            budget: budget::host(means.host_memory_mb.map(|mb| mb << 20)),
            stop,
        })
    }
}

/// What `run.json` says about a run.
///
/// # Errors
/// When the settings cannot be written as JSON.
pub fn manifest(
    settings: &Settings,
    problem: &Problem,
    description: &Description,
) -> Result<Manifest, Failure> {
    let raw = RawSettings::from(settings.clone());
    let all = fields(&raw)?;
    let mut free = fields(&raw.only_means())?;
    let mut fixed = all;
    fixed.retain(|name, _| !free.contains_key(name) && name != "out" && name != "iterations");
    free.remove("iterations");
    let mut notes: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in &description.notes {
        notes.insert(
            name.clone(),
            serde_json::to_value(value).unwrap_or_default(),
        );
    }
    notes.extend(provenance::notes());
    let outside = outside(description);
    if !outside.is_empty() {
        notes.insert(OUTSIDE.to_owned(), Value::from(outside));
    }
    let (x, w) = records(problem);
    Ok(Manifest {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.study().seed,
        iterations: settings.study().iterations,
        direction: match problem.direction {
            Direction::Maximize => "maximize".to_owned(),
            Direction::Minimize => "minimize".to_owned(),
        },
        x,
        w,
        environments: environments(&problem.environments, &description.environments),
        objective: description.kind.clone(),
        device: settings.means().device.to_string(),
        fixed,
        free,
        hashes: description.hashes.clone().into(),
        texts: description.texts.clone(),
        notes,
    })
}

/// x and w of a problem, as recorded.
pub fn records(problem: &Problem) -> (Vec<ParameterRecord>, Vec<ParameterRecord>) {
    (
        problem.space.parameters().iter().map(parameter).collect(),
        variables(&problem.environments),
    )
}

/// Note of `run.json`: what may make a run that was killed and resumed another than one that was left alone.
pub const OUTSIDE: &str = "outside the promise";

/// What of this run lies outside the promise of the same answer.
fn outside(description: &Description) -> Vec<String> {
    let mut found = vec![format!(
        "a resume on another type of processor than {}",
        cpu()
    )];
    if description.kind == "command" {
        found.push("a program that answers the same question differently each time".to_owned());
    }
    let device = description.notes.get("device used");
    if let Some(device) = device.filter(|device| *device != "cpu") {
        found.push(format!("another device than {device}"));
    }
    found
}

/// Settings that are written, by name.
fn fields(raw: &RawSettings) -> Result<BTreeMap<String, Value>, Failure> {
    let value = serde_json::to_value(raw)
        .map_err(|error| Failure::unexpected("writing the settings", error))?;
    let Value::Object(fields) = value else {
        return Ok(BTreeMap::new());
    };
    Ok(fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect())
}

fn parameter(parameter: &bo_bayes::space::Parameter) -> ParameterRecord {
    ParameterRecord {
        name: parameter.name.clone(),
        range: match &parameter.domain {
            Domain::Real { low, high, scale } => RangeRecord::Real {
                low: *low,
                high: *high,
                log: *scale == Scale::Log,
            },
            Domain::Integer { low, high, scale } => RangeRecord::Int {
                low: *low,
                high: *high,
                log: *scale == Scale::Log,
            },
            Domain::Categorical { choices } => RangeRecord::Choice {
                choices: choices.clone(),
            },
        },
    }
}

fn variables(environments: &Environments) -> Vec<ParameterRecord> {
    match environments {
        Environments::None => Vec::new(),
        Environments::Finite(finite) => {
            let range = |column: usize| {
                let values = finite.points().iter().map(|point| point[column]);
                RangeRecord::Real {
                    low: values.clone().fold(f64::INFINITY, f64::min),
                    high: values.fold(f64::NEG_INFINITY, f64::max),
                    log: false,
                }
            };
            let named = finite.names().iter().enumerate();
            named
                .map(|(column, name)| ParameterRecord {
                    name: name.clone(),
                    range: range(column),
                })
                .collect()
        }
        Environments::Continuous(continuous) => continuous
            .names()
            .iter()
            .zip(continuous.marginals())
            .map(|(name, marginal)| ParameterRecord {
                name: name.clone(),
                range: match marginal {
                    Marginal::Uniform { low, high } => RangeRecord::Real {
                        low: *low,
                        high: *high,
                        log: false,
                    },
                    Marginal::Normal { mean, sd } => RangeRecord::Normal {
                        mean: *mean,
                        sd: *sd,
                    },
                },
            })
            .collect(),
    }
}

/// The record shares the numbers of a finite set.
fn environments(environments: &Environments, names: &[String]) -> record::Environments {
    let Environments::Finite(finite) = environments else {
        return record::Environments::default();
    };
    let name = |row: usize| match names.get(row) {
        Some(name) => Cow::Borrowed(name.as_str()),
        None => Cow::Owned(row.to_string()),
    };
    record::Environments::new(
        (0..finite.len()).map(name).collect(),
        Arc::clone(finite.points().values()),
        Arc::clone(finite.weights()),
    )
}
