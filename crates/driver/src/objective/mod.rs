//! What is being optimised: one trait, one file per kind.
//!
//! Central type: the trait [`Objective`]; a kind is opened from checked settings by [`open`], which also says
//! what the optimiser needs to know (space, environments, direction) and what the record needs to
//! recognise it again ([`Description`]). An evaluation never panics and never invents a value: it
//! returns a number or a failure with its reason.

mod breaker;
mod clock;
mod command;
mod device;
mod eyes;
mod foresight;
mod images;
mod network;
mod problem;
mod safe_batches;
mod sights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bo_bayes::optimizer::Problem;
use bo_bayes::risk::RiskMeasure;
use bo_memory::device::DevicePool;
use bo_vision::folder::FolderSource;
use bo_vision::kept::KeptLooks;
use bo_vision::labels::LabelSet;
use bo_vision::scene::SceneSource;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::record::{Birth, Truth};
use crate::run::StopFlag;
use crate::settings::{Earlier, ImagePair, ObjectiveSettings, Settings, read_space_or};

pub use bo_bayes::optimizer::Query;
pub use breaker::{Breaker, failing};
pub use clock::PartSeconds;
#[cfg(any(test, fuzzing))]
pub use command::answer_in;
pub use command::end_orphans;
pub use device::{Chosen, Reserve, Wish, open as open_device};
pub use eyes::Eyes;
pub use foresight::Wanted;
pub use images::{LineImages, WITHOUT_REGIONS, parameters, refused, skipped};
#[cfg(any(test, fuzzing))]
pub use safe_batches::SafeBatches;

/// One evaluation to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Number of the evaluation, from 0, unique in the run.
    pub id: u64,
    /// 0 at first; one more each time the evaluation is started again after it did not finish.
    pub attempt: u32,
    /// Iteration it belongs to; 0 = initial design.
    pub iteration: u64,
    /// Where.
    pub query: Query,
    /// Seed for objectives that draw random numbers: a function of the run's seed and `id` alone.
    pub seed: u64,
}

/// How an evaluation ended, as recorded in `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A finite value.
    Ok,
    /// A failure without a name of its own: non-zero exit, no answer, an error message.
    Failed,
    /// Out of memory, also at the smallest scale.
    Oom,
    /// No answer in the time allowed.
    Timeout,
    /// NaN, infinite, or called invalid by the objective.
    Invalid,
    /// It failed before the run, for another program.
    Elsewhere,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A finite number in the user's sign.
    Value(f64),
    /// A finite number for which the objective was asked to do less work than the whole.
    Reduced {
        /// In the user's sign.
        value: f64,
        /// Share of the whole that was asked for, in (0, 1).
        scale: f64,
    },
    /// No value.
    Failed {
        /// Which kind of failure; never [`Status::Ok`].
        status: Status,
        /// Why, in words a user understands.
        reason: String,
    },
    /// The device is gone: not recorded, started again by a new process.
    Lost {
        /// What its driver said.
        reason: String,
    },
    /// A stop was asked for while this was running: not recorded, started again on resume.
    Stopped,
}

/// What the record stores about an objective, to recognise it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// `scenes`, `images`, `command` or `problem`.
    pub kind: String,
    /// Names of the environments of a finite set, in order (images: file names); empty otherwise.
    pub environments: Vec<String>,
    /// Content hashes by name: each image with its labels, weights, space. A resumed run refuses
    /// another value of one of them and names it.
    pub hashes: BTreeMap<String, String>,
    /// What some of the hashes are of, by the same names, where it is small enough to be kept: space.
    pub texts: BTreeMap<String, String>,
    /// Whatever else helps a reader: program, problem, folder names. Not compared.
    pub notes: BTreeMap<String, String>,
}

/// A program started for an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The evaluation.
    pub id: u64,
    /// Which attempt at it.
    pub attempt: u32,
    /// Its process group; kill this to end it with its children.
    pub process_group: u32,
    /// When its first process was started.
    pub birth: Option<Birth>,
}

/// What an objective needs from the run around it.
#[derive(Clone)]
pub struct Surroundings {
    /// Asks to stop.
    pub stop: StopFlag,
    /// Takes a line for `log.txt`.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
    /// Told when a program starts work on an evaluation, before it can answer.
    pub started: Arc<dyn Fn(Started) + Send + Sync>,
    /// Folder for kept edge output (need not exist).
    pub cache: PathBuf,
    /// Everything is asked for: what was evaluated elsewhere is no answer.
    pub measures: bool,
    /// The cache is left as it is: nothing in it is made or removed when it is opened.
    pub reads_only: bool,
}

/// An objective with what the optimiser has to know of it.
pub struct Opened {
    /// Space, environments and direction.
    pub problem: Problem,
    /// What was evaluated elsewhere: evaluations 0 and on, whose values the objective knows.
    pub earlier: Vec<Earlier>,
    /// Gives values.
    pub objective: Box<dyn Objective>,
    /// What the user should know before the run: skipped images and the like.
    pub notices: Vec<String>,
}

/// What [`open`] is going to do, where it may take long enough to be wondered at.
pub fn preparing(settings: &Settings) -> Option<String> {
    match &settings.study().objective {
        ObjectiveSettings::Scenes { count, .. } => Some(format!("looking at {count} scenes once")),
        ObjectiveSettings::Images(pairs) => {
            // an empty or missing folder is refused at once, and so are labels that cannot be read
            let holds = |pair: &ImagePair| {
                std::fs::read_dir(&pair.images).is_ok_and(|mut files| files.next().is_some())
                    && LabelSet::open(&pair.labels).is_ok()
            };
            if !pairs.iter().all(holds) {
                return None;
            }
            let folders: Vec<String> = pairs
                .iter()
                .map(|pair| pair.images.display().to_string())
                .collect();
            Some(format!(
                "looking at every image of {} once",
                folders.join(", ")
            ))
        }
        _ => None,
    }
}

/// Opens the objective that the settings name.
///
/// # Errors
/// Input that cannot be used ([`Failure::Input`], [`Failure::Setting`]), or a device that cannot.
pub fn open(settings: &Settings, surroundings: Surroundings) -> Result<Opened, Failure> {
    match &settings.study().objective {
        ObjectiveSettings::Problem(name) => {
            device::choose(settings)?;
            problem::open(name)
        }
        ObjectiveSettings::Command {
            words,
            mode,
            space,
            kept,
        } => {
            device::choose(settings)?;
            let (file, gone) = read_space_or(space, kept)?;
            let mut opened = command::open(words, *mode, file, settings.means(), surroundings)?;
            let gone = gone.iter().map(|path| {
                format!(
                    "{} is gone: it is taken from the record of the run",
                    path.display()
                )
            });
            opened.notices.extend(gone);
            Ok(opened)
        }
        ObjectiveSettings::Scenes { .. } | ObjectiveSettings::Images(_) => {
            let (images, notices) = open_images(settings, surroundings)?;
            Ok(images.into_opened(notices))
        }
    }
}

/// Opens the labelled images that the settings name, with notices for the user.
///
/// # Errors
/// As [`open`]; [`Failure::Unexpected`] if the objective is none of images.
pub fn open_images(
    settings: &Settings,
    surroundings: Surroundings,
) -> Result<(LineImages, Vec<String>), Failure> {
    match &settings.study().objective {
        ObjectiveSettings::Scenes { count, seed } => {
            let source = SceneSource::new(*count, *seed);
            LineImages::open("scenes", Box::new(source), settings, surroundings)
        }
        ObjectiveSettings::Images(pairs) => {
            let pairs: Vec<(PathBuf, PathBuf)> = pairs
                .iter()
                .map(|pair| (pair.images.clone(), pair.labels.clone()))
                .collect();
            let Surroundings {
                cache,
                log,
                reads_only,
                ..
            } = surroundings.clone();
            let mut looks = known_looks(&cache, &*log);
            let (source, passed_over) =
                FolderSource::open(&pairs, &mut looks).map_err(|error| refused(&error))?;
            let mut notices = skipped(&passed_over);
            notices.extend(source.notes());
            let (images, more) =
                LineImages::open("images", Box::new(source), settings, surroundings)?;
            notices.extend(more);
            // not before: what is refused leaves nothing behind
            if !reads_only && let Err(error) = looks.save() {
                log(&format!(
                    "what was learned of images is not kept in {} ({error})",
                    cache.display()
                ));
            }
            Ok((images, notices))
        }
        _ => Err(Failure::unexpected(
            "opening images",
            "the objective of this run is not made of images",
        )),
    }
}

/// What the cache knows of images. What cannot be read there is looked at again.
fn known_looks(cache: &Path, log: &dyn Fn(&str)) -> KeptLooks {
    let looks = KeptLooks::open(cache).unwrap_or_else(|error| {
        log(&format!(
            "what is known of images in {} cannot be read ({error}): they are decoded again",
            cache.display()
        ));
        KeptLooks::default()
    });
    if looks.damaged() > 0 {
        let damaged = looks.damaged();
        log(&format!(
            "{damaged} damaged records of images in {}: they are decoded again",
            cache.display()
        ));
    }
    looks
}

/// Opens the edge network that the settings name, on their device, with its store; and notices for the user.
///
/// # Errors
/// A device or network that cannot be used, a cache folder that cannot be written.
pub fn open_eyes(
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<(Eyes, Vec<String>), Failure> {
    let chosen = device::choose(settings)?;
    let notices = chosen.notices.clone();
    let network = network::load(settings, &chosen.device)?;
    Ok((
        Eyes::open(network, chosen, settings, surroundings, None)?,
        notices,
    ))
}

/// Something that gives a value for (x, w).
pub trait Objective {
    /// Prepares evaluations that are wanted together, as far as doing so together is of use. Trouble shows when they are
    /// evaluated.
    fn prepare(&mut self, _queries: &[&Query]) {}

    /// What was done since the last call to keep within memory, in words.
    fn memory_steps(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Does one evaluation. May take hours; watches the stop flag it was opened with.
    fn evaluate(&mut self, request: &Request) -> Outcome;

    /// Whether deciding waits for programs too: those of constraints.
    fn asks(&self) -> bool {
        false
    }

    /// Why x could not be checked against known constraints, if that happened: no decision counts then.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// One more of itself, to evaluate on another thread at the same time; `None` for a kind that evaluates one
    /// at a time (images: on all cores already).
    fn worker(&self) -> Option<Box<dyn Objective + Send>> {
        None
    }

    /// Ends whatever is still running (processes first gently, then not). Called once, at the end or on a stop.
    fn stop(&mut self);

    /// For the record.
    fn describe(&self) -> Description;

    /// What natural x is worth in truth, by `risk` and beside the known optimum, where that is known.
    fn truth(&self, _x: &[f64], _risk: RiskMeasure) -> Option<Truth> {
        None
    }

    /// Bytes the objective holds between evaluations by name (kept edge output), for the ledger.
    fn holds(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// The memory of the GPU that it works on, for the ledger.
    fn pool(&self) -> Option<DevicePool> {
        None
    }

    /// Drops what can be computed again (every fifth iteration). Results do not change.
    fn deep_clean(&mut self) {}
}
