//! The camera: focus, motion, gain, sensor noise, 8-bit colour.

use image::{Rgb, RgbImage};

use super::draw::Draw;
use super::plane::Plane;

/// How the camera sees one scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    blur: f32,
    motion: (f32, f32),
    noise: f32,
    warmth: f32,
}

impl Camera {
    /// Draws a camera for a scene of the given difficulty.
    pub(super) fn draw(draw: &mut Draw, difficulty: f32) -> Self {
        let moved = draw.chance(0.15 + 0.4 * difficulty);
        let way = draw.direction();
        let path = if moved {
            draw.within(1.0, 2.0 + 2.0 * difficulty)
        } else {
            0.0
        };
        Self {
            blur: draw.within(0.6, 1.0 + 0.6 * difficulty),
            motion: (way.x * path, way.y * path),
            noise: draw.within(0.006, 0.012 + 0.022 * difficulty),
            warmth: draw.within(-0.05, 0.07),
        }
    }

    /// Turns a lit scene (linear-looking, 1 = white) into pixels.
    pub(super) fn expose(&self, draw: &mut Draw, scene: &Plane) -> RgbImage {
        let mut seen = blurred(scene, self.blur);
        if self.motion != (0.0, 0.0) {
            seen = smeared(&seen, self.motion);
        }
        let grain = draw.bytes(seen.values.len() * 8);
        let mut image = RgbImage::new(seen.width as u32, seen.height as u32);
        for ((pixel, &value), bytes) in image
            .pixels_mut()
            .zip(&seen.values)
            .zip(grain.chunks_exact(8))
        {
            let four = |b: &[u8]| (b.iter().map(|&b| f32::from(b)).sum::<f32>() - 510.0) / 147.2;
            let shot = self.noise * (0.5 + value.max(0.0)).min(1.3);
            let grey = shoulder(value) + shot * four(&bytes[..4]);
            let tint = self.warmth + 0.35 * self.noise * four(&bytes[4..]);
            let level = |gain: f32| (grey * gain * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
            *pixel = Rgb([level(1.0 + tint), level(1.0), level(1.0 - tint)]);
        }
        image
    }
}

/// The sensor's response: straight to 0.8, then a soft shoulder that reaches white at 1.25.
fn shoulder(value: f32) -> f32 {
    let over = ((value - 0.8) / 0.45).clamp(0.0, 1.0);
    value.min(0.8) + 0.2 * over * (2.0 - over)
}

/// Out of focus by about `sigma` pixels: a separable kernel (1 - (d/R)^2)^2 with R = 2.65 sigma.
fn blurred(scene: &Plane, sigma: f32) -> Plane {
    let radius = (2.65 * sigma).max(1.01);
    let reach = radius as usize;
    let mut kernel: Vec<f32> = (0..=reach)
        .map(|k| {
            let t = k as f32 / radius;
            (1.0 - t * t) * (1.0 - t * t)
        })
        .collect();
    let total = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
    kernel.iter_mut().for_each(|weight| *weight /= total);
    let (width, height) = (scene.width, scene.height);
    let mut rows = Plane::filled(width, height, 0.0);
    let mut padded = vec![0.0; width + 2 * reach];
    for y in 0..height {
        let source = &scene.values[y * width..(y + 1) * width];
        padded[..reach].fill(source[0]);
        padded[reach..reach + width].copy_from_slice(source);
        padded[reach + width..].fill(source[width - 1]);
        let out = &mut rows.values[y * width..(y + 1) * width];
        for (k, &weight) in kernel.iter().enumerate() {
            for x in 0..width {
                let pair = if k == 0 {
                    padded[reach + x]
                } else {
                    padded[reach + x - k] + padded[reach + x + k]
                };
                out[x] += weight * pair;
            }
        }
    }
    let mut out = Plane::filled(width, height, 0.0);
    for y in 0..height {
        let target = &mut out.values[y * width..(y + 1) * width];
        for (k, &weight) in kernel.iter().enumerate() {
            let above = y.saturating_sub(k);
            let below = (y + k).min(height - 1);
            let up = &rows.values[above * width..(above + 1) * width];
            let down = &rows.values[below * width..(below + 1) * width];
            let weight = if k == 0 { 0.5 * weight } else { weight };
            for x in 0..width {
                target[x] += weight * (up[x] + down[x]);
            }
        }
    }
    out
}

/// Moved by (dx, dy) pixels while the shutter was open: the mean of seven shifted copies.
fn smeared(scene: &Plane, motion: (f32, f32)) -> Plane {
    const STEPS: usize = 7;
    let (width, height) = (scene.width, scene.height);
    let mut out = Plane::filled(width, height, 0.0);
    for step in 0..STEPS {
        let share = step as f32 / (STEPS - 1) as f32 - 0.5;
        let (sx, sy) = (motion.0 * share, motion.1 * share);
        let (fx, fy) = (sx.floor(), sy.floor());
        let (tx, ty) = (sx - fx, sy - fy);
        for y in 0..height {
            let clamp_row = |offset: i64| {
                ((y as i64 + fy as i64 + offset).clamp(0, height as i64 - 1)) as usize * width
            };
            let (top, low) = (clamp_row(0), clamp_row(1));
            let target = &mut out.values[y * width..(y + 1) * width];
            for (x, value) in target.iter_mut().enumerate() {
                let x0 = (x as i64 + fx as i64).clamp(0, width as i64 - 1) as usize;
                let x1 = (x as i64 + fx as i64 + 1).clamp(0, width as i64 - 1) as usize;
                let upper = scene.values[top + x0] * (1.0 - tx) + scene.values[top + x1] * tx;
                let lower = scene.values[low + x0] * (1.0 - tx) + scene.values[low + x1] * tx;
                *value += (upper * (1.0 - ty) + lower * ty) / STEPS as f32;
            }
        }
    }
    out
}
