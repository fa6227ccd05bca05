//! What a training is: settings and data, written as `train.json` and never changed after.

use std::path::{Path, PathBuf};

use bo_vision::edge::EdgeModel;
use bo_vision::folder::{FolderSource, Skipped};
use bo_vision::kept::KeptLooks;
use bo_vision::train::{
    ExampleSource, FolderExamples, LabelledExamples, Part, SceneExamples, ShapeExamples,
    TrainSettings,
};
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::exit::Failure;
use crate::record::{TRAINING, replace};

/// A source of examples with its share.
pub type Weighted = (f64, Box<dyn ExampleSource>);

/// Seed of scenes and shapes that are trained on: none that a run looks at by default.
const SEED: u64 = 0x0074_7261_696e;
/// Share of crops from photographs, scenes and shapes.
const SHARES: [f64; 3] = [0.5, 0.3, 0.2];

/// A folder of images and one of edge maps of the same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Images.
    pub images: PathBuf,
    /// Edge maps: 255 on an edge, 0 off it.
    pub edges: PathBuf,
}

/// A folder of images and the labels of their lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// Images.
    pub images: PathBuf,
    /// File or folder of labels, in any format that a run reads.
    pub labels: PathBuf,
}

/// Low-rank changes of a network instead of a whole one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// The network.
    pub model: EdgeModel,
    /// Its weights, if not those that ship.
    pub weights: Option<PathBuf>,
    /// Channels between down and up.
    pub rank: usize,
    /// Factor on up x down.
    pub scale: f64,
}

/// A training, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `bo/train`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// How to train.
    pub settings: TrainSettings,
    /// Photographs.
    pub pairs: Vec<Pair>,
    /// Photographs with labelled lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labelled: Vec<Labelled>,
    /// What is adapted; none where the compact network is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapt: Option<Adaptation>,
    /// Number of generated scenes, and of drawn shapes; 0 for none.
    pub scenes: usize,
    /// Only images whose name begins with an odd number, so that the even ones can judge.
    pub odd_only: bool,
    /// Weights to begin with, if not random ones.
    pub start: Option<PathBuf>,
    /// Progress is judged every so many steps.
    pub judge_every: usize,
    /// Training ends when so many judgements in a row were no better; 0 = never.
    pub patience: usize,
    /// The state is saved every so many steps.
    pub checkpoint_every: usize,
}

impl Plan {
    /// The plan of a folder.
    ///
    /// # Errors
    /// There is none, it is of another version, or it holds a number that cannot be.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = Self::path(folder);
        let unusable = |reason: String| {
            Failure::unusable(
                &path,
                reason,
                "begin a training there: bo train edge --out DIR (or bo adapt --out DIR)",
            )
        };
        let bytes =
            bounded::read(&path, bounded::SETTINGS).map_err(|error| unusable(error.to_string()))?;
        let plan: Self =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        match (plan.format.as_str(), plan.version) {
            ("bo/train", 1) => {}
            (format, version) => {
                return Err(unusable(format!("is {format} version {version}")));
            }
        }
        // no program of ours wrote a number that cannot be
        let checked = plan.check();
        checked.map_err(|outside| unusable(format!("{}: {}", outside.key, outside.reason)))?;
        Ok(plan)
    }

    /// Writes the plan into a folder that holds none; its lock is held.
    ///
    /// # Errors
    /// The folder holds a training, or cannot be written.
    pub fn begin(&self, folder: &Path) -> Result<(), Failure> {
        let path = Self::path(folder);
        if path.exists() {
            return Err(Failure::input(
                folder,
                "holds a training",
                format!(
                    "go on with it: {} --out {} --resume; or give another --out",
                    self.command(),
                    crate::quantity::typed(folder)
                ),
            ));
        }
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::unexpected("writing the plan as JSON", error))?;
        Ok(replace(&path, &text)?)
    }

    /// The command that made it.
    pub fn command(&self) -> &'static str {
        match self.adapt {
            None => "bo train edge",
            Some(_) => "bo adapt",
        }
    }

    /// The file of what was learned, in the folder.
    pub fn learned(&self) -> &'static str {
        match self.adapt {
            None => "weights.safetensors",
            Some(_) => "adapter.safetensors",
        }
    }

    /// The network that is trained or adapted.
    pub fn model(&self) -> EdgeModel {
        self.adapt
            .as_ref()
            .map_or(EdgeModel::Compact, |adapt| adapt.model)
    }

    /// From what the crops come, where there are photographs beside what is generated.
    pub fn shares(&self, sources: &[Weighted]) -> Option<String> {
        let (own, made) = sources.split_at(self.pairs.len() + self.labelled.len());
        let [scenes, shapes] = made else { return None };
        let part = |all: &[Weighted], what: &str| {
            let share: f64 = all.iter().map(|(share, _)| share).sum();
            let count: usize = all.iter().map(|(_, source)| source.len()).sum();
            format!("{:.0} % of the crops from {count} {what}", 100.0 * share)
        };
        (!own.is_empty()).then(|| {
            let parts = [
                part(own, "photographs"),
                part(std::slice::from_ref(scenes), "scenes"),
                part(std::slice::from_ref(shapes), "drawn shapes"),
            ];
            parts.join(", ")
        })
    }

    /// The command that uses what was learned in `folder`.
    pub fn use_of(&self, folder: &Path) -> String {
        let learned = crate::quantity::typed(&folder.join(self.learned()));
        let Some(adapt) = &self.adapt else {
            return format!("bo run --weights {learned}");
        };
        let network = match (&adapt.weights, adapt.model) {
            (None, EdgeModel::Compact) => String::new(),
            (None, model) => format!(" --edge-model {model}"),
            (Some(weights), model) => {
                let weights = crate::quantity::typed(weights);
                format!(" --edge-model {model} --weights {weights}")
            }
        };
        format!("bo run{network} --adapter {learned}")
    }

    /// What is said of a training in `folder` whose steps are all done.
    pub fn done(&self, folder: &Path) -> String {
        let steps = self.settings.steps;
        let longer = self.longer(folder);
        format!("all {steps} steps are done: nothing to do; to go on longer {longer}")
    }

    /// What to do for more steps than the training in `folder` has.
    pub fn longer(&self, folder: &Path) -> String {
        match self.adapt {
            None => format!(
                "begin with what was learned: bo train edge --start {} --out DIR, with the data",
                crate::quantity::typed(&folder.join(self.learned()))
            ),
            Some(_) => "begin anew with more --steps, in another folder".to_owned(),
        }
    }

    /// Examples that are never trained on but judge.
    pub fn held_out(sources: &[Weighted]) -> usize {
        let held_out = |(_, source): &Weighted| Part::held_out(source.as_ref()).len();
        sources.iter().map(held_out).sum()
    }

    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(TRAINING)
    }

    /// The data, each with its share of crops, and what was passed over. No image is loaded yet.
    ///
    /// # Errors
    /// A folder that cannot be read or holds no pair.
    pub fn sources(&self) -> Result<(Vec<Weighted>, Vec<Skipped>), Failure> {
        let keep = |name: &str| {
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            !self.odd_only || digits.parse::<u64>().is_ok_and(|number| number % 2 == 1)
        };
        let mut sources: Vec<Weighted> = Vec::new();
        let mut skipped = Vec::new();
        for pair in &self.pairs {
            let opened = FolderExamples::open(&pair.images, &pair.edges, keep);
            let (examples, passed_over) = opened.map_err(|error| {
                Failure::input(
                    &pair.images,
                    error,
                    "give every --images DIR its --edges DIR with edge maps of the same names",
                )
            })?;
            skipped.extend(passed_over);
            let pairs = self.pairs.len() + self.labelled.len();
            sources.push((SHARES[0] / pairs as f64, Box::new(examples)));
        }
        for Labelled { images, labels } in &self.labelled {
            let opened = FolderSource::open(
                &[(images.clone(), labels.clone())],
                &mut KeptLooks::default(),
            );
            let (examples, passed_over) = opened.map_err(|error| {
                let remedy = "give every --images DIR its --labels PATH that names images in it";
                Failure::input(images, error, remedy)
            })?;
            skipped.extend(passed_over);
            let pairs = self.pairs.len() + self.labelled.len();
            sources.push((
                SHARES[0] / pairs as f64,
                Box::new(LabelledExamples(examples)),
            ));
        }
        if self.scenes > 0 {
            let scenes = SceneExamples {
                count: self.scenes,
                seed: SEED,
            };
            sources.push((SHARES[1], Box::new(scenes)));
            let shapes = ShapeExamples {
                count: self.scenes,
                seed: SEED,
            };
            sources.push((SHARES[2], Box::new(shapes)));
        }
        Ok((sources, skipped))
    }
}
