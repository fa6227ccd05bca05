//! An infinite straight line, [`StraightLine`]: fitting to weighted points, clipping to a rectangle.

use crate::geometry::{Point, Rect, Segment};

/// A line without ends: all points at distance 0 along `direction` from `origin`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StraightLine {
    /// A point of the line, in pixels.
    pub origin: Point,
    /// Unit direction (x, y); its sign means nothing.
    pub direction: (f32, f32),
}

impl StraightLine {
    /// The line through two points; `None` if they coincide or are not finite.
    pub fn through(a: Point, b: Point) -> Option<Self> {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = dx.hypot(dy);
        (length > 1e-6 && length.is_finite()).then(|| Self {
            origin: a,
            direction: (dx / length, dy / length),
        })
    }

    /// The line on which a segment lies; `None` if it has no length.
    pub fn along(segment: &Segment) -> Option<Self> {
        Self::through(segment.p0, segment.p1)
    }

    /// Weighted total least squares: minimises the sum of weight x squared distance.
    ///
    /// `points` yields (point, weight >= 0). `None` unless the weight is positive and the points
    /// have a direction of largest spread.
    pub fn least_squares(points: impl Iterator<Item = (Point, f32)> + Clone) -> Option<Self> {
        let (mut weight, mut x, mut y) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (point, w) in points.clone() {
            let w = f64::from(w);
            weight += w;
            x += w * f64::from(point.x);
            y += w * f64::from(point.y);
        }
        if weight.is_nan() || weight <= 0.0 {
            return None;
        }
        (x, y) = (x / weight, y / weight);
        let (mut xx, mut xy, mut yy) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (point, w) in points {
            let (dx, dy) = (f64::from(point.x) - x, f64::from(point.y) - y);
            let w = f64::from(w);
            xx += w * dx * dx;
            xy += w * dx * dy;
            yy += w * dy * dy;
        }
        let spread = (xx - yy).hypot(2.0 * xy);
        if spread.is_nan() || spread <= 1e-9 * (xx + yy) || xx + yy <= 0.0 {
            return None;
        }
        let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
        let origin = Point::new(x as f32, y as f32);
        Some(Self {
            origin,
            direction: (angle.cos() as f32, angle.sin() as f32),
        })
    }

    /// Distance of `point` from the line, in pixels.
    #[inline]
    pub fn distance(&self, point: Point) -> f32 {
        let (dx, dy) = (point.x - self.origin.x, point.y - self.origin.y);
        (dx * self.direction.1 - dy * self.direction.0).abs()
    }

    /// Position of the foot of `point` on the line, in pixels from the origin.
    #[inline]
    pub fn position(&self, point: Point) -> f32 {
        (point.x - self.origin.x) * self.direction.0 + (point.y - self.origin.y) * self.direction.1
    }

    /// The point at `position` pixels from the origin.
    pub fn at(&self, position: f32) -> Point {
        Point::new(
            self.origin.x + position * self.direction.0,
            self.origin.y + position * self.direction.1,
        )
    }

    /// The part of the line over the pixel centres of `bounds`; `None` if it misses them or touches
    /// a mere corner.
    pub fn clip(&self, bounds: Rect) -> Option<Segment> {
        let (from, to) = crossing(self.origin, self.direction, bounds)?;
        (from < to && from.is_finite() && to.is_finite()).then(|| Segment {
            p0: self.at(from),
            p1: self.at(to),
        })
    }
}

/// The part of `segment` over the pixel centres of `bounds`; `None` if there is none. Source: Liang and Barsky, "A new
/// concept and method for line clipping", ACM Transactions on Graphics 3, 1984.
pub fn inside(segment: &Segment, bounds: Rect) -> Option<Segment> {
    let delta = (segment.p1.x - segment.p0.x, segment.p1.y - segment.p0.y);
    if !(delta.0 + delta.1).is_finite() {
        return None;
    }
    let (from, to) = crossing(segment.p0, delta, bounds)?;
    let (from, to) = (from.max(0.0), to.min(1.0));
    let at = |t: f32| Point::new(segment.p0.x + t * delta.0, segment.p0.y + t * delta.1);
    (from <= to).then(|| Segment {
        p0: at(from),
        p1: at(to),
    })
}

/// Between which multiples of `direction` the line from `origin` lies over the pixel centres of
/// `bounds`; the first exceeds the second if nowhere, `None` if it runs beside them or there are none.
fn crossing(origin: Point, direction: (f32, f32), bounds: Rect) -> Option<(f32, f32)> {
    if bounds.width() == 0 || bounds.height() == 0 {
        return None;
    }
    let (mut from, mut to) = (f32::NEG_INFINITY, f32::INFINITY);
    let axes = [
        (origin.x, direction.0, bounds.left, bounds.right),
        (origin.y, direction.1, bounds.top, bounds.bottom),
    ];
    for (origin, direction, first, end) in axes {
        let (low, high) = (first as f32, end as f32 - 1.0);
        if direction.abs() < 1e-9 {
            if origin < low || origin > high {
                return None;
            }
            continue;
        }
        let (a, b) = ((low - origin) / direction, (high - origin) / direction);
        from = from.max(a.min(b));
        to = to.min(a.max(b));
    }
    Some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_recovers_a_line_of_any_direction() {
        for degrees in (0..180).step_by(15) {
            let angle = (degrees as f32).to_radians();
            let points: Vec<(Point, f32)> = (-20..=20)
                .map(|i| {
                    let (along, off) = (i as f32, if i % 2 == 0 { 0.3 } else { -0.3 });
                    let point = Point::new(
                        100.0 + along * angle.cos() - off * angle.sin(),
                        80.0 + along * angle.sin() + off * angle.cos(),
                    );
                    (point, 1.0)
                })
                .collect();
            let line = StraightLine::least_squares(points.iter().copied()).unwrap();
            let cross = line.direction.0 * angle.sin() - line.direction.1 * angle.cos();
            assert!(cross.abs() < 1e-2, "{degrees} degrees: {line:?}");
            assert!(line.distance(Point::new(100.0, 80.0)) < 0.05);
        }
    }

    #[test]
    fn weight_pulls_the_line() {
        let points = [
            (0.0, 0.0, 9.0),
            (10.0, 0.0, 9.0),
            (0.0, 4.0, 1.0),
            (10.0, 4.0, 1.0),
        ];
        let line =
            StraightLine::least_squares(points.iter().map(|&(x, y, w)| (Point::new(x, y), w)))
                .unwrap();
        assert!((line.origin.y - 0.4).abs() < 1e-6 && line.direction.1.abs() < 1e-6);
    }

    #[test]
    fn points_without_direction_give_no_line() {
        let one = [(Point::new(3.0, 3.0), 1.0); 5];
        assert_eq!(StraightLine::least_squares(one.iter().copied()), None);
        let square = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
        let square = square.iter().map(|&(x, y)| (Point::new(x, y), 1.0));
        assert_eq!(StraightLine::least_squares(square), None);
        assert_eq!(StraightLine::least_squares(std::iter::empty()), None);
    }

    #[test]
    fn clipping_ends_on_the_rectangle() {
        let bounds = Rect {
            left: 10,
            top: 20,
            right: 51,
            bottom: 41,
        };
        let flat = StraightLine {
            origin: Point::new(0.0, 30.0),
            direction: (1.0, 0.0),
        };
        assert_eq!(
            flat.clip(bounds),
            Some(Segment::new(10.0, 30.0, 50.0, 30.0))
        );
        let above = StraightLine {
            origin: Point::new(0.0, 10.0),
            direction: (1.0, 0.0),
        };
        assert_eq!(above.clip(bounds), None);
        let slanted =
            StraightLine::through(Point::new(30.0, 30.0), Point::new(31.0, 31.0)).unwrap();
        let clipped = slanted.clip(bounds).unwrap();
        assert!((clipped.length() - 20.0 * 2.0_f32.sqrt()).abs() < 1e-3);
    }
}
