//! What lies on the steel and is not a joint: scratches, chalk marks, spatter, glare, rows of chisel marks.
//!
//! Only chisel marks are cuts with physical edges; nothing else enters the edge map. Clutter is drawn more often
//! near the true lines, roughly along them, where it can be mistaken for them.

use super::draw::Draw;
use super::layout::{Layout, point_at};
use super::plane::{Plane, bell, clamp01};
use crate::geometry::{Point, Segment};

/// Scratches, grinding nicks and chalk marks, on the reflectance.
pub(super) fn scratch(layout: &Layout, draw: &mut Draw, scene: &mut Plane) {
    let hard = layout.difficulty;
    for _ in 0..draw.count(4, 10 + (14.0 * hard) as u32) {
        let size = draw.within(25.0, 200.0);
        let line = if draw.chance(0.3) {
            beside(layout, draw, 0.25, size)
        } else {
            anywhere(draw, size)
        };
        let amount = draw.sign() * draw.within(0.02, 0.09);
        let half = draw.within(0.25, 0.8);
        scene.along(&line, 3.0, |value, frame| {
            let taper = clamp01(4.0 * frame.along / frame.length)
                * clamp01(4.0 - 4.0 * frame.along / frame.length);
            *value += amount * taper * clamp01(half + 0.6 - frame.across.abs());
        });
    }
    // nicks of the grinder: short, deep, along the joints
    for _ in 0..draw.count((4.0 * hard) as u32, 4 + (20.0 * hard) as u32) {
        let size = draw.within(7.0, 16.0);
        let line = beside(layout, draw, 0.12, size);
        let amount = draw.sign() * draw.within(0.10, 0.26);
        let half = draw.within(0.7, 1.5);
        scene.along(&line, 4.0, |value, frame| {
            let taper = clamp01(6.0 * frame.along / frame.length)
                * clamp01(6.0 - 6.0 * frame.along / frame.length);
            *value += amount * taper * clamp01(half + 0.5 - frame.across.abs());
        });
    }
    for _ in 0..draw.count(0, 1 + (2.2 * hard) as u32) {
        let size = draw.within(30.0, 110.0);
        let line = beside(layout, draw, 0.3, size);
        let (amount, half) = (draw.within(0.08, 0.2), draw.within(0.9, 1.9));
        let grain = draw.bytes(1024);
        scene.along(&line, 5.0, |value, frame| {
            let dust = f32::from(grain[(frame.along.max(0.0) * 1.7) as usize & 1023]) / 255.0;
            *value += frame.inside()
                * amount
                * (0.35 + 0.65 * dust)
                * clamp01(half + 0.5 - frame.across.abs());
        });
    }
}

/// Rows of chisel marks beside the joints: where a joint is hard to see, a line to measure from is struck.
///
/// Each mark is a short deep cut along the row, so the row is a broken line parallel to the joint. The cuts are
/// physical: they enter the edge map.
pub(super) fn chisel(layout: &Layout, draw: &mut Draw, scene: &mut Plane, edges: &mut Plane) {
    for (truth, faintness) in layout.truths().into_iter().zip(layout.faintness) {
        if !draw.chance(if faintness > 0.35 { 0.97 } else { 0.15 }) {
            continue;
        }
        let (dx, dy) = (truth.p1.x - truth.p0.x, truth.p1.y - truth.p0.y);
        let length = (dx * dx + dy * dy).sqrt();
        let (ux, uy) = (dx / length, dy / length);
        let shift = draw.sign() * draw.within(11.0, 21.0);
        // a bright burr or a dark notch
        let target = if draw.chance(0.5) {
            draw.within(0.75, 0.95)
        } else {
            draw.within(0.02, 0.08)
        };
        let depth = draw.within(0.65, 0.95);
        let (size, half) = (draw.within(9.0, 12.0), draw.within(0.8, 1.2));
        let mut at = draw.within(4.0, 20.0);
        while at + size < length - 4.0 {
            let off = shift + draw.within(-0.6, 0.6);
            let from = Point::new(
                truth.p0.x + ux * at - uy * off,
                truth.p0.y + uy * at + ux * off,
            );
            let mark = Segment {
                p0: from,
                p1: Point::new(from.x + ux * size, from.y + uy * size),
            };
            scene.along(&mark, 4.0, |value, frame| {
                let cut = clamp01(half + 0.5 - frame.across.abs()) * frame.inside();
                *value += (target - *value) * depth * cut;
            });
            edges.along(&mark, 3.0, |value, frame| {
                *value = value.max(frame.inside() * clamp01(1.25 - frame.across.abs()));
            });
            at += size + draw.within(4.5, 6.0);
        }
    }
}

/// Weld spatter: small bright beads with a dark rim, on the reflectance.
pub(super) fn spatter(layout: &Layout, draw: &mut Draw, scene: &mut Plane) {
    let most = 12.0 + 110.0 * layout.difficulty;
    for _ in 0..draw.count(4, most as u32) {
        let near = point_at(&layout.truths()[draw.count(0, 3) as usize], draw.unit());
        let spread = draw.within(6.0, 70.0);
        let at = Point::new(
            near.x + draw.normal() * spread,
            near.y + draw.normal() * spread,
        );
        let radius = 0.7 + 2.3 * draw.unit() * draw.unit();
        let (tone, reach) = (draw.within(0.4, 0.95), radius + 2.5);
        scene.patch(
            Point::new(at.x - reach, at.y - reach),
            Point::new(at.x + reach, at.y + reach),
            |value, x, y| {
                let (dx, dy) = (x - at.x, y - at.y);
                let off = (dx * dx + dy * dy).sqrt();
                let cover = clamp01(radius + 0.5 - off);
                let shine = 0.6
                    + 0.6
                        * bell(
                            ((dx + 0.4 * radius) * (dx + 0.4 * radius) + dy * dy).sqrt(),
                            radius * 0.6,
                        );
                let rim = 1.0 - 0.4 * bell(off - radius - 0.7, 0.7);
                *value = (*value * (1.0 - cover) + tone * shine * cover) * rim;
            },
        );
    }
}

/// Glare: streaks of light that wash out what lies under them, on the lit scene.
pub(super) fn glare(layout: &Layout, draw: &mut Draw, scene: &mut Plane) {
    let hard = layout.difficulty;
    for _ in 0..draw.count(0, 1 + (3.2 * hard) as u32) {
        let size = draw.within(40.0, 220.0);
        let line = if draw.chance(0.6) {
            beside(layout, draw, 0.4, size)
        } else {
            anywhere(draw, size)
        };
        let (amount, reach) = (draw.within(0.1, 0.3 + 0.4 * hard), draw.within(3.0, 16.0));
        scene.along(&line, reach * 4.0, |value, frame| {
            let middle = (frame.along / frame.length - 0.5) * 2.0;
            *value += amount * bell(frame.across, reach) * bell(middle, 0.7);
        });
    }
}

/// A stroke of `size` pixels roughly along one of the true lines, within a region's reach of it.
fn beside(layout: &Layout, draw: &mut Draw, skew: f32, size: f32) -> Segment {
    let truth = layout.truths()[draw.count(0, 3) as usize];
    let (dx, dy) = (truth.p1.x - truth.p0.x, truth.p1.y - truth.p0.y);
    let length = (dx * dx + dy * dy).sqrt();
    let tilt = draw.normal() * skew;
    let (ux, uy) = (
        dx / length - tilt * dy / length,
        dy / length + tilt * dx / length,
    );
    let start = point_at(&truth, draw.within(0.0, 1.0));
    let shift = draw.sign() * draw.within(5.0, 40.0);
    let middle = Point::new(start.x - dy / length * shift, start.y + dx / length * shift);
    let (hx, hy) = (0.5 * size * ux, 0.5 * size * uy);
    Segment {
        p0: Point::new(middle.x - hx, middle.y - hy),
        p1: Point::new(middle.x + hx, middle.y + hy),
    }
}

/// A stroke of `size` pixels anywhere, in any direction.
fn anywhere(draw: &mut Draw, size: f32) -> Segment {
    let from = Point::new(draw.within(0.0, 640.0), draw.within(0.0, 480.0));
    let along = draw.direction();
    Segment {
        p0: from,
        p1: Point::new(from.x + along.x * size, from.y + along.y * size),
    }
}
