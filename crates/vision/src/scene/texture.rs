//! Steel: tones of the plates, brush marks, mill scale.
//!
//! Each plate has a tone and a brushing direction. Brush marks are white noise drawn out along that
//! direction; mill scale is noise at three scales, thresholded softly into dark patches.

use super::draw::Draw;
use super::layout::Layout;
use super::plane::{Plane, clamp01, smooth_step};
use crate::geometry::{Point, Segment};

/// Side of the noise tile, a power of two.
const TILE: usize = 256;

/// A square of noise that repeats without a seam; values about [-1, 1].
struct Tile(Vec<f32>);

impl Tile {
    fn white(draw: &mut Draw) -> Self {
        Self(
            draw.bytes(TILE * TILE)
                .iter()
                .map(|&byte| f32::from(byte) / 127.5 - 1.0)
                .collect(),
        )
    }

    /// Averages over `2 * reach + 1` neighbours along x, keeping the standard deviation.
    fn drawn_out(&self, reach: usize) -> Self {
        let taps = 2 * reach + 1;
        let gain = 1.0 / (taps as f32).sqrt();
        let mut out = vec![0.0; TILE * TILE];
        for y in 0..TILE {
            let row = &self.0[y * TILE..(y + 1) * TILE];
            let mut sum: f32 = (0..taps).map(|k| row[(k + TILE - reach) % TILE]).sum();
            for x in 0..TILE {
                out[y * TILE + x] = sum * gain;
                sum += row[(x + reach + 1) % TILE] - row[(x + TILE - reach) % TILE];
            }
        }
        Self(out)
    }

    /// Bilinear sample at (u, v), repeating.
    fn at(&self, u: f32, v: f32) -> f32 {
        let (fu, fv) = (u.floor(), v.floor());
        let (tu, tv) = (u - fu, v - fv);
        let wrap = |value: f32| (value as i64 & (TILE as i64 - 1)) as usize;
        let (x0, y0) = (wrap(fu), wrap(fv));
        let (x1, y1) = ((x0 + 1) & (TILE - 1), (y0 + 1) & (TILE - 1));
        let top = self.0[y0 * TILE + x0] * (1.0 - tu) + self.0[y0 * TILE + x1] * tu;
        let low = self.0[y1 * TILE + x0] * (1.0 - tu) + self.0[y1 * TILE + x1] * tu;
        top * (1.0 - tv) + low * tv
    }
}

/// How one plate looks.
#[derive(Clone, Copy, Debug)]
struct Plate {
    tone: f32,
    brush: Point,
    brush_depth: f32,
    scale_depth: f32,
    offset: Point,
}

impl Plate {
    fn draw(draw: &mut Draw, tone: f32, difficulty: f32) -> Self {
        let mut brush = draw.direction();
        if draw.chance(0.6) {
            // most plates are brushed roughly along or across
            let skew = draw.within(-0.15, 0.15);
            let length = (1.0 + skew * skew).sqrt();
            brush = if draw.chance(0.5) {
                Point::new(1.0 / length, skew / length)
            } else {
                Point::new(skew / length, 1.0 / length)
            };
        }
        Self {
            tone,
            brush,
            brush_depth: draw.within(0.02, 0.06 + 0.09 * difficulty),
            scale_depth: draw.within(0.03, 0.10 + 0.12 * difficulty),
            offset: Point::new(draw.within(0.0, TILE as f32), draw.within(0.0, TILE as f32)),
        }
    }
}

/// Reflectance of the plates, before light; about 0.1 .. 0.9.
pub(super) fn reflectance(layout: &Layout, draw: &mut Draw) -> Plane {
    let (width, height) = (
        super::layout::WIDTH as usize,
        super::layout::HEIGHT as usize,
    );
    let hard = layout.difficulty;
    let white = Tile::white(draw);
    let streaks = white.drawn_out(14);

    let back_tone = draw.within(0.34, 0.58);
    let step = |draw: &mut Draw| draw.sign() * draw.within(0.02, 0.06 + 0.16 * (1.0 - hard));
    let back = Plate::draw(draw, back_tone, hard);
    let left = {
        let tone = back_tone + step(draw);
        Plate::draw(draw, tone, hard)
    };
    let right = {
        let tone = back_tone + step(draw);
        Plate::draw(draw, tone, hard)
    };
    let floor = {
        let tone = back_tone + step(draw);
        Plate::draw(draw, tone, hard)
    };
    let collar = {
        let tone = back_tone + step(draw);
        Plate::draw(draw, tone, hard)
    };
    let beyond = draw.within(0.04, 0.16);

    let mut plane = Plane::filled(width, height, 0.0);
    for y in 0..height {
        for x in 0..width {
            let at = Point::new(x as f32, y as f32);
            let left_of_left = clamp01(0.5 - side(&layout.left, at));
            let right_of_right = clamp01(0.5 + side(&layout.right, at));
            let below = if left_of_left > 0.5 {
                clamp01(0.5 - side(&layout.left_foot, at))
            } else if right_of_right > 0.5 {
                clamp01(0.5 + side(&layout.right_foot, at))
            } else {
                clamp01(0.5 + side(&layout.fillet, at))
            };
            let in_collar = clamp01(0.5 - side(&layout.collar, at))
                * clamp01(0.5 + side(&layout.collar_top, at));
            let mut value = 0.0;
            let mut rest = 1.0;
            for (plate, cover) in [
                (&floor, below),
                (&left, left_of_left),
                (&right, right_of_right),
                (&collar, in_collar),
                (&back, 1.0),
            ] {
                let share = rest * cover;
                if share > 0.0 {
                    value += share * surface(plate, &streaks, &white, at);
                    rest -= share;
                }
            }
            if let Some(rim) = &layout.rim {
                let above = clamp01(0.5 - side(rim, at));
                if above > 0.0 {
                    let dim = beyond + 0.03 * white.at(at.x * 0.031, at.y * 0.031);
                    value = value * (1.0 - above) + dim * above;
                }
            }
            plane.values[y * width + x] = value;
        }
    }
    plane
}

/// Pixels from the line through the segment; positive to the right of the direction of travel on the screen.
fn side(segment: &Segment, at: Point) -> f32 {
    let (dx, dy) = (segment.p1.x - segment.p0.x, segment.p1.y - segment.p0.y);
    let length = (dx * dx + dy * dy).sqrt();
    (dx * (at.y - segment.p0.y) - dy * (at.x - segment.p0.x)) / length
}

/// Reflectance of a plate at a pixel.
fn surface(plate: &Plate, streaks: &Tile, white: &Tile, at: Point) -> f32 {
    let u = at.x * plate.brush.x + at.y * plate.brush.y;
    let v = at.y * plate.brush.x - at.x * plate.brush.y;
    let (ou, ov) = (plate.offset.x, plate.offset.y);
    let brushed =
        streaks.at(u * 0.35 + ou, v + ov) + 0.7 * streaks.at(u * 0.12 + ov, v * 0.37 + ou);
    let patches = white.at(at.x * 0.013 + ou, at.y * 0.013 + ov)
        + 0.6 * white.at(at.x * 0.037 + ov, at.y * 0.037 + ou)
        + 0.35 * white.at(at.x * 0.11 + ou, at.y * 0.11 + ou);
    let scale = smooth_step(0.1, 0.75, patches);
    plate.tone * (1.0 + plate.brush_depth * brushed)
        - plate.scale_depth * scale * (1.0 + 0.5 * brushed * plate.brush_depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_of_the_direction_of_travel_is_positive() {
        let rightwards = Segment::new(0.0, 0.0, 10.0, 0.0);
        assert_eq!(side(&rightwards, Point::new(3.0, 2.0)), 2.0);
        let upwards = Segment::new(5.0, 10.0, 5.0, 0.0);
        assert_eq!(side(&upwards, Point::new(8.0, 4.0)), 3.0);
    }
}
