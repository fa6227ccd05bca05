//! What a label file says about one image, and the true lines and regions that follow from it.
//!
//! A box is put around a labelled line that has none: the line's bounding box with a margin of 0.3 times its
//! length, at least 8 px and at most 5 % of the image's diagonal across the line, a third of that along it.

use crate::geometry::{Point, Rect, Segment};
use crate::line::inside;
use crate::source::{LineKind, Region, Truth};

/// Largest absolute coordinate that is believed, in pixels.
pub(super) const COORDINATE_LIMIT: f64 = 1e6;
/// Most lines that one image may carry.
pub(super) const LINE_LIMIT: usize = 100_000;
/// Segments of a dense annotation shorter than this share of the diagonal (18 px of 640 x 480) are dropped.
const SHORTEST_DENSE: f32 = 18.0 / 800.0;

/// A labelled line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnnotatedLine {
    /// The line, in pixels.
    pub segment: Segment,
    /// What it is.
    pub kind: LineKind,
}

impl AnnotatedLine {
    /// A line of no particular kind.
    pub fn new(p0: Point, p1: Point) -> Self {
        Self {
            segment: Segment { p0, p1 },
            kind: LineKind::Other,
        }
    }
}

/// The labels of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotation {
    /// The lines.
    pub lines: Vec<AnnotatedLine>,
    /// Regions that the labels name, each as two opposite corners.
    pub boxes: Vec<(Point, Point)>,
    /// True if each line is to be found by itself in a region; false if all segments of the image count.
    pub by_region: bool,
    /// Remarks worth showing, such as a line known to be curved.
    pub notes: Vec<String>,
}

impl Annotation {
    /// The true lines within an image of `width` x `height` pixels, `None` if no labelled line touches it.
    ///
    /// Lines are cut at the image's border. In a dense annotation (not by region) segments shorter than
    /// 18 px at 640 x 480 (in proportion to the diagonal) are dropped unless all are.
    pub fn truth(&self, width: u32, height: u32) -> Option<Truth> {
        let visible: Vec<AnnotatedLine> = self
            .lines
            .iter()
            .filter_map(|line| {
                clipped(&line.segment, width, height).map(|segment| AnnotatedLine {
                    segment,
                    kind: line.kind,
                })
            })
            .collect();
        if visible.is_empty() {
            return None;
        }
        let whole = Rect::whole(width, height);
        if !self.by_region {
            let shortest = SHORTEST_DENSE * whole.diagonal();
            let all: Vec<Segment> = visible.iter().map(|line| line.segment).collect();
            let long: Vec<Segment> = all
                .iter()
                .copied()
                .filter(|segment| segment.length() >= shortest)
                .collect();
            return Some(Truth::Segments(if long.is_empty() { all } else { long }));
        }
        let region = |line: &AnnotatedLine| Region {
            bounds: self
                .named_box(&line.segment, width, height)
                .unwrap_or_else(|| around(&line.segment, width, height)),
            kind: line.kind,
            line: line.segment,
        };
        Some(Truth::Regions(visible.iter().map(region).collect()))
    }

    /// Whether a labelled line reaches beyond an image of `width` x `height` pixels by more than one of them.
    pub fn reaches_out(&self, width: u32, height: u32) -> bool {
        let within = |point: Point| {
            (-1.0..=width as f32).contains(&point.x) && (-1.0..=height as f32).contains(&point.y)
        };
        let ends = self
            .lines
            .iter()
            .map(|line| [line.segment.p0, line.segment.p1]);
        !ends.flatten().all(within)
    }

    /// The smallest labelled box that holds the line, with one pixel of tolerance.
    fn named_box(&self, line: &Segment, width: u32, height: u32) -> Option<Rect> {
        self.boxes
            .iter()
            .map(|(a, b)| {
                pixels(
                    a.x.min(b.x),
                    a.y.min(b.y),
                    a.x.max(b.x),
                    a.y.max(b.y),
                    width,
                    height,
                )
            })
            .filter(|rect| [line.p0, line.p1].iter().all(|end| holds(rect, *end)))
            .min_by_key(|rect| u64::from(rect.width()) * u64::from(rect.height()))
    }

    /// A stable description of the labels, for hashing.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.by_region)];
        let mut put = |point: Point| {
            bytes.extend(point.x.to_bits().to_le_bytes());
            bytes.extend(point.y.to_bits().to_le_bytes());
        };
        for line in &self.lines {
            put(line.segment.p0);
            put(line.segment.p1);
        }
        for (a, b) in &self.boxes {
            put(*a);
            put(*b);
        }
        bytes.extend(self.lines.iter().map(|line| line.kind as u8));
        bytes
    }
}

/// A box around a line, inside the image.
fn around(line: &Segment, width: u32, height: u32) -> Rect {
    let diagonal = (width as f32).hypot(height as f32);
    let across = (0.3 * line.length()).min(0.05 * diagonal).max(8.0);
    let (wide, tall) = ((line.p0.x - line.p1.x).abs(), (line.p0.y - line.p1.y).abs());
    let (mx, my) = if tall > wide {
        (across, across / 3.0)
    } else {
        (across / 3.0, across)
    };
    pixels(
        line.p0.x.min(line.p1.x) - mx,
        line.p0.y.min(line.p1.y) - my,
        line.p0.x.max(line.p1.x) + mx,
        line.p0.y.max(line.p1.y) + my,
        width,
        height,
    )
}

fn holds(rect: &Rect, point: Point) -> bool {
    point.x >= rect.left as f32 - 1.0
        && point.x <= rect.right as f32
        && point.y >= rect.top as f32 - 1.0
        && point.y <= rect.bottom as f32
}

/// Whole pixels from the first to the last that the box touches, inside the image.
fn pixels(left: f32, top: f32, right: f32, bottom: f32, width: u32, height: u32) -> Rect {
    let low = |value: f32, limit: u32| (value.max(0.0).floor() as u32).min(limit - 1);
    let high = |value: f32, limit: u32| (value.max(0.0).ceil() as u32).saturating_add(1).min(limit);
    Rect {
        left: low(left, width),
        top: low(top, height),
        right: high(right, width),
        bottom: high(bottom, height),
    }
}

/// The part of the segment inside the image; an end that lies there stays as it was given, and a line that the image
/// touches in one point alone is none of it.
fn clipped(segment: &Segment, width: u32, height: u32) -> Option<Segment> {
    let cut = inside(segment, Rect::whole(width, height))?;
    let within = |point: Point| {
        (0.0..=width as f32 - 1.0).contains(&point.x)
            && (0.0..=height as f32 - 1.0).contains(&point.y)
    };
    let end = |given: Point, cut: Point| if within(given) { given } else { cut };
    let touched = cut.p0 == cut.p1 && segment.p0 != segment.p1;
    (!touched).then(|| Segment {
        p0: end(segment.p0, cut.p0),
        p1: end(segment.p1, cut.p1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(segment: Segment, by_region: bool) -> Annotation {
        Annotation {
            lines: vec![AnnotatedLine {
                segment,
                kind: LineKind::Other,
            }],
            by_region,
            ..Default::default()
        }
    }

    #[test]
    fn lines_are_cut_at_the_border() {
        let cut = clipped(&Segment::new(-10.0, 5.0, 30.0, 5.0), 21, 11).unwrap();
        assert_eq!(cut, Segment::new(0.0, 5.0, 20.0, 5.0));
        assert!(clipped(&Segment::new(-10.0, 5.0, -1.0, 5.0), 21, 11).is_none());
        assert!(clipped(&Segment::new(-9.0, 5.0, 0.0, 5.0), 21, 11).is_none());
        // an end inside keeps its bits, whatever the arithmetic of the other one
        let kept = Segment::new(-1.7, 3.3, 7.1, 4.9);
        assert_eq!(clipped(&kept, 21, 11).unwrap().p1, kept.p1);
        assert!(
            annotation(Segment::new(500.0, 0.0, 600.0, 9.0), true)
                .truth(100, 100)
                .is_none()
        );
    }

    #[test]
    fn a_named_box_is_preferred_to_a_drawn_one() {
        let mut labels = annotation(Segment::new(20.0, 30.0, 20.0, 90.0), true);
        let Some(Truth::Regions(drawn)) = labels.truth(200, 100) else {
            panic!("regions")
        };
        // diagonal 223.6 px: 11 px across, a third of it along
        assert_eq!(
            drawn[0].bounds,
            Rect {
                left: 8,
                top: 26,
                right: 33,
                bottom: 95
            }
        );
        labels.boxes = vec![
            (Point::new(120.0, 99.0), Point::new(5.0, 10.0)),
            (Point::new(50.0, 0.0), Point::new(60.0, 9.0)),
        ];
        let Some(Truth::Regions(named)) = labels.truth(200, 100) else {
            panic!("regions")
        };
        assert_eq!(
            named[0].bounds,
            Rect {
                left: 5,
                top: 10,
                right: 121,
                bottom: 100
            }
        );
    }

    #[test]
    fn short_segments_of_a_dense_annotation_are_dropped() {
        let mut labels = annotation(Segment::new(0.0, 0.0, 10.0, 0.0), false);
        assert_eq!(
            labels.truth(640, 480),
            Some(Truth::Segments(vec![Segment::new(0.0, 0.0, 10.0, 0.0)]))
        );
        let long = AnnotatedLine {
            segment: Segment::new(0.0, 0.0, 90.0, 0.0),
            kind: LineKind::Other,
        };
        labels.lines.push(long);
        assert_eq!(
            labels.truth(640, 480),
            Some(Truth::Segments(vec![long.segment]))
        );
    }
}
