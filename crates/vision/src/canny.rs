//! Canny's edges: blur, Sobel's gradient, thinning along it; hysteresis.
//!
//! [`thinned`] is the first three of these, [`canny`] all. It gives the bits of `imageproc::edges::canny`, which it replaces: whole numbers where that changes nothing (squares
//! of gradients instead of roots, comparisons instead of angles), a line at a time, four bytes a pixel instead of 21.
//! Source: Canny, "A computational approach to edge detection", PAMI 8, 1986.

use image::GrayImage;
use multiversion::multiversion;

/// Standard deviation of the blur, in pixels.
const DEVIATION: f32 = 1.4;
/// How far the blur reaches, in pixels: two deviations, rounded up.
const REACH: usize = 3;
/// Taps of the blur along one axis.
type Taps = [f32; 2 * REACH + 1];

/// What thinning makes of a pixel: nothing, an edge where it is next to one, an edge.
const NONE: u8 = 0;
/// See [`NONE`].
const WEAK: u8 = 1;
/// See [`NONE`].
const STRONG: u8 = 2;
/// What hysteresis makes of an edge.
const EDGE: u8 = 255;

/// 255 at the pixels of edges, 0 at all others; the outermost pixels are none.
///
/// `low` and `high` bound the strength of the gradient, sqrt(dx² + dy²) <= 1,140 with Sobel's dx and dy of the blurred image: an
/// edge of at least `low` counts where it hangs together with one of at least `high`.
///
/// # Panics
/// If `high` is below `low` or `low` is 0.
pub fn canny(grey: &GrayImage, low: u16, high: u16) -> GrayImage {
    assert!(0 < low && low <= high, "thresholds {low} and {high}");
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let square = |threshold: u16| i32::from(threshold).pow(2);
    let (low, high) = (square(low), square(high));
    let mut pixels = vec![NONE; width * height];
    thinned(grey, |y, squares| {
        let out = &mut pixels[y * width..][..width];
        for (out, &square) in out.iter_mut().zip(squares) {
            *out = u8::from(square >= low) + u8::from(square >= high);
        }
    });
    follow(&mut pixels, width);
    GrayImage::from_raw(grey.width(), grey.height(), pixels).expect("a byte a pixel")
}

/// Gives `take` each line but the first and the last with its number: squares of the gradient's strength where it is not below that
/// of its two neighbours along the gradient, else 0, which the first and the last of a line are too. Nothing of less than 3 x 3 pixels.
pub(crate) fn thinned(grey: &GrayImage, mut take: impl FnMut(usize, &[i32])) {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    if width < 3 || height < 3 {
        return;
    }
    let blurred = Blurred::of(grey);
    let mut lines: [Gradient; 3] = Default::default();
    lines[1].read(&blurred, 0);
    lines[2].read(&blurred, 1);
    let mut kept = vec![0; width];
    for y in 1..height - 1 {
        lines.rotate_left(1);
        lines[2].read(&blurred, y + 1);
        thin(&lines, &mut kept);
        take(y, &kept);
    }
}

/// A blurred image, each line with its first and last pixel repeated beside it.
struct Blurred {
    stride: usize,
    pixels: Vec<u8>,
}

impl Blurred {
    fn of(grey: &GrayImage) -> Self {
        let (width, height) = (grey.width() as usize, grey.height() as usize);
        let (taps, stride) = (taps(), width + 2);
        let mut across = vec![0; width * height];
        let mut wide = vec![0.0; width + 2 * REACH];
        let lines = grey.as_raw().chunks_exact(width);
        for (line, out) in lines.zip(across.chunks_exact_mut(width)) {
            blur_across(line, &taps, &mut wide, out);
        }
        let mut pixels = vec![0; stride * height];
        let mut sums = vec![0.0; width];
        for (y, out) in pixels.chunks_exact_mut(stride).enumerate() {
            let lines = std::array::from_fn(|k| {
                let y = (y + k).saturating_sub(REACH).min(height - 1);
                &across[y * width..][..width]
            });
            blur_down(lines, &taps, &mut sums, &mut out[1..=width]);
            (out[0], out[width + 1]) = (out[1], out[width]);
        }
        Self { stride, pixels }
    }

    /// Line `y`, or the nearest there is.
    fn line(&self, y: usize) -> &[u8] {
        let last = self.pixels.len() / self.stride - 1;
        &self.pixels[y.min(last) * self.stride..][..self.stride]
    }
}

/// Gaussian weights, of sum 1.
fn taps() -> Taps {
    let density = |x: f32| {
        let scale = (DEVIATION * (2.0 * std::f32::consts::PI).sqrt()).recip();
        scale * (-x.powi(2) / (2.0 * DEVIATION.powi(2))).exp()
    };
    let mut taps: Taps = std::array::from_fn(|k| density(k.abs_diff(REACH) as f32));
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= sum);
    taps
}

/// `out` is `line` blurred, borders repeated; `wide` is working memory, 2 [`REACH`] longer.
#[multiversion(targets("x86_64+avx2"))]
fn blur_across(line: &[u8], taps: &Taps, wide: &mut [f32], out: &mut [u8]) {
    let width = line.len();
    wide[..REACH].fill(f32::from(line[0]));
    for (wide, value) in wide[REACH..].iter_mut().zip(line) {
        *wide = f32::from(*value);
    }
    wide[REACH + width..].fill(f32::from(line[width - 1]));
    let out = &mut out[..width];
    let wide = &wide[..width + 2 * REACH];
    for x in 0..width {
        let mut sum = 0.0;
        for (k, tap) in taps.iter().enumerate() {
            sum += wide[x + k] * tap;
        }
        out[x] = sum as u8;
    }
}

/// `out` is the weighted sum of `lines`, which `sums` holds on the way.
#[multiversion(targets("x86_64+avx2"))]
fn blur_down(lines: [&[u8]; 2 * REACH + 1], taps: &Taps, sums: &mut [f32], out: &mut [u8]) {
    sums.fill(0.0);
    for (line, tap) in lines.iter().zip(taps) {
        for (sum, value) in sums.iter_mut().zip(*line) {
            *sum += f32::from(*value) * tap;
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = *sum as u8;
    }
}

/// Gradients of one line.
#[derive(Default)]
struct Gradient {
    across: Vec<i32>,
    down: Vec<i32>,
    /// dx² + dy² <= 2,080,800: as whole numbers in the order of their roots.
    square: Vec<i32>,
}

impl Gradient {
    fn read(&mut self, blurred: &Blurred, y: usize) {
        for plane in [&mut self.across, &mut self.down, &mut self.square] {
            plane.resize(blurred.stride - 2, 0);
        }
        let lines = [y.saturating_sub(1), y, y + 1].map(|y| blurred.line(y));
        sobel(lines, &mut self.across, &mut self.down, &mut self.square);
    }
}

/// Sobel's differences across and down, and the sum of their squares, of the middle of three lines.
#[multiversion(targets("x86_64+avx2"))]
fn sobel(lines: [&[u8]; 3], across: &mut [i32], down: &mut [i32], square: &mut [i32]) {
    let width = across.len();
    let [above, here, below] = lines.map(|line| &line[..width + 2]);
    let (down, square) = (&mut down[..width], &mut square[..width]);
    for x in 0..width {
        let at = |line: &[u8], k: usize| i32::from(line[x + k]);
        let dx = at(above, 2) - at(above, 0) + 2 * (at(here, 2) - at(here, 0)) + at(below, 2)
            - at(below, 0);
        let dy = at(below, 0) + 2 * at(below, 1) + at(below, 2)
            - (at(above, 0) + 2 * at(above, 1) + at(above, 2));
        across[x] = dx;
        down[x] = dy;
        square[x] = dx * dx + dy * dy;
    }
}

/// Squares of the middle of three lines, 0 where a neighbour along the gradient is stronger. A direction is one of four, each an
/// eighth of a turn wide, by the tangent of an eighth's half, sqrt(2) - 1: |dy| < (sqrt(2) - 1) |dx| where (|dx| + |dy|)² < 2 dx².
#[multiversion(targets("x86_64+avx2"))]
fn thin(lines: &[Gradient; 3], out: &mut [i32]) {
    let width = out.len();
    let [above, here, below] = [0, 1, 2].map(|line| &lines[line].square[..width]);
    let (across, down) = (&lines[1].across[..width], &lines[1].down[..width]);
    for x in 1..width - 1 {
        let (dx, dy) = (across[x], down[x]);
        let both = (dx.abs() + dy.abs()).pow(2);
        let flat = here[x - 1].max(here[x + 1]);
        let steep = above[x].max(below[x]);
        let falling = above[x - 1].max(below[x + 1]);
        let rising = below[x - 1].max(above[x + 1]);
        let slanted = if (dx ^ dy) >= 0 { falling } else { rising };
        let beside = if both < 2 * dx * dx {
            flat
        } else if both < 2 * dy * dy {
            steep
        } else {
            slanted
        };
        out[x] = if here[x] >= beside { here[x] } else { 0 };
    }
}

/// Makes [`EDGE`] of all that is [`STRONG`] or hangs together with it, of the rest 0. Neighbours are the six that imageproc
/// looks at; what is reached does not depend on the order.
fn follow(pixels: &mut [u8], width: usize) {
    let mut open = Vec::new();
    for first in 0..pixels.len() {
        if pixels[first] != STRONG {
            continue;
        }
        pixels[first] = EDGE;
        open.push(first);
        while let Some(index) = open.pop() {
            let above = index - width;
            let below = index + width;
            for next in [index + 1, below + 1, below, above - 1, index - 1, below - 1] {
                if matches!(pixels[next], WEAK | STRONG) {
                    pixels[next] = EDGE;
                    open.push(next);
                }
            }
        }
    }
    for pixel in pixels {
        *pixel = if *pixel == EDGE { EDGE } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    /// Smooth hills under noise of some strength: gradients of all directions and strengths.
    fn hills(width: u32, height: u32, noise: u32) -> GrayImage {
        let mut state = width * 31 + height + 1;
        GrayImage::from_fn(width, height, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (x as f32 / 17.0, y as f32 / 23.0);
            let hill = 110.0 + 100.0 * (x.sin() * y.cos() + (x * y * 0.3).sin()) / 2.0;
            let grain = (state >> 16) % (noise + 1);
            image::Luma([(hill + grain as f32).clamp(0.0, 255.0) as u8])
        })
    }

    #[test]
    fn edges_are_those_of_imageproc() {
        let mut images: Vec<GrayImage> = [
            (3, 3),
            (3, 50),
            (50, 3),
            (4, 4),
            (6, 7),
            (9, 8),
            (97, 61),
            (320, 200),
        ]
        .into_iter()
        .flat_map(|(width, height)| [0, 30, 255].map(|noise| hills(width, height, noise)))
        .collect();
        images.push(image::imageops::grayscale(&Scene::generate(3, 1).image));
        images.push(GrayImage::from_pixel(40, 30, image::Luma([255])));
        for grey in &images {
            for (low, high) in [(40, 100), (60, 150), (1, 1), (200, 200)] {
                let expected = imageproc::edges::canny(grey, f32::from(low), f32::from(high));
                let same = canny(grey, low, high) == expected;
                assert!(same, "{:?}, {low} {high}", grey.dimensions());
            }
        }
    }

    #[test]
    fn directions_are_those_of_the_angle_for_all_gradients_there_can_be() {
        // two columns apart the blurred image differs by at most the weight of the two middle taps, and a level that is cut off;
        // of stronger gradients (-985, -408) would be found flat, because the angle is rounded
        let taps = taps();
        let most = (4.0 * (255.0 * (taps[REACH] + taps[REACH - 1]) + 1.0)) as i32;
        assert!(most < 600, "{most}");
        for dx in -most..=most {
            for dy in -most..=most {
                let mut angle = (dy as f32).atan2(dx as f32) * (180.0 / std::f32::consts::PI);
                if angle < 0.0 {
                    angle += 180.0;
                }
                let expected = match angle {
                    22.5..67.5 => 1,
                    67.5..112.5 => 2,
                    112.5..157.5 => 3,
                    _ => 0,
                };
                let both = (dx.abs() + dy.abs()).pow(2);
                let found = if dx == 0 && dy == 0 || both < 2 * dx * dx {
                    0
                } else if both < 2 * dy * dy {
                    2
                } else if (dx ^ dy) >= 0 {
                    1
                } else {
                    3
                };
                assert_eq!(found, expected, "{dx} {dy}");
            }
        }
    }

    #[test]
    fn what_is_too_small_for_a_gradient_has_no_edges() {
        for (width, height) in [(0, 0), (1, 9), (9, 2)] {
            let grey = GrayImage::from_fn(width, height, |x, _| image::Luma([x as u8 * 25]));
            assert!(canny(&grey, 1, 1).as_raw().iter().all(|&pixel| pixel == 0));
        }
    }
}
