//! Generated scenes as a source of labelled images.

use std::sync::OnceLock;

use blake3::Hash;

use super::render::Scene;
use crate::source::{Glance, ImageSource, LabelledImage, SourceError, Truth};

/// Changes whenever the generator draws other pixels for the same numbers.
const GENERATOR: &str = "bo weld scenes 2";

/// The scenes 0 .. count of one seed, each generated when it is asked for.
#[derive(Clone, Debug)]
pub struct SceneSource {
    seed: u64,
    names: Vec<String>,
    hashes: Vec<Hash>,
    glances: Vec<OnceLock<Glance>>,
}

impl SceneSource {
    /// `count` scenes of the collection `seed`. Scene i is the same whatever `count` is.
    pub fn new(count: usize, seed: u64) -> Self {
        let hash = |index: usize| {
            blake3::hash(format!("{GENERATOR}, seed {seed}, scene {index}").as_bytes())
        };
        Self {
            seed,
            names: (0..count).map(|index| format!("scene{index:03}")).collect(),
            hashes: (0..count).map(hash).collect(),
            glances: vec![OnceLock::new(); count],
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

    fn content_hash(&self, index: usize) -> Hash {
        self.hashes[index]
    }

    fn glance(&self, index: usize) -> Result<Glance, SourceError> {
        let known = &self.glances[index];
        if known.get().is_none() {
            // two threads that come first at once look twice and see the same
            let _ = known.set(Glance::of(self.load(index)?));
        }
        Ok(known.get().cloned().expect("it was set just now"))
    }

    fn load(&self, index: usize) -> Result<LabelledImage, SourceError> {
        let scene = self.scene(index);
        Ok(LabelledImage {
            pixels: scene.image,
            truth: Truth::Regions(scene.regions),
        })
    }
}
