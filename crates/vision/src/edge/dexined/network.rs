//! DexiNed as an edge network: from an image of any size to its logits.
//!
//! Central type [`DexiNed`].

use candle_core::{Device, Tensor};
use image::RgbImage;

use super::body::Body;
use super::layer::Reader;
use crate::edge::pixels;
use crate::edge::{EdgeError, EdgeMap, EdgeNetwork, Weights};

/// Name of the architecture, part of the fingerprint.
const ARCHITECTURE: &str = "dexined 1";

/// What is taken off a pixel's blue, green and red value (0 to 255), in the order of the channels.
const MEAN: [f32; 3] = [103.939, 116.779, 123.68];

/// Images are mirrored outwards to a multiple of this many pixels: four halvings.
const MULTIPLE: u32 = 16;

/// A DexiNed with its weights.
pub struct DexiNed {
    pub(super) body: Body,
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

    /// The input tensor for an image: 1 x 3 x H x W, blue first, the mean taken off.
    fn input(&self, rgb: &RgbImage) -> Result<Tensor, EdgeError> {
        let mut bgr = rgb.clone();
        bgr.pixels_mut().for_each(|pixel| pixel.0.reverse());
        let mean = MEAN.map(|mean| mean / 255.0);
        pixels::normalised(&bgr, (mean, [1.0 / 255.0; 3]), &self.device)
    }
}

impl EdgeNetwork for DexiNed {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        let (width, height) = rgb.dimensions();
        let padded = (
            width.next_multiple_of(MULTIPLE),
            height.next_multiple_of(MULTIPLE),
        );
        let input = if padded == (width, height) {
            self.input(rgb)?
        } else {
            self.input(&pixels::mirrored(rgb, padded.0, padded.1)?)?
        };
        let fused = self.body.forward(&input)?.pop().expect("seven maps");
        let fused = fused
            .narrow(2, 0, height as usize)?
            .narrow(3, 0, width as usize)?;
        EdgeMap::checked(self.name(), width, height, fused.flatten_all()?.to_vec1()?)
    }

    fn name(&self) -> &str {
        "dexined"
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}
