//! Labels turned along with their image.

use super::Corruption;
use crate::geometry::{Point, Rect, Segment};
use crate::line::inside;
use crate::source::{Region, Truth};

impl Corruption {
    /// The true lines in the corrupted image of `width` x `height` pixels, cut at its border; `None` if none is left.
    ///
    /// A region keeps its margins around its line.
    pub fn turn(&self, truth: &Truth, width: u32, height: u32) -> Option<Truth> {
        if self.rotation == Self::NEUTRAL.rotation {
            return Some(truth.clone());
        }
        let whole = Rect::whole(width, height);
        let turned = |line: &Segment| {
            let line = Segment {
                p0: self.turn_point(line.p0, width, height),
                p1: self.turn_point(line.p1, width, height),
            };
            inside(&line, whole).filter(|line| line.length() > 0.0)
        };
        let turned = match truth {
            Truth::Segments(lines) => Truth::Segments(lines.iter().filter_map(turned).collect()),
            Truth::Regions(regions) => {
                let region = |region: &Region| {
                    let line = turned(&region.line)?;
                    Some(Region {
                        bounds: around(&line, region, whole),
                        kind: region.kind,
                        line,
                    })
                };
                Truth::Regions(regions.iter().filter_map(region).collect())
            }
        };
        let empty = match &turned {
            Truth::Segments(lines) => lines.is_empty(),
            Truth::Regions(regions) => regions.is_empty(),
        };
        (!empty).then_some(turned)
    }

    /// Where a point of the image comes to lie.
    pub fn turn_point(&self, point: Point, width: u32, height: u32) -> Point {
        let (sin, cos) = (self.rotation.to_radians() as f32).sin_cos();
        let (cx, cy) = middle(width, height);
        let (dx, dy) = (point.x - cx, point.y - cy);
        Point::new(cx + cos * dx - sin * dy, cy + sin * dx + cos * dy)
    }
}

/// The point about which images are turned, in pixels.
pub(super) fn middle(width: u32, height: u32) -> (f32, f32) {
    ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0)
}

/// A box around the turned line with the margins that the region had around its own.
fn around(line: &Segment, region: &Region, whole: Rect) -> Rect {
    let (old, bounds) = (&region.line, region.bounds);
    let low = |a: f32, b: f32, old_a: f32, old_b: f32, edge: u32, end: u32| {
        let margin = (old_a.min(old_b) - edge as f32).max(0.0);
        ((a.min(b) - margin).max(0.0).floor() as u32).min(end - 1)
    };
    let high = |a: f32, b: f32, old_a: f32, old_b: f32, edge: u32, end: u32| {
        let margin = (edge as f32 - 1.0 - old_a.max(old_b)).max(0.0);
        ((a.max(b) + margin).ceil() as u32 + 1).min(end)
    };
    Rect {
        left: low(
            line.p0.x,
            line.p1.x,
            old.p0.x,
            old.p1.x,
            bounds.left,
            whole.right,
        ),
        top: low(
            line.p0.y,
            line.p1.y,
            old.p0.y,
            old.p1.y,
            bounds.top,
            whole.bottom,
        ),
        right: high(
            line.p0.x,
            line.p1.x,
            old.p0.x,
            old.p1.x,
            bounds.right,
            whole.right,
        ),
        bottom: high(
            line.p0.y,
            line.p1.y,
            old.p0.y,
            old.p1.y,
            bounds.bottom,
            whole.bottom,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LineKind;

    fn turned(rotation: f64) -> Corruption {
        Corruption {
            rotation,
            ..Corruption::NEUTRAL
        }
    }

    #[test]
    fn a_quarter_turn_by_hand() {
        // 5 x 5: the middle is (2, 2); right becomes down
        let point = turned(90.0).turn_point(Point::new(4.0, 2.0), 5, 5);
        assert!(
            (point.x - 2.0).abs() < 1e-6 && (point.y - 4.0).abs() < 1e-6,
            "{point:?}"
        );
    }

    #[test]
    fn regions_keep_their_margins_and_lines_that_leave_are_dropped() {
        let line = Segment::new(100.0, 200.0, 300.0, 200.0);
        let bounds = Rect {
            left: 90,
            top: 170,
            right: 311,
            bottom: 231,
        };
        let region = |line, bounds| Region {
            bounds,
            kind: LineKind::Fillet,
            line,
        };
        let corner = Segment::new(0.0, 0.0, 20.0, 2.0);
        let truth = Truth::Regions(vec![
            region(line, bounds),
            region(
                corner,
                Rect {
                    left: 0,
                    top: 0,
                    right: 30,
                    bottom: 12,
                },
            ),
        ]);
        let Some(Truth::Regions(found)) = turned(8.0).turn(&truth, 640, 480) else {
            panic!("regions")
        };
        let now = found[0].clone();
        assert!((now.line.length() - 200.0).abs() < 1e-3);
        let (top, bottom) = (
            now.line.p0.y.min(now.line.p1.y) - now.bounds.top as f32,
            now.bounds.bottom as f32 - 1.0 - now.line.p0.y.max(now.line.p1.y),
        );
        assert!(
            (29.9..31.1).contains(&top) && (29.9..31.1).contains(&bottom),
            "{now:?}"
        );
        let only = Truth::Segments(vec![Segment::new(0.0, 0.0, 9.0, 1.0)]);
        assert_eq!(turned(-10.0).turn(&only, 640, 480), None);
        assert_eq!(turned(0.0).turn(&only, 640, 480), Some(only));
    }
}
