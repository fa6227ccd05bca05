//! Images with their edge maps, one at a time: from generated scenes and from folders.

use std::path::{Path, PathBuf};

use image::{GrayImage, RgbImage};

use super::TrainError;
use crate::scene::{HEIGHT, Scene, WIDTH};

/// An image and where its edges are.
#[derive(Clone, Debug)]
pub struct Example {
    /// 8-bit RGB.
    pub image: RgbImage,
    /// Of the same size; 255 on an edge, 0 off it, between them unsure.
    pub edges: GrayImage,
}

/// A finite collection of examples that are loaded one at a time.
pub trait ExampleSource: Sync {
    /// Number of examples.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels of the largest example.
    fn pixels(&self) -> u64;

    /// Example `index`; the same bits every time.
    ///
    /// # Errors
    /// A file that does not decode, or an edge map of another size than its image.
    fn load(&self, index: usize) -> Result<Example, TrainError>;
}

/// Generated weld scenes with their physical edges.
#[derive(Clone, Debug)]
pub struct SceneExamples {
    /// How many.
    pub count: usize,
    /// Seed of the collection.
    pub seed: u64,
}

impl ExampleSource for SceneExamples {
    fn len(&self) -> usize {
        self.count
    }

    fn pixels(&self) -> u64 {
        u64::from(WIDTH) * u64::from(HEIGHT)
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        let scene = Scene::generate(self.seed, index as u64);
        Ok(Example {
            image: scene.image,
            edges: scene.edges,
        })
    }
}

/// Photographs in one folder, edge maps of the same names in another.
#[derive(Clone, Debug)]
pub struct FolderExamples {
    pairs: Vec<(PathBuf, PathBuf)>,
    /// Of the largest image, by the headers.
    pixels: u64,
}

impl FolderExamples {
    /// All images of `images` whose name passes `keep` and has an edge map in `edges`, by name.
    ///
    /// # Errors
    /// A folder that cannot be read, or no pair in it.
    pub fn open(
        images: &Path,
        edges: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Self, TrainError> {
        let unreadable = |source| TrainError::Folder {
            path: images.into(),
            source,
        };
        let mut pairs = Vec::new();
        for entry in std::fs::read_dir(images).map_err(unreadable)? {
            let image = entry.map_err(unreadable)?.path();
            let Some(name) = image.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            let map = edges.join(name);
            if keep(name) && map.is_file() {
                pairs.push((image, map));
            }
        }
        pairs.sort();
        if pairs.is_empty() {
            return Err(TrainError::NoExamples {
                path: images.into(),
            });
        }
        let mut pixels = 0;
        for (image, _) in &pairs {
            let size = image::image_dimensions(image).map_err(|e| TrainError::Image {
                path: image.clone(),
                reason: e.to_string(),
            })?;
            pixels = pixels.max(u64::from(size.0) * u64::from(size.1));
        }
        Ok(Self { pairs, pixels })
    }

    /// Name of the image of example `index`.
    pub fn name(&self, index: usize) -> String {
        self.pairs[index]
            .0
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

impl ExampleSource for FolderExamples {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn pixels(&self) -> u64 {
        self.pixels
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        let (image, map) = &self.pairs[index];
        let open = |path: &PathBuf| {
            image::open(path).map_err(|e| TrainError::Image {
                path: path.clone(),
                reason: e.to_string(),
            })
        };
        let (image, edges) = (open(image)?.into_rgb8(), open(map)?.into_luma8());
        if image.dimensions() != edges.dimensions() {
            let reason = format!(
                "edge map is {:?}, image {:?}",
                edges.dimensions(),
                image.dimensions()
            );
            return Err(TrainError::Image {
                path: map.clone(),
                reason,
            });
        }
        Ok(Example { image, edges })
    }
}
