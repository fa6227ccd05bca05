//! The rectangle of a region, and whether noise would make one like it.
//!
//! Central type [`Rectangle`], in pixels of the field.

use super::field::LevelLines;
use super::grow::TOLERANCE;
use crate::geometry::{Point, Segment};
use crate::line::StraightLine;

/// Probability that the level line of noise lies within the tolerance of a direction: 22.5 of 180 degrees.
const BY_CHANCE: f64 = 0.125;

/// A line with ends and a width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rectangle {
    line: StraightLine,
    /// From, to along the line.
    along: (f32, f32),
    /// From, to at right angles to it.
    across: (f32, f32),
}

impl Rectangle {
    /// The rectangle that holds the pixels of `region`, along their axis of largest inertia with weights by the
    /// gradient; `None` if they have none.
    pub(super) fn around(field: &LevelLines, region: &[usize]) -> Option<Self> {
        let weighted = region
            .iter()
            .map(|&index| (field.point(index), field.strength(index)));
        let mut line = StraightLine::least_squares(weighted)?;
        let (mut x, mut y) = (0.0_f32, 0.0_f32);
        for [u, v] in region.iter().filter_map(|&index| field.direction(index)) {
            (x, y) = (x + u, y + v);
        }
        // the way the level lines run
        if line.direction.0 * x + line.direction.1 * y < 0.0 {
            line.direction = (-line.direction.0, -line.direction.1);
        }
        let mut rectangle = Self {
            line,
            along: (f32::INFINITY, f32::NEG_INFINITY),
            across: (f32::INFINITY, f32::NEG_INFINITY),
        };
        for &index in region {
            let point = field.point(index);
            let (position, offset) = (line.position(point), rectangle.offset(point));
            widen(&mut rectangle.along, position);
            widen(&mut rectangle.across, offset);
        }
        Some(rectangle)
    }

    /// The line through the region's centre of gravity, end to end.
    pub(super) fn axis(&self) -> Segment {
        Segment {
            p0: self.line.at(self.along.0),
            p1: self.line.at(self.along.1),
        }
    }

    /// At least a pixel.
    pub(super) fn width(&self) -> f32 {
        (self.across.1 - self.across.0).max(1.0)
    }

    /// Share of the rectangle that `pixels` fill.
    pub(super) fn density(&self, pixels: usize) -> f32 {
        pixels as f32 / ((self.along.1 - self.along.0).max(1.0) * self.width())
    }

    /// True if less than one rectangle with as many aligned pixels is expected in noise of the field's size:
    /// tests x P(binomial(n, 1/8) >= k) < 1, the tail bounded by exp(-n KL(k/n, 1/8)) (Hoeffding).
    pub(super) fn is_meaningful(&self, field: &LevelLines) -> bool {
        let (mut all, mut aligned) = (0.0_f64, 0.0_f64);
        let (dx, dy) = self.line.direction;
        self.visit(field, |index| {
            let alike = field.direction(index);
            all += 1.0;
            aligned += f64::from(alike.is_some_and(|[x, y]| x * dx + y * dy >= TOLERANCE));
        });
        let share = aligned / all;
        if share.is_nan() || share <= BY_CHANCE {
            return false;
        }
        let of = |share: f64, chance: f64| match share > 0.0 {
            true => share * (share / chance).ln(),
            false => 0.0,
        };
        let divergence = of(share, BY_CHANCE) + of(1.0 - share, 1.0 - BY_CHANCE);
        all * divergence > tests(field)
    }

    /// Fewest pixels of which, all aligned, a rectangle is meaningful.
    pub(super) fn least_pixels(field: &LevelLines) -> usize {
        (tests(field) / -BY_CHANCE.ln()) as usize
    }

    /// Calls `found` for every pixel of the field in the rectangle, in steps along the axis to which it is closer.
    fn visit(&self, field: &LevelLines, mut found: impl FnMut(usize)) {
        let axis = self.axis();
        let half = self.width() / 2.0 + 1e-3;
        let (dx, dy) = self.line.direction;
        let flat = dx.abs() >= dy.abs();
        let turned = |p: Point| if flat { (p.x, p.y) } else { (p.y, p.x) };
        let (slope, steps, rows) = match flat {
            true => (dy / dx, field.width, field.height),
            false => (dx / dy, field.height, field.width),
        };
        let half = half * (1.0 + slope * slope).sqrt();
        let (p0, p1) = (turned(axis.p0), turned(axis.p1));
        let (first, last) = (p0.0.min(p1.0).ceil(), p0.0.max(p1.0).floor());
        for step in bounded(first, last, steps) {
            let middle = p0.1 + (step as f32 - p0.0) * slope;
            for row in bounded((middle - half).ceil(), (middle + half).floor(), rows) {
                let (x, y) = if flat { (step, row) } else { (row, step) };
                found(y * field.width + x);
            }
        }
    }

    fn offset(&self, point: Point) -> f32 {
        let (dx, dy) = (point.x - self.line.origin.x, point.y - self.line.origin.y);
        dy * self.line.direction.0 - dx * self.line.direction.1
    }
}

/// Logarithm of the number of rectangles that a field holds: (width x height)^(5/2), every pair of ends at every width.
fn tests(field: &LevelLines) -> f64 {
    2.5 * ((field.width * field.height).max(1) as f64).ln()
}

/// The whole numbers from `first` to `last` that are below `end`.
fn bounded(first: f32, last: f32, end: usize) -> std::ops::Range<usize> {
    first.max(0.0) as usize..((last + 1.0).max(0.0) as usize).min(end)
}

fn widen(range: &mut (f32, f32), value: f32) {
    *range = (range.0.min(value), range.1.max(value));
}
