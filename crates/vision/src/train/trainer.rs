//! The training loop of the compact edge network, one step at a time.
//!
//! Central type [`EdgeTrainer`]. A step draws its crops from (seed, step) alone, so a run is a
//! function of its settings and sources. Optimiser: AdamW under a cosine schedule with a short rise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::augment::{self, Crop};
use super::example::ExampleSource;
use super::loss::Balance;
use crate::contrast;
use crate::edge::compact::{CompactBody, layers};
use crate::edge::{EdgeError, View, Weights};

/// Crops taken from an example once it is loaded: loading costs more than cropping.
const CROPS_PER_EXAMPLE: usize = 2;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Seed of initial weights and crops.
    pub seed: u64,
    /// Number of steps of the whole schedule.
    pub steps: usize,
    /// Crops of a micro-batch, at least 1.
    pub batch: usize,
    /// Micro-batches whose gradients are averaged for a step, at least 1.
    pub accumulate: usize,
    /// Side of a crop in pixels, a multiple of 8.
    pub side: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Decay of weights per step, times the learning rate.
    pub weight_decay: f64,
    /// Weight of each side's loss, finest first, beside the fused one's 1.
    pub side_weights: [f64; 4],
    /// 0 (only flips and quarter turns) .. 1 (all augmentation).
    pub augmentation: f32,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 1000,
            batch: 8,
            accumulate: 1,
            side: 192,
            learning_rate: 2e-3,
            weight_decay: 1e-3,
            side_weights: [0.4, 0.4, 0.3, 0.2],
            augmentation: 1.0,
        }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Number of the step, from 0.
    pub step: usize,
    /// Mean loss of the fused logits over the step's crops; ln 2 = 0.693 for an ignorant network.
    pub loss: f32,
    /// Learning rate used.
    pub learning_rate: f64,
}

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A folder of examples cannot be read.
    #[error("examples in {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder holds no image with an edge map of the same name.
    #[error("examples in {path}: no image has an edge map of the same name")]
    NoExamples {
        /// The folder.
        path: PathBuf,
    },
    /// An image does not decode or does not fit its edge map.
    #[error("example {path}: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong, in words.
        reason: String,
    },
    /// The loss is NaN or infinite.
    #[error("loss {loss} at step {step}: lower the learning rate")]
    Diverged {
        /// The step.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// Weights to start from do not fit.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The tensor library failed.
    #[error("training failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// Trains a compact network.
pub struct EdgeTrainer {
    settings: TrainSettings,
    device: Device,
    variables: BTreeMap<String, Var>,
    body: CompactBody,
    optimiser: AdamW,
    step: usize,
}

impl EdgeTrainer {
    /// A network with weights drawn from the seed, or with those of `start`.
    ///
    /// # Errors
    /// Weights that do not fit, or a failure of the device.
    pub fn new(
        settings: TrainSettings,
        start: Option<&Weights>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut variables = BTreeMap::new();
        for (layer, spec) in layers().into_iter().enumerate() {
            let fan_in = spec.shape[1..].iter().product::<usize>() as f32;
            let gain = Self::gain(&spec.name);
            let weight = match start {
                Some(weights) => weights.take(&spec.weight(), &spec.shape, device)?,
                None => draw(
                    settings.seed,
                    layer as u64,
                    &spec.shape,
                    gain / fan_in.sqrt(),
                    device,
                )?,
            };
            let bias = match start {
                Some(weights) => weights.take(&spec.bias(), &spec.shape[..1], device)?,
                None => Tensor::zeros(spec.shape[0], candle_core::DType::F32, device)?,
            };
            variables.insert(spec.weight(), Var::from_tensor(&weight)?);
            variables.insert(spec.bias(), Var::from_tensor(&bias)?);
        }
        let body =
            CompactBody::new(|name, _| Ok::<_, TrainError>(variables[name].as_tensor().clone()))?;
        let parameters = ParamsAdamW {
            lr: settings.learning_rate,
            weight_decay: settings.weight_decay,
            beta2: 0.99,
            ..ParamsAdamW::default()
        };
        let optimiser = AdamW::new(variables.values().cloned().collect(), parameters)?;
        Ok(Self {
            settings,
            device: device.clone(),
            variables,
            body,
            optimiser,
            step: 0,
        })
    }

    /// Factor on 1 / sqrt(inputs) of a layer's first weights: without normalisation the residual
    /// branches must start small for the sum not to grow from block to block.
    fn gain(name: &str) -> f32 {
        match name {
            _ if name.ends_with("second") => 0.3,
            _ if name.starts_with("up") || name.starts_with("across") => 1.0,
            _ if name.starts_with("side") => 0.5,
            "fuse" => 0.5,
            _ => std::f32::consts::SQRT_2,
        }
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        self.variables.values().map(|v| v.elem_count()).sum()
    }

    /// One step. Each crop comes from one of `sources`, picked with the share beside it.
    ///
    /// # Errors
    /// An example that does not load, a loss that is not finite, or a failure of the device.
    ///
    /// # Panics
    /// If there is no source, or a source is empty.
    pub fn step(
        &mut self,
        sources: &[(f64, &dyn ExampleSource)],
    ) -> Result<StepReport, TrainError> {
        let learning_rate = self.learning_rate();
        let mut rng = ChaCha8Rng::seed_from_u64(self.settings.seed);
        rng.set_stream(1 << 32 | self.step as u64);
        let micro = self.settings.accumulate.max(1);
        let (mut total, mut loss) = (None, 0.0);
        for _ in 0..micro {
            let crops = self.crops(sources, &mut rng)?;
            let (grads, value) = self.gradients(crops)?;
            loss += value / micro as f32;
            total = Some(match total {
                None => grads,
                Some(sum) => self.sum(sum, &grads)?,
            });
        }
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                step: self.step,
                loss,
            });
        }
        if let Some(mut grads) = total {
            self.clip(&mut grads, micro)?;
            self.optimiser.set_learning_rate(learning_rate);
            self.optimiser.step(&grads)?;
        }
        self.step += 1;
        Ok(StepReport {
            step: self.step - 1,
            loss,
            learning_rate,
        })
    }

    fn learning_rate(&self) -> f64 {
        let (step, steps) = (self.step as f64, self.settings.steps.max(1) as f64);
        let rise = (steps * 0.03).clamp(1.0, 50.0);
        let phase = ((step - rise) / (steps - rise).max(1.0)).clamp(0.0, 1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * phase).cos());
        self.settings.learning_rate * ((step + 1.0) / rise).min(1.0) * cosine.max(0.005)
    }

    fn crops(
        &self,
        sources: &[(f64, &dyn ExampleSource)],
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Crop>, TrainError> {
        let total: f64 = sources.iter().map(|(share, _)| share).sum();
        let mut crops = Vec::with_capacity(self.settings.batch);
        while crops.len() < self.settings.batch {
            let mut left = rng.random_range(0.0..total);
            let picked = sources.iter().find(|(share, _)| {
                left -= share;
                left < 0.0
            });
            let (_, source) = picked.or(sources.last()).expect("at least one source");
            let mut example = source.load(rng.random_range(0..source.len()))?;
            // The network is used on enhanced images, and should do without.
            if rng.random_bool(0.5 * f64::from(self.settings.augmentation)) {
                example.image = contrast::enhance(&example.image);
            }
            for _ in 0..CROPS_PER_EXAMPLE.min(self.settings.batch - crops.len()) {
                crops.push(augment::crop(
                    &example,
                    self.settings.side,
                    self.settings.augmentation,
                    rng,
                ));
            }
        }
        Ok(crops)
    }

    fn gradients(&self, crops: Vec<Crop>) -> Result<(GradStore, f32), TrainError> {
        let (n, side) = (crops.len(), self.settings.side);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for crop in crops {
            inputs.extend(crop.input);
            targets.extend(crop.target);
        }
        let inputs = Tensor::from_vec(inputs, (n, 3, side, side), &self.device)?;
        let balance = Balance::new(targets, n);
        let logits = self.body.forward(&inputs, View::whole(side, side))?;
        let (all, fused) =
            balance.with_sides(&logits.sides, &logits.fused, &self.settings.side_weights)?;
        Ok((all.backward()?, fused.to_scalar()?))
    }

    fn sum(&self, mut sum: GradStore, more: &GradStore) -> Result<GradStore, TrainError> {
        for var in self.variables.values() {
            if let (Some(a), Some(b)) = (sum.get(var), more.get(var)) {
                let both = (a + b)?;
                sum.insert(var, both);
            }
        }
        Ok(sum)
    }

    /// Averages over micro-batches and bounds the length of the whole gradient by 1.
    fn clip(&self, grads: &mut GradStore, micro: usize) -> Result<(), TrainError> {
        let mut squared = 0.0f64;
        for var in self.variables.values() {
            if let Some(grad) = grads.get(var) {
                squared += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let mean = 1.0 / micro as f64;
        let scale = mean / (squared.sqrt() * mean).max(1.0);
        for var in self.variables.values() {
            if let Some(grad) = grads.get(var) {
                let scaled = (grad * scale)?;
                grads.insert(var, scaled);
            }
        }
        Ok(())
    }

    /// Writes the weights to a safetensors file, beside it first and then moved there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let beside = path.with_extension("tmp");
        let tensors: std::collections::HashMap<String, Tensor> = self
            .variables
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        candle_core::safetensors::save(&tensors, &beside)?;
        std::fs::rename(&beside, path).map_err(|source| TrainError::Folder {
            path: path.into(),
            source,
        })
    }
}

/// Normal numbers of deviation `deviation` (sum of twelve uniform ones, minus six).
fn draw(
    seed: u64,
    stream: u64,
    shape: &[usize],
    deviation: f32,
    device: &Device,
) -> Result<Tensor, TrainError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut one =
        || deviation * ((0..12).map(|_| rng.random_range(0.0f32..1.0)).sum::<f32>() - 6.0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| one()).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}

#[cfg(test)]
mod tests {
    use super::super::ShapeExamples;
    use super::*;

    fn losses(settings: &TrainSettings, steps: usize) -> Vec<f32> {
        let mut trainer = EdgeTrainer::new(settings.clone(), None, &Device::Cpu).unwrap();
        let shapes = ShapeExamples { count: 4, seed: 1 };
        (0..steps)
            .map(|_| trainer.step(&[(1.0, &shapes)]).unwrap().loss)
            .collect()
    }

    #[test]
    fn a_few_steps_learn_and_repeat_bit_for_bit() {
        let settings = TrainSettings {
            steps: 60,
            batch: 2,
            side: 64,
            augmentation: 0.0,
            ..Default::default()
        };
        let first = losses(&settings, 60);
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        assert!(mean(&first[45..]) < 0.9 * mean(&first[..5]), "{first:?}");
        assert_eq!(first[..3], losses(&settings, 3));
    }
}
