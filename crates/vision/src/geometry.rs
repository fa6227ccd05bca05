//! Points, segments and rectangles in image coordinates.
//!
//! Unit: pixels. x to the right, y down, the centre of the top-left pixel at (0, 0).

use serde::{Deserialize, Serialize};

/// A point, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

/// A straight segment between two points; the order of the ends means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// One end.
    pub p0: Point,
    /// The other end.
    pub p1: Point,
}

/// A rectangle of whole pixels: columns `left..right`, rows `top..bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// One past the last column.
    pub right: u32,
    /// One past the last row.
    pub bottom: u32,
}

impl Point {
    /// The point (x, y).
    pub fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }
}

impl Segment {
    /// The segment from (x0, y0) to (x1, y1).
    pub fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self {
            p0: Point::new(x0, y0),
            p1: Point::new(x1, y1),
        }
    }

    /// Length in pixels.
    pub fn length(&self) -> f32 {
        (self.p1.x - self.p0.x).hypot(self.p1.y - self.p0.y)
    }

    /// Distance in pixels from `point` to the nearest point of the segment, ends included.
    pub fn distance(&self, point: Point) -> f32 {
        let (dx, dy) = (self.p1.x - self.p0.x, self.p1.y - self.p0.y);
        let squared = dx * dx + dy * dy;
        let t = if squared > 0.0 {
            (((point.x - self.p0.x) * dx + (point.y - self.p0.y) * dy) / squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (point.x - self.p0.x - t * dx).hypot(point.y - self.p0.y - t * dy)
    }
}

impl Rect {
    /// The whole of an image of `width` x `height` pixels.
    pub fn whole(width: u32, height: u32) -> Self {
        Self {
            left: 0,
            top: 0,
            right: width,
            bottom: height,
        }
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.right.saturating_sub(self.left)
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.bottom.saturating_sub(self.top)
    }

    /// Length of the diagonal in pixels.
    pub fn diagonal(&self) -> f32 {
        (self.width() as f32).hypot(self.height() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_to_the_segment_not_to_its_line() {
        let segment = Segment::new(0.0, 0.0, 10.0, 0.0);
        assert_eq!(segment.distance(Point::new(5.0, 3.0)), 3.0);
        assert_eq!(segment.distance(Point::new(13.0, 4.0)), 5.0);
        let dot = Segment::new(1.0, 1.0, 1.0, 1.0);
        assert_eq!(dot.distance(Point::new(4.0, 5.0)), 5.0);
    }
}
