//! Images with their edge maps, one at a time: from generated scenes and from folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blake3::Hash;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use super::TrainError;
use crate::decode::{DecodeError, decode, decode_grey, pixel_count};
use crate::folder::{Skipped, file_name, hash, image_files};
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

    /// Files that it reads, each with the hash of its content; none of what is generated.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn files(&self) -> Result<Vec<(PathBuf, Hash)>, TrainError> {
        Ok(Vec::new())
    }

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

/// Photographs in one folder, edge maps of the same names in another; extensions may differ.
#[derive(Clone, Debug)]
pub struct FolderExamples {
    pairs: Vec<(PathBuf, PathBuf)>,
    /// Of the largest image, by the headers.
    pixels: u64,
}

impl FolderExamples {
    /// All images of `images` whose name passes `keep` and has an edge map in `edges`, by name; and those that were
    /// passed over, with reasons.
    ///
    /// # Errors
    /// A folder that cannot be read, or no pair in it.
    pub fn open(
        images: &Path,
        edges: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<(Self, Vec<Skipped>), TrainError> {
        let listed = |folder: &Path| {
            image_files(folder).map_err(|source| TrainError::Folder {
                path: folder.into(),
                source,
            })
        };
        let (found, mut skipped) = listed(images)?;
        let (maps, foreign) = listed(edges)?;
        skipped.extend(foreign);
        let mut by_stem: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
        for map in maps {
            let stem = map.file_stem().unwrap_or_default().to_owned();
            by_stem.entry(stem).or_default().push(map);
        }
        let (mut pairs, mut pixels) = (Vec::new(), 0);
        for image in found {
            if !keep(&file_name(&image)) {
                continue;
            }
            let of_stem = by_stem.get(image.file_stem().unwrap_or_default());
            let pair = map_of(&image, of_stem.map_or(&[][..], Vec::as_slice)).and_then(|map| {
                let count = pixel_count(&image).map_err(|error| error.to_string())?;
                Ok((map.clone(), count))
            });
            match pair {
                Ok((map, count)) => {
                    pixels = pixels.max(count);
                    pairs.push((image, map));
                }
                Err(reason) => skipped.push(Skipped {
                    path: image,
                    reason,
                }),
            }
        }
        match pairs.is_empty() {
            true => Err(TrainError::NoExamples {
                path: images.into(),
            }),
            false => Ok((Self { pairs, pixels }, skipped)),
        }
    }

    /// Name of the image of example `index`.
    pub fn name(&self, index: usize) -> String {
        file_name(&self.pairs[index].0)
    }
}

/// The edge map of an image among those of its stem: the one of the same full name, else the only one.
fn map_of<'m>(image: &Path, of_stem: &'m [PathBuf]) -> Result<&'m PathBuf, String> {
    let same = of_stem
        .iter()
        .find(|map| map.file_name() == image.file_name());
    match (same, of_stem) {
        (Some(map), _) | (None, [map]) => Ok(map),
        (None, []) => Err("no edge map of its name".to_owned()),
        (None, maps) => Err(format!("{} edge maps of its name; keep one", maps.len())),
    }
}

impl ExampleSource for FolderExamples {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn pixels(&self) -> u64 {
        self.pixels
    }

    fn files(&self) -> Result<Vec<(PathBuf, Hash)>, TrainError> {
        let both = self
            .pairs
            .par_iter()
            .flat_map_iter(|(image, map)| [image, map]);
        let hashed = both.map(|path| {
            let hash = hash(path).map_err(|error| TrainError::Image {
                path: path.clone(),
                reason: error.to_string(),
            });
            Ok((path.clone(), hash?.finalize()))
        });
        hashed.collect()
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        let (image, map) = &self.pairs[index];
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error: DecodeError| TrainError::Image {
                path,
                reason: error.to_string(),
            }
        };
        let edges = decode_grey(map).map_err(unreadable(map))?;
        let image = decode(image).map_err(unreadable(image))?;
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

#[cfg(test)]
mod tests {
    use image::{Luma, Rgb};

    use super::*;

    #[test]
    fn maps_are_found_by_the_name_without_extension_and_what_has_none_is_told() {
        let (images, edges) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image = RgbImage::from_pixel(30, 20, Rgb([9; 3]));
        let map = GrayImage::from_pixel(30, 20, Luma([255]));
        for name in ["a.bmp", "b.png", "c.png", "d.png"] {
            image.save(images.path().join(name)).unwrap();
        }
        std::fs::write(images.path().join("e.png"), "broken").unwrap();
        std::fs::write(images.path().join("notes.txt"), "no image").unwrap();
        for name in ["a.png", "b.bmp", "b.png", "d.bmp", "d.jpg", "e.png"] {
            map.save(edges.path().join(name)).unwrap();
        }
        let open = |keep: fn(&str) -> bool| FolderExamples::open(images.path(), edges.path(), keep);
        let (examples, skipped) = open(|_| true).unwrap();
        let names: Vec<String> = (0..examples.len()).map(|i| examples.name(i)).collect();
        assert_eq!(
            (names, examples.pixels()),
            (vec!["a.bmp".into(), "b.png".into()], 600)
        );
        assert_eq!(examples.pairs[1].1, edges.path().join("b.png"));
        assert_eq!(examples.load(0).unwrap().edges, map);
        let reasons = skipped
            .iter()
            .map(|one| format!("{}: {}", file_name(&one.path), one.reason));
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                "c.png: no edge map of its name",
                "d.png: 2 edge maps of its name; keep one",
                "e.png: its content is no jpg, png or bmp",
            ]
        );
        // what was not asked for is not passed over
        assert!(open(|name| name < "c").unwrap().1.is_empty());
        assert!(matches!(
            open(|_| false),
            Err(TrainError::NoExamples { .. })
        ));
    }
}
