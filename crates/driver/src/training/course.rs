//! The course of a training: steps, judgements, checkpoints, until it is done, no better, or stopped.
//!
//! Its folder holds `train.json` (the plan), `weights.safetensors` (the best so far, for `--weights`; where a network is
//! adapted, `adapter.safetensors`, for `--adapter`), `state.safetensors` (to go on from), `losses.jsonl`, `losses.svg` and
//! the lock of whoever works there; `inputs.json`, what it reads; `pace.json` where memory made the pace another than was asked for.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bo_vision::edge::{AdapterHead, EdgeError, Weights, device_lost, out_of_memory};
use bo_vision::train::{
    Crop, EdgeTrainer, ExampleSource, Pace, Part, StepReport, Subject, TrainError, judging_crops,
    stream,
};
use candle_core::Device;

use super::ledger::{Entry, Ledger};
use super::paces::Paces;
use super::{Inputs, Plan};
use crate::exit::Failure;
use crate::record::{Lock, RecordError};
use crate::run::StopFlag;
use crate::settings::Origin;
use crate::supervise::training_failure;
use crate::weights::{By, refused};

/// Crops by which progress is judged.
pub const JUDGING: usize = 16;

/// A training under way.
pub struct Course<'p> {
    plan: &'p Plan,
    folder: PathBuf,
    trainer: EdgeTrainer,
    ledger: Ledger,
    paces: Paces,
    judging: Vec<Crop>,
    lock: Lock,
}

/// How a training is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// From the beginning.
    Anew,
    /// From what is in its folder.
    Again {
        /// Inputs may be others than they were, and are noted as they are now.
        accept_changed: bool,
    },
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
    /// From the beginning, with plan and inputs written down once they can be followed; or from the state in the folder.
    ///
    /// # Errors
    /// Weights that do not fit, a folder that another process trains in or that holds a training where one is to begin,
    /// inputs that are not what they were, or a state, ledger or pace that cannot be used.
    pub fn open(
        plan: &'p Plan,
        inputs: &Inputs,
        folder: &Path,
        how: Opening,
        device: &Device,
    ) -> Result<Self, Failure> {
        // of a training that is there nothing may be read while another goes on with it
        let (held, resume) = match how {
            Opening::Anew => (None, false),
            Opening::Again { accept_changed } => {
                let held = lock(folder)?;
                unchanged(plan, inputs, folder, accept_changed)?;
                (Some(held), true)
            }
        };
        let state = folder.join("state.safetensors");
        // stopped before its first checkpoint: from the beginning again
        let restores = resume && state.exists();
        let mut trainer = begin(plan, folder, restores, device)?;
        if restores {
            let restored = trainer.restore(&state);
            restored.map_err(|error| failed(folder, &error))?;
        }
        if resume {
            // not before: where the state cannot be used, a change that was accepted was not taken up
            inputs.write(folder)?;
        }
        let held = match held {
            Some(held) => held,
            None => {
                std::fs::create_dir_all(folder).map_err(|error| {
                    Failure::input(folder, error, "give --out a folder to write to")
                })?;
                let held = lock(folder)?;
                plan.begin(folder)?;
                inputs.write(folder)?;
                held
            }
        };
        let paces = Paces::open(folder, Pace::asked(&plan.settings))?;
        let ledger = Ledger::open(folder, trainer.steps_done())?;
        Ok(Self {
            plan,
            folder: folder.to_owned(),
            trainer: trainer.with_failures(Box::new(training_failure)),
            ledger,
            paces,
            judging: Vec::new(),
            lock: held,
        })
    }

    /// Its steps so far.
    pub fn entries(&self) -> &[Entry] {
        self.ledger.entries()
    }

    /// Trained values.
    pub fn parameters(&self) -> usize {
        self.trainer.parameters()
    }

    /// Whether all steps were done before.
    pub fn is_done(&self) -> bool {
        self.trainer.steps_done() >= self.plan.settings.steps
    }

    /// The pace of the next step.
    pub fn pace(&self) -> Pace {
        self.paces.of(self.trainer.steps_done())
    }

    /// Takes the next step, and those after it, at this pace, and notes that; a training that is done has none.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn keep_to(&mut self, pace: Pace) -> Result<(), Failure> {
        match self.is_done() {
            true => Ok(()),
            false => self.paces.note(self.trainer.steps_done(), pace),
        }
    }

    /// Trains until the end, with so many loaders; `tell` hears of every step. When it is asked to stop, the step under
    /// way is given up after its micro-batch, and the state before it saved at once.
    ///
    /// # Errors
    /// An example that does not load, a loss that is not finite, or a file that cannot be written.
    pub fn run(
        mut self,
        sources: &[(f64, Box<dyn ExampleSource>)],
        loaders: usize,
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
        let streamed = stream(settings, &mixture(&trained), steps, loaders, |crops| {
            self.trainer.keep_to(self.pace());
            let report = self.trainer.step(crops, &|| stop.asked().is_some());
            if matches!(report, Err(TrainError::OutOfMemory { .. })) {
                // nothing was changed by the step that failed
                trouble = self.save().err();
            }
            let report = report?;
            let after = match report {
                Some(report) => self.after(&report, stop, tell),
                None => Ok(stop.asked().map(Ended::Stopped)),
            };
            match after {
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Ok(Some(early)) => ended = early,
                Err(failure) => trouble = Some(failure),
            }
            // before the loaders have ended, which may take them as long as an example
            if trouble.is_none() {
                trouble = self.save().err();
            }
            Ok(ControlFlow::Break(()))
        });
        streamed.map_err(|error| self.failed(&error))?;
        match trouble {
            Some(failure) => Err(failure),
            None if ended == Ended::Done => self.save().map(|()| ended),
            None => Ok(ended),
        }
    }

    /// Judges, records and saves what is due after a step; says why it was the last, if it was.
    fn after(
        &mut self,
        report: &StepReport,
        stop: &StopFlag,
        tell: &mut dyn FnMut(&StepReport, Option<f32>),
    ) -> Result<Option<Ended>, Failure> {
        // before the step counts: done again it must be taken alike
        self.paces.note(report.step, report.pace)?;
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
            skipped: report.skipped,
        })?;
        tell(report, judged);
        let (_, waited) = self.ledger.best();
        // without examples to judge by, the latest weights are the best known
        if (judged.is_some() && waited == 0) || (self.judging.is_empty() && due) {
            let path = self.folder.join(self.plan.learned());
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
        if let Some(fence) = self.lock.fence() {
            fence.check()?;
        }
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

/// The lock of a folder.
fn lock(folder: &Path) -> Result<Lock, Failure> {
    Lock::take(folder).map_err(|error| match error {
        RecordError::Held { path, holder } => Failure::Trained {
            out: path,
            holder: holder.to_string(),
        },
        other => other.into(),
    })
}

/// Refuses inputs of a training that goes on which are not what they were, where that was noted.
fn unchanged(plan: &Plan, now: &Inputs, folder: &Path, accept: bool) -> Result<(), Failure> {
    let differences = Inputs::read(folder)?.map(|before| before.differences(now));
    match differences {
        Some(None) => Ok(()),
        Some(Some(differences)) if !accept => Err(Failure::input(
            folder,
            format!("what it reads is not what it was when it began: {differences}"),
            format!(
                "put it back, or go on with what is there now: {} --out {} --resume --accept-changed",
                plan.command(),
                crate::quantity::typed(folder)
            ),
        )),
        _ => Ok(()),
    }
}

/// The trainer before its first step, or where it `restores` a state, before it does.
fn begin(
    plan: &Plan,
    folder: &Path,
    restores: bool,
    device: &Device,
) -> Result<EdgeTrainer, Failure> {
    let settings = plan.settings.clone();
    let made = |trainer: Result<EdgeTrainer, TrainError>, path: Option<&Path>, by, remedy| {
        trainer.map_err(|error| match (path, error) {
            (Some(path), TrainError::Edge(error)) => refused(path, &error, by, remedy),
            (_, error) => failed(folder, &error),
        })
    };
    if let Some(adapt) = &plan.adapt {
        let path = adapt.weights.as_deref();
        let remedy = "give --edge-model NAME and --weights FILE that belong together";
        let weights = adapt.model.weights(path).map_err(|error| match path {
            Some(path) => refused(path, &error, By::Weights, remedy),
            None => Failure::Setting {
                key: "edge-model".to_owned(),
                origin: Origin::Flag("--edge-model".to_owned()),
                reason: error.to_string(),
                remedy: "add --weights FILE".to_owned(),
            },
        })?;
        let file = path.and_then(Path::file_name).unwrap_or_default();
        let head = AdapterHead {
            model: adapt.model,
            base: String::new(),
            weights: file.to_string_lossy().into_owned(),
            rank: adapt.rank,
            scale: adapt.scale,
        };
        let subject = Subject::Changes {
            head,
            weights: &weights,
        };
        let trainer = EdgeTrainer::new(settings, subject, device);
        return made(trainer, path, By::Weights, remedy);
    }
    let remedy = "give --start weights of the compact network";
    let path = plan.start.as_deref().filter(|_| !restores);
    let open =
        |path| Weights::open(path).map_err(|error| refused(path, &error.into(), By::Start, remedy));
    let start = path.map(open).transpose()?;
    let trainer = EdgeTrainer::new(settings, Subject::Whole(start.as_ref()), device);
    made(trainer, path, By::Start, remedy)
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
        TrainError::Folder { path, source } => Failure::unusable(path, source, "make it readable"),
        TrainError::Write { path, source } => Failure::unusable(
            path,
            format!("cannot be written: {source}"),
            "make its folder writable, and room on its disk; then go on with --resume",
        ),
        TrainError::Diverged { .. } => Failure::Setting {
            key: "learning-rate".to_owned(),
            origin: Origin::File {
                path: Plan::path(folder),
                key: "learning_rate".to_owned(),
            },
            reason: error.to_string(),
            remedy: "begin anew in another folder with a lower --learning-rate".to_owned(),
        },
        TrainError::Overflow { .. } => Failure::Setting {
            key: "precision".to_owned(),
            origin: Origin::File {
                path: Plan::path(folder),
                key: "precision".to_owned(),
            },
            reason: error.to_string(),
            remedy: "begin anew in another folder with --precision bfloat16 or float32".to_owned(),
        },
        TrainError::OutOfMemory { .. } => Failure::Setting {
            key: "side".to_owned(),
            origin: Origin::File {
                path: Plan::path(folder),
                key: "side".to_owned(),
            },
            reason: error.to_string(),
            remedy: "begin anew in another folder with smaller crops (a smaller --side) or a smaller network; or free \
                     memory and go on with --resume: the steps that are done are saved"
                .to_owned(),
        },
        TrainError::Edge(EdgeError::Tensor(reason)) | TrainError::Tensor(reason)
            if out_of_memory(reason) || device_lost(reason) =>
        {
            Failure::unexpected(
                "training",
                format!(
                    "{error}\n  the steps up to the last checkpoint are saved: go on with --resume --out {}",
                    crate::quantity::typed(folder)
                ),
            )
        }
        TrainError::Edge(_) | TrainError::Tensor(_) => Failure::unexpected("training", error),
    }
}
