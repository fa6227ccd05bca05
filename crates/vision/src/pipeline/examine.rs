//! What detected lines are worth where the true ones are known.
//!
//! Central type [`Examination`]; [`counted`] says which of its numbers counts.

use crate::corner::{CornerError, Corners};
use crate::geometry::Segment;
use crate::pipeline::{DetectedLine, LineParameters, Scratch, Seen, detect};
use crate::score::{LineScore, score};
use crate::source::Truth;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use crate::pipeline::detect::tests::seen;
    use crate::source::{LineKind, Region};

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
}
