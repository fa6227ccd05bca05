//! DexiNed as an edge network: from an image of any size to its logits.
//!
//! Central type [`DexiNed`].

use candle_core::{Device, Tensor};

use super::body::Body;
use super::layer::Reader;
use crate::edge::pixels::Reading;
use crate::edge::{EdgeError, EdgeModel, Staged as _, View, Weights, Windowed};

/// Name of the architecture, part of the fingerprint.
pub(in crate::edge) const ARCHITECTURE: &str = "dexined 1";

/// How it reads a pixel: blue first, a mean of 0 to 255 taken off.
pub(in crate::edge) const READING: Reading = Reading {
    order: [2, 1, 0],
    mean: [103.939 / 255.0, 116.779 / 255.0, 123.68 / 255.0],
    deviation: [1.0 / 255.0; 3],
};

/// Images are mirrored outwards to a multiple of this many pixels: four halvings.
pub(in crate::edge) const MULTIPLE: u32 = 16;

/// A DexiNed with its weights.
pub struct DexiNed {
    pub(super) body: Body<Tensor>,
    fingerprint: String,
    device: Device,
}

impl DexiNed {
    /// The network with the tensors of `weights`, named as in the original's state dict; a leading
    /// `module.` of their names is ignored.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn new(weights: Weights, device: &Device) -> Result<Self, EdgeError> {
        let weights = weights.without_prefix("module.");
        let body = Body::new(&Reader {
            weights: &weights,
            device,
        })?;
        Ok(Self {
            body,
            fingerprint: weights.fingerprint(ARCHITECTURE),
            device: device.clone(),
        })
    }
}

impl Windowed for DexiNed {
    fn model(&self) -> EdgeModel {
        EdgeModel::DexiNed
    }

    fn identity(&self) -> &str {
        &self.fingerprint
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&self, x: &Tensor, view: View) -> candle_core::Result<Tensor> {
        Ok(self.body.pass(x, view)?.1)
    }
}
