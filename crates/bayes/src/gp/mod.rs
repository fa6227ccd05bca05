//! Gaussian-process regression on standardised observations.
//!
//! [`Standardizer`] brings y to mean 0 and variance 1, [`Replicates`] merges what was seen at equal inputs,
//! [`fit()`] finds the hyperparameters of highest posterior density, [`Posterior`] predicts. Source: Rasmussen and Williams (2006), ch. 2 and 5.

mod evidence;
mod fit;
mod hyperparameters;
mod map;
mod posterior;
mod prior;
mod replicates;
mod standardizer;
mod starts;
mod surface;
mod warp;
mod warped_inputs;

pub use evidence::{Evidence, EvidenceGradient};
pub(crate) use fit::WAVE;
pub use fit::{Fit, FitEvent, FitSettings, fit};
pub use hyperparameters::Hyperparameters;
pub use posterior::{Posterior, Whitened};
pub use prior::{LogNormal, Priors};
pub use replicates::Replicates;
pub use standardizer::Standardizer;
pub use surface::MeanSurface;
pub use warp::{Warp, Warped};

use crate::linalg::FactorError;

/// Why a Gaussian process cannot be formed or fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GpError {
    /// No observations.
    #[error("a gaussian process needs at least one observation that is finite")]
    Empty,
    /// Numbers of rows, or of inputs and lengthscales, that do not match.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// The count that the rest implies.
        expected: usize,
        /// The count found.
        found: usize,
    },
    /// A hyperparameter or an input that is not finite, or a scale that is not positive.
    #[error("{what} is {value}: it must be finite, and positive where it is a scale")]
    Invalid {
        /// Which quantity.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// The covariance matrix has no factor.
    #[error("covariance matrix: {0}")]
    Factor(#[from] FactorError),
}
