//! A plane of `f32` values, one per pixel, and the smooth steps drawn on it.

use crate::geometry::{Point, Segment};

/// One value per pixel, row-major.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// Columns.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// `height * width` values, row-major.
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// All values equal to `value`.
    pub(super) fn filled(width: usize, height: usize, value: f32) -> Self {
        Self {
            width,
            height,
            values: vec![value; width * height],
        }
    }

    /// Calls `change(value, x, y)` for every pixel of columns `x0..=x1`, rows `y0..=y1`, clipped to the plane.
    pub(super) fn patch(
        &mut self,
        low: Point,
        high: Point,
        mut change: impl FnMut(&mut f32, f32, f32),
    ) {
        let left = low.x.floor().max(0.0) as usize;
        let top = low.y.floor().max(0.0) as usize;
        let right = ((high.x.ceil() + 1.0).max(0.0) as usize).min(self.width);
        let bottom = ((high.y.ceil() + 1.0).max(0.0) as usize).min(self.height);
        for y in top..bottom {
            for x in left..right {
                change(&mut self.values[y * self.width + x], x as f32, y as f32);
            }
        }
    }

    /// Calls `change(value, frame)` for the pixels within `reach` of the segment; see [`Frame`].
    pub(super) fn along(
        &mut self,
        segment: &Segment,
        reach: f32,
        mut change: impl FnMut(&mut f32, Frame),
    ) {
        let (a, b) = (segment.p0, segment.p1);
        let length = segment_length(segment).max(1e-3);
        let (ux, uy) = ((b.x - a.x) / length, (b.y - a.y) / length);
        let low = Point::new(a.x.min(b.x) - reach, a.y.min(b.y) - reach);
        let high = Point::new(a.x.max(b.x) + reach, a.y.max(b.y) + reach);
        self.patch(low, high, |value, x, y| {
            let (dx, dy) = (x - a.x, y - a.y);
            let frame = Frame {
                along: dx * ux + dy * uy,
                across: dy * ux - dx * uy,
                length,
            };
            if frame.across.abs() <= reach && frame.along >= -reach && frame.along <= length + reach
            {
                change(value, frame);
            }
        });
    }
}

/// A pixel seen from a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Pixels from the first end, along the segment.
    pub(super) along: f32,
    /// Pixels to the side; positive to the right of the direction of travel as seen on the screen.
    pub(super) across: f32,
    /// Length of the segment.
    pub(super) length: f32,
}

impl Frame {
    /// 1 on the segment, fading to 0 over one pixel beyond its ends.
    pub(super) fn inside(&self) -> f32 {
        clamp01(self.along + 0.5) * clamp01(self.length - self.along + 0.5)
    }
}

/// Length by `sqrt`, which every platform rounds alike.
pub(super) fn segment_length(segment: &Segment) -> f32 {
    let (dx, dy) = (segment.p1.x - segment.p0.x, segment.p1.y - segment.p0.y);
    (dx * dx + dy * dy).sqrt()
}

/// The value clamped to [0, 1].
pub(super) fn clamp01(value: f32) -> f32 {
    value.clamp(0.0, 1.0)
}

/// 0 below `low`, 1 above `high`, a cubic between.
pub(super) fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let t = clamp01((value - low) / (high - low).max(1e-6));
    t * t * (3.0 - 2.0 * t)
}

/// A bell of height 1 and half width `width` around 0: 1 / (1 + (d/w)^2)^2.
pub(super) fn bell(distance: f32, width: f32) -> f32 {
    let t = distance / width;
    let fall = 1.0 / (1.0 + t * t);
    fall * fall
}
