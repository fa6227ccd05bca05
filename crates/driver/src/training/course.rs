//! The course of a training: steps, judgements, checkpoints, until it is done, no better, or stopped.
//!
//! Its folder holds `train.json` (the plan), `weights.safetensors` (the best so far, for `--weights`),
//! `state.safetensors` (to go on from), `losses.jsonl` and `losses.svg`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bo_vision::edge::Weights;
use bo_vision::train::{
    Crop, EdgeTrainer, ExampleSource, Part, StepReport, TrainError, judging_crops, stream,
};
use candle_core::Device;

use super::Plan;
use super::ledger::{Entry, Ledger};
use crate::exit::Failure;
use crate::run::StopFlag;
use crate::settings::Origin;

/// Crops by which progress is judged.
const JUDGING: usize = 16;

/// A training under way.
pub struct Course<'p> {
    plan: &'p Plan,
    folder: PathBuf,
    trainer: EdgeTrainer,
    ledger: Ledger,
    judging: Vec<Crop>,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ended {
    /// All steps are done.
    Done,
    /// So many judgements were no better.
    NoBetter,
    /// A signal.
    Stopped(i32),
}

impl<'p> Course<'p> {
    /// From the beginning, with the plan written down once it can be followed; or from the state in the folder.
    ///
    /// # Errors
    /// Weights to begin with that do not fit, a folder that holds a training where one is to begin, or a state or
    /// ledger that cannot be used.
    pub fn open(
        plan: &'p Plan,
        folder: &Path,
        resume: bool,
        device: &Device,
    ) -> Result<Self, Failure> {
        let state = folder.join("state.safetensors");
        // stopped before its first checkpoint: from the beginning again
        let restores = resume && state.exists();
        let start = match (&plan.start, restores) {
            (Some(path), false) => Some(Weights::open(path).map_err(|error| unfit(path, error))?),
            _ => None,
        };
        let trainer = EdgeTrainer::new(plan.settings.clone(), start.as_ref(), device);
        let mut trainer = trainer.map_err(|error| match (&plan.start, error) {
            (Some(path), TrainError::Edge(error)) => unfit(path, error),
            (_, error) => failed(folder, &error),
        })?;
        if restores {
            let restored = trainer.restore(&state);
            restored.map_err(|error| failed(folder, &error))?;
        }
        if !resume {
            plan.begin(folder)?;
        }
        let ledger = Ledger::open(folder, trainer.steps_done())?;
        Ok(Self {
            plan,
            folder: folder.to_owned(),
            trainer,
            ledger,
            judging: Vec::new(),
        })
    }

    /// Trained values.
    pub fn parameters(&self) -> usize {
        self.trainer.parameters()
    }

    /// Trains until the end; `tell` hears of every step.
    ///
    /// # Errors
    /// An example that does not load, a loss that is not finite, or a file that cannot be written.
    pub fn run(
        mut self,
        sources: &[(f64, Box<dyn ExampleSource>)],
        stop: &StopFlag,
        tell: &mut dyn FnMut(&StepReport, Option<f32>),
    ) -> Result<Ended, Failure> {
        let trained = parts(sources, Part::trained_on);
        let held_out = parts(sources, Part::held_out);
        let settings = &self.plan.settings;
        if !held_out.is_empty() {
            let mixture = mixture(&held_out);
            self.judging =
                judging_crops(settings, &mixture, JUDGING).map_err(|error| self.failed(&error))?;
        }
        let (mut ended, mut trouble) = (Ended::Done, None);
        let steps = self.trainer.steps_done()..settings.steps;
        let streamed = stream(settings, &mixture(&trained), steps, |crops| {
            let report = self.trainer.step(crops)?;
            match self.after(&report, stop, tell) {
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Ok(Some(early)) => ended = early,
                Err(failure) => trouble = Some(failure),
            }
            Ok(ControlFlow::Break(()))
        });
        streamed.map_err(|error| self.failed(&error))?;
        match trouble {
            Some(failure) => Err(failure),
            None => self.save().map(|()| ended),
        }
    }

    /// Judges, records and saves what is due after a step; says why it was the last, if it was.
    fn after(
        &mut self,
        report: &StepReport,
        stop: &StopFlag,
        tell: &mut dyn FnMut(&StepReport, Option<f32>),
    ) -> Result<Option<Ended>, Failure> {
        let done = report.step + 1;
        let last = done == self.plan.settings.steps;
        let due = done.is_multiple_of(self.plan.judge_every) || last;
        let judged = match due && !self.judging.is_empty() {
            true => Some(
                self.trainer
                    .judge(&self.judging)
                    .map_err(|error| self.failed(&error))?,
            ),
            false => None,
        };
        self.ledger.add(Entry {
            step: report.step,
            loss: report.loss,
            learning_rate: report.learning_rate,
            judged,
        })?;
        tell(report, judged);
        let (_, waited) = self.ledger.best();
        // without examples to judge by, the latest weights are the best known
        if (judged.is_some() && waited == 0) || (self.judging.is_empty() && due) {
            let path = self.folder.join("weights.safetensors");
            let saved = self.trainer.save(&path);
            saved.map_err(|error| self.failed(&error))?;
        }
        if done.is_multiple_of(self.plan.checkpoint_every) {
            self.save()?;
        }
        Ok(match stop.asked() {
            Some(signal) => Some(Ended::Stopped(signal)),
            None if judged.is_some() && self.plan.patience > 0 && waited >= self.plan.patience => {
                Some(Ended::NoBetter)
            }
            None => None,
        })
    }

    /// State and picture. No state may be on disk whose steps the ledger lacks.
    fn save(&self) -> Result<(), Failure> {
        self.ledger.sync()?;
        let state = self.folder.join("state.safetensors");
        self.trainer
            .checkpoint(&state)
            .map_err(|error| self.failed(&error))?;
        self.ledger.draw()
    }

    fn failed(&self, error: &TrainError) -> Failure {
        failed(&self.folder, error)
    }
}

/// One part of each source, where there is one.
fn parts<'s>(
    sources: &'s [(f64, Box<dyn ExampleSource>)],
    make: impl Fn(&'s dyn ExampleSource) -> Part<'s>,
) -> Vec<(f64, Part<'s>)> {
    let part = |(share, source): &'s (f64, Box<dyn ExampleSource>)| (*share, make(source.as_ref()));
    sources
        .iter()
        .map(part)
        .filter(|(_, part)| !part.is_empty())
        .collect()
}

fn mixture<'s>(parts: &'s [(f64, Part<'s>)]) -> Vec<(f64, &'s dyn ExampleSource)> {
    let plain = |(share, part): &'s (f64, Part<'s>)| (*share, part as &dyn ExampleSource);
    parts.iter().map(plain).collect()
}

/// Weights that a training cannot begin with.
fn unfit(path: &Path, error: impl ToString) -> Failure {
    Failure::input(path, error, "give --start weights of the compact network")
}

/// What a training in `folder` ends with when it fails.
fn failed(folder: &Path, error: &TrainError) -> Failure {
    match error {
        TrainError::NoExamples { path } | TrainError::Image { path, .. } => {
            Failure::input(path, error, "mend it or take it out of the folder")
        }
        TrainError::Checkpoint { path, reason } => {
            Failure::unusable(path, reason, "begin anew in another folder")
        }
        TrainError::Folder { path, source } => {
            Failure::unusable(path, source, "make it readable, and room on its disk")
        }
        TrainError::Diverged { .. } => Failure::Setting {
            key: "learning-rate".to_owned(),
            origin: Origin::File {
                path: Plan::path(folder),
                key: "learning_rate".to_owned(),
            },
            reason: error.to_string(),
            remedy: "begin anew in another folder with a lower --learning-rate".to_owned(),
        },
        TrainError::Edge(_) | TrainError::Tensor(_) => Failure::unexpected("training", error),
    }
}
