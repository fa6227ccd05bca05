//! The level-line field of an image: where brightness changes, how much, and in which direction it does not.
//!
//! Central type [`LevelLines`]. The image is sampled at [`SCALE`] of its size under a Gaussian, which takes the stairs
//! out of slanted edges; only the rows at work are held as numbers.

use image::GrayImage;

use crate::geometry::Point;

/// Size of the sampled image over the image's.
const SCALE: f32 = 0.8;

/// Standard deviation of the Gaussian, in image pixels: 0.6 / [`SCALE`].
const SIGMA: f32 = 0.75;

/// Pixels to each side that the Gaussian takes in.
const RADIUS: usize = 3;

/// Gradient below which the rounding of pixels alone may turn a level line by the tolerance: 2 / sin 22.5 degrees.
const LEAST: f32 = 5.226;

/// Bins of gradient strength by which seeds are ordered, and bins for each step of grey.
const BINS: usize = 1024;
const BINS_PER_GREY: f32 = 2.8;

/// Level lines at the corners between sampled pixels.
pub(super) struct LevelLines {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row-major (x, y), along the level line, brighter side to the left of it; length = steps of grey per sampled pixel.
    /// Zero where the brightness hardly changes.
    along: Vec<[f32; 2]>,
}

impl LevelLines {
    /// The field of `grey`; empty if it has no 2 x 2 sampled pixels.
    pub(super) fn new(grey: &GrayImage) -> Self {
        let columns = samples(grey.width());
        let rows = samples(grey.height());
        let (width, height) = (
            columns.len().saturating_sub(1),
            rows.len().saturating_sub(1),
        );
        let mut along = Vec::with_capacity(width * height);
        let mut above = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let below = sampled_row(grey, row, &columns);
            if index > 0 {
                let pairs = above.windows(2).zip(below.windows(2));
                along.extend(pairs.map(|(a, b): (&[f32], &[f32])| level_line(a, b)));
            }
            above = below;
        }
        Self {
            width,
            height,
            along,
        }
    }

    /// The unit direction of a pixel's level line; `None` where there is none.
    pub(super) fn direction(&self, index: usize) -> Option<[f32; 2]> {
        let [x, y] = self.along[index];
        let strength = x.hypot(y);
        (strength > 0.0).then(|| [x / strength, y / strength])
    }

    /// Strength of a pixel's gradient, in steps of grey.
    pub(super) fn strength(&self, index: usize) -> f32 {
        self.along[index][0].hypot(self.along[index][1])
    }

    /// Where a pixel lies in the field.
    pub(super) fn point(&self, index: usize) -> Point {
        Point::new((index % self.width) as f32, (index / self.width) as f32)
    }

    /// A point of the field in pixels of the image.
    pub(super) fn in_image(&self, point: Point) -> Point {
        // half a pixel to the corner between four, half a pixel from an edge to a centre
        let turn = |at: f32| (at + 1.0) / SCALE - 0.5;
        Point::new(turn(point.x), turn(point.y))
    }

    /// The pixels that have a level line, by falling strength (in [`BINS`] steps), then in reading order.
    pub(super) fn strongest_first(&self) -> Vec<usize> {
        let bin = |strength: f32| BINS - 1 - ((strength * BINS_PER_GREY) as usize).min(BINS - 1);
        let mut next = vec![0; BINS + 1];
        let lines = || {
            let all = (0..self.along.len()).map(|index| (index, self.strength(index)));
            all.filter(|(_, strength)| *strength > 0.0)
        };
        for (_, strength) in lines() {
            next[bin(strength) + 1] += 1;
        }
        for index in 0..BINS {
            next[index + 1] += next[index];
        }
        let mut order = vec![0; next[BINS]];
        for (index, strength) in lines() {
            let place = &mut next[bin(strength)];
            order[*place] = index;
            *place += 1;
        }
        order
    }
}

/// Where a sample takes its pixels, borders repeated, and what each weighs; the weights sum to 1.
type Taps = [(usize, f32); 2 * RADIUS + 1];

/// The samples along an axis of `length` pixels.
fn samples(length: u32) -> Vec<Taps> {
    let count = (length as f32 * SCALE) as u32;
    (0..count)
        .map(|sample| {
            let centre = (sample as f32 + 0.5) / SCALE - 0.5;
            let first = centre.round() as i64 - RADIUS as i64;
            let mut taps = std::array::from_fn(|tap| {
                let at = first + tap as i64;
                let off = (at as f32 - centre) / SIGMA;
                let pixel = at.clamp(0, i64::from(length) - 1) as usize;
                (pixel, (-0.5 * off * off).exp())
            });
            let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
            taps
        })
        .collect()
}

/// One row of the sampled image.
fn sampled_row(grey: &GrayImage, row: &Taps, columns: &[Taps]) -> Vec<f32> {
    let width = grey.width() as usize;
    let mut blurred = vec![0.0_f32; width];
    for (y, weight) in row {
        let pixels = &grey.as_raw()[y * width..][..width];
        for (sum, pixel) in blurred.iter_mut().zip(pixels) {
            *sum += weight * f32::from(*pixel);
        }
    }
    let sample = |taps: &Taps| taps.iter().map(|(x, weight)| weight * blurred[*x]).sum();
    columns.iter().map(sample).collect()
}

/// The level line between two pixels above and two below; zero where the gradient is below [`LEAST`].
fn level_line(above: &[f32], below: &[f32]) -> [f32; 2] {
    let (down, up) = (below[1] - above[0], above[1] - below[0]);
    let (right, bottom) = ((down + up) / 2.0, (down - up) / 2.0);
    match right.hypot(bottom) > LEAST {
        true => [bottom, -right],
        false => [0.0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_come_first_and_equals_in_reading_order() {
        let steps = GrayImage::from_fn(60, 20, |x, _| {
            image::Luma([match x {
                0..20 => 0,
                20..40 => 40,
                _ => 200,
            }])
        });
        let field = LevelLines::new(&steps);
        assert_eq!((field.width, field.height), (47, 15));
        let order = field.strongest_first();
        let strengths: Vec<f32> = order.iter().map(|i| field.strength(*i)).collect();
        assert!(
            strengths
                .windows(2)
                .all(|s| s[0] >= s[1] - 1.0 / BINS_PER_GREY)
        );
        let first = field.in_image(field.point(order[0]));
        assert!((first.x - 39.5).abs() < 1.0, "{first:?}");
        assert!(order.windows(2).take(14).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_slope_is_as_strong_as_it_rises() {
        let slope = GrayImage::from_fn(30, 30, |x, _| image::Luma([8 * x as u8]));
        let field = LevelLines::new(&slope);
        let middle = field.width * 12 + 12;
        // 8 a pixel are 10 a sampled pixel
        assert!((field.strength(middle) - 10.0).abs() < 0.01);
        let [x, y] = field.direction(middle).unwrap();
        assert!(x.abs() < 1e-4 && (y.abs() - 1.0).abs() < 1e-4);
    }
}
