//! The project's own edge network: small, without normalisation across pixels or images.
//!
//! Central type [`Compact`]. A full-resolution stem, three halvings with residual blocks, and a way
//! back up on which every scale is added to the next finer one; a side logit is read at each of the
//! four scales and the four are fused. All layers see a bounded neighbourhood, so the output of a
//! pixel depends neither on far pixels nor on what else is in a batch.
//!
//! Logits are natural log-odds under the balanced loss of the training program, in which edges weigh
//! as much as everything else. On an enhanced scene they run from about -10 (plain surface) through a
//! median of -3 to above 4 (the clearest 1 %): inside the range -23..7 that the pipeline's thresholds
//! span. `weights/compact.md` says how the weights that ship were trained and how they score.

use candle_core::{Device, Tensor};

use super::activation::Activation;
use super::convolution::Convolution;
use super::network::{EdgeError, EdgeModel};
use super::pixels::Reading;
use super::stage::{Passage, Staged};
use super::tile::Windowed;
use super::view::View;
use super::weights::Weights;

/// Name of the architecture, part of the fingerprint.
pub(super) const ARCHITECTURE: &str = "compact 1";

/// How it reads a pixel.
pub(super) const READING: Reading = Reading {
    order: [0, 1, 2],
    mean: [0.5; 3],
    deviation: [0.25; 3],
};

/// Channels at 1/1, 1/2, 1/4 and 1/8 of the resolution.
const CHANNELS: [usize; 4] = [8, 16, 32, 48];

/// Dilations of the residual blocks at 1/2, 1/4 and 1/8.
const BLOCKS: [&[usize]; 3] = [&[1], &[1], &[1, 2, 4]];

/// Images are mirrored outwards to a multiple of this many pixels.
pub(super) const MULTIPLE: u32 = 8;

/// What a layer is made of, before it has weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Name; its tensors are `name.weight` and `name.bias`.
    pub name: String,
    /// Outputs, inputs, and twice the side of the kernel.
    pub shape: [usize; 4],
    /// Stride, padding, dilation, ReLU.
    pub how: Convolution,
}

impl LayerSpec {
    fn new(name: String, outputs: usize, inputs: usize, side: usize, how: Convolution) -> Self {
        let padding = how.dilation * (side / 2);
        Self {
            name,
            shape: [outputs, inputs, side, side],
            how: Convolution { padding, ..how },
        }
    }

    /// Name of the weight.
    pub fn weight(&self) -> String {
        format!("{}.weight", self.name)
    }

    /// Name of the bias.
    pub fn bias(&self) -> String {
        format!("{}.bias", self.name)
    }
}

/// All layers of the network, in the order of their use.
pub fn layers() -> Vec<LayerSpec> {
    let plain = Convolution::default();
    let relu = Convolution {
        relu: true,
        ..plain
    };
    let halve = Convolution { stride: 2, ..relu };
    let c = CHANNELS;
    let mut all = vec![LayerSpec::new("stem".into(), c[0], 3, 3, relu)];
    for level in 1..4 {
        all.push(LayerSpec::new(
            format!("down{level}"),
            c[level],
            c[level - 1],
            3,
            halve,
        ));
        for (i, &dilation) in BLOCKS[level - 1].iter().enumerate() {
            let name = |part| format!("block{level}_{i}.{part}");
            all.push(LayerSpec::new(
                name("first"),
                c[level],
                c[level],
                3,
                Convolution { dilation, ..relu },
            ));
            all.push(LayerSpec::new(
                name("second"),
                c[level],
                c[level],
                3,
                Convolution { dilation, ..plain },
            ));
        }
    }
    for level in (0..3).rev() {
        all.push(LayerSpec::new(
            format!("up{level}"),
            c[level],
            c[level + 1],
            1,
            plain,
        ));
        all.push(LayerSpec::new(
            format!("across{level}"),
            c[level],
            c[level],
            1,
            plain,
        ));
        all.push(LayerSpec::new(
            format!("merge{level}"),
            c[level],
            c[level],
            3,
            relu,
        ));
    }
    for (level, inputs) in c.into_iter().enumerate() {
        all.push(LayerSpec::new(format!("side{level}"), 1, inputs, 1, plain));
    }
    all.push(LayerSpec::new("fuse".into(), 1, 4, 1, plain));
    all
}

/// The layers with their weights: tensors (variables when it is being trained), or outlines.
pub struct CompactBody<A = Tensor> {
    layers: Vec<(LayerSpec, A, A)>,
}

impl<A: Activation> CompactBody<A> {
    /// The network with the weights that `get` gives for a name and a shape.
    ///
    /// # Errors
    /// The first error of `get`.
    pub fn new<E>(mut get: impl FnMut(&str, &[usize]) -> Result<A, E>) -> Result<Self, E> {
        let mut made = Vec::new();
        for spec in layers() {
            let weight = get(&spec.weight(), &spec.shape)?;
            let bias = get(&spec.bias(), &spec.shape[..1])?;
            made.push((spec, weight, bias));
        }
        Ok(Self { layers: made })
    }

    fn run(&self, name: &str, x: &A) -> candle_core::Result<A> {
        let found = self.layers.iter().find(|(spec, ..)| spec.name == name);
        let (spec, weight, bias) = found.expect("names come from the same list");
        x.convolve(spec.how, weight, bias)
    }
}

/// Sides of images, and what views say, must be multiples of 8. Four stages go down, leaving a map a scale; two for
/// each scale come back up, the one adding it to what lies below, the other leaving the logits of its side; the last
/// fuses them.
impl<A: Activation> Staged<A> for CompactBody<A> {
    fn stages(&self) -> usize {
        3 * CHANNELS.len() - 1
    }

    fn stage(&self, index: usize, mut passage: Passage<A>) -> candle_core::Result<Passage<A>> {
        let (view, size) = (passage.view, passage.size);
        match index {
            0 => {
                let x = passage.take();
                passage.maps.push(self.run("stem", &x)?);
            }
            1..=3 => {
                let above = passage.maps.last().expect("the scale above");
                let mut y = self.run(&format!("down{index}"), above)?;
                for i in 0..BLOCKS[index - 1].len() {
                    let inner = self.run(&format!("block{index}_{i}.first"), &y)?;
                    let second = self.run(&format!("block{index}_{i}.second"), &inner)?;
                    y = second.plus(&y)?.rectified()?;
                }
                passage.maps.push(y);
            }
            4 | 6 | 8 => {
                let level = (8 - index) / 2;
                let y = passage.take();
                if level == 2 {
                    let side = self.run("side3", &y)?.resized(view.halved(3), view, size)?;
                    passage.logits.push(side);
                }
                let across = passage.take();
                let across = self.run(&format!("across{level}"), &across)?;
                let (from, to) = (view.halved(level + 1), view.halved(level));
                let up = self.run(&format!("up{level}"), &y)?;
                let up = up.resized(from, to, across.size()?)?;
                passage.maps.push(up.plus(&across)?);
            }
            5 | 7 | 9 => {
                let level = (9 - index) / 2;
                let sum = passage.take();
                let y = self.run(&format!("merge{level}"), &sum.rectified()?)?;
                let side = self.run(&format!("side{level}"), &y)?;
                passage
                    .logits
                    .push(side.resized(view.halved(level), view, size)?);
                passage.maps.push(y);
            }
            _ => {
                passage.maps.clear();
                // from the finest scale to the coarsest
                passage.logits.reverse();
                let fused = self.run("fuse", &A::stacked(&passage.logits)?)?;
                passage.logits.push(fused);
            }
        }
        Ok(passage)
    }
}

/// The network ready for use.
pub struct Compact {
    body: CompactBody,
    fingerprint: String,
    device: Device,
}

impl Compact {
    /// The network with the weights of a file.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self, EdgeError> {
        let body = CompactBody::new(|name, shape| weights.take(name, shape, device))?;
        Ok(Self {
            body,
            fingerprint: weights.fingerprint(ARCHITECTURE),
            device: device.clone(),
        })
    }

    /// The network with the weights that the binary carries.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn shipped(device: &Device) -> Result<Self, EdgeError> {
        Self::new(&Self::weights()?, device)
    }

    /// The weights that the binary carries.
    ///
    /// # Errors
    /// None.
    pub fn weights() -> Result<Weights, EdgeError> {
        let bytes = include_bytes!("../../weights/compact.safetensors");
        let source = "weights/compact.safetensors".as_ref();
        Ok(Weights::from_safetensors(source, bytes)?)
    }
}

impl Windowed for Compact {
    fn model(&self) -> EdgeModel {
        EdgeModel::Compact
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

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::edge::EdgeNetwork as _;

    #[test]
    fn small_enough_to_ship() {
        let parameters: usize = layers()
            .iter()
            .map(|l| l.shape.iter().product::<usize>() + l.shape[0])
            .sum();
        assert!(parameters <= 500_000, "{parameters}");
        assert!(include_bytes!("../../weights/compact.safetensors").len() <= 2_000_000);
    }

    #[test]
    fn answers_in_the_size_of_the_image_and_twice_the_same() {
        let network = Compact::shipped(&Device::Cpu).unwrap();
        for (width, height) in [(1, 1), (7, 9), (16, 8), (33, 50)] {
            let image = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([(x * 7) as u8, (y * 5) as u8, 90])
            });
            let map = network.logits(&image).unwrap();
            assert_eq!(
                (map.width, map.height, map.logits.len()),
                (width, height, (width * height) as usize)
            );
            assert_eq!(map, network.logits(&image).unwrap());
        }
        assert!(matches!(
            network.logits(&RgbImage::new(0, 4)),
            Err(EdgeError::EmptyImage { .. })
        ));
    }
}
