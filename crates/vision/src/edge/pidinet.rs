//! PiDiNet in its three published sizes, forward only.
//!
//! Central type [`PiDiNet`]. Takes the published `.pth` files, whose pixel-difference convolutions
//! are turned into the ordinary convolutions that equal them, and files in which that was done.
//! Source: Su and others, "Pixel Difference Networks for Efficient Edge Detection", ICCV 2021.

use candle_core::{Device, Tensor};
use image::RgbImage;

use super::convolution::Convolution;
use super::difference::Difference;
use super::network::{EdgeError, EdgeMap, EdgeNetwork};
use super::pixels;
use super::resize::bilinear;
use super::weights::{Plain, Weights};

/// Mean and deviation of the images the published networks were trained on, per channel of \[0, 1\].
const NORMAL: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

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

    fn name(self) -> &'static str {
        match self {
            Self::Full => "pidinet",
            Self::Small => "pidinet-small",
            Self::Tiny => "pidinet-tiny",
        }
    }
}

/// One convolution with its weights.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    how: Convolution,
}

impl Layer {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.how.apply(x, &self.weight, &self.bias)
    }
}

struct Block {
    conv1: Layer,
    conv2: Layer,
    shortcut: Option<Layer>,
}

struct Side {
    dilation_in: Layer,
    dilations: [Layer; 4],
    attention_in: Layer,
    attention: Layer,
    reduce: Layer,
}

/// A PiDiNet with its weights.
pub struct PiDiNet {
    size: PiDiNetSize,
    fingerprint: String,
    device: Device,
    init: Layer,
    stages: Vec<Vec<Block>>,
    sides: Vec<Side>,
    classifier: Layer,
}

/// Logits of the four sides before they are fused, each 1 x 1 x H x W, and the fused ones.
pub struct SideLogits {
    /// After the bilinear step.
    pub sides: Vec<Tensor>,
    /// 1 x 1 x H x W.
    pub fused: Tensor,
}

/// Takes tensors out of a file, knowing whether pixel differences are still to be unfolded.
struct Reader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    published: bool,
}

impl Reader<'_> {
    fn layer(
        &self,
        name: &str,
        shape: [usize; 4],
        bias: bool,
        how: Convolution,
    ) -> Result<Layer, EdgeError> {
        let weight = self
            .weights
            .take(&format!("{name}.weight"), &shape, self.device)?;
        self.with_bias(name, weight, bias, how)
    }

    fn with_bias(
        &self,
        name: &str,
        weight: Tensor,
        bias: bool,
        how: Convolution,
    ) -> Result<Layer, EdgeError> {
        let outputs = weight.dim(0)?;
        let bias = if bias {
            self.weights
                .take(&format!("{name}.bias"), &[outputs], self.device)?
        } else {
            Tensor::zeros(outputs, candle_core::DType::F32, self.device)?
        };
        Ok(Layer { weight, bias, how })
    }

    /// The `index`-th layer of those that may be pixel differences.
    fn difference(
        &self,
        index: usize,
        name: &str,
        outputs: usize,
        per_group: usize,
    ) -> Result<Layer, EdgeError> {
        let kind = Difference::ORDER[index % 4];
        let side = kind.side();
        let name_weight = format!("{name}.weight");
        let published = [outputs, per_group, 3, 3];
        let weight = if self.published {
            let Plain { values, .. } = self.weights.plain(&name_weight, &published)?;
            let unfolded: Vec<f32> = values
                .as_chunks::<9>()
                .0
                .iter()
                .flat_map(|w| kind.unfold(w))
                .collect();
            Tensor::from_vec(unfolded, (outputs, per_group, side, side), self.device)?
        } else {
            self.weights
                .take(&name_weight, &[outputs, per_group, side, side], self.device)?
        };
        let groups = if index == 0 { 1 } else { outputs };
        let relu = index > 0;
        let how = Convolution {
            padding: side / 2,
            groups,
            relu,
            ..Convolution::default()
        };
        self.with_bias(name, weight, false, how)
    }
}

impl PiDiNet {
    /// The network of this size with the tensors of `weights`; a leading `module.` of their names is ignored.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn new(size: PiDiNetSize, weights: Weights, device: &Device) -> Result<Self, EdgeError> {
        let weights = weights.without_prefix("module.");
        let (channels, width) = size.widths();
        // The one radial layer of stage 1 tells the two kinds of file apart: 3x3 as published, 5x5 unfolded.
        let published = weights
            .shape("block1_2.conv1.weight")
            .is_some_and(|shape| shape.ends_with(&[3, 3]));
        let reader = Reader {
            weights: &weights,
            device,
            published,
        };
        let plain = Convolution::default();
        let init = reader.difference(0, "init_block", channels, 3)?;
        let (mut stages, mut sides) = (Vec::new(), Vec::new());
        let (mut index, mut inputs) = (1, channels);
        for (stage, blocks) in BLOCKS.into_iter().enumerate() {
            let outputs = channels * [1, 2, 4, 4][stage];
            let mut made = Vec::new();
            for block in 0..blocks {
                let name = format!("block{}_{}", stage + 1, block + 1);
                let conv1 = reader.difference(index, &format!("{name}.conv1"), inputs, 1)?;
                let conv2 = reader.layer(
                    &format!("{name}.conv2"),
                    [outputs, inputs, 1, 1],
                    false,
                    plain,
                )?;
                let shortcut = (stage > 0 && block == 0)
                    .then(|| {
                        reader.layer(
                            &format!("{name}.shortcut"),
                            [outputs, inputs, 1, 1],
                            true,
                            plain,
                        )
                    })
                    .transpose()?;
                made.push(Block {
                    conv1,
                    conv2,
                    shortcut,
                });
                (index, inputs) = (index + 1, outputs);
            }
            stages.push(made);
            sides.push(Self::side(&reader, stage, outputs, width)?);
        }
        let classifier = reader.layer("classifier", [1, 4, 1, 1], true, plain)?;
        let fingerprint = weights.fingerprint(&format!("{} 1", size.name()));
        Ok(Self {
            size,
            fingerprint,
            device: device.clone(),
            init,
            stages,
            sides,
            classifier,
        })
    }

    fn side(reader: &Reader, stage: usize, inputs: usize, width: usize) -> Result<Side, EdgeError> {
        let plain = Convolution::default();
        let dilated = |i: usize| {
            let dilation = 5 + 2 * i;
            let how = Convolution {
                padding: dilation,
                dilation,
                ..plain
            };
            reader.layer(
                &format!("dilations.{stage}.conv2_{}", i + 1),
                [width, width, 3, 3],
                false,
                how,
            )
        };
        let attention = Convolution {
            padding: 1,
            ..plain
        };
        Ok(Side {
            dilation_in: reader.layer(
                &format!("dilations.{stage}.conv1"),
                [width, inputs, 1, 1],
                true,
                plain,
            )?,
            dilations: [dilated(0)?, dilated(1)?, dilated(2)?, dilated(3)?],
            attention_in: reader.layer(
                &format!("attentions.{stage}.conv1"),
                [4, width, 1, 1],
                true,
                plain,
            )?,
            attention: reader.layer(
                &format!("attentions.{stage}.conv2"),
                [1, 4, 3, 3],
                false,
                attention,
            )?,
            reduce: reader.layer(
                &format!("conv_reduces.{stage}.conv"),
                [1, width, 1, 1],
                true,
                plain,
            )?,
        })
    }

    /// Side and fused logits of `rgb`.
    ///
    /// # Errors
    /// An empty image, one too small to be halved three times (under 8 pixels a side), or a failure of the device.
    pub fn side_logits(&self, rgb: &RgbImage) -> Result<SideLogits, EdgeError> {
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let mut x = self
            .init
            .run(&pixels::normalised(rgb, NORMAL, &self.device)?)?;
        let mut sides = Vec::with_capacity(4);
        for (blocks, side) in self.stages.iter().zip(&self.sides) {
            for block in blocks {
                x = block.run(x)?;
            }
            sides.push(bilinear(&side.run(&x)?, height, width)?);
        }
        let fused = self.classifier.run(&Tensor::cat(&sides, 1)?)?;
        Ok(SideLogits { sides, fused })
    }
}

impl Block {
    fn run(&self, x: Tensor) -> candle_core::Result<Tensor> {
        let x = if self.shortcut.is_some() {
            x.max_pool2d(2)?
        } else {
            x
        };
        let y = self.conv2.run(&self.conv1.run(&x)?)?;
        match &self.shortcut {
            Some(shortcut) => y + shortcut.run(&x)?,
            None => y + x,
        }
    }
}

impl Side {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.dilation_in.run(&x.relu()?)?;
        let mut sum = self.dilations[0].run(&x)?;
        for layer in &self.dilations[1..] {
            sum = (sum + layer.run(&x)?)?;
        }
        let attention =
            candle_nn::ops::sigmoid(&self.attention.run(&self.attention_in.run(&sum.relu()?)?)?)?;
        self.reduce.run(&sum.broadcast_mul(&attention)?)
    }
}

impl EdgeNetwork for PiDiNet {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        let (width, height) = rgb.dimensions();
        // Three halvings leave nothing of a smaller image: mirror it outwards and cut the answer back.
        let padded = pixels::at_least(rgb, 8)?;
        let fused = self.side_logits(&padded)?.fused;
        let fused = fused
            .narrow(2, 0, height as usize)?
            .narrow(3, 0, width as usize)?;
        EdgeMap::checked(self.name(), width, height, fused.flatten_all()?.to_vec1()?)
    }

    fn name(&self) -> &str {
        self.size.name()
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
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
        let got = Tensor::cat(&network.side_logits(&rgb).unwrap().sides, 1).unwrap();
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
