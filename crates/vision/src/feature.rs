//! The six environment features of an image: what makes it hard, in numbers.
//!
//! Brightness, contrast, edge density, texture, blur and noise, computed from the grey image in whole numbers as far
//! as possible, so that the order of summation changes nothing. [`scaled`] brings them to [0, 1] over a set.

use image::{GrayImage, RgbImage};
use multiversion::multiversion;

use crate::canny::canny;

/// Names of the features, in order.
pub const FEATURE_NAMES: [&str; 6] = [
    "brightness",
    "contrast",
    "edge_density",
    "texture_complexity",
    "blur_level",
    "noise_level",
];

/// Thresholds of the gradient for Canny's hysteresis (Sobel, after a blur), of a possible 1,140.
const CANNY: (u16, u16) = (60, 150);
/// Edges are counted on an image reduced by a whole factor until its longer side is at most this.
const CANNY_SIDE: u32 = 1280;
/// Laplacian variance at which texture is 0.5, in squared grey levels.
const TEXTURE_HALF: f64 = 2000.0;
/// Laplacian variance at which blur is 0.5.
const BLUR_HALF: f64 = 200.0;

/// Version of the features and of decoding: what is kept of an image is computed anew under another one.
pub const VERSION: &str = "features 1";

/// What decoding an image tells of it beside its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Columns and rows.
    pub size: (u32, u32),
    /// [`environment_features`].
    pub features: [f64; 6],
}

impl Look {
    /// At these pixels.
    pub fn at(pixels: &RgbImage) -> Self {
        Self {
            size: pixels.dimensions(),
            features: environment_features(pixels),
        }
    }
}

/// Raw features of an image, in the order of [`FEATURE_NAMES`].
///
/// With grey g in 0 ..= 255, v the variance of its 4-neighbour Laplacian, and h = g minus its 3 x 3 binomial mean:
/// mean(g) / 255; std(g) / 128; share of Canny pixels; v / (v + 2000); 1 - v / (v + 200); std(h) / 255.
/// All lie in [0, 1]: the standard deviation of values in 0 ..= 255 is at most 127.5, that of h below 255.
pub fn environment_features(rgb: &RgbImage) -> [f64; 6] {
    let grey = image::imageops::grayscale(rgb);
    let (mean, deviation) = Moments::of_levels(grey.as_raw()).summary();
    let (mut laplacian, mut high) = (Moments::default(), Moments::default());
    let width = grey.width() as usize;
    if width > 2 {
        let lines = grey.as_raw().chunks_exact(width);
        for ((above, here), below) in lines.clone().zip(lines.clone().skip(1)).zip(lines.skip(2)) {
            differences([above, here, below], &mut laplacian, &mut high);
        }
    }
    let variance = laplacian.summary().1.powi(2);
    [
        mean / 255.0,
        deviation / 128.0,
        edge_density(&grey),
        variance / (variance + TEXTURE_HALF),
        1.0 - variance / (variance + BLUR_HALF),
        high.summary().1 / 16.0 / 255.0,
    ]
}

/// Each feature scaled to [0, 1] over the set: its least value becomes 0, its greatest 1; 0.5 where all are equal.
pub fn scaled(raw: &[[f64; 6]]) -> Vec<[f64; 6]> {
    let mut low = [f64::INFINITY; 6];
    let mut high = [f64::NEG_INFINITY; 6];
    for row in raw {
        for k in 0..6 {
            low[k] = low[k].min(row[k]);
            high[k] = high[k].max(row[k]);
        }
    }
    let scale = |value: f64, k: usize| {
        if high[k] > low[k] {
            (value - low[k]) / (high[k] - low[k])
        } else {
            0.5
        }
    };
    raw.iter()
        .map(|row| std::array::from_fn(|k| scale(row[k], k)))
        .collect()
}

/// Sums over whole numbers, exact: of levels and their differences below 2^13 for any image that fits into memory.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: i64,
    sum: i64,
    squares: i64,
}

impl Moments {
    fn of_levels(levels: &[u8]) -> Self {
        let mut moments = Self::default();
        for line in levels.chunks(BLOCK) {
            let mut sums = (0, 0);
            for level in line {
                let level = i32::from(*level);
                sums = (sums.0 + level, sums.1 + level * level);
            }
            moments.add(line.len(), sums);
        }
        moments
    }

    /// Adds `count` values by their sum and the sum of their squares.
    fn add(&mut self, count: usize, (sum, squares): (i32, i32)) {
        self.count += count as i64;
        self.sum += i64::from(sum);
        self.squares += i64::from(squares);
    }

    /// Mean and standard deviation, exact up to the last division; 0 of none.
    fn summary(self) -> (f64, f64) {
        if self.count == 0 {
            return (0.0, 0.0);
        }
        let n = self.count as f64;
        let square = |value: i64| i128::from(value) * i128::from(value);
        let spread = i128::from(self.count) * i128::from(self.squares) - square(self.sum);
        (self.sum as f64 / n, (spread as f64).max(0.0).sqrt() / n)
    }
}

/// Values whose squares, each below 2^24, are added in 32 bits.
const BLOCK: usize = 128;

/// Adds 4-neighbour Laplacian and sixteen times the difference from the 3 x 3 binomial mean, of all pixels of the middle line but
/// the first and the last.
#[multiversion(targets("x86_64+avx2"))]
fn differences(lines: [&[u8]; 3], laplacian: &mut Moments, high: &mut Moments) {
    let inner = lines[1].len() - 2;
    for first in (0..inner).step_by(BLOCK) {
        let count = BLOCK.min(inner - first);
        let [above, here, below] = lines.map(|line| &line[first..][..count + 2]);
        let (mut of_laplacian, mut of_high) = ((0, 0), (0, 0));
        for x in 0..count {
            let at = |line: &[u8], k: usize| i32::from(line[x + k]);
            let sides = at(above, 1) + at(here, 0) + at(here, 2) + at(below, 1);
            let corners = at(above, 0) + at(above, 2) + at(below, 0) + at(below, 2);
            let value = 4 * at(here, 1) - sides;
            of_laplacian = (of_laplacian.0 + value, of_laplacian.1 + value * value);
            let value = 12 * at(here, 1) - corners - 2 * sides;
            of_high = (of_high.0 + value, of_high.1 + value * value);
        }
        laplacian.add(count, of_laplacian);
        high.add(count, of_high);
    }
}

/// Share of Canny pixels.
fn edge_density(grey: &GrayImage) -> f64 {
    let small = reduced(grey);
    if small.width() < 3 || small.height() < 3 {
        return 0.0;
    }
    let edges = canny(&small, CANNY.0, CANNY.1);
    edges.as_raw().iter().filter(|&&value| value > 0).count() as f64 / edges.as_raw().len() as f64
}

/// The image averaged over squares until its longer side is at most [`CANNY_SIDE`].
fn reduced(grey: &GrayImage) -> GrayImage {
    let factor = grey.width().max(grey.height()).div_ceil(CANNY_SIDE);
    if factor <= 1 {
        return grey.clone();
    }
    let (width, height) = (
        (grey.width() / factor).max(1),
        (grey.height() / factor).max(1),
    );
    GrayImage::from_fn(width, height, |x, y| {
        let (mut sum, mut count) = (0u32, 0u32);
        for dy in 0..factor.min(grey.height() - y * factor) {
            for dx in 0..factor.min(grey.width() - x * factor) {
                sum += u32::from(grey.get_pixel(x * factor + dx, y * factor + dy)[0]);
                count += 1;
            }
        }
        image::Luma([((sum + count / 2) / count) as u8])
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::scene::SceneSource;
    use crate::source::ImageSource;

    #[test]
    fn a_flat_image_has_brightness_and_blur_alone() {
        let flat = RgbImage::from_pixel(20, 10, Rgb([51, 51, 51]));
        assert_eq!(environment_features(&flat), [0.2, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(
            environment_features(&RgbImage::from_pixel(1, 1, Rgb([51, 51, 51])))[0],
            0.2
        );
    }

    #[test]
    fn a_board_of_two_greys_by_hand() {
        // columns 0 and 100: mean 50, deviation 50; Laplacian +-200; h = g - mean = +-50
        let board = RgbImage::from_fn(64, 64, |x, _| Rgb([(x % 2 * 100) as u8; 3]));
        let [brightness, contrast, _, texture, blur, noise] = environment_features(&board);
        assert!((brightness - 50.0 / 255.0).abs() < 1e-12);
        assert!((contrast - 50.0 / 128.0).abs() < 1e-12);
        assert!((texture - 40_000.0 / 42_000.0).abs() < 1e-12);
        assert!((blur - (1.0 - 40_000.0 / 40_200.0)).abs() < 1e-12);
        assert!((noise - 50.0 / 255.0).abs() < 1e-12);
    }

    #[test]
    fn features_are_scaled_to_the_unit_interval() {
        let source = SceneSource::new(5, 0);
        let raw: Vec<[f64; 6]> = (0..5)
            .map(|index| source.glance(index).unwrap().features)
            .collect();
        let unit = scaled(&raw);
        for k in 0..6 {
            let column: Vec<f64> = unit.iter().map(|row| row[k]).collect();
            assert!(
                column.contains(&0.0) && column.contains(&1.0),
                "{k}: {column:?}"
            );
        }
        assert_eq!(scaled(&raw[..1]), [[0.5; 6]]);
    }
}
