//! PiDiNet in its three published sizes, forward only.
//!
//! Central type [`PiDiNet`]. Takes the published `.pth` files, whose pixel-difference convolutions
//! are turned into the ordinary convolutions that equal them, and files in which that was done.
//! Source: Su and others, "Pixel Difference Networks for Efficient Edge Detection", ICCV 2021.

use candle_core::{DType, Device, Tensor};
use image::RgbImage;

use super::activation::Activation;
use super::convolution::Convolution;
use super::difference::Difference;
use super::network::{EdgeError, EdgeModel};
use super::pixels::{self, Reading};
use super::stage::{Passage, Staged};
use super::tile::Windowed;
use super::view::View;
use super::weights::{Plain, Weights};

/// How it reads a pixel: mean and deviation of the images the published networks were trained on.
pub(super) const READING: Reading = Reading {
    order: [0, 1, 2],
    mean: [0.485, 0.456, 0.406],
    deviation: [0.229, 0.224, 0.225],
};

/// Blocks of each of the four stages; the very first convolution stands in for a fourth of stage 1.
const BLOCKS: [usize; 4] = [3, 4, 4, 4];

/// The published sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PiDiNetSize {
    /// 60 channels, side width 24.
    Full,
    /// 30 channels, side width 12.
    Small,
    /// 20 channels, side width 8.
    Tiny,
}

impl PiDiNetSize {
    /// (channels of the first stage, width of the side branches)
    fn widths(self) -> (usize, usize) {
        match self {
            Self::Full => (60, 24),
            Self::Small => (30, 12),
            Self::Tiny => (20, 8),
        }
    }

    fn model(self) -> EdgeModel {
        match self {
            Self::Full => EdgeModel::PiDiNet,
            Self::Small => EdgeModel::PiDiNetSmall,
            Self::Tiny => EdgeModel::PiDiNetTiny,
        }
    }
}

/// Name of the architecture, part of the fingerprint.
pub(super) fn architecture(model: EdgeModel) -> String {
    format!("{model} 1")
}

/// The size of a PiDiNet.
pub(super) fn size(model: EdgeModel) -> Option<PiDiNetSize> {
    let sizes = [PiDiNetSize::Full, PiDiNetSize::Small, PiDiNetSize::Tiny];
    sizes.into_iter().find(|size| size.model() == model)
}

/// One convolution with its weights.
struct Layer<A> {
    weight: A,
    bias: A,
    how: Convolution,
}

impl<A: Activation> Layer<A> {
    fn run(&self, x: &A) -> candle_core::Result<A> {
        x.convolve(self.how, &self.weight, &self.bias)
    }
}

struct Block<A> {
    conv1: Layer<A>,
    conv2: Layer<A>,
    shortcut: Option<Layer<A>>,
}

struct Side<A> {
    dilation_in: Layer<A>,
    dilations: [Layer<A>; 4],
    attention_in: Layer<A>,
    attention: Layer<A>,
    reduce: Layer<A>,
}

/// A PiDiNet with its weights, ready for use.
pub struct PiDiNet {
    size: PiDiNetSize,
    fingerprint: String,
    device: Device,
    body: PiDiNetBody,
}

/// The layers with their weights: tensors (variables when it is being trained), or outlines.
pub struct PiDiNetBody<A = Tensor> {
    init: Layer<A>,
    stages: Vec<Vec<Block<A>>>,
    sides: Vec<Side<A>>,
    classifier: Layer<A>,
}

/// Takes tensors out of a file, knowing whether pixel differences are still to be unfolded.
pub(super) struct Reader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    published: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(weights: &'a Weights, device: &'a Device) -> Self {
        // The one radial layer of stage 1 tells the two kinds of file apart: 3x3 as published, 5x5 unfolded.
        let published = weights
            .shape("block1_2.conv1.weight")
            .is_some_and(|shape| shape.ends_with(&[3, 3]));
        Self {
            weights,
            device,
            published,
        }
    }

    pub(super) fn tensor(&self, parameter: &Parameter) -> Result<Tensor, EdgeError> {
        let Parameter { name, shape, kind } = parameter;
        match kind {
            Kind::Zero => Ok(Tensor::zeros(&shape[..], DType::F32, self.device)?),
            Kind::Difference(kind) if self.published => {
                let published = [shape[0], shape[1], 3, 3];
                let Plain { values, .. } = self.weights.plain(name, &published)?;
                let unfolded: Vec<f32> = values
                    .as_chunks::<9>()
                    .0
                    .iter()
                    .flat_map(|w| kind.unfold(w))
                    .collect();
                Ok(Tensor::from_vec(unfolded, &shape[..], self.device)?)
            }
            _ => Ok(self.weights.take(name, shape, self.device)?),
        }
    }
}

/// A tensor that the network needs.
pub struct Parameter {
    /// Its name in a file.
    pub name: String,
    /// Its shape, as an ordinary convolution's.
    pub shape: Vec<usize>,
    kind: Kind,
}

enum Kind {
    /// In the file as it is used.
    Plain,
    /// In a published file as the 3x3 weight of a pixel difference.
    Difference(Difference),
    /// In no file: the bias of a layer that has none.
    Zero,
}

/// Makes layers of the tensors that `get` gives.
struct Layers<G> {
    get: G,
}

impl<A, E, G: FnMut(&Parameter) -> Result<A, E>> Layers<G> {
    fn layer(
        &mut self,
        name: &str,
        shape: [usize; 4],
        bias: bool,
        how: Convolution,
    ) -> Result<Layer<A>, E> {
        self.of_kind(name, shape, bias, how, Kind::Plain)
    }

    fn of_kind(
        &mut self,
        name: &str,
        shape: [usize; 4],
        bias: bool,
        how: Convolution,
        kind: Kind,
    ) -> Result<Layer<A>, E> {
        let weight = (self.get)(&Parameter {
            name: format!("{name}.weight"),
            shape: shape.to_vec(),
            kind,
        })?;
        let bias = (self.get)(&Parameter {
            name: format!("{name}.bias"),
            shape: vec![shape[0]],
            kind: if bias { Kind::Plain } else { Kind::Zero },
        })?;
        Ok(Layer { weight, bias, how })
    }

    /// The `index`-th layer of those that may be pixel differences.
    fn difference(
        &mut self,
        index: usize,
        name: &str,
        outputs: usize,
        per_group: usize,
    ) -> Result<Layer<A>, E> {
        let kind = Difference::ORDER[index % 4];
        let side = kind.side();
        let how = Convolution {
            padding: side / 2,
            groups: if index == 0 { 1 } else { outputs },
            relu: index > 0,
            ..Convolution::default()
        };
        let shape = [outputs, per_group, side, side];
        self.of_kind(name, shape, false, how, Kind::Difference(kind))
    }

    fn side(&mut self, stage: usize, inputs: usize, width: usize) -> Result<Side<A>, E> {
        let plain = Convolution::default();
        let mut dilated = |i: usize| {
            let dilation = 5 + 2 * i;
            let how = Convolution {
                padding: dilation,
                dilation,
                ..plain
            };
            let name = format!("dilations.{stage}.conv2_{}", i + 1);
            self.layer(&name, [width, width, 3, 3], false, how)
        };
        let dilations = [dilated(0)?, dilated(1)?, dilated(2)?, dilated(3)?];
        let attention = Convolution {
            padding: 1,
            ..plain
        };
        let mut layer = |name: &str, shape, bias, how| {
            let (part, rest) = name.split_once('.').unwrap_or((name, ""));
            self.layer(&format!("{part}.{stage}.{rest}"), shape, bias, how)
        };
        Ok(Side {
            dilation_in: layer("dilations.conv1", [width, inputs, 1, 1], true, plain)?,
            dilations,
            attention_in: layer("attentions.conv1", [4, width, 1, 1], true, plain)?,
            attention: layer("attentions.conv2", [1, 4, 3, 3], false, attention)?,
            reduce: layer("conv_reduces.conv", [1, width, 1, 1], true, plain)?,
        })
    }
}

impl PiDiNet {
    /// The network of this size with the tensors of `weights`; a leading `module.` of their names is ignored.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn new(size: PiDiNetSize, weights: Weights, device: &Device) -> Result<Self, EdgeError> {
        let weights = weights.without_prefix("module.");
        let reader = Reader::new(&weights, device);
        Ok(Self {
            size,
            body: PiDiNetBody::new(size, |parameter| reader.tensor(parameter))?,
            fingerprint: weights.fingerprint(&architecture(size.model())),
            device: device.clone(),
        })
    }

    /// Logits of the four sides before they are fused, and the fused ones, each 1 x 1 x H x W, of `rgb`.
    ///
    /// # Errors
    /// An empty image, one too small to be halved three times (under 8 pixels a side), or a failure of the device.
    pub fn side_logits(&self, rgb: &RgbImage) -> Result<(Vec<Tensor>, Tensor), EdgeError> {
        let view = View::whole(rgb.height() as usize, rgb.width() as usize);
        let size = (view.height, view.width);
        let input = pixels::window(&[rgb], READING, view, size, &self.device)?;
        Ok(self.body.pass(&input, view)?)
    }
}

impl<A: Activation> PiDiNetBody<A> {
    /// The network of this size with the tensors that `get` gives.
    ///
    /// # Errors
    /// The first error of `get`.
    pub fn new<E>(
        size: PiDiNetSize,
        get: impl FnMut(&Parameter) -> Result<A, E>,
    ) -> Result<Self, E> {
        let mut layers = Layers { get };
        let (channels, width) = size.widths();
        let plain = Convolution::default();
        let init = layers.difference(0, "init_block", channels, 3)?;
        let (mut stages, mut sides) = (Vec::new(), Vec::new());
        let (mut index, mut inputs) = (1, channels);
        for (stage, blocks) in BLOCKS.into_iter().enumerate() {
            let outputs = channels * [1, 2, 4, 4][stage];
            let mut made = Vec::new();
            for block in 0..blocks {
                let name = format!("block{}_{}", stage + 1, block + 1);
                let part = |part: &str| format!("{name}.{part}");
                let pointwise = [outputs, inputs, 1, 1];
                made.push(Block {
                    conv1: layers.difference(index, &part("conv1"), inputs, 1)?,
                    conv2: layers.layer(&part("conv2"), pointwise, false, plain)?,
                    shortcut: (stage > 0 && block == 0)
                        .then(|| layers.layer(&part("shortcut"), pointwise, true, plain))
                        .transpose()?,
                });
                (index, inputs) = (index + 1, outputs);
            }
            stages.push(made);
            sides.push(layers.side(stage, outputs, width)?);
        }
        Ok(Self {
            init,
            stages,
            sides,
            classifier: layers.layer("classifier", [1, 4, 1, 1], true, plain)?,
        })
    }

    /// The stage `index`.
    fn part(&self, index: usize) -> Part<'_, A> {
        let mut parts = std::iter::once(Part::Init)
            .chain(self.stages.iter().zip(&self.sides).enumerate().flat_map(
                |(halvings, (blocks, side))| {
                    let blocks = blocks.iter().map(Part::Block);
                    blocks.chain(std::iter::once(Part::Side(halvings, side)))
                },
            ))
            .chain(std::iter::once(Part::Fuse));
        parts
            .nth(index)
            .expect("an index below the number of stages")
    }
}

/// What one stage is.
enum Part<'b, A> {
    Init,
    Block(&'b Block<A>),
    /// After so many halvings.
    Side(usize, &'b Side<A>),
    Fuse,
}

/// Images of at least 8 rows and columns; views begin at multiples of 8. A stage for the first convolution, for every
/// block, for the side after the blocks of each scale, and for the fusion.
impl<A: Activation> Staged<A> for PiDiNetBody<A> {
    fn stages(&self) -> usize {
        2 + BLOCKS.iter().sum::<usize>() + BLOCKS.len()
    }

    fn stage(&self, index: usize, mut passage: Passage<A>) -> candle_core::Result<Passage<A>> {
        match self.part(index) {
            Part::Init => {
                let x = passage.take();
                passage.maps.push(self.init.run(&x)?);
            }
            Part::Block(block) => {
                let x = passage.take();
                passage.maps.push(block.run(x)?);
            }
            Part::Side(halvings, side) => {
                let (view, size) = (passage.view, passage.size);
                let x = passage.maps.last().expect("the block before left it");
                let logits = side.run(x)?.resized(view.halved(halvings), view, size)?;
                passage.logits.push(logits);
            }
            Part::Fuse => {
                passage.maps.clear();
                let fused = self.classifier.run(&A::stacked(&passage.logits)?)?;
                passage.logits.push(fused);
            }
        }
        Ok(passage)
    }
}

impl<A: Activation> Block<A> {
    fn run(&self, x: A) -> candle_core::Result<A> {
        let x = match self.shortcut {
            Some(_) => x.halved()?,
            None => x,
        };
        let y = self.conv2.run(&self.conv1.run(&x)?)?;
        match &self.shortcut {
            Some(shortcut) => y.plus(&shortcut.run(&x)?),
            None => y.plus(&x),
        }
    }
}

impl<A: Activation> Side<A> {
    fn run(&self, x: &A) -> candle_core::Result<A> {
        let x = self.dilation_in.run(&x.rectified()?)?;
        let mut sum = self.dilations[0].run(&x)?;
        for layer in &self.dilations[1..] {
            sum = sum.plus(&layer.run(&x)?)?;
        }
        let attention = self.attention_in.run(&sum.rectified()?)?;
        let attention = self.attention.run(&attention)?.sigmoid()?;
        self.reduce.run(&sum.gated(&attention)?)
    }
}

impl Windowed for PiDiNet {
    fn model(&self) -> EdgeModel {
        self.size.model()
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
    use std::path::PathBuf;

    use super::super::EdgeModel;
    use super::*;

    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn data() -> Option<PathBuf> {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
        let folder = PathBuf::from(std::env::var("BO_DATA").unwrap_or(default.into()))
            .join("pidinet_weights");
        if !folder.is_dir() {
            eprintln!("skipped: {} absent", folder.display());
            return None;
        }
        Some(folder)
    }

    fn probability(logit: f32) -> f32 {
        1.0 / (1.0 + (-logit).exp())
    }

    fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn golden_data_published_networks_agree_with_expected_values() {
        let Some(folder) = data() else { return };
        let mut cases = 0;
        let mut files: Vec<_> = std::fs::read_dir(folder.join("expected"))
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let stem = file
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .split('.')
                .next()
                .unwrap()
                .to_string();
            let model: EdgeModel = stem.strip_prefix("table5_").unwrap().parse().unwrap();
            let expected = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
            let input = &expected["input_u8"];
            let (height, width, _) = input.dims3().unwrap();
            let bytes = input.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let rgb = RgbImage::from_raw(width as u32, height as u32, bytes).unwrap();
            let want = expected["edge_prob"]
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            for kind in ["pth", "plain.safetensors"] {
                let weights = folder.join(format!("{stem}.{kind}"));
                let network = model.load(Some(&weights), &Device::Cpu).unwrap();
                let got: Vec<f32> = network
                    .logits(&rgb)
                    .unwrap()
                    .logits
                    .into_iter()
                    .map(probability)
                    .collect();
                let off = largest_difference(&got, &want);
                assert!(off < 1e-3, "{stem} {kind} {width}x{height}: {off}");
                cases += 1;
            }
        }
        assert!(cases > 0);
    }

    #[test]
    fn golden_data_side_logits_agree_too() {
        let Some(folder) = data() else { return };
        let expected = folder.join("expected/table5_pidinet-tiny.odd.safetensors");
        let expected = candle_core::safetensors::load(expected, &Device::Cpu).unwrap();
        let (height, width, _) = expected["input_u8"].dims3().unwrap();
        let bytes = expected["input_u8"]
            .flatten_all()
            .unwrap()
            .to_vec1::<u8>()
            .unwrap();
        let rgb = RgbImage::from_raw(width as u32, height as u32, bytes).unwrap();
        let weights = Weights::open(&folder.join("table5_pidinet-tiny.pth")).unwrap();
        let network = PiDiNet::new(PiDiNetSize::Tiny, weights, &Device::Cpu).unwrap();
        let got = Tensor::cat(&network.side_logits(&rgb).unwrap().0, 1).unwrap();
        let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let want = expected["side_logits"]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        // The reference holds every side column by column, whatever its header says; row by row is
        // accepted as well.
        let area = height * width;
        let turned = |i: usize| {
            let (side, pixel) = (i / area, i % area);
            side * area + (pixel % width) * height + pixel / width
        };
        let by_column: Vec<f32> = (0..want.len()).map(|i| want[turned(i)]).collect();
        let off = largest_difference(&got, &want).min(largest_difference(&got, &by_column));
        assert!(off < 1e-3, "{off}");
    }

    #[test]
    fn golden_data_any_size_and_a_wrong_file_names_the_tensor() {
        let Some(folder) = data() else { return };
        let tiny = folder.join("table5_pidinet-tiny.pth");
        let network = EdgeModel::PiDiNetTiny
            .load(Some(&tiny), &Device::Cpu)
            .unwrap();
        for (width, height) in [(1, 1), (5, 3), (8, 8), (9, 17), (33, 8)] {
            let map = network.logits(&RgbImage::new(width, height)).unwrap();
            assert_eq!(
                (map.width, map.height, map.logits.len()),
                (width, height, (width * height) as usize)
            );
        }
        let wrong = EdgeModel::PiDiNetSmall
            .load(Some(&tiny), &Device::Cpu)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("init_block.weight has shape [20, 3, 3, 3]"),
            "{wrong}"
        );
        assert!(matches!(
            EdgeModel::PiDiNet.load(None, &Device::Cpu),
            Err(EdgeError::NoWeights { .. })
        ));
    }
}
