//! The end of a run in one screen, or as one JSON object.
//!
//! Central type: [`Summary`], made from a run's files alone, so that the run itself, `bo resume` of a finished
//! run and `bo show` say the same.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use bo_vision::corruption::CORRUPTION_NAMES;
use bo_vision::pipeline::PARAMETERS;
use serde::Serialize;
use serde_json::Value;

use crate::event::Seconds;
use crate::quantity::{bytes, seconds, typed, value};
use crate::record::{
    History, HistoryEntry, IncumbentRecord, Manifest, ParameterRecord, RangeRecord, Truth,
};

/// Worst environments shown.
const WORST: usize = 5;

/// A run as its user should see it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    format: &'static str,
    version: u32,
    /// The run's directory, as typed.
    out: String,
    iterations: u64,
    incumbent: Option<Recommended>,
    /// Name of the risk measure with its tail mass.
    risk_measure: String,
    environments: usize,
    /// Worst environments at the incumbent by the model, the worst first.
    worst: Vec<Worst>,
    /// What the recommendation is worth in truth, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<Truth>,
    history: Vec<HistoryEntry>,
    evaluations: usize,
    failures: usize,
    seconds: Seconds,
    peak_bytes: u64,
    commands: BTreeMap<&'static str, String>,
    /// Names of x in order, and what environments are called.
    #[serde(skip)]
    order: Vec<String>,
    #[serde(skip)]
    called: &'static str,
}

/// The recommendation.
#[derive(Clone, Debug, Serialize)]
struct Recommended {
    x: BTreeMap<String, Value>,
    /// What one would use without optimising, where there is such a thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_x: Option<BTreeMap<String, Value>>,
    risk: f64,
    mean: f64,
    /// Holds the risk with nine chances in ten: of the risk itself, while `risk` is that of the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<[f64; 2]>,
    /// What was seen at exactly this x.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<Observed>,
    /// What was seen at the default parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_observed: Option<Observed>,
}

/// Values seen at one x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Observed {
    mean: f64,
    evaluations: usize,
}

/// An environment at which the incumbent is bad.
#[derive(Clone, Debug, Serialize)]
struct Worst {
    name: String,
    /// What was done to its image, in words; empty where nothing was.
    #[serde(skip_serializing_if = "String::is_empty")]
    corruption: String,
    /// By the model.
    predicted: f64,
    /// Seen at the incumbent itself, if it was evaluated there.
    observed: Option<f64>,
    /// Least and greatest value seen there at any x.
    seen: Option<(f64, f64)>,
}

/// The risk measure of a run in words: `CVaR (mean of the worst 10 %)`; `value` where there are no environments.
pub fn risk_words(manifest: &Manifest) -> (&'static str, String) {
    let share = manifest
        .fixed
        .get("alpha")
        .and_then(Value::as_f64)
        .unwrap_or(1.0)
        * 100.0;
    let share = match share {
        small if small < 1e-3 => format!("{small:.1e}"),
        share => format!("{}", (share * 1e6).round() / 1e6),
    };
    match manifest
        .fixed
        .get("risk")
        .and_then(Value::as_str)
        .unwrap_or("cvar")
    {
        // without environments there is one value and no tail
        _ if manifest.w.is_empty() => ("value", "value".to_owned()),
        "var" => ("VaR", format!("VaR ({share} % quantile from the bad end)")),
        "worst" => ("worst", "worst environment".to_owned()),
        "mean" => ("mean", "mean".to_owned()),
        "mean-deviation" => {
            let k = manifest
                .fixed
                .get("k")
                .and_then(Value::as_f64)
                .unwrap_or(1.0);
            ("mean-dev", format!("mean - {k} deviations"))
        }
        _ => ("CVaR", format!("CVaR (mean of the worst {share} %)")),
    }
}

/// +1 if larger values are better, -1 if smaller.
pub fn sign(manifest: &Manifest) -> f64 {
    if manifest.direction == "minimize" {
        -1.0
    } else {
        1.0
    }
}

/// Whether environments are images.
fn of_images(manifest: &Manifest) -> bool {
    matches!(manifest.objective.as_str(), "scenes" | "images")
}

impl Summary {
    /// Of the run in `out` with this history. `incumbent` is the recommendation now; `peak` the most memory
    /// held, bytes.
    pub fn new(
        out: &Path,
        history: &History,
        incumbent: Option<&IncumbentRecord>,
        peak: u64,
    ) -> Self {
        let manifest = &history.manifest;
        let run = typed(out);
        let mut commands = BTreeMap::from([
            (
                "extend",
                format!(
                    "bo resume {run} --iterations {}",
                    (2 * manifest.iterations).max(1)
                ),
            ),
            ("show", format!("bo show {run}")),
        ]);
        if of_images(manifest) || !manifest.environments.is_empty() {
            commands.insert("evaluate", format!("bo evaluate {run}"));
        }
        let failures = history
            .evaluations
            .iter()
            .filter(|line| line.value.is_none())
            .count();
        if failures == history.evaluations.len() {
            // neither would come to anything
            commands.remove("extend");
            commands.remove("evaluate");
        }
        let recommended = incumbent.map(|incumbent| Recommended {
            x: manifest.named_x(&incumbent.x),
            default_x: of_images(manifest).then(|| {
                PARAMETERS
                    .iter()
                    .map(|p| (p.name.to_owned(), Value::from(p.default)))
                    .collect()
            }),
            risk: incumbent.risk,
            mean: incumbent.mean,
            interval: incumbent.interval,
            observed: observed(history, &incumbent.x),
            default_observed: of_images(manifest)
                .then(|| observed(history, &PARAMETERS.map(|parameter| parameter.default)))
                .flatten(),
        });
        let result = history.result.as_ref();
        Self {
            format: "bo/summary",
            version: 1,
            out: out.display().to_string(),
            iterations: manifest.iterations,
            incumbent: recommended,
            risk_measure: risk_words(manifest).1,
            environments: manifest.environments.len(),
            worst: incumbent.map_or_else(Vec::new, |incumbent| worst(history, incumbent)),
            truth: result.and_then(|result| result.truth),
            history: result.map_or_else(Vec::new, |result| result.history.clone()),
            evaluations: history.evaluations.len(),
            failures,
            seconds: result.map_or_else(Seconds::default, |result| result.seconds),
            peak_bytes: peak,
            commands,
            order: manifest
                .x
                .iter()
                .map(|parameter| parameter.name.clone())
                .collect(),
            called: match manifest.objective.as_str() {
                "scenes" => "scene",
                "images" => "image",
                _ => "environment",
            },
        }
    }
}

impl Summary {
    /// The same for a run that has not finished: how it goes on, or what can be done while it does, and the time spent
    /// so far.
    pub fn unfinished(&mut self, out: &Path, running: bool, seconds: Seconds) {
        self.seconds = seconds;
        self.commands.remove("extend");
        let next: &[&str] = if running {
            &["watch", "stop"]
        } else {
            &["resume"]
        };
        for command in next {
            self.commands
                .insert(command, format!("bo {command} {}", typed(out)));
        }
    }
}

/// What was seen at `x`, if anything was.
fn observed(history: &History, x: &[f64]) -> Option<Observed> {
    let here = history.evaluations.iter().filter(|line| line.x == x);
    let values: Vec<f64> = here.filter_map(|line| line.value).collect();
    (!values.is_empty()).then(|| Observed {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        evaluations: values.len(),
    })
}

/// The worst environments at the incumbent by the model.
fn worst(history: &History, incumbent: &IncumbentRecord) -> Vec<Worst> {
    let manifest = &history.manifest;
    if incumbent.per_environment.len() != manifest.environments.len() {
        return Vec::new();
    }
    let sign = sign(manifest);
    let mut order: Vec<usize> = (0..incumbent.per_environment.len()).collect();
    order.sort_by(|&a, &b| {
        (sign * incumbent.per_environment[a]).total_cmp(&(sign * incumbent.per_environment[b]))
    });
    let observed = |row: usize| {
        let here = |line: &&crate::record::EvaluationLine| {
            line.environment == Some(row as u64) && line.x == incumbent.x && line.value.is_some()
        };
        history
            .evaluations
            .iter()
            .rev()
            .find(here)
            .and_then(|line| line.value)
    };
    let seen = |row: usize| {
        let there = history
            .evaluations
            .iter()
            .filter(|line| line.environment == Some(row as u64));
        there
            .filter_map(|line| line.value)
            .fold(None, |range: Option<(f64, f64)>, value| {
                let (low, high) = range.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            })
    };
    let name = |row| manifest.environments.name(row).unwrap_or_default();
    let entry = |row: usize| Worst {
        name: name(row).to_owned(),
        corruption: corruption(manifest, row).unwrap_or_default(),
        predicted: incumbent.per_environment[row],
        observed: observed(row),
        seen: seen(row),
    };
    order.into_iter().take(WORST).map(entry).collect()
}

/// The corruption of environment `row` in words, where environments are corrupted images.
fn corruption(manifest: &Manifest, row: usize) -> Option<String> {
    let names: Vec<&str> = manifest.w.iter().map(|one| one.name.as_str()).collect();
    let first = names.len().checked_sub(CORRUPTION_NAMES.len())?;
    if !of_images(manifest) || names[first..] != CORRUPTION_NAMES {
        return None;
    }
    let environment = manifest.environments.iter().nth(row)?;
    let values = names.iter().zip(environment.w).skip(first);
    let words: Vec<String> = values
        .map(|(name, &number)| format!("{name} {}", value(number)))
        .collect();
    Some(words.join(", "))
}

/// x from its names, in the order of the run; none if one is missing or no value of its parameter.
pub fn unnamed(manifest: &Manifest, x: &BTreeMap<String, Value>) -> Option<Vec<f64>> {
    let raw = |parameter: &ParameterRecord| {
        let value = x.get(&parameter.name)?;
        match &parameter.range {
            RangeRecord::Choice { choices } => {
                let text = value.as_str()?;
                choices
                    .iter()
                    .position(|choice| choice == text)
                    .map(|index| index as f64)
            }
            _ => value.as_f64(),
        }
    };
    manifest.x.iter().map(raw).collect()
}

/// A value of x for people.
pub fn shown(json: &Value) -> String {
    match json {
        Value::Number(number) if number.is_f64() => value(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.incumbent {
            None if self.evaluations > self.failures => {
                writeln!(
                    f,
                    "nothing to recommend yet: the initial design is not complete"
                )?;
            }
            None if self.evaluations == 0 => {
                writeln!(f, "nothing to recommend yet: nothing was evaluated")?;
            }
            None => writeln!(f, "nothing to recommend: no evaluation succeeded")?,
            Some(recommended) => self.recommendation(f, recommended)?,
        }
        if !self.worst.is_empty() {
            let width = self
                .worst
                .iter()
                .map(|worst| worst.name.chars().count())
                .max()
                .unwrap_or(0)
                .max(24);
            let title = format!("worst {}s there", self.called);
            writeln!(
                f,
                "\n{title:<title_width$}  {:>12}  seen",
                "by the model",
                title_width = width + 2
            )?;
            for worst in &self.worst {
                let seen = match (worst.observed, worst.seen) {
                    (Some(here), _) => format!("{} at this x", value(here)),
                    (None, Some((low, high))) if low == high => {
                        format!("{} at another x", value(low))
                    }
                    (None, Some((low, high))) => {
                        format!("{} to {} at other x", value(low), value(high))
                    }
                    (None, None) => "never".to_owned(),
                };
                writeln!(
                    f,
                    "  {:<width$}  {:>12}  {seen}",
                    worst.name,
                    value(worst.predicted)
                )?;
                if !worst.corruption.is_empty() {
                    writeln!(f, "    {}", worst.corruption)?;
                }
            }
        }
        let failures = match self.failures {
            0 => "none failed".to_owned(),
            count => format!("{count} failed"),
        };
        let Seconds {
            fit,
            acquire,
            evaluate,
            other,
        } = self.seconds;
        writeln!(
            f,
            "\n{} evaluations, {failures}; {} in all: fit {}, acquire {}, evaluate {}, other {}",
            self.evaluations,
            seconds(fit + acquire + evaluate + other),
            seconds(fit),
            seconds(acquire),
            seconds(evaluate),
            seconds(other)
        )?;
        if self.peak_bytes > 0 {
            writeln!(f, "peak memory {}", bytes(self.peak_bytes))?;
        }
        writeln!(f)?;
        for (what, key) in [
            ("go on, to twice as many", "extend"),
            ("go on", "resume"),
            ("watch it", "watch"),
            ("end it, all saved", "stop"),
            ("look at it again", "show"),
            ("measure it everywhere", "evaluate"),
        ] {
            if let Some(command) = self.commands.get(key) {
                writeln!(f, "{what:<24}  {command}")?;
            }
        }
        Ok(())
    }
}

impl Summary {
    fn recommendation(&self, f: &mut fmt::Formatter<'_>, recommended: &Recommended) -> fmt::Result {
        let width = self
            .order
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(24);
        let title = format!("recommended after {} iterations", self.iterations);
        match &recommended.default_x {
            Some(_) => writeln!(
                f,
                "{title:<title_width$}  {:>10}",
                "default",
                title_width = width + 16
            )?,
            None => writeln!(f, "{title}")?,
        }
        for name in &self.order {
            let of = |x: &BTreeMap<String, Value>| x.get(name).map_or_else(String::new, shown);
            write!(f, "  {name:<width$}  {:>12}", of(&recommended.x))?;
            match &recommended.default_x {
                Some(default) => writeln!(f, "  {:>10}", of(default))?,
                None => writeln!(f)?,
            }
        }
        let over = match self.environments {
            0 => String::new(),
            count => format!(" over all {count} {}s", self.called),
        };
        writeln!(
            f,
            "\n{}{over}, by the model: {}",
            self.risk_measure,
            value(recommended.risk)
        )?;
        if let Some(interval) = recommended.interval {
            let [low, high] = interval.map(value);
            writeln!(
                f,
                "  between {low} and {high} with nine chances in ten, by the model"
            )?;
            if let Some(caution) = caution(recommended.risk, interval) {
                writeln!(f, "  {caution}")?;
            }
        }
        let mean = value(recommended.mean);
        // of all environments alike the risk is the mean
        if self.risk_measure != "value" && mean != value(recommended.risk) {
            writeln!(f, "mean{over}, by the model: {mean}")?;
        }
        for (seen, at) in [
            (recommended.observed, "this x"),
            (recommended.default_observed, "the defaults"),
        ] {
            if let Some(Observed { mean, evaluations }) = seen {
                let times = if evaluations == 1 { "" } else { "s" };
                let mean = value(mean);
                writeln!(
                    f,
                    "mean seen at {at}, {evaluations} evaluation{times}: {mean}"
                )?;
            }
        }
        let Some(truth) = &self.truth else {
            return Ok(());
        };
        let Truth {
            risk,
            tail,
            cvar,
            best,
        } = *truth;
        let regret = format!(
            "best known {}, regret {}",
            value(best),
            value((best - cvar).max(0.0))
        );
        write!(f, "{}{over}, in truth: {}", self.risk_measure, value(risk))?;
        if self.risk_measure == "value" {
            return writeln!(f, "; {regret}");
        }
        writeln!(
            f,
            "\nthe problem's own measure, CVaR at tail mass {tail}, in truth: {}; {regret}",
            value(cvar)
        )
    }
}

/// What to make of an estimate outside its interval: it is the risk of the mean, which is not the mean of the risk.
fn caution(risk: f64, [low, high]: [f64; 2]) -> Option<&'static str> {
    let outside = risk < low || risk > high;
    outside.then_some(
        "(the estimate takes the model's mean for true, the interval what else may be true; both are the model's, and often too good)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_outside_its_interval_is_explained() {
        assert!(caution(0.61, [0.43, 0.60]).is_some());
        assert!(caution(-0.61, [-0.60, -0.43]).is_some());
        assert_eq!(caution(0.5, [0.43, 0.60]), None);
    }
}
