//! The training loop of an edge network, one step at a time.
//!
//! Central type [`EdgeTrainer`]. Optimiser: AdamW under a cosine schedule with a short rise. In 16 bits are maps and
//! their gradients alone; variables, the sums of their gradients, the optimiser and the loss are float32. What a step does depends
//! on its crops, the state before it and the [`Pace`] alone; out of memory lowers the pace and tries the step again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::augment::Crop;
use super::loss::Balance;
use super::pace::Pace;
use super::subject::{Learner, Subject};
use crate::edge::{EdgeError, Precision, Staged as _, View, gradients, out_of_memory};

/// Names in a checkpoint: what comes before a variable's own.
const WEIGHT: &str = "weight/";
/// See [`WEIGHT`].
const FIRST: &str = "first/";
/// See [`WEIGHT`].
const SECOND: &str = "second/";
/// What the loss is multiplied by on its way back in float16, whose smallest number is 6e-8: a pixel's share of the loss
/// of a crop is about 1e-6.
const LOSS_SCALE: f64 = 16_384.0;
/// Steps in a row whose gradients may be infinite.
const SKIPPED: usize = 16;

/// Name of the number of steps done.
const STEP: &str = "step";

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Seed of initial weights and crops.
    pub seed: u64,
    /// Number of steps of the whole schedule.
    pub steps: usize,
    /// Crops of a micro-batch, at least 1; fewer where memory does not hold them, see [`Pace`].
    pub batch: usize,
    /// Micro-batches whose gradients are averaged for a step, at least 1.
    pub accumulate: usize,
    /// Side of a crop in pixels, a multiple of what the network halves it by: 8, for DexiNed 16.
    pub side: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Decay of weights per step, times the learning rate.
    pub weight_decay: f64,
    /// Weight of each side's loss, finest first, beside the fused one's 1.
    pub side_weights: [f64; 4],
    /// 0 (only flips and quarter turns) .. 1 (all augmentation).
    pub augmentation: f32,
    /// Maps within a stage are computed again on the way back instead of kept.
    #[serde(default)]
    pub checkpoint_gradients: bool,
    /// Numbers of maps and of their gradients.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub precision: Precision,
}

fn is_plain(precision: &Precision) -> bool {
    *precision == Precision::default()
}

impl TrainSettings {
    /// Weights of the losses of so many sides; beyond the fourth each as the fourth.
    fn side_weights(&self, sides: usize) -> Vec<f64> {
        let last = self.side_weights[3];
        let given = self.side_weights.iter().copied();
        given.chain(std::iter::repeat(last)).take(sides).collect()
    }
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
            checkpoint_gradients: false,
            precision: Precision::default(),
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
    /// How it was taken.
    pub pace: Pace,
    /// Its gradient was infinite in float16: nothing was moved.
    pub skipped: bool,
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
    /// A file of what was learned cannot be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<candle_core::Error>,
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
    /// A checkpoint cannot be read or is of something else.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
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
    /// Gradients keep being infinite in 16 bits.
    #[error(
        "gradients in {precision} were infinite in {steps} steps in a row, at last in step {step}"
    )]
    Overflow {
        /// The step.
        step: usize,
        /// How many in a row.
        steps: usize,
        /// The numbers.
        precision: Precision,
    },
    /// Memory ran out below the last rung of [`Pace`].
    #[error(
        "out of memory with one crop of {side} x {side} pixels at once and gradient checkpointing: {reason}"
    )]
    OutOfMemory {
        /// Pixels of a side of the crop.
        side: usize,
        /// In the device's own words.
        reason: String,
    },
    /// Weights to start from do not fit.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The tensor library failed.
    #[error("training failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl TrainError {
    /// Memory ran out: less at once may do.
    fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Edge(error) => error.is_out_of_memory(),
            Self::Tensor(error) => out_of_memory(error),
            _ => false,
        }
    }
}

/// The failure of a step, by its number, at a pace, as if the device had failed.
pub type Failing = Box<dyn Fn(usize, Pace) -> Option<EdgeError> + Send + Sync>;

/// Gradients by the names of variables, which hold nothing of what they were computed from.
pub(super) type Gradients = BTreeMap<String, Tensor>;

/// Trains a network, or low-rank changes of one.
pub struct EdgeTrainer {
    settings: TrainSettings,
    device: Device,
    learner: Learner,
    optimiser: AdamW,
    pace: Pace,
    failing: Option<Failing>,
    /// Steps in a row that were skipped.
    skipped: usize,
}

impl EdgeTrainer {
    /// With first values as the subject has them, or drawn from the seed.
    ///
    /// # Errors
    /// Weights that do not fit, or a failure of the device.
    pub fn new(
        settings: TrainSettings,
        subject: Subject<'_>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let learner = Learner::new(subject, settings.seed, device)?;
        Ok(Self {
            optimiser: AdamW::new(&learner.variables, settings.weight_decay)?,
            pace: Pace::asked(&settings),
            failing: None,
            skipped: 0,
            settings,
            device: device.clone(),
            learner,
        })
    }

    /// With failures that are not real.
    pub fn with_failures(mut self, failing: Failing) -> Self {
        self.failing = Some(failing);
        self
    }

    /// Takes the next steps at this pace.
    pub fn keep_to(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.optimiser.step
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        self.learner
            .variables
            .values()
            .map(|v| v.elem_count())
            .sum()
    }

    /// One step on its crops, in micro-batches: their mean gradient is that of one batch of all. Where `stop` says so
    /// between two of them, nothing is changed and there is no report. Out of memory lowers the pace, for the steps after
    /// it too, and nothing else.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, in float16 many of them in a row; a failure of the device, or
    /// [`TrainError::OutOfMemory`] below the lowest pace.
    pub fn step(
        &mut self,
        crops: Vec<Crop>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<StepReport>, TrainError> {
        let learning_rate = self.learning_rate();
        let step = self.steps_done();
        let (mut grads, loss) = loop {
            match self.mean_gradient(&crops, stop) {
                Ok(Some(found)) => break found,
                Ok(None) => return Ok(None),
                Err(error) if error.is_out_of_memory() => {
                    self.pace = self.pace.lower().ok_or_else(|| TrainError::OutOfMemory {
                        side: self.settings.side,
                        reason: error.to_string(),
                    })?;
                }
                Err(error) => return Err(error),
            }
        };
        drop(crops);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let skipped = !clip(&mut grads)?;
        if skipped {
            self.skip(step, loss)?;
        } else {
            self.skipped = 0;
            self.optimiser
                .step(&self.learner.variables, &grads, learning_rate)?;
        }
        Ok(Some(StepReport {
            step,
            loss,
            learning_rate,
            pace: self.pace,
            skipped,
        }))
    }

    /// Counts a step whose gradient is not finite: in float16 the loss was scaled too far up for it, and it moves nothing.
    fn skip(&mut self, step: usize, loss: f32) -> Result<(), TrainError> {
        let precision = self.settings.precision;
        if precision != Precision::Float16 {
            return Err(TrainError::Diverged { step, loss });
        }
        self.skipped += 1;
        if self.skipped >= SKIPPED {
            return Err(TrainError::Overflow {
                step,
                steps: self.skipped,
                precision,
            });
        }
        self.optimiser.skip();
        Ok(())
    }

    /// Numbers of the maps.
    fn numbers(&self) -> DType {
        self.settings.precision.half().unwrap_or(DType::F32)
    }

    /// What the loss is multiplied by on its way back, and gradients are divided by.
    fn loss_scale(&self) -> f64 {
        match self.settings.precision {
            Precision::Float16 => LOSS_SCALE,
            _ => 1.0,
        }
    }

    /// Mean loss of the fused logits over crops that are not trained on.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn judge(&self, crops: &[Crop]) -> Result<f32, TrainError> {
        let body = self.learner.body(false, self.numbers())?;
        let mut sum = 0.0;
        for crop in crops {
            let (input, view, balance) = self.read(std::slice::from_ref(crop))?;
            let (_, fused) = body.pass(&input, view)?;
            sum += balance.loss(&fused)?.to_scalar::<f32>()?;
        }
        Ok(sum / crops.len().max(1) as f32)
    }

    /// Gradient and loss over all crops, as many of them at a time as the pace says; none if stopped between.
    fn mean_gradient(
        &self,
        crops: &[Crop],
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<(Gradients, f32)>, TrainError> {
        let failing = self.failing.as_ref();
        if let Some(error) = failing.and_then(|fails| fails(self.steps_done(), self.pace)) {
            return Err(error.into());
        }
        let body = self.learner.body(true, self.numbers())?;
        let scale = self.loss_scale();
        let (mut total, mut loss) = (None, 0.0);
        for part in crops.chunks(self.pace.at_once) {
            if stop() {
                return Ok(None);
            }
            // of a last, smaller part each crop counts as much as any other
            let share = part.len() as f64 / crops.len() as f64;
            let (input, view, balance) = self.read(part)?;
            let losses = |sides: Vec<Tensor>, fused: Tensor| {
                let weights = self.settings.side_weights(sides.len());
                let (all, fused) = balance.with_sides(&sides, &fused, &weights)?;
                Ok(((all * (share * scale))?, fused.to_scalar::<f32>()?))
            };
            let checkpointed = self.pace.checkpoint_gradients;
            let (found, fused) = gradients(&body, &input, view, checkpointed, losses)?;
            loss += fused * share as f32;
            let own = self.learner.variables.iter().filter_map(|(name, var)| {
                let gradient = found.get(var)?.detach();
                Some((name.clone(), gradient))
            });
            let mut own: Gradients = own.collect();
            drop(found);
            if scale != 1.0 {
                for gradient in own.values_mut() {
                    *gradient = (&*gradient * (1.0 / scale))?;
                }
            }
            total = Some(match total {
                None => own,
                Some(sum) => added(sum, own)?,
            });
        }
        Ok(Some((total.expect("a step has crops"), loss)))
    }

    fn learning_rate(&self) -> f64 {
        let (step, steps) = (self.steps_done() as f64, self.settings.steps.max(1) as f64);
        let rise = (steps * 0.03).clamp(1.0, 50.0);
        let phase = ((step - rise) / (steps - rise).max(1.0)).clamp(0.0, 1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * phase).cos());
        self.settings.learning_rate * ((step + 1.0) / rise).min(1.0) * cosine.max(0.005)
    }

    /// Crops as the network reads them, and what its logits are compared with.
    fn read(&self, crops: &[Crop]) -> Result<(Tensor, View, Balance), TrainError> {
        let (n, side) = (crops.len(), self.settings.side);
        let area = n * side * side;
        let (mut inputs, mut targets) = (Vec::with_capacity(3 * area), Vec::with_capacity(area));
        for crop in crops {
            crop.read(self.learner.model(), &mut inputs);
            targets.extend_from_slice(&crop.target);
        }
        let inputs = Tensor::from_vec(inputs, (n, 3, side, side), &self.device)?;
        let inputs = inputs.to_dtype(self.numbers())?;
        Ok((inputs, View::whole(side, side), Balance::new(targets, n)))
    }

    /// Steps done, weights and means of the optimiser, in one file that [`Self::restore`] reads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn checkpoint(&self, path: &Path) -> Result<(), TrainError> {
        let mut tensors = HashMap::new();
        for (name, var) in &self.learner.variables {
            let (first, second) = &self.optimiser.means[name];
            tensors.insert(format!("{WEIGHT}{name}"), var.as_tensor().clone());
            tensors.insert(format!("{FIRST}{name}"), first.clone());
            tensors.insert(format!("{SECOND}{name}"), second.clone());
        }
        let step = Tensor::new(self.optimiser.step as i64, &Device::Cpu)?;
        tensors.insert(STEP.to_owned(), step);
        write(&tensors, path)
    }

    /// Takes training up where [`Self::checkpoint`] left it: the next steps have the bits they would have had.
    ///
    /// # Errors
    /// A file that is none of this network, naming what is missing.
    pub fn restore(&mut self, path: &Path) -> Result<(), TrainError> {
        let unfit = |reason: String| TrainError::Checkpoint {
            path: path.into(),
            reason,
        };
        let tensors = candle_core::safetensors::load(path, &self.device)
            .map_err(|error| unfit(error.to_string()))?;
        let take = |prefix: &str, name: &str, like: &Tensor| {
            let tensor = tensors
                .get(&format!("{prefix}{name}"))
                .ok_or_else(|| unfit(format!("no tensor {prefix}{name}")))?;
            match tensor.dims() == like.dims() {
                true => Ok(tensor.clone()),
                false => Err(unfit(format!("{prefix}{name} is {:?}", tensor.dims()))),
            }
        };
        let step = tensors
            .get(STEP)
            .ok_or_else(|| unfit(format!("no {STEP}")))?;
        self.optimiser.step = step.to_scalar::<i64>()? as usize;
        for (name, var) in &self.learner.variables {
            var.set(&take(WEIGHT, name, var)?)?;
            let means = (take(FIRST, name, var)?, take(SECOND, name, var)?);
            self.optimiser.means.insert(name.clone(), means);
        }
        Ok(())
    }

    /// Writes what was learned, the weights or the adapter, to a safetensors file, beside it first and then moved there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        if let Some(adapter) = self.learner.adapter()? {
            let bytes = adapter.bytes().map_err(EdgeError::from)?;
            return place(path, |beside| Ok(std::fs::write(beside, bytes)?));
        }
        let tensors: HashMap<String, Tensor> = self
            .learner
            .variables
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        write(&tensors, path)
    }
}

/// The sums; each pair is let go once its sum is there.
fn added(mut sum: Gradients, more: Gradients) -> Result<Gradients, TrainError> {
    for (name, b) in more {
        if let Some(a) = sum.get_mut(&name) {
            *a = (&*a + b)?;
        }
    }
    Ok(sum)
}

/// Bounds the length of the whole gradient by 1; false where it is not finite.
fn clip(gradients: &mut Gradients) -> Result<bool, TrainError> {
    let mut squared = 0.0f64;
    for gradient in gradients.values() {
        squared += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let length = squared.sqrt();
    if length > 1.0 {
        for gradient in gradients.values_mut() {
            *gradient = (&*gradient * (1.0 / length))?;
        }
    }
    Ok(length.is_finite())
}

/// Writes tensors to a file.
fn write(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<(), TrainError> {
    place(path, |beside| {
        candle_core::safetensors::save(tensors, beside)
    })
}

/// Writes beside a place and moves what was written there; on disk once this returns.
fn place(
    path: &Path,
    save: impl FnOnce(&Path) -> candle_core::Result<()>,
) -> Result<(), TrainError> {
    let beside = path.with_extension("tmp");
    let moved = || -> candle_core::Result<()> {
        // safetensors makes a file that its owner alone may read: whoever may read what else is written here may read it
        let rights = std::fs::File::create(&beside)?.metadata()?.permissions();
        save(&beside)?;
        std::fs::set_permissions(&beside, rights)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        Ok(std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?)
    };
    moved().map_err(|source| TrainError::Write {
        path: path.into(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::ShapeExamples;
    use super::super::batch::crops;
    use super::*;
    use crate::edge::{
        Adapter, AdapterHead, Altered, Compact, EdgeModel, Precision, Windowed as _,
    };

    fn step(trainer: &mut EdgeTrainer, shapes: &ShapeExamples) -> f32 {
        let crops = crops(&trainer.settings, &[(1.0, shapes)], trainer.steps_done()).unwrap();
        trainer.step(crops, &|| false).unwrap().unwrap().loss
    }

    fn losses(settings: &TrainSettings, steps: usize) -> Vec<f32> {
        let mut trainer =
            EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu).unwrap();
        let shapes = ShapeExamples { count: 4, seed: 1 };
        (0..steps).map(|_| step(&mut trainer, &shapes)).collect()
    }

    fn small(batch: usize, accumulate: usize) -> TrainSettings {
        TrainSettings {
            steps: 60,
            batch,
            accumulate,
            side: 64,
            ..Default::default()
        }
    }

    #[test]
    fn micro_batches_have_the_gradient_of_one_large_batch() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let gradient = |batch, accumulate| {
            let settings = small(batch, accumulate);
            let trainer =
                EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu).unwrap();
            let crops = crops(&settings, &[(1.0, &shapes)], 0).unwrap();
            let found = trainer.mean_gradient(&crops, &|| false);
            let (grads, loss) = found.unwrap().unwrap();
            let one = |grad: &Tensor| grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (grads.values().flat_map(one).collect::<Vec<f32>>(), loss)
        };
        let (large, loss) = gradient(4, 1);
        let (micro, other) = gradient(1, 4);
        let most = large.iter().fold(0.0f32, |most, g| most.max(g.abs()));
        let off = large
            .iter()
            .zip(&micro)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off <= 1e-5 * most, "{off} of {most}");
        assert!((loss - other).abs() < 1e-6);
    }

    #[test]
    fn training_goes_on_from_a_checkpoint_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let mut whole = EdgeTrainer::new(small(1, 2), Subject::Whole(None), &Device::Cpu).unwrap();
        for _ in 0..3 {
            step(&mut whole, &shapes);
        }
        whole.checkpoint(&path).unwrap();
        let first: Vec<f32> = (0..3).map(|_| step(&mut whole, &shapes)).collect();
        let mut taken_up =
            EdgeTrainer::new(small(1, 2), Subject::Whole(None), &Device::Cpu).unwrap();
        taken_up.restore(&path).unwrap();
        let second: Vec<f32> = (0..3).map(|_| step(&mut taken_up, &shapes)).collect();
        assert_eq!(first, second);
        for name in ["a", "b"] {
            let trainer = if name == "a" { &whole } else { &taken_up };
            trainer.checkpoint(&folder.path().join(name)).unwrap();
        }
        let bytes = |name: &str| {
            let loaded =
                candle_core::safetensors::load(folder.path().join(name), &Device::Cpu).unwrap();
            let mut all: Vec<_> = loaded
                .into_iter()
                .map(|(name, t)| {
                    (
                        name,
                        format!(
                            "{:?}",
                            t.flatten_all()
                                .unwrap()
                                .to_dtype(DType::F64)
                                .unwrap()
                                .to_vec1::<f64>()
                                .unwrap()
                        ),
                    )
                })
                .collect();
            all.sort();
            all
        };
        assert!(bytes("a") == bytes("b"));
        let nowhere = folder.path().join("absent").join("state.safetensors");
        let said = whole.checkpoint(&nowhere).unwrap_err().to_string();
        let told = format!("write {}: ", nowhere.display());
        assert!(said.starts_with(&told), "{said}");
        std::fs::write(&path, "no tensors").unwrap();
        assert!(matches!(
            taken_up.restore(&path),
            Err(TrainError::Checkpoint { .. })
        ));
    }

    /// Out of memory, as a GPU's driver says it, at every pace of which `fails` says so.
    fn failing(fails: impl Fn(Pace) -> bool + Send + Sync + 'static) -> Failing {
        let words = r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#;
        Box::new(move |_, pace| {
            fails(pace).then(|| EdgeError::Tensor(candle_core::Error::Msg(words.into())))
        })
    }

    #[test]
    fn out_of_memory_goes_down_to_what_fits_with_the_steps_of_the_whole_batch() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let settings = small(8, 1);
        let trainer =
            || EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu).unwrap();
        let take = |trainer: &mut EdgeTrainer| {
            let crops = crops(&settings, &[(1.0, &shapes)], trainer.steps_done()).unwrap();
            trainer.step(crops, &|| false).map(Option::unwrap)
        };
        let pace = |at_once, checkpoint_gradients| Pace {
            at_once,
            checkpoint_gradients,
        };
        let mut whole = trainer();
        let expected = [take(&mut whole).unwrap(), take(&mut whole).unwrap()];
        // 8 crops as 6 and 2, as 3, 3 and 2, and one by one computed twice
        for (lowest, fits) in [(pace(6, false), 6), (pace(3, false), 3), (pace(1, true), 0)] {
            let fails = move |pace: Pace| !pace.checkpoint_gradients && pace.at_once > fits;
            let mut held = trainer().with_failures(failing(fails));
            for whole in &expected {
                let report = take(&mut held).unwrap();
                assert_eq!(report.pace, lowest);
                let off = (report.loss - whole.loss).abs();
                assert!(off < 1e-5 * whole.loss, "{lowest}: {off}");
            }
            // begun at that pace it has the same bits
            let mut again = trainer();
            again.keep_to(lowest);
            take(&mut again).unwrap();
            take(&mut again).unwrap();
            for (name, value) in &held.learner.variables {
                let bits = |v: &candle_core::Var| v.flatten_all().unwrap().to_vec1::<f32>();
                let other = &again.learner.variables[name];
                assert_eq!(bits(value).unwrap(), bits(other).unwrap(), "{name}");
            }
        }
        let mut none = trainer().with_failures(failing(|_| true));
        let said = take(&mut none).unwrap_err().to_string();
        assert!(
            said.starts_with("out of memory with one crop of 64 x 64 pixels"),
            "{said}"
        );
        assert_eq!(none.steps_done(), 0);
        // what is no want of memory is no reason to go down
        let mut lost = trainer().with_failures(Box::new(|_, _| {
            let words = "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"illegal\")";
            Some(EdgeError::Tensor(candle_core::Error::Msg(words.into())))
        }));
        assert!(matches!(take(&mut lost), Err(TrainError::Edge(_))));
        assert_eq!(lost.pace, pace(8, false));
    }

    #[test]
    fn in_float16_gradients_are_those_of_float32_within_its_precision() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let gradient = |precision, checkpoint_gradients| {
            let settings = TrainSettings {
                precision,
                checkpoint_gradients,
                side: 32,
                ..small(2, 1)
            };
            let subject = Subject::Whole(None);
            let trainer = EdgeTrainer::new(settings.clone(), subject, &Device::Cpu).unwrap();
            let crops = crops(&settings, &[(1.0, &shapes)], 0).unwrap();
            let found = trainer.mean_gradient(&crops, &|| false);
            let (grads, loss) = found.unwrap().unwrap();
            let one = |grad: &Tensor| grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (grads.values().flat_map(one).collect::<Vec<f32>>(), loss)
        };
        let (plain, loss) = gradient(Precision::Float32, false);
        let length = |v: &mut dyn Iterator<Item = f32>| v.map(|v| v * v).sum::<f32>().sqrt();
        let whole = length(&mut plain.iter().copied());
        for checkpointed in [false, true] {
            let (half, other) = gradient(Precision::Float16, checkpointed);
            assert!((loss - other).abs() < 2e-3 * loss, "{loss} {other}");
            // 10 bits of fraction, rounded in some twenty layers forth and back, where a ReLU near 0 may also turn over
            let off = length(&mut plain.iter().zip(&half).map(|(a, b)| a - b));
            assert!(
                off > 0.0 && off < 0.04 * whole,
                "{checkpointed}: {off} of {whole}"
            );
        }
    }

    #[test]
    fn infinite_gradients_in_float16_move_nothing_and_too_many_in_a_row_end_it() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let settings = TrainSettings {
            precision: Precision::Float16,
            side: 32,
            ..small(1, 1)
        };
        let trainer = || EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu);
        let (mut trained, untouched) = (trainer().unwrap(), trainer().unwrap());
        let report = {
            let crops = crops(&settings, &[(1.0, &shapes)], 0).unwrap();
            trained.step(crops, &|| false).unwrap().unwrap()
        };
        assert!(!report.skipped);
        let mut infinite = Gradients::new();
        infinite.insert(
            "a".into(),
            Tensor::new(&[f32::INFINITY], &Device::Cpu).unwrap(),
        );
        assert!(!clip(&mut infinite).unwrap());
        let mut skipping = untouched;
        let before: Vec<f32> = skipping.learner.variables["fuse.weight"]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        for step in 0..SKIPPED - 1 {
            skipping.skip(step, 0.7).unwrap();
        }
        assert_eq!(skipping.steps_done(), SKIPPED - 1);
        let after: Vec<f32> = skipping.learner.variables["fuse.weight"]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(before, after);
        let said = skipping.skip(15, 0.7).unwrap_err().to_string();
        assert!(
            said.contains("float16 were infinite in 16 steps in a row"),
            "{said}"
        );
        let mut plain = EdgeTrainer::new(small(1, 1), Subject::Whole(None), &Device::Cpu).unwrap();
        assert!(matches!(
            plain.skip(0, 0.7),
            Err(TrainError::Diverged { .. })
        ));
    }

    #[test]
    fn a_step_that_is_stopped_changes_nothing() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let settings = small(1, 3);
        let trainer = || EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu);
        let (mut stopped, mut other) = (trainer().unwrap(), trainer().unwrap());
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 1;
        let crops = crops(&settings, &[(1.0, &shapes)], 0).unwrap();
        assert!(stopped.step(crops, &stop).unwrap().is_none());
        assert_eq!(stopped.steps_done(), 0);
        assert_eq!(step(&mut stopped, &shapes), step(&mut other, &shapes));
    }

    #[test]
    fn changes_begin_at_the_network_as_it_was_and_are_what_is_loaded_later() {
        let weights = Compact::weights().unwrap();
        let settings = TrainSettings {
            checkpoint_gradients: true,
            ..small(2, 1)
        };
        let head = AdapterHead {
            model: EdgeModel::Compact,
            base: String::new(),
            weights: String::new(),
            rank: 2,
            scale: 2.0,
        };
        let subject = Subject::Changes {
            head,
            weights: &weights,
        };
        let mut trainer = EdgeTrainer::new(settings.clone(), subject, &Device::Cpu).unwrap();
        let mut whole =
            EdgeTrainer::new(settings, Subject::Whole(Some(&weights)), &Device::Cpu).unwrap();
        assert!(trainer.parameters() < whole.parameters() / 3);
        let shapes = ShapeExamples { count: 4, seed: 1 };
        assert_eq!(step(&mut trainer, &shapes), step(&mut whole, &shapes));
        step(&mut trainer, &shapes);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter.safetensors");
        trainer.save(&path).unwrap();
        let adapter = Adapter::open(&path).unwrap();
        assert_eq!(adapter.parameters(), trainer.parameters());
        let (model, float) = (EdgeModel::Compact, Precision::Float32);
        let loaded = Altered::new(model, &weights, Some(&adapter), float, &Device::Cpu).unwrap();
        let crops = crops(&trainer.settings, &[(1.0, &shapes)], 9).unwrap();
        let (input, view, balance) = trainer.read(&crops).unwrap();
        let logits = loaded.forward(&input, view).unwrap();
        let loss = balance.loss(&logits).unwrap().to_scalar::<f32>().unwrap();
        let (_, other) = trainer.mean_gradient(&crops, &|| false).unwrap().unwrap();
        assert!((loss - other).abs() < 1e-5, "{loss} {other}");
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
