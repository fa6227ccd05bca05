//! A recommendation on every environment, measured instead of predicted.
//!
//! Central type: [`Evaluation`]: a score for each environment, the run's risk measure over them, the mean, the
//! worst. Images get precision and F beside; other data than the run's may be taken.

use std::collections::BTreeMap;
use std::fmt;

use bo_bayes::environment::Environments;
use bo_bayes::risk::RiskMeasure;
use bo_vision::pipeline::{PARAMETERS, Scratch};
use bo_vision::score::LineScore;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::exit::Failure;
use crate::objective::{LineImages, Opened, Outcome, Query, Request};
use crate::quantity::value;
use crate::record::Manifest;
use crate::summary::shown;

/// Environments listed on a screen.
const LISTED: usize = 40;

/// A recommendation, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    format: &'static str,
    version: u32,
    x: BTreeMap<String, Value>,
    alpha: f64,
    risk_measure: String,
    /// The run's risk measure over all environments, in the user's sign.
    risk: f64,
    mean: f64,
    /// The same at the parameters one would use without optimising.
    #[serde(skip_serializing_if = "Option::is_none")]
    defaults: Option<Level>,
    /// In the order of the data.
    images: Vec<Scored>,
    /// Names, the worst first.
    worst: Vec<String>,
    #[serde(skip)]
    order: Vec<usize>,
}

/// Risk and mean of an x.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Level {
    risk: f64,
    mean: f64,
}

/// One environment.
#[derive(Clone, Debug, Serialize)]
struct Scored {
    name: String,
    /// The objective's value; none if it failed.
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How scores are judged.
pub struct Judge<'m> {
    /// The run.
    pub manifest: &'m Manifest,
    /// Its measure, of values to be maximised.
    pub measure: RiskMeasure,
    /// Its tail mass.
    pub alpha: f64,
}

impl Judge<'_> {
    /// Risk and mean of scores in the user's sign.
    fn level(&self, scores: &[f64], weights: &[f64]) -> Level {
        let sign = crate::summary::sign(self.manifest);
        let values: Vec<f64> = scores.iter().map(|score| sign * score).collect();
        Level {
            risk: sign * self.measure.evaluate(&values, weights),
            mean: sign * RiskMeasure::Mean.evaluate(&values, weights),
        }
    }

    fn report(
        &self,
        x: &[f64],
        images: Vec<Scored>,
        weights: &[f64],
        defaults: Option<Level>,
    ) -> Result<Evaluation, Failure> {
        let good: Vec<usize> = (0..images.len())
            .filter(|&i| images[i].score.is_some())
            .collect();
        if good.is_empty() {
            let reason = images
                .iter()
                .find_map(|image| image.error.clone())
                .unwrap_or_default();
            return Err(Failure::unexpected(
                "evaluating: no environment gave a value",
                reason,
            ));
        }
        let scores: Vec<f64> = good.iter().filter_map(|&i| images[i].score).collect();
        let masses: Vec<f64> = good.iter().map(|&i| weights[i]).collect();
        let level = self.level(&scores, &masses);
        let sign = crate::summary::sign(self.manifest);
        let mut order = good;
        let score = |i: usize| sign * images[i].score.unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
        Ok(Evaluation {
            format: "bo/evaluated",
            version: 1,
            x: self.manifest.named_x(x),
            alpha: self.alpha,
            risk_measure: crate::summary::risk_words(self.manifest).1,
            risk: level.risk,
            mean: level.mean,
            defaults,
            worst: order
                .iter()
                .take(5)
                .map(|&i| images[i].name.clone())
                .collect(),
            images,
            order,
        })
    }

    /// Scores of x on labelled images.
    ///
    /// # Errors
    /// No image has a score.
    pub fn images(&self, images: &LineImages, x: &[f64]) -> Result<Evaluation, Failure> {
        let weights = vec![1.0; images.len()];
        let scores = |x: &[f64]| -> Vec<Result<LineScore, String>> {
            (0..images.len())
                .into_par_iter()
                .map_init(Scratch::default, |scratch, number| {
                    images
                        .score(number, x, scratch)
                        .map_err(|error| error.to_string())
                })
                .collect()
        };
        let default_x = PARAMETERS.map(|parameter| parameter.default);
        let defaults = (default_x[..] != *x).then(|| {
            let (scores, masses): (Vec<f64>, Vec<f64>) = scores(&default_x)
                .into_iter()
                .flatten()
                .map(|score| (score.lp, 1.0))
                .unzip();
            (!scores.is_empty()).then(|| self.level(&scores, &masses))
        });
        let scored = images
            .names()
            .into_iter()
            .zip(scores(x))
            .map(|(name, score)| match score {
                Ok(LineScore { lp, precision, f }) => Scored {
                    name,
                    score: Some(lp),
                    precision: Some(precision),
                    f: Some(f),
                    error: None,
                },
                Err(error) => Scored {
                    name,
                    score: None,
                    precision: None,
                    f: None,
                    error: Some(error),
                },
            });
        self.report(x, scored.collect(), &weights, defaults.flatten())
    }

    /// Scores of x on all environments of any objective. Asks it once for each.
    ///
    /// # Errors
    /// Continuous environments of a program (there are too many to ask for), or no value at all.
    pub fn objective(
        &self,
        opened: &mut Opened,
        x: &[f64],
        seed: u64,
    ) -> Result<Evaluation, Failure> {
        let environments = &opened.problem.environments;
        if matches!(environments, Environments::Continuous(_))
            && self.manifest.objective == "command"
        {
            return Err(Failure::unexpected(
                "evaluating",
                "the environments of this run are continuous; name some to be asked for: give the space file an \
                 [environments] table and begin a run with it",
            ));
        }
        let set = environments.judging(seed);
        let names = opened.objective.describe().environments;
        let mut scored = Vec::with_capacity(set.len());
        for (number, environment) in set.environments.iter().enumerate() {
            let request = Request {
                id: number as u64,
                attempt: 0,
                iteration: 0,
                query: Query {
                    x: x.to_vec(),
                    environment: environment.index,
                    w: environment.w.clone(),
                },
                seed,
            };
            let name = names
                .get(number)
                .cloned()
                .unwrap_or_else(|| number.to_string());
            let (score, error) = match opened.objective.evaluate(&request) {
                Outcome::Value(value) => (Some(value), None),
                Outcome::Failed { reason, .. } => (None, Some(reason)),
                Outcome::Stopped => return Err(Failure::unexpected("evaluating", "stopped")),
            };
            scored.push(Scored {
                name,
                score,
                precision: None,
                f: None,
                error,
            });
        }
        opened.objective.stop();
        self.report(x, scored, &set.masses, None)
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x: Vec<String> = self
            .x
            .iter()
            .map(|(name, value)| format!("{name}={}", shown(value)))
            .collect();
        writeln!(f, "x: {}\n", x.join(","))?;
        let width = self
            .images
            .iter()
            .map(|image| image.name.chars().count())
            .max()
            .unwrap_or(0)
            .max(12);
        let detailed = self.images.iter().any(|image| image.precision.is_some());
        let header = if detailed { "  precision        F" } else { "" };
        writeln!(f, "{:<width$}     score{header}   (worst first)", "")?;
        for &i in self.order.iter().take(LISTED) {
            let image = &self.images[i];
            let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
            write!(f, "{:<width$}  {:>8}", image.name, number(image.score))?;
            if detailed {
                write!(
                    f,
                    "  {:>9}  {:>7}",
                    number(image.precision),
                    number(image.f)
                )?;
            }
            writeln!(f)?;
        }
        if self.order.len() > LISTED {
            writeln!(
                f,
                "... and {} better ones (all of them: --json)",
                self.order.len() - LISTED
            )?;
        }
        for image in &self.images {
            if let Some(error) = &image.error {
                writeln!(f, "{}: no score: {error}", image.name)?;
            }
        }
        let count = self.order.len();
        writeln!(
            f,
            "\n{} over {count}, measured: {}",
            self.risk_measure,
            value(self.risk)
        )?;
        writeln!(f, "mean over {count}, measured: {}", value(self.mean))?;
        if let Some(defaults) = self.defaults {
            writeln!(
                f,
                "default parameters: {} and mean {}",
                value(defaults.risk),
                value(defaults.mean)
            )?;
        }
        Ok(())
    }
}
