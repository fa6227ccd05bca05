//! A recommendation on every environment, measured instead of predicted.
//!
//! Central type: [`Evaluation`]: a score for each environment, the run's risk measure over them, the mean, the
//! worst. Images get precision and F beside; other data than the run's may be taken.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bo_bayes::environment::Environments;
use bo_bayes::risk::RiskMeasure;
use bo_vision::pipeline::{Examination, PARAMETERS, Scratch};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;
use signal_hook::consts::SIGTERM;

use crate::exit::Failure;
use crate::objective::{LineImages, Opened, Outcome, PartSeconds, Query, Request};
use crate::picture::PictureFolder;
use crate::quantity::{typed, value};
use crate::record::Manifest;
use crate::run::StopFlag;
use crate::settings::Origin;
use crate::summary::shown;

/// Environments named as the worst, and drawn.
const WORST: usize = 5;
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
    /// Environments without a score, of which neither knows.
    failed: usize,
    /// The same at the parameters one would use without optimising.
    #[serde(skip_serializing_if = "Option::is_none")]
    defaults: Option<Level>,
    /// In the order of the data.
    images: Vec<Scored>,
    /// Names, the worst first.
    worst: Vec<String>,
    /// Where the time went, for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Spent>,
    /// Pictures of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<PathBuf>,
    /// Pictures of an earlier evaluation that made room for them.
    #[serde(skip)]
    replaced: usize,
    /// What to do where the defaults are better.
    #[serde(skip)]
    advice: Option<String>,
    #[serde(skip)]
    order: Vec<usize>,
}

/// Time of an evaluation, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spent {
    /// From beginning to end.
    all: f64,
    /// Of all threads together.
    #[serde(flatten)]
    parts: PartSeconds,
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
    /// LP_r: how well the true lines are covered. The score, but where labels name no regions: that is F.
    #[serde(skip_serializing_if = "Option::is_none")]
    lp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<f64>,
    /// Mean distance of the corner points found from the labelled ones, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    corner_error: Option<f64>,
    /// How many labelled corner points were found, and how many are labelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    corners: Option<[usize; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Scored {
    /// An environment with a value or the reason why it has none.
    fn new(name: String, score: Result<f64, String>) -> Self {
        let (score, error) = match score {
            Ok(score) => (Some(score), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            name,
            score,
            lp: None,
            precision: None,
            f: None,
            corner_error: None,
            corners: None,
            error,
        }
    }

    /// An image with what was found in it.
    fn examined(name: String, found: &Examination) -> Self {
        let error = found.corner_error;
        Self {
            lp: Some(found.score.lp),
            precision: Some(found.score.precision),
            f: Some(found.score.f),
            corner_error: error.and_then(|error| error.mean),
            corners: error.map(|error| [error.found, error.labelled]),
            ..Self::new(name, Ok(found.value))
        }
    }
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
            failed: images.len() - order.len(),
            defaults,
            seconds: None,
            pictures: Vec::new(),
            replaced: 0,
            advice: None,
            worst: order
                .iter()
                .take(WORST)
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
        let begun = Instant::now();
        let weights = vec![1.0; images.len()];
        let names = images.names();
        let scored = |x: &[f64]| -> Vec<Scored> {
            names
                .par_iter()
                .enumerate()
                .map_init(Scratch::default, |scratch, (number, name)| {
                    match images.examine(number, x, scratch) {
                        Ok(found) => Scored::examined(name.clone(), &found),
                        Err(error) => Scored::new(name.clone(), Err(error.to_string())),
                    }
                })
                .collect()
        };
        images.prepare(&(0..images.len()).collect::<Vec<_>>());
        let default_x = PARAMETERS.map(|parameter| parameter.default);
        let defaults = (default_x[..] != *x).then(|| {
            let scores: Vec<f64> = scored(&default_x)
                .iter()
                .filter_map(|one| one.score)
                .collect();
            (!scores.is_empty()).then(|| self.level(&scores, &vec![1.0; scores.len()]))
        });
        let mut evaluation = self.report(x, scored(x), &weights, defaults.flatten())?;
        evaluation.seconds = Some(Spent {
            all: begun.elapsed().as_secs_f64(),
            parts: images.seconds(),
        });
        Ok(evaluation)
    }

    /// Scores of x on all environments of any objective. Asks it once for each.
    ///
    /// # Errors
    /// Continuous environments of a program (there are too many to ask for), no value at all, or a signal.
    pub fn objective(
        &self,
        opened: &mut Opened,
        x: &[f64],
        seed: u64,
        stop: &StopFlag,
    ) -> Result<Evaluation, Failure> {
        let environments = &opened.problem.environments;
        if matches!(environments, Environments::Continuous(_))
            && self.manifest.objective == "command"
        {
            let names: Vec<&str> = self.manifest.w.iter().map(|w| w.name.as_str()).collect();
            return Err(Failure::Setting {
                key: format!("w.{}", names.join(", w.")),
                origin: Origin::Record,
                reason: "continuous: the program would have to be asked for more environments than anybody waits for".into(),
                remedy: "the model's judgement of it is what bo show prints; to measure it, give the space file an [environments] table \
                         and begin a run with that"
                    .into(),
            });
        }
        let set = environments.judging(seed);
        let names = opened.objective.describe().environments;
        let mut scored = Vec::with_capacity(set.len());
        for (number, environment) in set.environments().enumerate() {
            let request = Request {
                id: number as u64,
                attempt: 0,
                iteration: 0,
                query: Query {
                    x: x.to_vec(),
                    environment: environment.index,
                    w: environment.w,
                },
                seed,
            };
            let name = names
                .get(number)
                .cloned()
                .unwrap_or_else(|| number.to_string());
            let score = match opened.objective.evaluate(&request) {
                Outcome::Value(value) | Outcome::Reduced { value, .. } => Ok(value),
                Outcome::Failed { reason, .. } | Outcome::Lost { reason } => Err(reason),
                Outcome::Stopped => {
                    opened.objective.stop();
                    return Err(Failure::Said {
                        code: 128_u8.wrapping_add(stop.asked().unwrap_or(SIGTERM) as u8),
                    });
                }
            };
            scored.push(Scored::new(name, score));
        }
        opened.objective.stop();
        self.report(x, scored, &set.masses, None)
    }
}

impl Evaluation {
    /// Says what to do where the parameters one would use without optimising were measured to be better than the
    /// recommendation, of images: their scores are maximised.
    pub fn advise(&mut self, run: &Path) {
        let better = self
            .defaults
            .is_some_and(|defaults| defaults.risk > self.risk);
        self.advice = better.then(|| {
            format!(
                "the defaults measured better than what is recommended: to search on, bo resume {} --iterations +30",
                typed(run)
            )
        });
    }

    /// Draws the worst images into `folder`: what was detected and what was missed.
    ///
    /// # Errors
    /// An image that no longer loads, or a folder that cannot be written or holds what is not ours.
    pub fn draw(&mut self, images: &LineImages, x: &[f64], folder: &Path) -> Result<(), Failure> {
        let worst: Vec<usize> = self.order.iter().copied().take(WORST).collect();
        let name =
            |(rank, number): (usize, &usize)| format!("{}-{}", rank + 1, self.images[*number].name);
        let names: Vec<String> = worst.iter().enumerate().map(name).collect();
        let folder = PictureFolder::take(folder, &names)?;
        self.replaced = folder.replaced;
        for (&number, name) in worst.iter().zip(&names) {
            let picture = images
                .examine(number, x, &mut Scratch::default())
                .and_then(|found| images.picture(number, &found))
                .map_err(|error| Failure::unexpected("drawing the worst images", error))?;
            self.pictures.push(folder.save(&picture, name)?);
        }
        Ok(())
    }
}

/// Mean of a number over the images that have it.
fn mean_over(images: &[Scored], number: impl Fn(&Scored) -> Option<f64>) -> Option<f64> {
    let numbers: Vec<f64> = images.iter().filter_map(number).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
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
        let cornered = self.images.iter().any(|image| image.corners.is_some());
        let mut header = String::new();
        if detailed {
            header += "  coverage  precision        F";
        }
        if cornered {
            header += "  corners off by";
        }
        writeln!(f, "{:<width$}     score{header}   (worst first)", "")?;
        for &i in self.order.iter().take(LISTED) {
            let image = &self.images[i];
            let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
            write!(f, "{:<width$}  {:>8}", image.name, number(image.score))?;
            if detailed {
                write!(
                    f,
                    "  {:>8}  {:>9}  {:>7}",
                    number(image.lp),
                    number(image.precision),
                    number(image.f)
                )?;
            }
            if let Some([found, labelled]) = image.corners {
                write!(
                    f,
                    "  {found}/{labelled} {:>8} px",
                    number(image.corner_error)
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
        let over = match self.failed {
            0 => self.order.len().to_string(),
            _ => format!("{} of {}", self.order.len(), self.images.len()),
        };
        if let (Some(first), Some(last)) = (self.pictures.first(), self.pictures.last()) {
            writeln!(
                f,
                "\nworst as pictures: {} .. {}",
                first.display(),
                last.display()
            )?;
            writeln!(
                f,
                "left as it is; right regions yellow, found red, true lines green, missed magenta, corners cyan"
            )?;
        }
        if self.replaced > 0 {
            writeln!(
                f,
                "they replace {} of an earlier evaluation; --pictures DIR keeps those of both",
                self.replaced
            )?;
        }
        writeln!(
            f,
            "\n{} over {over}, measured: {}",
            self.risk_measure,
            value(self.risk)
        )?;
        writeln!(f, "mean over {over}, measured: {}", value(self.mean))?;
        if self.failed > 0 {
            writeln!(
                f,
                "{} of {} gave no score, and these numbers are of the others alone: this x is worse than they say",
                self.failed,
                self.images.len()
            )?;
        }
        let means = [
            mean_over(&self.images, |image| image.lp),
            mean_over(&self.images, |image| image.precision),
            mean_over(&self.images, |image| image.f),
        ];
        if let [Some(lp), Some(precision), Some(over)] = means.map(|mean| mean.map(value)) {
            writeln!(
                f,
                "mean coverage (LP_r) {lp}, mean precision {precision}, mean F {over}"
            )?;
        }
        if let Some(mean) = mean_over(&self.images, |image| image.corner_error) {
            let count = |k: usize| -> usize {
                self.images
                    .iter()
                    .filter_map(|image| image.corners)
                    .map(|c| c[k])
                    .sum()
            };
            let (found, labelled) = (count(0), count(1));
            writeln!(
                f,
                "corner points: {found} of {labelled} found, off by {} px on average",
                value(mean)
            )?;
        }
        if let Some(defaults) = self.defaults {
            writeln!(
                f,
                "default parameters: {} and mean {}",
                value(defaults.risk),
                value(defaults.mean)
            )?;
        }
        if let Some(advice) = &self.advice {
            writeln!(f, "{advice}")?;
        }
        if let Some(Spent { all, parts }) = self.seconds {
            let PartSeconds {
                decode,
                classical,
                network,
                lines,
            } = parts;
            let all_parts = decode + classical + network + lines;
            let share = |part: f64| 100.0 * part / all_parts.max(f64::MIN_POSITIVE);
            writeln!(
                f,
                "{} images in {all:.1} s: {:.0} % decoding, {:.0} % contrast and voters, {:.0} % network, {:.0} % lines",
                self.images.len(),
                share(decode),
                share(classical),
                share(network),
                share(lines)
            )?;
        }
        Ok(())
    }
}
