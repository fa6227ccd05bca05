//! From 8-bit pixels to the tensor a network reads.

use candle_core::{Device, Tensor};
use image::RgbImage;

use super::network::EdgeError;

/// (value / 255 - mean) / deviation per channel, as 1 x 3 x H x W.
///
/// # Errors
/// An image without pixels.
pub fn normalised(
    rgb: &RgbImage,
    (mean, deviation): ([f32; 3], [f32; 3]),
    device: &Device,
) -> Result<Tensor, EdgeError> {
    let (width, height) = rgb.dimensions();
    if width == 0 || height == 0 {
        return Err(EdgeError::EmptyImage { width, height });
    }
    let area = width as usize * height as usize;
    let mut planes = vec![0.0f32; 3 * area];
    for (c, plane) in planes.chunks_exact_mut(area).enumerate() {
        let table: Vec<f32> = (0..=255u8)
            .map(|v| (f32::from(v) / 255.0 - mean[c]) / deviation[c])
            .collect();
        for (out, pixel) in plane.iter_mut().zip(rgb.as_raw().as_chunks::<3>().0) {
            *out = table[usize::from(pixel[c])];
        }
    }
    Ok(Tensor::from_vec(
        planes,
        (1, 3, height as usize, width as usize),
        device,
    )?)
}

/// The image with right and bottom mirrored outwards until each side has at least `side` pixels.
///
/// # Errors
/// An image without pixels.
pub fn at_least(rgb: &RgbImage, side: u32) -> Result<std::borrow::Cow<'_, RgbImage>, EdgeError> {
    let (width, height) = rgb.dimensions();
    if width >= side && height >= side {
        return Ok(std::borrow::Cow::Borrowed(rgb));
    }
    mirrored(rgb, width.max(side), height.max(side)).map(std::borrow::Cow::Owned)
}

/// The image mirrored outwards at right and bottom to `width` x `height`; the border pixel is repeated once a turn.
///
/// # Errors
/// An image without pixels.
pub fn mirrored(rgb: &RgbImage, width: u32, height: u32) -> Result<RgbImage, EdgeError> {
    let (w, h) = rgb.dimensions();
    if w == 0 || h == 0 {
        return Err(EdgeError::EmptyImage {
            width: w,
            height: h,
        });
    }
    let fold = |i: u32, n: u32| {
        if (i / n).is_multiple_of(2) {
            i % n
        } else {
            n - 1 - i % n
        }
    };
    Ok(RgbImage::from_fn(width, height, |x, y| {
        *rgb.get_pixel(fold(x, w), fold(y, h))
    }))
}
