//! What a fit leaves behind, and what the optimiser answers.

use super::{Event, Query};
use crate::gp::{Hyperparameters, Standardizer};
use serde::{Deserialize, Serialize};

/// What later decisions depend on besides the observations. Recorded with each decision, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelState {
    /// Hyperparameters in use, on standardised values.
    pub hyper: Hyperparameters,
    /// Shift and scale of the values (sign turned to be maximised) in use.
    pub standardizer: Standardizer,
    /// Successful observations, in the order of ids, when both were last fitted.
    pub fitted_at: usize,
    /// Observations of any outcome, in the order of ids, that the model knows.
    pub observed: usize,
    /// Decision parameters of the incumbent of this model, in natural units.
    pub incumbent: Vec<f64>,
}

/// What [`super::Optimizer::refit`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// Successful observations in the model.
    pub observations: usize,
    /// Whether hyperparameters were fitted anew and are in use (otherwise the observations were only appended, or the
    /// fit failed, which is an event).
    pub refitted: bool,
    /// Log posterior density of the hyperparameters fitted, in nats; `None` where [`Self::refitted`] is not so.
    pub log_posterior: Option<f64>,
    /// Events of the fit.
    pub events: Vec<Event>,
}

/// The x one would recommend now.
#[derive(Clone, Debug, PartialEq)]
pub struct Incumbent {
    /// Decision parameters in natural units.
    pub x: Vec<f64>,
    /// Risk of the posterior mean over all judging environments, in the user's sign.
    pub risk: f64,
    /// Mean of the posterior mean over them, in the user's sign.
    pub mean: f64,
    /// Posterior mean per judging environment, in the user's sign.
    pub per_environment: Vec<f64>,
}

/// The next (x, w) to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to evaluate.
    pub query: Query,
    /// Value of the acquisition there, in the user's unit (see the acquisition: an expected gain of risk for the knowledge
    /// gradients and `log-nei`), weighed by the probability that the evaluation returns a value where some failed before: times
    /// that probability for the knowledge gradients, times its fourth power for the other rules. 0 for a random or space-filling
    /// point.
    pub acquisition: f64,
    /// Events of the decision.
    pub events: Vec<Event>,
}
