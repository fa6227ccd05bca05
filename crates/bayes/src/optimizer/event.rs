//! What the optimiser had to do that a user should know of; part of the record of a decision.

use crate::gp::FitEvent;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something out of the ordinary in a fit or a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Too few successful observations for a model; the point is space-filling.
    NoModel {
        /// Successful observations.
        successes: usize,
    },
    /// The fit failed; smooth hyperparameters with a tenth of noise, fixed beforehand, stand in: there was no fit before, or
    /// its hyperparameters do not serve either.
    FixedHyperparameters {
        /// Why the fit failed.
        reason: String,
    },
    /// The fit failed and there was none before: the most probable hyperparameters by their priors stand in.
    PriorHyperparameters {
        /// Why the fit failed.
        reason: String,
    },
    /// The fit failed; the hyperparameters of the last good one are kept.
    KeptHyperparameters {
        /// Why the fit failed.
        reason: String,
    },
    /// The model could not be factorised; the one before is kept.
    NoFactor {
        /// Why.
        reason: String,
    },
    /// One start of the fit ended without a usable optimum; another one served.
    FitStart {
        /// Index of the start.
        start: usize,
        /// Why.
        reason: String,
    },
    /// The search from one start of the fit was given up before its optimum; what it had reached took part.
    FitClimb {
        /// Index of the start.
        start: usize,
        /// Why.
        reason: String,
    },
    /// The kernel matrix needed jitter on its diagonal.
    Jitter {
        /// How much was added, in units of the standardised variance.
        amount: f64,
    },
    /// The covariance of the joint samples behind a choice needed jitter on its diagonal.
    SampleJitter {
        /// How much was added, in units of the standardised variance.
        amount: f64,
    },
    /// Failed or pending points could not enter the model, so it does not know of them.
    LeftOut {
        /// How many.
        points: usize,
        /// Why the last of them could not.
        reason: String,
    },
    /// The acquisition had no pair to choose: all it looked at were evaluated before, or had no value.
    /// The first pair of the space that is free, or a random one, was taken instead.
    NoCandidate,
    /// Every (x, environment) pair has been evaluated; the choice repeats one.
    Exhausted,
    /// No pair that is still free was found, though there may be some: the space cannot be counted, and none of the
    /// random points tried is both admitted by its condition and free. The choice repeats one.
    NoneFound,
}

impl From<FitEvent> for Event {
    fn from(event: FitEvent) -> Self {
        match event {
            FitEvent::StartFailed { start, reason } => Self::FitStart { start, reason },
            FitEvent::ClimbEnded { start, reason } => Self::FitClimb { start, reason },
            FitEvent::KeptPrevious => Self::KeptHyperparameters {
                reason: "no start reached an optimum".into(),
            },
            FitEvent::KeptPriorMode => Self::PriorHyperparameters {
                reason: "no start reached an optimum".into(),
            },
            FitEvent::Jitter { amount } => Self::Jitter { amount },
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModel { successes } => {
                write!(
                    f,
                    "no model from {successes} successful observations: space-filling point"
                )
            }
            Self::KeptHyperparameters { reason } => {
                write!(f, "fit failed ({reason}): last good hyperparameters kept")
            }
            Self::FixedHyperparameters { reason } => {
                write!(
                    f,
                    "fit failed ({reason}): fixed smooth hyperparameters stand in"
                )
            }
            Self::PriorHyperparameters { reason } => {
                write!(
                    f,
                    "fit failed ({reason}): the most probable by their priors stand in"
                )
            }
            Self::NoFactor { reason } => {
                write!(
                    f,
                    "model could not be factorised ({reason}): the one before is kept"
                )
            }
            Self::FitStart { start, reason } => {
                write!(f, "start {start} of the fit failed: {reason}")
            }
            Self::FitClimb { start, reason } => write!(
                f,
                "start {start} of the fit was given up before its optimum: {reason}"
            ),
            Self::Jitter { amount } => write!(f, "jitter {amount:.1e} added to the kernel matrix"),
            Self::SampleJitter { amount } => write!(
                f,
                "jitter {amount:.1e} added to the covariance of joint samples"
            ),
            Self::LeftOut { points, reason } => write!(
                f,
                "{points} failed or pending points could not enter the model: {reason}"
            ),
            Self::NoCandidate => {
                f.write_str("the acquisition found no pair to choose: another free one taken")
            }
            Self::Exhausted => f.write_str("every (x, environment) pair is evaluated: a repeat"),
            Self::NoneFound => f.write_str("no free (x, environment) pair was found: a repeat"),
        }
    }
}
