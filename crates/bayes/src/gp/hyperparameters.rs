//! What a Gaussian process is conditioned on besides the data.

use ndarray::{Array1, ArrayView1, ArrayView2, CowArray, Ix2};
use serde::{Deserialize, Serialize};

use super::{GpError, Warp};
use crate::kernel::{Kernel, KernelForm};

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
    /// Noise variance of rough values, where it was learned apart; `None`: theirs is [`Self::noise`].
    #[serde(default)]
    pub rough_noise: Option<f64>,
    /// Warp of each input, or none at all.
    #[serde(default)]
    pub warp: Vec<Warp>,
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
        if !(self.warp.is_empty() || self.warp.len() == dimension) {
            let (expected, found) = (dimension, self.warp.len());
            return Err(GpError::Shape {
                what: "warps (one per input, or none)",
                expected,
                found,
            });
        }
        let scales = self.lengthscales.iter().map(|&l| ("lengthscale", l));
        let shapes = self.warp.iter().flat_map(|w| [w.a, w.b]);
        for (what, value) in scales
            .chain([("outputscale", self.outputscale), ("noise", self.noise)])
            .chain(
                self.rough_noise
                    .map(|noise| ("noise of rough values", noise)),
            )
            .chain(shapes.map(|shape| ("shape of a warp", shape)))
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

    /// The kernel they describe, on features ([`Self::features`]).
    pub fn kernel(&self, form: impl Into<KernelForm>) -> Kernel {
        Kernel::new(form, &self.lengthscales, self.outputscale)
    }

    /// Noise variance of one value.
    pub fn noise_of(&self, rough: bool) -> f64 {
        self.rough_noise.filter(|_| rough).unwrap_or(self.noise)
    }

    /// Warped points (m x d): what the kernel sees. The points themselves where nothing is warped.
    pub fn features<'a>(&self, points: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        if self.warp.is_empty() {
            return points.into();
        }
        let mut features = points.to_owned();
        for (mut input, warp) in features.columns_mut().into_iter().zip(&self.warp) {
            input.mapv_inplace(|u| warp.at(u).value);
        }
        features.into()
    }

    /// Features of the inputs `first..` of one point.
    pub fn features_from(&self, first: usize, inputs: &[f64]) -> Vec<f64> {
        let warps = self.warp.get(first..).unwrap_or_default();
        let warped = |(i, u): (usize, &f64)| warps.get(i).map_or(*u, |warp| warp.at(*u).value);
        inputs.iter().enumerate().map(warped).collect()
    }

    /// Derivative of each of the first features with respect to its input, at a point given by its first
    /// inputs: the factors that turn a gradient in features into one in inputs.
    pub fn feature_slopes(&self, point: ArrayView1<f64>) -> Array1<f64> {
        let slope = |(i, u): (usize, &f64)| self.warp.get(i).map_or(1.0, |warp| warp.at(*u).slope);
        point.iter().enumerate().map(slope).collect()
    }
}
