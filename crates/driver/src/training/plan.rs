//! What a training is: settings and data, written as `train.json` and never changed after.

use std::path::{Path, PathBuf};

use bo_vision::scene::SceneSource;
use bo_vision::train::{
    ExampleSource, FolderExamples, SceneExamples, ShapeExamples, TrainSettings,
};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::record::replace;

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
    /// There is none, or it is of another version.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = Self::path(folder);
        let unusable = |reason: String| {
            Failure::unusable(
                &path,
                reason,
                "begin a training there: bo train edge --out DIR",
            )
        };
        let bytes = std::fs::read(&path).map_err(|error| unusable(error.to_string()))?;
        let plan: Self =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        match (plan.format.as_str(), plan.version) {
            ("bo/train", 1) => Ok(plan),
            (format, version) => Err(unusable(format!("is {format} version {version}"))),
        }
    }

    /// Writes the plan into a folder that holds none.
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
                    "go on with it: bo train edge --out {} --resume; or give another --out",
                    crate::quantity::typed(folder)
                ),
            ));
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::input(folder, error, "give --out a folder to write to"))?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::unexpected("writing the plan as JSON", error))?;
        Ok(replace(&path, &text)?)
    }

    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("train.json")
    }

    /// The data, each with its share of crops. No image is loaded yet.
    ///
    /// # Errors
    /// A folder that cannot be read or holds no pair.
    pub fn sources(&self) -> Result<Vec<Weighted>, Failure> {
        let keep = |name: &str| {
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            !self.odd_only || digits.parse::<u64>().is_ok_and(|number| number % 2 == 1)
        };
        let mut sources: Vec<(f64, Box<dyn ExampleSource>)> = Vec::new();
        for pair in &self.pairs {
            let examples =
                FolderExamples::open(&pair.images, &pair.edges, keep).map_err(|error| {
                    Failure::input(
                        &pair.images,
                        error,
                        "give every --images DIR its --edges DIR with edge maps of the same names",
                    )
                })?;
            sources.push((SHARES[0] / self.pairs.len() as f64, Box::new(examples)));
        }
        if self.scenes > 0 {
            let scenes = SceneExamples(SceneSource::new(self.scenes, SEED));
            sources.push((SHARES[1], Box::new(scenes)));
            let shapes = ShapeExamples {
                count: self.scenes,
                seed: SEED,
            };
            sources.push((SHARES[2], Box::new(shapes)));
        }
        Ok(sources)
    }
}
