//! Where labelled images come from, one at a time.
//!
//! [`ImageSource`] is the seam between images and everything else: generated scenes, folders of
//! photographs and corrupted variants implement it. Nothing holds all images at once.

use blake3::Hash;
use image::RgbImage;

use crate::feature::environment_features;
use crate::geometry::{Rect, Segment};

/// What kind of line a region holds, in a weld scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Left longitudinal.
    LongitudinalLeft,
    /// Right longitudinal.
    LongitudinalRight,
    /// The fillet between the longitudinals.
    Fillet,
    /// The collar.
    Collar,
    /// Any other line.
    Other,
}

/// A region of interest that holds exactly one true line.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Where to look.
    pub bounds: Rect,
    /// What is to be found there.
    pub kind: LineKind,
    /// The true line.
    pub line: Segment,
}

/// The true lines of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// One line per region: the pipeline fits one line in each.
    Regions(Vec<Region>),
    /// Lines without regions: all detected segments count.
    Segments(Vec<Segment>),
}

impl Truth {
    /// The true lines.
    pub fn lines(&self) -> Vec<Segment> {
        match self {
            Self::Regions(regions) => regions.iter().map(|region| region.line).collect(),
            Self::Segments(lines) => lines.clone(),
        }
    }

    /// The regions to look in; none where all segments of the image count.
    pub fn regions(&self) -> Vec<Rect> {
        match self {
            Self::Regions(regions) => regions.iter().map(|region| region.bounds).collect(),
            Self::Segments(_) => Vec::new(),
        }
    }

    /// What each region holds.
    pub fn kinds(&self) -> Vec<LineKind> {
        match self {
            Self::Regions(regions) => regions.iter().map(|region| region.kind).collect(),
            Self::Segments(_) => Vec::new(),
        }
    }
}

/// One decoded image with its labels.
#[derive(Clone, Debug)]
pub struct LabelledImage {
    /// Pixels, 8-bit RGB.
    pub pixels: RgbImage,
    /// True lines in the image's own pixels.
    pub truth: Truth,
}

/// Everything about an image but its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Columns and rows.
    pub size: (u32, u32),
    /// Its environment features, raw: [`environment_features`].
    pub features: [f64; 6],
    /// True lines in the image's own pixels.
    pub truth: Truth,
}

impl Glance {
    /// Of an image that was loaded.
    pub fn of(image: LabelledImage) -> Self {
        Self {
            size: image.pixels.dimensions(),
            features: environment_features(&image.pixels),
            truth: image.truth,
        }
    }
}

/// A finite, ordered collection of labelled images that are loaded one at a time.
///
/// Loading index `i` twice gives the same image bit for bit.
pub trait ImageSource: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Short name of image `index`, unique in the source, for messages and records.
    fn name(&self, index: usize) -> &str;

    /// Hash of what image `index` is made of (file content and labels, or generator version, seed
    /// and number). Equal hash means equal pixels and truth.
    fn content_hash(&self, index: usize) -> Hash;

    /// Hash of what the pixels of image `index` alone are made of: other labels leave it as it is.
    fn pixel_hash(&self, index: usize) -> Hash {
        self.content_hash(index)
    }

    /// What is known of image `index`. The first time it may have to be loaded; the source holds it from then on.
    ///
    /// # Errors
    /// As [`Self::load`].
    fn glance(&self, index: usize) -> Result<Glance, SourceError>;

    /// Decodes or generates image `index`.
    ///
    /// # Errors
    /// The file has gone, has changed, or no longer decodes.
    fn load(&self, index: usize) -> Result<LabelledImage, SourceError>;
}

/// An image that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading or decoding failed.
    #[error("image {name}: {reason}")]
    Unreadable {
        /// The image.
        name: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// The image is larger than the decoder is allowed to open.
    #[error("image {name}: {width} x {height} pixels exceed the limit of {limit}")]
    TooLarge {
        /// The image.
        name: String,
        /// Columns by the header.
        width: u32,
        /// Rows by the header.
        height: u32,
        /// Largest allowed number of pixels.
        limit: u64,
    },
}
