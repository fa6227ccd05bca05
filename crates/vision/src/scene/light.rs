//! Light on the plates: a gradient, a spot, and cast shadows whose sharp edges look like joints.

use super::draw::Draw;
use super::layout::{Layout, point_at};
use super::plane::{Plane, bell, clamp01};
use crate::geometry::Point;

/// A cast shadow: everything between two lines, or on one side of one.
struct Shadow {
    at: Point,
    normal: Point,
    width: f32,
    penumbra: f32,
    kept: f32,
}

impl Shadow {
    fn draw(draw: &mut Draw, layout: &Layout) -> Self {
        let truth = layout.truths()[draw.count(0, 3) as usize];
        let near = point_at(&truth, draw.within(0.2, 0.8));
        let (dx, dy) = (truth.p1.x - truth.p0.x, truth.p1.y - truth.p0.y);
        let length = (dx * dx + dy * dy).sqrt();
        let tilt = draw.sign() * draw.within(0.22, 1.6);
        let (nx, ny) = (
            -dy / length + tilt * dx / length,
            dx / length + tilt * dy / length,
        );
        let norm = (nx * nx + ny * ny).sqrt();
        let normal = Point::new(nx / norm, ny / norm);
        let shift = draw.sign() * draw.within(7.0, 34.0);
        Self {
            at: Point::new(near.x + shift * normal.x, near.y + shift * normal.y),
            normal,
            width: if draw.chance(0.6) {
                draw.within(10.0, 70.0)
            } else {
                2000.0
            },
            penumbra: draw.within(1.2, 8.0),
            kept: 1.0 - draw.within(0.12, 0.25 + 0.3 * layout.difficulty),
        }
    }

    /// Share of light that reaches the pixel.
    fn at(&self, x: f32, y: f32) -> f32 {
        let inwards = (x - self.at.x) * self.normal.x + (y - self.at.y) * self.normal.y;
        let dark = clamp01(inwards / self.penumbra + 0.5)
            * clamp01((self.width - inwards) / self.penumbra + 0.5);
        1.0 - dark * (1.0 - self.kept)
    }
}

/// Light at each pixel, around 1.
pub(super) fn illuminate(layout: &Layout, draw: &mut Draw, scene: &mut Plane) {
    let hard = layout.difficulty;
    let tilt = draw.direction();
    let slope = draw.within(0.1, 0.35 + 0.3 * hard) / scene.width as f32;
    let spot = Point::new(draw.within(80.0, 560.0), draw.within(60.0, 420.0));
    let (spot_reach, spot_gain) = (draw.within(140.0, 320.0), draw.within(0.1, 0.6));
    let level = draw.within(0.75, 1.15);
    let shadows: Vec<_> = (0..draw.count(u32::from(hard > 0.3), 1 + (2.6 * hard) as u32))
        .map(|_| Shadow::draw(draw, layout))
        .collect();
    let centre = Point::new(scene.width as f32 * 0.5, scene.height as f32 * 0.5);
    scene.patch(
        Point::new(0.0, 0.0),
        Point::new(640.0, 480.0),
        |value, x, y| {
            let ramp = 1.0 + slope * 2.0 * ((x - centre.x) * tilt.x + (y - centre.y) * tilt.y);
            let (dx, dy) = (x - spot.x, y - spot.y);
            let spotlight = spot_gain * bell((dx * dx + dy * dy).sqrt(), spot_reach);
            let mut light = level * ramp.max(0.15) + spotlight;
            for shadow in &shadows {
                light *= shadow.at(x, y);
            }
            *value *= light;
        },
    );
}
