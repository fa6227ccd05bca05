//! Which segments of a region may be part of its one line: direction, then centrality.

use crate::geometry::{Point, Rect, Segment};
use crate::line::StraightLine;

/// Degrees by which the cone of directions is wider than the diagonal: the accuracy of a short
/// segment's direction.
const CONE_MARGIN: f32 = 3.0;

/// Tolerances of [`near_centre`] to be tried in turn, as shares of the region's shorter side.
pub const CENTRE_TOLERANCES: [f32; 5] = [0.10, 0.20, 0.30, 0.40, 0.50];

/// True if `segment` runs along the longer axis of `bounds`: its angle to that axis is at most the
/// diagonal's (and 3 degrees). In a square region every direction passes.
pub fn along_longer_axis(segment: &Segment, bounds: Rect) -> bool {
    let (dx, dy) = (
        (segment.p1.x - segment.p0.x).abs(),
        (segment.p1.y - segment.p0.y).abs(),
    );
    let (width, height) = (bounds.width() as f32, bounds.height() as f32);
    let (along, across, long, short) = if width > height {
        (dx, dy, width, height)
    } else {
        (dy, dx, height, width)
    };
    if short == long {
        return true;
    }
    across.atan2(along) <= short.atan2(long) + CONE_MARGIN.to_radians()
}

/// The indices of the segments whose line passes within `tolerance` times the shorter side of the
/// centre of `bounds`.
pub fn near_centre(segments: &[Segment], bounds: Rect, tolerance: f32) -> Vec<usize> {
    let centre = Point::new(
        (bounds.left + bounds.right) as f32 / 2.0 - 0.5,
        (bounds.top + bounds.bottom) as f32 / 2.0 - 0.5,
    );
    let radius = tolerance * bounds.width().min(bounds.height()) as f32;
    let passes = |index: &usize| {
        StraightLine::along(&segments[*index]).is_some_and(|line| line.distance(centre) <= radius)
    };
    (0..segments.len()).filter(passes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Rect = Rect {
        left: 100,
        top: 50,
        right: 300,
        bottom: 100,
    };
    const TALL: Rect = Rect {
        left: 50,
        top: 100,
        right: 100,
        bottom: 300,
    };

    #[test]
    fn the_cone_is_bounded_by_the_diagonal() {
        let at = |degrees: f32| {
            let angle = degrees.to_radians();
            Segment::new(
                200.0,
                75.0,
                200.0 + 30.0 * angle.cos(),
                75.0 + 30.0 * angle.sin(),
            )
        };
        // the diagonal of 200 x 50 lies at 14 degrees
        for (degrees, flat) in [
            (0.0, true),
            (13.0, true),
            (-13.0, true),
            (25.0, false),
            (90.0, false),
            (170.0, true),
        ] {
            assert_eq!(along_longer_axis(&at(degrees), FLAT), flat, "{degrees}");
            assert_eq!(
                along_longer_axis(&at(90.0 - degrees), TALL),
                flat,
                "{degrees}"
            );
        }
        let square = Rect {
            left: 0,
            top: 0,
            right: 80,
            bottom: 80,
        };
        assert!(along_longer_axis(&at(0.0), square) && along_longer_axis(&at(90.0), square));
    }

    #[test]
    fn a_segment_passes_by_where_its_line_runs() {
        let at = |y: f32| Segment::new(120.0, y, 180.0, y);
        // centre at (199.5, 74.5), shorter side 50
        let segments = [at(76.0), at(78.0), at(82.0), at(99.0), at(101.0)];
        assert_eq!(near_centre(&segments, FLAT, 0.10), [0, 1]);
        assert_eq!(near_centre(&segments, FLAT, 0.20), [0, 1, 2]);
        assert_eq!(near_centre(&segments, FLAT, 0.50), [0, 1, 2, 3]);
        let slanted = Segment::new(120.0, 34.75, 130.0, 39.75);
        assert_eq!(near_centre(&[slanted], FLAT, 0.10), [0]);
        assert_eq!(near_centre(&[], FLAT, 0.50), [0; 0]);
    }
}
