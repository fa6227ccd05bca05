//! A random crop of an example: turned, mirrored, scaled, relit, blurred and made noisy.

use rand::{Rng, RngExt};

use super::Example;
use crate::edge::EdgeModel;
use crate::edge::pixels::Reading;

/// Of a crop's values: taken off, and divided by; as the compact network reads them.
const MEAN: f32 = 0.5;
/// See [`MEAN`].
const DEVIATION: f32 = 0.25;

/// A piece of an example.
pub struct Crop {
    /// 3 planes of `side` x `side`, (value / 255 - 0.5) / 0.25.
    pub input: Vec<f32>,
    /// 1 on an edge, 0 off it; -1 where it cannot be told and does not count.
    pub target: Vec<f32>,
}

impl Crop {
    /// Appends the planes as a network of this kind reads them.
    pub(super) fn read(&self, model: EdgeModel, into: &mut Vec<f32>) {
        let Reading {
            order,
            mean,
            deviation,
        } = model.reading();
        let area = self.target.len();
        for (channel, colour) in order.into_iter().enumerate() {
            let plane = &self.input[colour * area..(colour + 1) * area];
            let (mean, deviation) = (mean[channel], deviation[channel]);
            if (mean, deviation) == (MEAN, DEVIATION) {
                into.extend_from_slice(plane);
            } else {
                into.extend(
                    plane
                        .iter()
                        .map(|v| (v * DEVIATION + MEAN - mean) / deviation),
                );
            }
        }
    }
}

/// Shares of pixels sampled from the edge map below which there is no edge, and from which there is.
const UNSURE: (f32, f32) = (0.1, 0.4);

/// A crop that usually holds some edge: the best of up to four places.
pub fn crop(example: &Example, side: usize, strength: f32, rng: &mut impl Rng) -> Crop {
    let mut best = (-1.0f32, Placement::draw(example, side, strength, rng));
    for attempt in 0..4 {
        let place = if attempt == 0 {
            best.1
        } else {
            Placement::draw(example, side, strength, rng)
        };
        let share = place.edge_share(example, side);
        if share > best.0 {
            best = (share, place);
        }
        if share > 0.01 {
            break;
        }
    }
    let place = best.1;
    let mut planes = place.sample(example, side);
    let target = place.target(example, side);
    relight(&mut planes, strength, rng);
    if rng.random_bool(0.3 * f64::from(strength)) {
        blur(&mut planes, side, rng.random_range(0.4..1.6));
    }
    if rng.random_bool(0.5 * f64::from(strength)) {
        let sigma = rng.random_range(0.5f32..14.0);
        planes.iter_mut().for_each(|v| *v += sigma * normal(rng));
    }
    let input = planes
        .into_iter()
        .map(|v| (v.clamp(0.0, 255.0) / 255.0 - MEAN) / DEVIATION)
        .collect();
    Crop { input, target }
}

/// Crop pixel (x, y) lies at `origin + x * right + y * down` in the image.
#[derive(Clone, Copy)]
struct Placement {
    origin: [f32; 2],
    right: [f32; 2],
    down: [f32; 2],
}

impl Placement {
    fn draw(example: &Example, side: usize, strength: f32, rng: &mut impl Rng) -> Self {
        let (w, h) = (example.image.width() as f32, example.image.height() as f32);
        let fits = (w.min(h) / side as f32).min(1.35);
        let (turn, step) = if rng.random_bool(0.5 * f64::from(strength)) {
            let turn = rng.random_range(0.0..std::f32::consts::TAU);
            (turn, rng.random_range(0.65f32.min(fits)..=fits))
        } else {
            let quarter = rng.random_range(0..4) as f32;
            (quarter * std::f32::consts::FRAC_PI_2, fits.min(1.0))
        };
        let mirror = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
        let (s, c) = turn.sin_cos();
        // Quarter turns must hit pixels exactly: take the rounding of sine and cosine away.
        let tidy = |v: f32| if v.abs() < 1e-6 { 0.0 } else { v * step };
        let right = [tidy(c) * mirror, tidy(s) * mirror];
        let down = [tidy(-s), tidy(c)];
        let last = (side - 1) as f32;
        let span = |i: usize| {
            let low = (right[i] * last).min(0.0) + (down[i] * last).min(0.0);
            let high = (right[i] * last).max(0.0) + (down[i] * last).max(0.0);
            (low, high)
        };
        let mut place = |i: usize, size: f32| {
            let (low, high) = span(i);
            let (first, last) = (-low, size - 1.0 - high);
            let at = if first < last {
                rng.random_range(first..last)
            } else {
                (first + last) / 2.0
            };
            at.round()
        };
        Self {
            origin: [place(0, w), place(1, h)],
            right,
            down,
        }
    }

    fn at(&self, x: usize, y: usize) -> [f32; 2] {
        [0, 1].map(|i| self.origin[i] + x as f32 * self.right[i] + y as f32 * self.down[i])
    }

    fn edge_share(&self, example: &Example, side: usize) -> f32 {
        let (w, h) = example.edges.dimensions();
        let hit = |x: usize, y: usize| {
            let [px, py] = self.at(x, y).map(f32::round);
            let inside = px >= 0.0 && py >= 0.0 && px < w as f32 && py < h as f32;
            inside && example.edges.get_pixel(px as u32, py as u32).0[0] > 127
        };
        let hits = (0..side)
            .flat_map(|y| (0..side).map(move |x| (x, y)))
            .filter(|&(x, y)| hit(x, y))
            .count();
        hits as f32 / (side * side) as f32
    }

    /// Values 0..255 of three planes; beyond the border the border's.
    fn sample(&self, example: &Example, side: usize) -> Vec<f32> {
        let (w, h) = (
            example.image.width() as usize,
            example.image.height() as usize,
        );
        let raw = example.image.as_raw();
        let mut planes = vec![0.0; 3 * side * side];
        for y in 0..side {
            for x in 0..side {
                let mix = Mix::new(self.at(x, y), w, h);
                for c in 0..3 {
                    planes[c * side * side + y * side + x] = mix.of(|i| f32::from(raw[3 * i + c]));
                }
            }
        }
        planes
    }

    fn target(&self, example: &Example, side: usize) -> Vec<f32> {
        let (w, h) = (
            example.image.width() as usize,
            example.image.height() as usize,
        );
        let raw = example.edges.as_raw();
        let mut target = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let at = self.at(x, y);
                let outside = at[0] < -0.5
                    || at[1] < -0.5
                    || at[0] > w as f32 - 0.5
                    || at[1] > h as f32 - 0.5;
                let share = Mix::new(at, w, h).of(|i| f32::from(raw[i])) / 255.0;
                target.push(match share {
                    _ if outside => -1.0,
                    s if s >= UNSURE.1 => 1.0,
                    s if s < UNSURE.0 => 0.0,
                    _ => -1.0,
                });
            }
        }
        target
    }
}

/// Bilinear mixture of four pixels.
struct Mix {
    index: [usize; 4],
    share: [f32; 4],
}

impl Mix {
    fn new([x, y]: [f32; 2], w: usize, h: usize) -> Self {
        let (x, y) = (x.clamp(0.0, (w - 1) as f32), y.clamp(0.0, (h - 1) as f32));
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        Self {
            index: [y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1],
            share: [
                (1.0 - fx) * (1.0 - fy),
                fx * (1.0 - fy),
                (1.0 - fx) * fy,
                fx * fy,
            ],
        }
    }

    fn of(&self, value: impl Fn(usize) -> f32) -> f32 {
        self.index
            .iter()
            .zip(self.share)
            .map(|(&i, s)| s * value(i))
            .sum()
    }
}

fn relight(planes: &mut [f32], strength: f32, rng: &mut impl Rng) {
    let mut within = |low: f32, high: f32| 1.0 + strength * (rng.random_range(low..high) - 1.0);
    let (gamma, contrast, bright) = (within(0.6, 1.6), within(0.5, 1.4), within(0.6, 1.4));
    let tint = [within(0.85, 1.15), within(0.85, 1.15), within(0.85, 1.15)];
    let grey = rng.random_bool(0.2 * f64::from(strength));
    let area = planes.len() / 3;
    if grey {
        for i in 0..area {
            let mean = (planes[i] + planes[area + i] + planes[2 * area + i]) / 3.0;
            (0..3).for_each(|c| planes[c * area + i] = mean);
        }
    }
    let mean = planes.iter().sum::<f32>() / planes.len() as f32;
    for (plane, tint) in planes.chunks_exact_mut(area).zip(tint) {
        for v in plane {
            let value = (mean + contrast * (*v - mean)) * bright * tint;
            *v = 255.0 * (value.clamp(0.0, 255.0) / 255.0).powf(gamma);
        }
    }
}

fn blur(planes: &mut [f32], side: usize, sigma: f32) {
    let reach = (2.5 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp())
        .collect();
    let total: f32 = weights.iter().sum();
    let mut line = vec![0.0; side];
    let mut along = |plane: &mut [f32], start: usize, step: usize| {
        for (i, out) in line.iter_mut().enumerate() {
            let tap = |k: usize| {
                let at = (i as isize + k as isize - reach).clamp(0, side as isize - 1) as usize;
                plane[start + at * step]
            };
            *out = weights
                .iter()
                .enumerate()
                .map(|(k, w)| w * tap(k))
                .sum::<f32>()
                / total;
        }
        line.iter()
            .enumerate()
            .for_each(|(i, v)| plane[start + i * step] = *v);
    };
    for plane in planes.chunks_exact_mut(side * side) {
        (0..side).for_each(|y| along(plane, y * side, 1));
        (0..side).for_each(|x| along(plane, x, side));
    }
}

/// A normal number by the sum of four uniform ones: close enough for camera noise, and cheap.
fn normal(rng: &mut impl Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: f32 = (0..4)
        .map(|i| ((bits >> (16 * i)) & 0xffff) as f32 / 65535.0)
        .sum();
    (sum - 2.0) * 1.732
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn image_and_edges_stay_together() {
        let image = RgbImage::from_fn(90, 70, |x, _| Rgb([if x < 40 { 20 } else { 220 }; 3]));
        let edges = GrayImage::from_fn(90, 70, |x, _| {
            Luma([if x == 39 || x == 40 { 255 } else { 0 }])
        });
        let example = Example { image, edges };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20 {
            let crop = crop(&example, 48, 1.0, &mut rng);
            assert!(crop.input.iter().all(|v| v.is_finite()));
            let on: Vec<usize> = (0..48 * 48).filter(|&i| crop.target[i] > 0.5).collect();
            assert!(!on.is_empty());
        }
        let still = crop(&example, 48, 0.0, &mut rng);
        for (i, target) in still.target.iter().enumerate() {
            let (x, y) = (i % 48, i / 48);
            let steep = x > 0 && x < 47 && (still.input[i + 1] - still.input[i - 1]).abs() > 1.0
                || y > 0 && y < 47 && (still.input[i + 48] - still.input[i - 48]).abs() > 1.0;
            assert!(!steep || *target == 1.0);
        }
    }
}
