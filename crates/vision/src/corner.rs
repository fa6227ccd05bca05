//! The corner points of a weld scene, twelve numbers in the original's labels, from its lines; and how far off they are.
//!
//! Central type [`Corners`]. Feet are where a longitudinal or the collar meets the fillet, heads the upper ends.

use crate::geometry::{Point, Segment};
use crate::line::StraightLine;
use crate::source::{LineKind, Truth};

/// Names of the points, in the order of [`Corners::points`]; labels hold `<name>_x` and `<name>_y`.
pub const CORNER_NAMES: [&str; 6] = [
    "longi_left_lower",
    "longi_left_upper",
    "longi_right_lower",
    "longi_right_upper",
    "collar_left_lower",
    "collar_left_upper",
];

/// The lines that stand on the fillet, in the order of the names.
const STANDING: [LineKind; 3] = [
    LineKind::LongitudinalLeft,
    LineKind::LongitudinalRight,
    LineKind::Collar,
];

/// Sine of the smallest angle at which two lines are taken to meet.
const MEETING: f32 = 0.1;

/// How far from a line's lower end its foot may lie, as a share of its length.
const REACH: f32 = 0.5;

/// Share of a line's run through its region that must have been seen for its head to lie where votes end. Where less was
/// seen the votes broke off, and the border of the region is nearer. Measured in `experiments/scenes`.
const SEEN: f32 = 0.8;

/// A line of a scene as it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundLine {
    /// Which it is.
    pub kind: LineKind,
    /// From border to border of its region.
    pub segment: Segment,
    /// The part of it that something was seen of.
    pub supported: Segment,
}

/// Corner points, in pixels; a point is absent where its line is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Corners {
    /// In the order of [`CORNER_NAMES`].
    pub points: [Option<Point>; 6],
}

/// How far found points lie from labelled ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CornerError {
    /// Mean distance in pixels over the points that are both found and labelled; `None` without any.
    pub mean: Option<f64>,
    /// Points that are both.
    pub found: usize,
    /// Points that are labelled.
    pub labelled: usize,
}

impl FoundLine {
    /// A line that was seen from end to end.
    pub fn whole(kind: LineKind, segment: Segment) -> Self {
        Self {
            kind,
            segment,
            supported: segment,
        }
    }
}

impl Corners {
    /// From detected lines, the first of each kind. A head is where votes end if four fifths of the line were seen, else
    /// the border of the region. A foot is the intersection with the fillet; where there is no
    /// fillet, or it is met nowhere near the line's lower end, that end.
    pub fn from_lines(lines: &[FoundLine]) -> Self {
        Self::of(lines, true)
    }

    /// From true lines: their own ends. `None` unless the lines are those of a weld scene.
    pub fn from_truth(truth: &Truth) -> Option<Self> {
        let Truth::Regions(regions) = truth else {
            return None;
        };
        let lines: Vec<FoundLine> = regions
            .iter()
            .map(|region| FoundLine::whole(region.kind, region.line))
            .collect();
        let corners = Self::of(&lines, false);
        corners
            .points
            .iter()
            .any(Option::is_some)
            .then_some(corners)
    }

    fn of(lines: &[FoundLine], met: bool) -> Self {
        let line = |kind: LineKind| lines.iter().find(|line| line.kind == kind);
        let fillet = line(LineKind::Fillet).filter(|_| met);
        let mut points = [None; 6];
        for (pair, kind) in points.as_chunks_mut::<2>().0.iter_mut().zip(STANDING) {
            let Some(found) = line(kind) else {
                continue;
            };
            let own = found.segment;
            let (lower, upper) = upright(own);
            let head = match found.supported.length() >= SEEN * own.length() {
                true => upright(found.supported).1,
                false => upper,
            };
            let foot = fillet
                .and_then(|fillet| intersection(&own, &fillet.segment))
                .filter(|foot| {
                    let off = (foot.x - lower.x).hypot(foot.y - lower.y);
                    off <= REACH * own.length()
                });
            *pair = [Some(foot.unwrap_or(lower)), Some(head)];
        }
        Self { points }
    }

    /// How far these points lie from the labelled ones.
    pub fn error(&self, labelled: &Self) -> CornerError {
        let pairs = self.points.iter().zip(&labelled.points);
        let distances: Vec<f64> = pairs
            .filter_map(|(found, labelled)| Some((*found)?).zip(*labelled))
            .map(|(a, b)| f64::from((a.x - b.x).hypot(a.y - b.y)))
            .collect();
        CornerError {
            mean: (!distances.is_empty())
                .then(|| distances.iter().sum::<f64>() / distances.len() as f64),
            found: distances.len(),
            labelled: labelled.points.iter().flatten().count(),
        }
    }
}

/// The ends, the lower (larger y) first.
fn upright(segment: Segment) -> (Point, Point) {
    match segment.p0.y >= segment.p1.y {
        true => (segment.p0, segment.p1),
        false => (segment.p1, segment.p0),
    }
}

/// Where the lines along two segments meet; `None` if they are nearly parallel or have no length.
pub fn intersection(a: &Segment, b: &Segment) -> Option<Point> {
    let (a, b) = (StraightLine::along(a)?, StraightLine::along(b)?);
    let cross = a.direction.0 * b.direction.1 - a.direction.1 * b.direction.0;
    if cross.abs() < MEETING {
        return None;
    }
    let (dx, dy) = (b.origin.x - a.origin.x, b.origin.y - a.origin.y);
    Some(a.at((dx * b.direction.1 - dy * b.direction.0) / cross))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::SceneSource;
    use crate::source::{ImageSource, Region};

    #[test]
    fn feet_are_met_on_the_fillet_and_errors_are_distances() {
        let lines = [
            (
                LineKind::LongitudinalLeft,
                Segment::new(100.0, 50.0, 100.0, 380.0),
            ),
            (LineKind::Fillet, Segment::new(110.0, 400.0, 490.0, 400.0)),
            (LineKind::Collar, Segment::new(200.0, 405.0, 200.0, 300.0)),
        ]
        .map(|(kind, segment)| FoundLine::whole(kind, segment));
        let found = Corners::from_lines(&lines);
        assert_eq!(found.points[0], Some(Point::new(100.0, 400.0)));
        assert_eq!(found.points[1], Some(Point::new(100.0, 50.0)));
        assert_eq!(found.points[2..4], [None, None]);
        assert_eq!(found.points[4], Some(Point::new(200.0, 400.0)));
        let mut labelled = found;
        labelled.points[0] = Some(Point::new(103.0, 404.0));
        labelled.points[1] = None;
        labelled.points[2] = Some(Point::new(1.0, 1.0));
        let error = found.error(&labelled);
        assert_eq!((error.found, error.labelled), (3, 4));
        assert!((error.mean.unwrap() - 5.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_head_lies_where_votes_end_unless_they_broke_off_and_a_foot_never_does() {
        let line = |kind, x: f32, top: f32, end: f32| FoundLine {
            kind,
            segment: Segment::new(x, 0.0, x, 100.0),
            supported: Segment::new(x, end, x, top),
        };
        let lines = [
            line(LineKind::LongitudinalLeft, 10.0, 9.0, 91.0),
            line(LineKind::LongitudinalRight, 90.0, 40.0, 90.0),
        ];
        let y = Corners::from_lines(&lines).points.map(|p| p.map(|p| p.y));
        let (lower, seen, border) = (Some(100.0), Some(9.0), Some(0.0));
        assert_eq!(y, [lower, seen, lower, border, None, None]);
    }

    #[test]
    fn a_fillet_far_away_or_parallel_leaves_the_lower_end() {
        let line = FoundLine::whole(LineKind::Collar, Segment::new(10.0, 10.0, 10.0, 60.0));
        for fillet in [
            Segment::new(0.0, 300.0, 50.0, 300.0),
            Segment::new(20.0, 0.0, 20.5, 90.0),
        ] {
            let found = Corners::from_lines(&[line, FoundLine::whole(LineKind::Fillet, fillet)]);
            assert_eq!(found.points[4], Some(Point::new(10.0, 60.0)));
        }
        assert_eq!(Corners::from_lines(&[]), Corners::default());
    }

    #[test]
    fn true_lines_of_scenes_meet_in_their_corners() {
        let source = SceneSource::new(4, 0);
        for index in 0..4 {
            let truth = source.load(index).unwrap().truth;
            let labelled = Corners::from_truth(&truth).unwrap();
            let Truth::Regions(regions) = &truth else {
                panic!("scenes have regions")
            };
            let whole = |region: &Region| FoundLine::whole(region.kind, region.line);
            let lines: Vec<_> = regions.iter().map(whole).collect();
            let error = Corners::from_lines(&lines).error(&labelled);
            assert_eq!((error.found, error.labelled), (6, 6));
            assert!(error.mean.unwrap() < 0.01, "{error:?}");
        }
    }
}
