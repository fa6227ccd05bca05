//! The training loop of an edge network, one step at a time.
//!
//! Central type [`EdgeTrainer`]. Optimiser: AdamW under a cosine schedule with a short rise. In 16 bits are maps and
//! their gradients alone; variables, the sums of their gradients, the optimiser and the loss are float32. What a step does depends
//! on its crops, the state before it and the [`Pace`] alone; out of memory lowers the pace and tries the step again.

mod state;

use candle_core::{DType, Device, Tensor};

use super::adamw::AdamW;
use super::augment::Crop;
use super::gradient::{Gradients, added, clip, scale};
use super::loss::Balance;
use super::loss_scale::LossScale;
use super::pace::Pace;
use super::subject::{Learner, Subject};
use super::{TrainError, TrainSettings};
use crate::edge::{EdgeError, Staged as _, View, gradients};

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

/// The failure of a step, by its number, at a pace, as if the device had failed.
pub type Failing = Box<dyn Fn(usize, Pace) -> Option<EdgeError> + Send + Sync>;

/// Trains a network, or low-rank changes of one.
pub struct EdgeTrainer {
    settings: TrainSettings,
    device: Device,
    learner: Learner,
    optimiser: AdamW,
    pace: Pace,
    failing: Option<Failing>,
    loss_scale: LossScale,
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
            loss_scale: LossScale::new(settings.precision),
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
            self.loss_scale.infinite(step, loss)?;
            self.optimiser.skip();
        } else {
            self.loss_scale.finite();
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

    /// Numbers of the maps.
    fn numbers(&self) -> DType {
        self.settings.precision.half().unwrap_or(DType::F32)
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
        let loss_scale = self.loss_scale.factor();
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
                Ok(((all * (share * loss_scale))?, fused.to_scalar::<f32>()?))
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
            if loss_scale != 1.0 {
                scale(&mut own, 1.0 / loss_scale)?;
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
}

#[cfg(test)]
mod tests {
    use super::super::ShapeExamples;
    use super::super::batch::crops;
    use super::*;
    use crate::edge::{
        Adapter, AdapterHead, Altered, Compact, EdgeModel, Precision, Windowed as _,
    };

    pub(super) fn step(trainer: &mut EdgeTrainer, shapes: &ShapeExamples) -> f32 {
        let crops = crops(&trainer.settings, &[(1.0, shapes)], trainer.steps_done()).unwrap();
        trainer.step(crops, &|| false).unwrap().unwrap().loss
    }

    fn losses(settings: &TrainSettings, steps: usize) -> Vec<f32> {
        let mut trainer =
            EdgeTrainer::new(settings.clone(), Subject::Whole(None), &Device::Cpu).unwrap();
        let shapes = ShapeExamples { count: 4, seed: 1 };
        (0..steps).map(|_| step(&mut trainer, &shapes)).collect()
    }

    pub(super) fn small(batch: usize, accumulate: usize) -> TrainSettings {
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
    fn an_infinite_gradient_in_float16_moves_nothing_and_the_next_step_goes_on() {
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let settings = TrainSettings {
            precision: Precision::Float16,
            side: 32,
            ..small(1, 1)
        };
        let subject = Subject::Whole(None);
        let mut trainer = EdgeTrainer::new(settings.clone(), subject, &Device::Cpu).unwrap();
        let values = |trainer: &EdgeTrainer| {
            let fuse = &trainer.learner.variables["fuse.weight"];
            fuse.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let take = |trainer: &mut EdgeTrainer| {
            let crops = crops(&settings, &[(1.0, &shapes)], trainer.steps_done()).unwrap();
            trainer.step(crops, &|| false).unwrap().unwrap()
        };
        let fuse = trainer.learner.variables["fuse.weight"].clone();
        let gentle = fuse.as_tensor().copy().unwrap();
        // logits stay below 65,504, their gradients, scaled up, do not
        fuse.set(&(&gentle * 2e4).unwrap()).unwrap();
        let before = values(&trainer);
        let report = take(&mut trainer);
        assert!(report.skipped, "{report:?}");
        assert_eq!((values(&trainer), trainer.steps_done()), (before, 1));
        fuse.set(&gentle).unwrap();
        let before = values(&trainer);
        let report = take(&mut trainer);
        assert!(!report.skipped, "{report:?}");
        assert!(values(&trainer) != before && trainer.steps_done() == 2);
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
