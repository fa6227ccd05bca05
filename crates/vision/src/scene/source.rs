//! Generated scenes as a source of labelled images.

use super::render::Scene;
use crate::source::{ImageSource, LabelledImage, SourceError, Truth};

/// Changes whenever the generator draws other pixels for the same numbers.
const GENERATOR: &str = "bo weld scenes 2";

/// The scenes 0 .. count of one seed, each generated when it is asked for.
#[derive(Clone, Debug)]
pub struct SceneSource {
    seed: u64,
    names: Vec<String>,
    hashes: Vec<String>,
}

impl SceneSource {
    /// `count` scenes of the collection `seed`. Scene i is the same whatever `count` is.
    pub fn new(count: usize, seed: u64) -> Self {
        let hash = |index: usize| {
            blake3::hash(format!("{GENERATOR}, seed {seed}, scene {index}").as_bytes()).to_hex()
        };
        Self {
            seed,
            names: (0..count).map(|index| format!("scene{index:03}")).collect(),
            hashes: (0..count).map(|index| hash(index).to_string()).collect(),
        }
    }

    /// Generates scene `index` with its edge map and difficulty.
    pub fn scene(&self, index: usize) -> Scene {
        Scene::generate(self.seed, index as u64)
    }
}

impl ImageSource for SceneSource {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    fn content_hash(&self, index: usize) -> &str {
        &self.hashes[index]
    }

    fn load(&self, index: usize) -> Result<LabelledImage, SourceError> {
        let scene = self.scene(index);
        Ok(LabelledImage {
            pixels: scene.image,
            truth: Truth::Regions(scene.regions),
        })
    }
}
