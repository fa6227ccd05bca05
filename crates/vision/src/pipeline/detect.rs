//! Lines of an image from what is kept of it and the parameters.
//!
//! [`detect`] is the whole of what depends on the parameters. Order: orientation, region growing for two presets, voters, filters,
//! weighted line fit.

use crate::corner::FoundLine;
use crate::geometry::{Point, Rect, Segment};
use crate::line::{
    Ballot, CENTRE_TOLERANCES, FitSettings, FittedLine, Voter, along_longer_axis, fit_line, inside,
    near_centre,
};
use crate::orientation::{BANK_WELD, LogitCrop, Orientation};
use crate::pipeline::{LineParameters, Seen};
use crate::region::{GrownSegment, Growth, GrowthSettings};
use crate::source::LineKind;

/// Bytes of a pixel that [`detect`] holds at most where it looks for lines in the whole of an image: [`Scratch`], and what is
/// kept of the image.
pub const OF_A_PIXEL_DETECTED: u64 = 42;

/// Shortest stretch of a classical voter inside a region, as a share of the region's diagonal.
const SHORTEST_VOTER: f32 = 0.05;

/// Coverage of a region's line at which the tolerance of the centrality filter is widened no more:
/// a fragment in the middle does not shut out the line beside it.
const ENOUGH_COVERAGE: f32 = 0.4;

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
pub(super) mod tests {
    use half::f16;

    use super::*;

    /// Logits of -6 but for lines of logit 5, three pixels wide and fading.
    pub(in crate::pipeline) fn seen(width: u32, height: u32, lines: &[Segment]) -> Seen {
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
}
