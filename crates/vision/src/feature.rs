//! The six environment features of an image: what makes it hard, in numbers.
//!
//! Brightness, contrast, edge density, texture, blur and noise, computed from the grey image in whole numbers as far
//! as possible, so that the order of summation changes nothing. [`scaled`] brings them to [0, 1] over a set.

use image::{GrayImage, RgbImage};
use imageproc::edges::canny;

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
const CANNY: (f32, f32) = (60.0, 150.0);
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
    let (mean, deviation) = moments(grey.as_raw().iter().map(|&value| i64::from(value)));
    let (_, laplacian) =
        moments(neighbourhoods(&grey).map(|n| 4 * n[4] - n[1] - n[3] - n[5] - n[7]));
    let variance = laplacian * laplacian;
    // sixteen times the difference, to stay in whole numbers
    let (_, high) = moments(neighbourhoods(&grey).map(|n| {
        16 * n[4] - (n[0] + n[2] + n[6] + n[8]) - 2 * (n[1] + n[3] + n[5] + n[7]) - 4 * n[4]
    }));
    [
        mean / 255.0,
        deviation / 128.0,
        edge_density(&grey),
        variance / (variance + TEXTURE_HALF),
        1.0 - variance / (variance + BLUR_HALF),
        high / 16.0 / 255.0,
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

/// Mean and standard deviation of whole numbers, exact up to the last division; 0 for none.
fn moments(values: impl Iterator<Item = i64>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0i64, 0i64, 0i128);
    for value in values {
        count += 1;
        sum += value;
        squares += i128::from(value * value);
    }
    if count == 0 {
        return (0.0, 0.0);
    }
    let n = count as f64;
    let spread = i128::from(count) * squares - i128::from(sum) * i128::from(sum);
    (sum as f64 / n, (spread as f64).max(0.0).sqrt() / n)
}

/// The 3 x 3 neighbourhoods of all inner pixels, row by row.
fn neighbourhoods(grey: &GrayImage) -> impl Iterator<Item = [i64; 9]> {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let data = grey.as_raw();
    (1..height.saturating_sub(1)).flat_map(move |y| {
        (1..width.saturating_sub(1)).map(move |x| {
            std::array::from_fn(|k| i64::from(data[(y + k / 3 - 1) * width + x + k % 3 - 1]))
        })
    })
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
