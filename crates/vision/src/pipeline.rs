//! From what is kept of an image and the eight parameters to lines and their score.
//!
//! [`see`] makes of an image what is kept, once; [`detect`] is the whole of what depends on the parameters; [`Seen`] is the whole of what does
//! not. Order: orientation, region growing for two presets, voters, filters, weighted line fit.

use bo_memory::host;
use half::f16;
use image::imageops::grayscale;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::contrast;
use crate::corner::{CornerError, Corners, FoundLine};
use crate::edge::{EdgeError, EdgeMap, EdgeNetwork, Ladder, LogitScale};
use crate::geometry::{Point, Rect, Segment};
use crate::line::{
    Ballot, CENTRE_TOLERANCES, Detectors, FitSettings, FittedLine, Voter, along_longer_axis,
    fit_line, inside, near_centre,
};
use crate::orientation::{BANK_WELD, LogitCrop, Orientation};
use crate::region::{GrownSegment, Growth, GrowthSettings};
use crate::score::{LineScore, score};
use crate::source::{LineKind, Truth};

/// Bytes of a pixel of one image that [`see`] holds at most beside the network, the decoded image among them, where
/// Hough's voters are wanted: most at their Canny edges. (Contrast takes 12, features of the environment 7.)
pub const OF_A_PIXEL: u64 = 22;

/// Bytes of a pixel that [`detect`] holds at most where it looks for lines in the whole of an image: [`Scratch`], and what is
/// kept of the image.
pub const OF_A_PIXEL_DETECTED: u64 = 42;

/// Pixels from which an image is large: giving free pages back takes less than a thousandth of the time that it is seen in.
const LARGE: usize = 4_000_000;

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

/// Shortest stretch of a classical voter inside a region, as a share of the region's diagonal.
const SHORTEST_VOTER: f32 = 0.05;

/// Coverage of a region's line at which the tolerance of the centrality filter is widened no more:
/// a fragment in the middle does not shut out the line beside it.
const ENOUGH_COVERAGE: f32 = 0.4;

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
    /// Segments of the classical detectors, in image pixels.
    pub voters: Vec<Segment>,
}

impl Seen {
    /// Keeps `logits` (row-major, as many as `enhanced` has pixels) and what `detectors` find in the
    /// contrast-enhanced grey image.
    ///
    /// # Panics
    /// If the number of logits differs from the number of pixels.
    pub fn new(logits: &[f32], enhanced: &GrayImage, detectors: Detectors) -> Self {
        let (width, height) = enhanced.dimensions();
        assert_eq!(
            logits.len(),
            width as usize * height as usize,
            "one logit per pixel"
        );
        let logits = logits.iter().map(|&logit| f16::from_f32(logit)).collect();
        Self::of(logits, enhanced, detectors)
    }

    fn of(logits: Vec<f16>, enhanced: &GrayImage, detectors: Detectors) -> Self {
        Self {
            width: enhanced.width(),
            height: enhanced.height(),
            logits,
            voters: detectors.segments(enhanced),
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
    /// Where it runs, in image pixels; in a region from border to border.
    pub segment: Segment,
    /// The part of it that something was seen of, as [`FittedLine::supported`]; all of it where there is no region.
    pub supported: Option<Segment>,
    /// Index of the region it was fitted in; `None` where all segments of the image are returned.
    pub region: Option<usize>,
}

impl DetectedLine {
    /// As a line of a scene; none where nothing was seen of it.
    pub fn found(&self, kind: LineKind) -> Option<FoundLine> {
        Some(FoundLine {
            kind,
            segment: self.segment,
            supported: self.supported?,
        })
    }
}

/// What is at work while an image is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Contrast enhancement before the network, classical detectors after it.
    Classical,
    /// The edge network.
    Network,
}

/// Does the work of a stage, and may time it.
pub trait Stages {
    /// Does it.
    fn during<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T;
}

/// Nobody asks how long a stage takes.
pub struct Untimed;

impl Stages for Untimed {
    fn during<T>(&self, _: Stage, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// What is kept of an image: contrast enhancement, the network's edge logits, and the voters. Of a large photograph each
/// of these takes [`OF_A_PIXEL`] bytes a pixel at most: nothing of it is held longer than it is needed.
///
/// # Errors
/// As [`EdgeNetwork::logits`].
pub fn see(
    rgb: RgbImage,
    network: &dyn EdgeNetwork,
    detectors: Detectors,
    stages: &impl Stages,
) -> Result<Seen, EdgeError> {
    let enhanced = stages.during(Stage::Classical, || contrast::enhance(&rgb));
    drop(rgb);
    let edges = stages.during(Stage::Network, || network.logits(&enhanced))?;
    Ok(stages.during(Stage::Classical, || {
        kept(edges, enhanced, network.scale(), detectors)
    }))
}

/// What is kept of images of one size, as [`see`] answers it, in batches as large as memory allows.
///
/// # Errors
/// As [`Ladder::all`].
pub fn see_together(
    images: Vec<RgbImage>,
    ladder: &Ladder,
    detectors: Detectors,
    stages: &impl Stages,
) -> Result<Vec<Seen>, EdgeError> {
    let enhanced: Vec<RgbImage> = stages.during(Stage::Classical, || {
        let all = images.into_par_iter();
        all.map(|rgb| contrast::enhance(&rgb)).collect()
    });
    let edges = stages.during(Stage::Network, || {
        ladder.all(&enhanced.iter().collect::<Vec<_>>())
    })?;
    Ok(stages.during(Stage::Classical, || {
        let seen = edges.into_par_iter().zip(enhanced);
        seen.map(|(edges, enhanced)| kept(edges, enhanced, ladder.scale(), detectors))
            .collect()
    }))
}

fn kept(edges: EdgeMap, enhanced: RgbImage, scale: LogitScale, detectors: Detectors) -> Seen {
    let kept = |logit: &f32| f16::from_f32(scale.apply(*logit));
    let logits = edges.logits.iter().map(kept).collect();
    drop(edges);
    let grey = grayscale(&enhanced);
    drop(enhanced);
    if grey.len() >= LARGE {
        // or voters come on top of what the network's maps have left in the heap
        host::trim();
    }
    Seen::of(logits, &grey, detectors)
}

/// Version of everything in [`see`] but the network itself: part of the key under which its output is kept.
pub fn preprocessing(network: &dyn EdgeNetwork, detectors: Detectors) -> String {
    let LogitScale { factor, shift } = network.scale();
    format!(
        "{}, logits {factor} {shift}, {}",
        contrast::VERSION,
        detectors.version()
    )
}

/// The working memory of detection: reused from image to image, grown to the largest region seen.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    crop: LogitCrop,
    orientation: Orientation,
    growth: Growth,
    ballot: Ballot,
}

impl Scratch {
    /// Bytes held, for the ledger: about 40 for each pixel of the largest region seen.
    pub fn bytes(&self) -> usize {
        self.crop.bytes() + self.orientation.bytes() + self.growth.bytes() + self.ballot.bytes()
    }
}

/// Finds at most one line in each of `regions`, in their order; a region without support yields
/// none. With no regions, all segments of the whole image as both presets grow them: no line is fitted there, so that
/// neither [`Seen::voters`] nor [`LineParameters::ransac_weight`] plays a part.
///
/// Regions are cut to the image. The result depends on the arguments alone.
pub fn detect(
    seen: &Seen,
    regions: &[Rect],
    parameters: &LineParameters,
    scratch: &mut Scratch,
) -> Vec<DetectedLine> {
    if regions.is_empty() {
        let segments = all_segments(seen, parameters, scratch);
        return segments
            .into_iter()
            .map(|segment| DetectedLine {
                segment,
                supported: Some(segment),
                region: None,
            })
            .collect();
    }
    let lines = regions.iter().enumerate().filter_map(|(index, bounds)| {
        let line = region_line(seen, *bounds, parameters, scratch)?;
        Some(DetectedLine {
            segment: line.segment,
            supported: line.supported,
            region: Some(index),
        })
    });
    lines.collect()
}

/// What was detected where lines are known, and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// As [`detect`] answers with the regions that the truth names.
    pub lines: Vec<DetectedLine>,
    /// The lines against the true ones.
    pub score: LineScore,
    /// The one number of them that counts: [`counted`].
    pub value: f64,
    /// The corner points that follow from the lines, where these are of a weld scene.
    pub corners: Corners,
    /// They against the true ones, where there are such.
    pub corner_error: Option<CornerError>,
}

/// Detects with the regions that `truth` names and judges the lines against it.
pub fn examine(
    seen: &Seen,
    truth: &Truth,
    parameters: &LineParameters,
    scratch: &mut Scratch,
) -> Examination {
    let lines = detect(seen, &truth.regions(), parameters, scratch);
    let detected: Vec<Segment> = lines.iter().map(|line| line.segment).collect();
    let kinds = truth.kinds();
    let of_kind = |line: &DetectedLine| line.found(kinds[line.region?]);
    let corners = Corners::from_lines(&lines.iter().filter_map(of_kind).collect::<Vec<_>>());
    let score = score(&detected, &truth.lines(), seen.width, seen.height);
    Examination {
        value: counted(&score, truth),
        score,
        corners,
        corner_error: Corners::from_truth(truth).map(|labelled| corners.error(&labelled)),
        lines,
    }
}

/// What an image is worth: LP_r where regions are named, since each of them answers one line at most, so that coverage
/// cannot be had by detecting everything; else F, since any number of segments may be grown there.
pub fn counted(score: &LineScore, truth: &Truth) -> f64 {
    match truth {
        Truth::Regions(_) => score.lp,
        Truth::Segments(_) => score.f,
    }
}

/// Name of [`counted`] where no regions are named, for the record: a run goes on by the measure it was begun with.
pub const COUNTED_WITHOUT_REGIONS: &str = "F";

/// Detects with the regions that `truth` names and scores the lines against it.
pub fn evaluate(
    seen: &Seen,
    truth: &Truth,
    parameters: &LineParameters,
    scratch: &mut Scratch,
) -> LineScore {
    examine(seen, truth, parameters, scratch).score
}

/// The one line of a region.
fn region_line(
    seen: &Seen,
    bounds: Rect,
    parameters: &LineParameters,
    scratch: &mut Scratch,
) -> Option<FittedLine> {
    let bounds = Rect {
        left: bounds.left,
        top: bounds.top,
        right: bounds.right.min(seen.width),
        bottom: bounds.bottom.min(seen.height),
    };
    if bounds.width() == 0 || bounds.height() == 0 {
        return None;
    }
    let mut found: Vec<(Segment, Voter)> = Vec::new();
    let presets = preset_segments(seen, bounds, parameters, scratch);
    for (segments, voter) in presets.into_iter().zip([Voter::Q, Voter::Qg]) {
        found.extend(segments.into_iter().map(|segment| (segment, voter)));
    }
    let shortest = SHORTEST_VOTER * bounds.diagonal();
    let others = seen
        .voters
        .iter()
        .filter_map(|segment| inside(segment, bounds));
    found.extend(
        others
            .filter(|s| s.length() >= shortest)
            .map(|segment| (segment, Voter::Other)),
    );

    found.retain(|(segment, _)| along_longer_axis(segment, bounds));
    let (segments, by): (Vec<Segment>, Vec<Voter>) = found.into_iter().unzip();
    central_line(
        seen,
        bounds,
        (&segments, &by),
        parameters,
        &mut scratch.ballot,
    )
}

/// The line of the segments near the centre of `bounds`: at the smallest tolerance at which it has
/// enough coverage, else at the one at which it has most.
fn central_line(
    seen: &Seen,
    bounds: Rect,
    (segments, by): (&[Segment], &[Voter]),
    parameters: &LineParameters,
    ballot: &mut Ballot,
) -> Option<FittedLine> {
    let settings = FitSettings::for_image(seen.width, seen.height);
    let mut best: Option<FittedLine> = None;
    let mut passed = 0;
    for tolerance in CENTRE_TOLERANCES {
        let central = near_centre(segments, bounds, tolerance);
        if central.len() == passed {
            continue;
        }
        passed = central.len();
        ballot.open(bounds);
        for &index in &central {
            ballot.mark(&segments[index], by[index]);
        }
        let candidates: Vec<Segment> = central.iter().map(|&index| segments[index]).collect();
        let votes = ballot.count(parameters.ransac_weight);
        let Some(line) = fit_line(&votes, &candidates, bounds, &settings) else {
            continue;
        };
        if best.is_none_or(|best| line.coverage > best.coverage) {
            best = Some(line);
        }
        if line.coverage >= ENOUGH_COVERAGE {
            break;
        }
    }
    best
}

/// Segments of both presets over the whole image, those of QG that repeat one of Q left out.
fn all_segments(seen: &Seen, parameters: &LineParameters, scratch: &mut Scratch) -> Vec<Segment> {
    let bounds = Rect::whole(seen.width, seen.height);
    let [mut segments, second] = preset_segments(seen, bounds, parameters, scratch);
    let first = segments.len();
    for segment in second {
        if !segments[..first].iter().any(|other| same(&segment, other)) {
            segments.push(segment);
        }
    }
    segments
        .iter()
        .filter_map(|segment| inside(segment, bounds))
        .collect()
}

/// True if the ends lie within a pixel and a half of each other.
fn same(a: &Segment, b: &Segment) -> bool {
    let near = |a: Point, b: Point| (a.x - b.x).abs() <= 1.5 && (a.y - b.y).abs() <= 1.5;
    (near(a.p0, b.p0) && near(a.p1, b.p1)) || (near(a.p0, b.p1) && near(a.p1, b.p0))
}

/// Grown segments of each preset within `bounds`, in image pixels.
fn preset_segments(
    seen: &Seen,
    bounds: Rect,
    parameters: &LineParameters,
    scratch: &mut Scratch,
) -> [Vec<Segment>; 2] {
    scratch.crop.read(&seen.logits, seen.width, bounds);
    scratch.orientation.compute(&scratch.crop, &BANK_WELD);
    let (left, top) = (bounds.left as f32, bounds.top as f32);
    [0, 1].map(|preset| {
        let settings = GrowthSettings {
            threshold: parameters.edge_threshold[preset],
            similarity: parameters.similarity[preset],
            least_pixels: (parameters.pixel_ratio[preset] * bounds.diagonal()) as usize,
        };
        let grown = scratch
            .growth
            .segments(&scratch.crop, &scratch.orientation, &settings);
        let shifted = grown.iter().map(
            |GrownSegment {
                 segment: Segment { p0, p1 },
                 ..
             }| { Segment::new(p0.x + left, p0.y + top, p1.x + left, p1.y + top) },
        );
        shifted.collect()
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::edge::EdgeModel;
    use crate::scene::Scene;
    use crate::source::Region;

    /// Logits of -6 but for lines of logit 5, three pixels wide and fading.
    fn seen(width: u32, height: u32, lines: &[Segment]) -> Seen {
        let mut logits = vec![f16::from_f32(-6.0); (width * height) as usize];
        for (index, logit) in logits.iter_mut().enumerate() {
            let point = Point::new((index as u32 % width) as f32, (index as u32 / width) as f32);
            let nearest = lines
                .iter()
                .map(|s| s.distance(point))
                .fold(f32::INFINITY, f32::min);
            if nearest < 2.5 {
                *logit = f16::from_f32(5.0 - 4.0 * nearest);
            }
        }
        Seen {
            width,
            height,
            logits,
            voters: Vec::new(),
        }
    }

    fn region(left: u32, top: u32, right: u32, bottom: u32, line: Segment) -> Region {
        Region {
            bounds: Rect {
                left,
                top,
                right,
                bottom,
            },
            kind: LineKind::Other,
            line,
        }
    }

    #[test]
    fn a_clean_line_in_each_region_scores_nearly_one() {
        let lines = [
            Segment::new(40.0, 60.0, 280.0, 84.0),
            Segment::new(60.0, 110.0, 75.0, 220.0),
        ];
        let seen = seen(320, 240, &lines);
        let truth = Truth::Regions(vec![
            region(30, 40, 290, 105, lines[0]),
            region(40, 100, 95, 230, lines[1]),
        ]);
        let score = evaluate(
            &seen,
            &truth,
            &LineParameters::default(),
            &mut Scratch::default(),
        );
        assert!(score.lp > 0.85 && score.precision > 0.7, "{score:?}");
    }

    #[test]
    fn without_regions_all_segments_count() {
        let lines = [
            Segment::new(40.0, 60.0, 280.0, 84.0),
            Segment::new(60.0, 110.0, 75.0, 220.0),
        ];
        let seen = seen(320, 240, &lines);
        let truth = Truth::Segments(lines.to_vec());
        let score = evaluate(
            &seen,
            &truth,
            &LineParameters::default(),
            &mut Scratch::default(),
        );
        assert!(score.lp > 0.8 && score.precision > 0.8, "{score:?}");
    }

    #[test]
    fn false_lines_cost_where_no_region_bounds_their_number() {
        let lines = [
            Segment::new(40.0, 60.0, 280.0, 84.0),
            Segment::new(60.0, 110.0, 75.0, 220.0),
        ];
        let seen = seen(320, 240, &lines);
        let look = |truth: Truth| {
            let parameters = LineParameters::default();
            examine(&seen, &truth, &parameters, &mut Scratch::default())
        };
        let whole = look(Truth::Segments(lines.to_vec()));
        let strays = look(Truth::Segments(lines[..1].to_vec()));
        assert_eq!((whole.value, strays.value), (whole.score.f, strays.score.f));
        assert!(strays.score.lp > 0.8 && strays.value < whole.value - 0.1);
        let bounded = look(Truth::Regions(vec![region(30, 40, 290, 105, lines[0])]));
        assert_eq!(bounded.value, bounded.score.lp);
    }

    #[test]
    fn a_voter_alone_makes_the_line_where_presets_see_nothing() {
        let line = Segment::new(20.0, 50.0, 180.0, 60.0);
        let mut seen = seen(200, 100, &[]);
        seen.voters.push(line);
        let bounds = [Rect {
            left: 10,
            top: 30,
            right: 190,
            bottom: 80,
        }];
        let found = detect(
            &seen,
            &bounds,
            &LineParameters::default(),
            &mut Scratch::default(),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].region, Some(0));
        assert!(
            line.distance(found[0].segment.p0)
                .max(line.distance(found[0].segment.p1))
                < 12.0
        );
    }

    #[test]
    fn nothing_to_see_is_no_line_and_odd_regions_are_survived() {
        let seen = seen(64, 48, &[]);
        let odd = [
            Rect::whole(64, 48),
            Rect {
                left: 60,
                top: 40,
                right: 900,
                bottom: 900,
            },
            Rect {
                left: 30,
                top: 30,
                right: 10,
                bottom: 10,
            },
            Rect {
                left: 500,
                top: 500,
                right: 600,
                bottom: 600,
            },
            Rect {
                left: 5,
                top: 5,
                right: 6,
                bottom: 6,
            },
        ];
        let mut scratch = Scratch::default();
        assert!(detect(&seen, &odd, &LineParameters::default(), &mut scratch).is_empty());
        let all = LineParameters {
            edge_threshold: [-23.0; 2],
            ..LineParameters::default()
        };
        detect(&seen, &odd, &all, &mut scratch);
    }

    #[test]
    fn used_scratch_changes_nothing() {
        let line = Segment::new(40.0, 60.0, 280.0, 84.0);
        let seen = seen(320, 240, &[line]);
        let regions = [
            Rect {
                left: 30,
                top: 40,
                right: 290,
                bottom: 105,
            },
            Rect::whole(100, 100),
        ];
        let mut used = Scratch::default();
        let parameters = LineParameters::default();
        detect(&seen, &[], &parameters, &mut used);
        let again = detect(&seen, &regions, &parameters, &mut used);
        assert_eq!(
            again,
            detect(&seen, &regions, &parameters, &mut Scratch::default())
        );
    }

    #[test]
    fn thresholds_meet_the_logits_they_were_made_for() {
        // the original's range and defaults are on DexiNed's logits: they are kept as they are
        assert_eq!(EdgeModel::DexiNed.scale().apply(-3.25), -3.25);
        let [low, high] = [PARAMETERS[0].low as f32, PARAMETERS[0].high as f32];
        let network = EdgeModel::Compact.load(None, &Device::Cpu).unwrap();
        let image = Scene::generate(1, 0).image;
        let mut kept: Vec<f32> = see(
            image.clone(),
            network.as_ref(),
            Detectors::default(),
            &Untimed,
        )
        .unwrap()
        .logits
        .into_iter()
        .map(f16::to_f32)
        .collect();
        kept.sort_by(f32::total_cmp);
        // the lower end lets most of the image through (flat ground of compact lies below it), the upper next to nothing
        let below = kept.partition_point(|logit| *logit <= low) as f64 / kept.len() as f64;
        let above = kept.partition_point(|logit| *logit <= high) as f64 / kept.len() as f64;
        assert!(below < 0.25 && above > 0.95, "{below} {above}");
        assert!(preprocessing(network.as_ref(), Detectors::default()).contains("logits 3.5 -5.5"));
    }

    #[test]
    fn images_seen_together_are_what_each_is_alone() {
        let network = || EdgeModel::Compact.load(None, &Device::Cpu).unwrap();
        let images: Vec<RgbImage> = (0..3)
            .map(|k| RgbImage::from_fn(70, 50, move |x, y| image::Rgb([(x * k) as u8, y as u8, 9])))
            .collect();
        let ladder = Ladder::new(network(), |_| u64::MAX, |_| ());
        let together =
            see_together(images.clone(), &ladder, Detectors::default(), &Untimed).unwrap();
        assert!(ladder.safe().is_empty(), "3 are no full batch");
        for (image, seen) in images.iter().zip(together) {
            assert_eq!(
                seen,
                see(
                    image.clone(),
                    network().as_ref(),
                    Detectors::default(),
                    &Untimed
                )
                .unwrap()
            );
        }
    }

    #[test]
    fn parameters_carry_the_names_ranges_and_defaults_of_the_original() {
        for parameter in PARAMETERS {
            assert!(parameter.low <= parameter.default && parameter.default <= parameter.high);
        }
        let default = LineParameters::default();
        assert_eq!(default.edge_threshold, [-3.0, 1.0]);
        assert_eq!(default.similarity, [0.98, 0.75]);
        assert_eq!(
            (default.pixel_ratio, default.ransac_weight),
            ([0.05; 2], [5.0; 2])
        );
    }
}
