//! What a Gaussian process is conditioned on besides the data.

use serde::{Deserialize, Serialize};

use super::GpError;
use crate::kernel::{Kernel, KernelKind};

/// Hyperparameters on standardised observations and inputs scaled to [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// One per input, positive, in units of the scaled input.
    pub lengthscales: Vec<f64>,
    /// Prior variance of the function, positive, in squared standardised units.
    pub outputscale: f64,
    /// Variance of the observation noise, positive, in squared standardised units.
    pub noise: f64,
    /// Constant prior mean, in standardised units.
    pub mean: f64,
}

impl Hyperparameters {
    /// Checks that there is one lengthscale for each of `dimension` inputs, that everything is
    /// finite and every scale positive.
    ///
    /// # Errors
    /// [`GpError::Shape`] or [`GpError::Invalid`].
    pub fn check(&self, dimension: usize) -> Result<(), GpError> {
        if self.lengthscales.len() != dimension {
            let (expected, found) = (dimension, self.lengthscales.len());
            return Err(GpError::Shape {
                what: "lengthscales (one per input)",
                expected,
                found,
            });
        }
        let scales = self.lengthscales.iter().map(|&l| ("lengthscale", l));
        for (what, value) in
            scales.chain([("outputscale", self.outputscale), ("noise", self.noise)])
        {
            if !(value.is_finite() && value > 0.0) {
                return Err(GpError::Invalid { what, value });
            }
        }
        if !self.mean.is_finite() {
            return Err(GpError::Invalid {
                what: "prior mean",
                value: self.mean,
            });
        }
        Ok(())
    }

    /// The kernel they describe.
    pub fn kernel(&self, kind: KernelKind) -> Kernel {
        Kernel::new(kind, &self.lengthscales, self.outputscale)
    }
}
