//! A decision and everything it depended on, as a line of `decisions.jsonl`.
//!
//! The decision of iteration i is a function of the settings, the observations of all iterations before
//! it and the model that stands in its line; so it can be repeated, and a resumed run goes on from it.

use serde::{Deserialize, Serialize};

use super::evaluation::same_bits;
use super::seal::Sealed;
use crate::event::Seconds;

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionLine {
    /// The iteration, from 1.
    pub iteration: u64,
    /// What it asks for.
    #[serde(flatten)]
    pub member: Member,
    /// What it asks for beside that, with `--batch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Member>,
    /// The model that decided; absent before one could be fitted.
    pub model: Option<ModelRecord>,
    /// What would have been recommended just before: the incumbent of the iteration before.
    /// Absent before anything succeeded.
    pub incumbent: Option<IncumbentRecord>,
    /// Anything out of the ordinary: jitter, restarts, a fit that was given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Time it took; not part of its identity.
    #[serde(default)]
    pub seconds: Seconds,
}

/// One (x, w) that a decision asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The evaluation.
    pub id: u64,
    /// Decision parameters in natural units; a category is the index of its choice.
    pub x: Vec<f64>,
    /// Environment variables in natural units.
    pub w: Vec<f64>,
    /// Index of the environment in a finite set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
    /// Value of the acquisition there.
    pub acquisition: f64,
}

impl Sealed for DecisionLine {
    const FORMAT: &'static str = "bo/decision";
    const VERSION: u32 = 1;
}

impl Member {
    /// What differs between two, bit for bit.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.id != other.id {
            Some("its number")
        } else if !same_bits(&self.x, &other.x) {
            Some("x")
        } else if !same_bits(&self.w, &other.w) || self.environment != other.environment {
            Some("w")
        } else if self.acquisition.to_bits() != other.acquisition.to_bits() {
            Some("the acquisition value")
        } else {
            None
        }
    }
}

impl DecisionLine {
    /// Everything it asks for, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.member).chain(&self.more)
    }

    /// What differs between two records of one decision, apart from times; `None` if nothing does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let apart = self
            .members()
            .zip(other.members())
            .find_map(|(ours, theirs)| Some((ours.difference(theirs)?, ours, theirs)));
        let (part, ours, theirs) = if self.iteration != other.iteration {
            ("its number", &self.member, &other.member)
        } else if self.more.len() != other.more.len() {
            ("the size of the batch", &self.member, &other.member)
        } else if !agree(
            self.model.as_ref(),
            other.model.as_ref(),
            ModelRecord::agrees,
        ) {
            ("the model", &self.member, &other.member)
        } else if let Some(apart) = apart {
            apart
        } else if !agree(
            self.incumbent.as_ref(),
            other.incumbent.as_ref(),
            IncumbentRecord::agrees,
        ) {
            ("the incumbent", &self.member, &other.member)
        } else {
            return None;
        };
        Some(format!(
            "{part} differs: recorded x {:?} w {:?}, computed x {:?} w {:?}",
            ours.x, ours.w, theirs.x, theirs.w
        ))
    }
}

/// What a decision depends on beside settings and observations. Numbers survive bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Hyperparameters, on standardised values.
    pub hyper: HyperRecord,
    /// Standardised value = (value - shift) / scale, in the maximised sign.
    pub standardizer: StandardizerRecord,
    /// Successful observations when both were last fitted.
    pub fitted_at: u64,
    /// Observations of any outcome that the model knows.
    pub observed: u64,
    /// Incumbent of this model, in natural units.
    pub incumbent: Vec<f64>,
}

/// Hyperparameters of the surrogate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HyperRecord {
    /// Lengthscales of the encoded inputs, x before w.
    pub lengthscales: Vec<f64>,
    /// Signal variance.
    pub outputscale: f64,
    /// Noise variance.
    pub noise: f64,
    /// Constant mean.
    pub mean: f64,
    /// Noise variance of values of lesser conditions, where it is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rough_noise: Option<f64>,
    /// Shapes a and b of each input's warp; empty without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warp: Vec<[f64; 2]>,
}

/// Shift and scale of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StandardizerRecord {
    /// Taken off.
    pub shift: f64,
    /// Divided by.
    pub scale: f64,
}

impl ModelRecord {
    /// Equal bit for bit.
    pub fn agrees(&self, other: &Self) -> bool {
        let numbers = |model: &Self| {
            [
                model.hyper.outputscale,
                model.hyper.noise,
                model.hyper.mean,
                model.standardizer.shift,
                model.standardizer.scale,
                // never itself a variance
                model.hyper.rough_noise.unwrap_or(-1.0),
            ]
        };
        (self.fitted_at, self.observed) == (other.fitted_at, other.observed)
            && same_bits(&self.hyper.lengthscales, &other.hyper.lengthscales)
            && same_bits(
                self.hyper.warp.as_flattened(),
                other.hyper.warp.as_flattened(),
            )
            && same_bits(&self.incumbent, &other.incumbent)
            && same_bits(&numbers(self), &numbers(other))
    }
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncumbentRecord {
    /// Decision parameters in natural units.
    pub x: Vec<f64>,
    /// Risk measure of the posterior mean over all environments, in the user's sign.
    pub risk: f64,
    /// Mean of the posterior mean over all environments.
    pub mean: f64,
    /// Between which values the risk lies with nine chances in ten by the model (`risk`, that of the mean, may lie
    /// outside); absent without one, and in runs from before it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Posterior mean for each environment of a finite set; empty for a continuous law.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_environment: Vec<f64>,
}

impl IncumbentRecord {
    /// Same recommendation, bit for bit; an interval counts where both have one.
    pub fn agrees(&self, other: &Self) -> bool {
        let interval = match (self.interval, other.interval) {
            (Some(ours), Some(theirs)) => same_bits(&ours, &theirs),
            _ => true,
        };
        same_bits(&self.x, &other.x)
            && same_bits(&[self.risk, self.mean], &[other.risk, other.mean])
            && same_bits(&self.per_environment, &other.per_environment)
            && interval
    }
}

fn agree<T>(a: Option<&T>, b: Option<&T>, same: impl Fn(&T, &T) -> bool) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}
