//! Labelled photographs of folders as images that are loaded one at a time.
//!
//! [`FolderSource::open`] checks every image once (header, size, content, labels) and names what it passes over. An image and
//! its labels are identified by a BLAKE3 hash; what decoding an image taught is kept by the hash of its file
//! ([`KeptLooks`]), so that opening it again reads the file and decodes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use blake3::Hash;
use rayon::prelude::*;

use super::album::{Album, Photograph};
use super::files::{broken_off, file_name, hash, named, some_image_files};
use super::{OpenError, Skipped};
use crate::decode::{self, DecodeError, decode};
use crate::feature::Look;
use crate::kept::KeptLooks;
use crate::labels::LabelSet;
use crate::source::{Glance, ImageSource, LabelledImage, SourceError};

/// Images in memory at once while folders are opened.
const BLOCK: usize = 4;
/// Names given as examples in a message.
const EXAMPLES: usize = 3;
/// Labelled photographs of one or more folders, in the order of the pairs and of the file names.
#[derive(Clone, Debug)]
pub struct FolderSource {
    album: Album,
    /// On whole folders: labels without an image, images that break off, labels beyond their image.
    remarks: Vec<String>,
}

impl FolderSource {
    /// Opens pairs of (folder of images, label file or folder). Every image that `looks` does not know is decoded,
    /// to see that it can be and for its features, and made known to it.
    ///
    /// # Errors
    /// See [`OpenError`]. An image that cannot be used is not an error but returned with its reason, unless none is left.
    pub fn open(
        pairs: &[(PathBuf, PathBuf)],
        looks: &mut KeptLooks,
    ) -> Result<(Self, Vec<Skipped>), OpenError> {
        if pairs.is_empty() {
            return Err(OpenError::NoPair);
        }
        let mut skipped = Vec::new();
        let mut remarks = Vec::new();
        let mut seen = 0;
        // all labels are looked at before any image is decoded
        let mut labelled = Vec::new();
        for (images, labels) in pairs {
            let (set, unread) = LabelSet::open(labels)?;
            skipped.extend(unread.into_iter().map(|one| Skipped {
                path: one.path,
                reason: one.error.to_string(),
            }));
            let (files, foreign) = some_image_files(images)?;
            skipped.extend(foreign);
            seen += files.len();
            if !files
                .iter()
                .any(|file| set.find(&file_name(file)).is_some())
            {
                return Err(OpenError::NoMatch {
                    images: images.clone(),
                    labels: labels.clone(),
                    labelled: set.len(),
                    labelled_examples: set.names().take(EXAMPLES).map(str::to_owned).collect(),
                    present: files.len(),
                    present_examples: files
                        .iter()
                        .take(EXAMPLES)
                        .map(|file| file_name(file))
                        .collect(),
                });
            }
            remarks.extend(without_image(&set, &files, labels));
            labelled.push((set, files));
        }
        let mut photographs = Vec::new();
        for (folder, (set, files)) in labelled.into_iter().enumerate() {
            for block in files.chunks(BLOCK) {
                let opened: Vec<_> = block
                    .par_iter()
                    .map(|file| photograph(folder, file, &set, looks))
                    .collect();
                for (path, one) in block.iter().zip(opened) {
                    match one {
                        Ok(photograph) => {
                            let Glance { size, features, .. } = photograph.glance;
                            looks.learn(photograph.pixel_hash, Look { size, features });
                            photographs.push(photograph);
                        }
                        Err(reason) => skipped.push(Skipped {
                            path: path.clone(),
                            reason,
                        }),
                    }
                }
            }
        }
        if photographs.is_empty() {
            let mut reasons: Vec<String> = skipped
                .iter()
                .take(EXAMPLES)
                .map(Skipped::to_string)
                .collect();
            if skipped.len() > EXAMPLES {
                reasons.push(format!("and {} more", skipped.len() - EXAMPLES));
            }
            return Err(OpenError::NoneLeft {
                images: seen,
                reasons,
            });
        }
        distinguish(&mut photographs);
        let of = |what: fn(&Photograph) -> bool| {
            let those = photographs.iter().filter(|one| what(one));
            named(those.map(|one| one.name.as_str()))
        };
        let broken = of(|one| one.broken_off).map(|names| broken_off(&names));
        let outside = of(|one| one.reaches_out).map(|names| {
            format!("{names}: labelled lines reach beyond the image; what lies outside of it does not count")
        });
        remarks.extend(broken.into_iter().chain(outside));
        let folders = pairs.iter().map(|(images, _)| images.clone()).collect();
        Ok((
            Self {
                album: Album::new(folders, photographs),
                remarks,
            },
            skipped,
        ))
    }

    /// Columns and rows of image `index`.
    pub fn size(&self, index: usize) -> (u32, u32) {
        self.album.size(index)
    }

    /// Remarks on labels and images: labels without an image, images that break off, labels that reach beyond their image or
    /// name no regions, and of single images such as a curved line taken as straight.
    pub fn notes(&self) -> Vec<String> {
        let without = self.without_regions();
        [
            self.remarks.as_slice(),
            without.as_slice(),
            self.album.notes(),
        ]
        .concat()
    }

    /// What is said of images whose labels name no regions, if there are such: see
    /// [`detect`](crate::pipeline::detect).
    fn without_regions(&self) -> Option<String> {
        let count = self.album.without_regions();
        (count > 0).then(|| {
            format!(
                "{count} of {} images have labels without regions: their score is F (coverage and precision) of all \
                 segments grown, so a line that nobody labelled counts as false, and voters, ransac_weight_q and \
                 ransac_weight_qg have no influence",
                self.album.len()
            )
        })
    }

    /// The file of image `index`.
    pub fn path(&self, index: usize) -> PathBuf {
        self.album.path(index)
    }
}

impl ImageSource for FolderSource {
    fn len(&self) -> usize {
        self.album.len()
    }

    fn name(&self, index: usize) -> &str {
        self.album.name(index)
    }

    fn content_hash(&self, index: usize) -> Hash {
        self.album.hash(index)
    }

    fn pixel_hash(&self, index: usize) -> Hash {
        self.album.pixel_hash(index)
    }

    fn glance(&self, index: usize) -> Result<Glance, SourceError> {
        Ok(self.album.glance(index))
    }

    fn load(&self, index: usize) -> Result<LabelledImage, SourceError> {
        let (path, name) = (self.path(index), self.name(index).to_owned());
        let unreadable = |reason| SourceError::Unreadable {
            name: name.clone(),
            reason,
        };
        let pixels = decode(&path).map_err(|error| match error {
            DecodeError::Size {
                width,
                height,
                limit,
            } => SourceError::TooLarge {
                name: name.clone(),
                width,
                height,
                limit,
            },
            other => unreadable(other.to_string()),
        })?;
        let now = hash(&path).map_err(|error| unreadable(error.to_string()))?;
        if now.finalize() != self.pixel_hash(index) {
            return Err(unreadable(
                "the file has changed since it was opened".to_owned(),
            ));
        }
        Ok(LabelledImage {
            pixels,
            truth: self.album.truth(index),
        })
    }
}

/// A remark on labels that belong to none of the images, if there are such.
fn without_image(set: &LabelSet, files: &[PathBuf], labels: &Path) -> Option<String> {
    let there: BTreeSet<String> = files
        .iter()
        .flat_map(|file| {
            let stem = file.file_stem().unwrap_or_default();
            [file_name(file), stem.to_string_lossy().into_owned()]
        })
        .collect();
    let lost: Vec<&str> = set.names().filter(|name| !there.contains(*name)).collect();
    let examples = lost
        .iter()
        .take(EXAMPLES)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    (!lost.is_empty()).then(|| {
        format!(
            "{}: {} of {} labelled images are not in the folder (such as {examples})",
            labels.display(),
            lost.len(),
            set.len()
        )
    })
}

/// Checks one image file against the labels.
fn photograph(
    folder: usize,
    path: &Path,
    set: &LabelSet,
    looks: &KeptLooks,
) -> Result<Photograph, String> {
    let name = file_name(path);
    let labels = set.find(&name).ok_or("no labels for it")?;
    if labels.lines.is_empty() {
        return Err("its labels hold no line".to_owned());
    }
    let words = |error: std::io::Error| error.to_string();
    let mut hasher = hash(path).map_err(words)?;
    let pixel_hash = hasher.finalize();
    let Look { size, features } = match looks.get(&pixel_hash) {
        Some(look) => look,
        None => {
            let pixels = decode(path).map_err(|error| error.to_string())?;
            // what was seen is kept under this hash for good
            if hash(path).map_err(words)?.finalize() != pixel_hash {
                return Err("the file changed while it was opened".to_owned());
            }
            Look::at(&pixels)
        }
    };
    let truth = labels.truth(size.0, size.1).ok_or_else(|| {
        format!(
            "all labelled lines lie outside its {} x {} pixels",
            size.0, size.1
        )
    })?;
    hasher.update(&labels.fingerprint());
    Ok(Photograph {
        broken_off: decode::broken_off(path),
        reaches_out: labels.reaches_out(size.0, size.1),
        folder,
        file: path.file_name().unwrap_or_default().into(),
        name,
        pixel_hash,
        hash: hasher.finalize(),
        glance: Glance {
            size,
            features,
            truth,
        },
        notes: labels.notes.clone(),
    })
}

/// Puts a number in front of names that occur more than once.
fn distinguish(photographs: &mut [Photograph]) {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for photograph in photographs.iter() {
        *uses.entry(photograph.name.clone()).or_default() += 1;
    }
    let mut turn: BTreeMap<String, usize> = BTreeMap::new();
    for photograph in photographs {
        if uses[&photograph.name] > 1 {
            let number = turn.entry(photograph.name.clone()).or_default();
            *number += 1;
            photograph.name = format!("{number}/{}", photograph.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::source::Truth;

    fn save(folder: &Path, name: &str, shade: u8) {
        RgbImage::from_pixel(100, 80, image::Rgb([shade; 3]))
            .save(folder.join(name))
            .unwrap();
    }

    fn open(pairs: &[(PathBuf, PathBuf)]) -> Result<(FolderSource, Vec<Skipped>), OpenError> {
        FolderSource::open(pairs, &mut KeptLooks::default())
    }

    #[test]
    fn what_is_known_by_content_is_not_decoded_again_and_a_changed_file_is() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), "a.png", 10);
        save(folder.path(), "b.png", 90);
        for stem in ["a", "b"] {
            std::fs::write(folder.path().join(format!("{stem}.txt")), "1 2 60 70\n").unwrap();
        }
        let pairs = [(folder.path().to_owned(), folder.path().to_owned())];
        let mut looks = KeptLooks::default();
        let (first, _) = FolderSource::open(&pairs, &mut looks).unwrap();
        let glances = |source: &FolderSource| {
            (0..source.len())
                .map(|index| source.glance(index).unwrap())
                .collect::<Vec<_>>()
        };
        // whatever is kept of a content is believed: so it is seen that nothing was decoded
        let told = Look {
            size: (100, 80),
            features: [0.25; 6],
        };
        let mut claimed = KeptLooks::default();
        claimed.learn(first.pixel_hash(0), told);
        let (second, _) = FolderSource::open(&pairs, &mut claimed).unwrap();
        assert_eq!(second.glance(0).unwrap().features, told.features);
        assert_eq!(glances(&second)[1], glances(&first)[1]);
        assert_eq!(second.content_hash(0), first.content_hash(0));
        save(folder.path(), "a.png", 11);
        let (third, _) = FolderSource::open(&pairs, &mut claimed).unwrap();
        assert!((third.glance(0).unwrap().features[0] - 11.0 / 255.0).abs() < 1e-12);
    }

    #[test]
    fn unusable_images_are_named_and_the_rest_is_loaded() {
        let (images, labels) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        save(images.path(), "a.png", 10);
        save(images.path(), "b.bmp", 20);
        std::fs::write(images.path().join("c.jpg"), "broken").unwrap();
        save(images.path(), "d.png", 30);
        save(images.path(), "e.png", 30);
        std::fs::write(images.path().join("f.tif"), "x").unwrap();
        for stem in ["a", "b", "c", "z"] {
            std::fs::write(labels.path().join(format!("{stem}_gt.txt")), "1 2 60 70\n").unwrap();
        }
        std::fs::write(labels.path().join("e_gt.txt"), "300 300 400 400\n").unwrap();
        let pair = (images.path().to_owned(), labels.path().to_owned());
        let (source, skipped) = open(std::slice::from_ref(&pair)).unwrap();
        assert_eq!(
            (0..source.len())
                .map(|i| source.name(i))
                .collect::<Vec<_>>(),
            ["a.png", "b.bmp"]
        );
        let reasons: Vec<String> = skipped
            .iter()
            .map(|one| format!("{} {}", file_name(&one.path), one.reason))
            .collect();
        assert_eq!(
            reasons,
            [
                "f.tif not jpg, png or bmp",
                "c.jpg its content is no jpg, png or bmp",
                "d.png no labels for it",
                "e.png all labelled lines lie outside its 100 x 80 pixels",
            ]
        );
        let notes = source.notes();
        assert!(
            notes[1].starts_with("2 of 2 images have labels without regions"),
            "{notes:?}"
        );
        let image = source.load(1).unwrap();
        assert_eq!(image.pixels.get_pixel(5, 5).0, [20; 3]);
        assert!(matches!(image.truth, Truth::Segments(_)));
        save(images.path(), "b.bmp", 21);
        let message = source.load(1).unwrap_err().to_string();
        assert!(
            message.contains("b.bmp") && message.contains("has changed"),
            "{message}"
        );
        save(images.path(), "b.bmp", 20);
        let before = source.content_hash(0);
        std::fs::write(labels.path().join("a_gt.txt"), "1 2 60 71\n").unwrap();
        let (changed, _) = open(&[pair]).unwrap();
        assert_ne!(changed.content_hash(0), before);
        assert_eq!(changed.pixel_hash(0), source.pixel_hash(0));
        assert_eq!(changed.content_hash(1), source.content_hash(1));
    }

    #[test]
    fn labels_that_match_nothing_name_both_sides() {
        let (images, labels) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(labels.path().join("z_gt.txt"), "1 2 60 70\n").unwrap();
        let pair = (images.path().to_owned(), labels.path().to_owned());
        assert!(matches!(
            open(std::slice::from_ref(&pair)),
            Err(OpenError::NoImages { .. })
        ));
        save(images.path(), "a.png", 10);
        let message = open(std::slice::from_ref(&pair)).unwrap_err().to_string();
        assert!(
            message.contains("such as z)") && message.contains("such as a.png)"),
            "{message}"
        );
        std::fs::write(labels.path().join("a_gt.txt"), "1 2 60 70\n").unwrap();
        std::fs::write(images.path().join("a.png"), "broken").unwrap();
        let message = open(&[pair]).unwrap_err().to_string();
        assert!(message.contains("none of 1 is usable"), "{message}");
    }

    #[test]
    fn names_that_occur_twice_are_told_apart() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &two] {
            save(folder.path(), "a.png", 10);
            std::fs::write(folder.path().join("a.txt"), "1 2 60 70\n").unwrap();
        }
        let pairs: Vec<_> = [&one, &two]
            .iter()
            .map(|f| (f.path().to_owned(), f.path().to_owned()))
            .collect();
        let (source, _) = open(&pairs).unwrap();
        assert_eq!((source.name(0), source.name(1)), ("1/a.png", "2/a.png"));
    }

    #[test]
    fn shared_data_opens_when_it_is_there() {
        let root = std::env::var_os("BO_DATA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
            PathBuf::from,
        );
        for (set, images, labels) in [
            ("york_lines", "images", "gt"),
            ("chessboard_lines", "images", "annotations"),
            ("lane_lines", "image", "lines"),
            ("weld_seam", "images", "annotations"),
        ] {
            let folder = root.join(set);
            if !folder.is_dir() {
                use std::io::Write;
                let _ = writeln!(std::io::stderr(), "skipped: {} absent", folder.display());
                continue;
            }
            let (source, skipped) = open(&[(folder.join(images), folder.join(labels))]).unwrap();
            assert!(skipped.is_empty(), "{set}: {skipped:?}");
            assert!(!source.is_empty());
        }
    }
}
