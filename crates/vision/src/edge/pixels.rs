//! From 8-bit pixels to the tensor a network reads.

use candle_core::{Device, Tensor};
use image::RgbImage;

use super::network::EdgeError;
use super::view::View;

/// How a network reads a pixel: (value / 255 - mean) / deviation in each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Which of red, green and blue (0, 1, 2) each channel is.
    pub order: [usize; 3],
    /// Taken off each channel.
    pub mean: [f32; 3],
    /// Each channel is divided by.
    pub deviation: [f32; 3],
}

/// `size` rows and columns of images of equal size, beginning where `view` does, as N x 3 x `size`. What lies to the right of an image or below it is the image mirrored outwards,
/// the border pixel repeated once a turn.
///
/// # Errors
/// An image without pixels.
pub fn window(
    images: &[&RgbImage],
    reading: Reading,
    view: View,
    (height, width): (usize, usize),
    device: &Device,
) -> Result<Tensor, EdgeError> {
    let area = height * width;
    let mut planes = vec![0.0f32; images.len() * 3 * area];
    for (rgb, planes) in images
        .iter()
        .zip(planes.chunks_exact_mut((3 * area).max(1)))
    {
        let (w, h) = rgb.dimensions();
        if w == 0 || h == 0 {
            return Err(EdgeError::EmptyImage {
                width: w,
                height: h,
            });
        }
        let columns: Vec<usize> = (view.left..view.left + width)
            .map(|x| fold(x, w as usize))
            .collect();
        let pixels = rgb.as_raw().as_chunks::<3>().0;
        for (c, plane) in planes.chunks_exact_mut(area).enumerate() {
            let table: Vec<f32> = (0..=255u8)
                .map(|v| (f32::from(v) / 255.0 - reading.mean[c]) / reading.deviation[c])
                .collect();
            let colour = reading.order[c];
            for (y, line) in plane.chunks_exact_mut(width).enumerate() {
                let row = &pixels[fold(view.top + y, h as usize) * w as usize..][..w as usize];
                for (out, &x) in line.iter_mut().zip(&columns) {
                    *out = table[usize::from(row[x][colour])];
                }
            }
        }
    }
    Ok(Tensor::from_vec(
        planes,
        (images.len(), 3, height, width),
        device,
    )?)
}

/// Coordinate `i` of a line of `n` pixels that goes on as its own mirror image.
fn fold(i: usize, n: usize) -> usize {
    if (i / n).is_multiple_of(2) {
        i % n
    } else {
        n - 1 - i % n
    }
}
