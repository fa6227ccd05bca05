//! Pixels of a corrupted image, computed on the device that the network runs on.

use candle_core::{D, DType, Device, Result, Tensor};
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Corruption;
use super::turn::middle;

/// Diagonal in pixels at which blur is stated.
const REFERENCE_DIAGONAL: f64 = 800.0;
/// Standard deviation of the sum of eight uniform whole numbers 0 ..= 255.
const EIGHT_BYTES: f32 = 209.023_12;

impl Corruption {
    /// The corrupted image. The same values, seed and device give the same bits; another kind of device may round
    /// a pixel otherwise.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn apply(&self, rgb: &RgbImage, device: &Device) -> Result<RgbImage> {
        if self.is_neutral() || rgb.as_raw().is_empty() {
            return Ok(rgb.clone());
        }
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let sum: u64 = rgb.as_raw().iter().map(|&value| u64::from(value)).sum();
        let mean = sum as f64 / rgb.as_raw().len() as f64;
        let turned = match self.rotation == Self::NEUTRAL.rotation {
            true => None,
            false => Some(Source::new(self.rotation, width, height, device)?),
        };
        let sigma = self.blur * (width as f64).hypot(height as f64) / REFERENCE_DIAGONAL;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut out = rgb.clone();
        // One channel at a time: memory is a few planes whatever is done.
        for channel in 0..3 {
            let values: Vec<f32> = rgb
                .as_raw()
                .iter()
                .skip(channel)
                .step_by(3)
                .map(|&value| f32::from(value))
                .collect();
            let mut plane = Tensor::from_vec(values, (height, width), device)?;
            if let Some(source) = &turned {
                plane = source.read(&plane)?;
            }
            if sigma > 0.0 {
                plane = blurred(&plane, sigma)?;
            }
            if self.contrast != 1.0 || self.brightness != 1.0 {
                let gain = self.brightness * self.contrast;
                plane = plane.affine(gain, self.brightness * mean * (1.0 - self.contrast))?;
            }
            if self.noise > 0.0 {
                let noise: Vec<f32> = (0..width * height).map(|_| normal(&mut random)).collect();
                let noise = Tensor::from_vec(noise, (height, width), device)?;
                plane = (plane + (noise * (255.0 * self.noise))?)?;
            }
            let bytes = plane.clamp(0.0, 255.0)?.round()?.to_dtype(DType::U8)?;
            let bytes = bytes.flatten_all()?.to_vec1::<u8>()?;
            out.iter_mut()
                .skip(channel)
                .step_by(3)
                .zip(bytes)
                .for_each(|(value, byte)| *value = byte);
        }
        Ok(out)
    }
}

/// Where each pixel of a turned image is read: four neighbours and the shares between them.
struct Source {
    corners: [Tensor; 4],
    right: Tensor,
    down: Tensor,
}

impl Source {
    fn new(degrees: f64, width: usize, height: usize, device: &Device) -> Result<Self> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (cx, cy) = middle(width as u32, height as u32);
        let axis = |count: usize, centre: f32| {
            Tensor::arange(0.0, count as f32, device)?.affine(1.0, f64::from(-centre))
        };
        let xs = axis(width, cx)?.reshape((1, width))?;
        let ys = axis(height, cy)?.reshape((height, 1))?;
        // turned back by the same angle
        let x = (xs.affine(cos, f64::from(cx))?.broadcast_add(&(&ys * sin)?))?;
        let y = (ys.affine(cos, f64::from(cy))?.broadcast_add(&(&xs * -sin)?))?;
        let (x0, x1, right) = between(&x, width)?;
        let (y0, y1, down) = between(&y, height)?;
        let row = Tensor::new(width as u32, device)?;
        let index = |y: &Tensor, x: &Tensor| (y.broadcast_mul(&row)? + x)?.flatten_all();
        Ok(Self {
            corners: [
                index(&y0, &x0)?,
                index(&y0, &x1)?,
                index(&y1, &x0)?,
                index(&y1, &x1)?,
            ],
            right,
            down,
        })
    }

    /// A plane of the image, turned, by bilinear interpolation.
    fn read(&self, plane: &Tensor) -> Result<Tensor> {
        let (shape, flat) = (plane.shape(), plane.flatten_all()?);
        let corner = |k: usize| flat.index_select(&self.corners[k], 0)?.reshape(shape);
        let mix = |a: &Tensor, b: &Tensor, share: &Tensor| a + ((b - a)? * share)?;
        let top = mix(&corner(0)?, &corner(1)?, &self.right)?;
        let bottom = mix(&corner(2)?, &corner(3)?, &self.right)?;
        mix(&top, &bottom, &self.down)
    }
}

/// Whole coordinates to either side of `at` and the share of the second; beyond the border they are mirrored.
fn between(at: &Tensor, count: usize) -> Result<(Tensor, Tensor, Tensor)> {
    let last = count as f64 - 1.0;
    let at = at.abs()?;
    let at = at
        .affine(-1.0, last)?
        .abs()?
        .affine(-1.0, last)?
        .clamp(0.0, last)?;
    let first = at.floor()?.clamp(0.0, (last - 1.0).max(0.0))?;
    let share = (&at - &first)?;
    let second = (&first + 1.0)?.clamp(0.0, last)?;
    Ok((
        first.to_dtype(DType::U32)?,
        second.to_dtype(DType::U32)?,
        share,
    ))
}

/// Convolved with a Gaussian along both axes; beyond the border the border's values.
fn blurred(plane: &Tensor, sigma: f64) -> Result<Tensor> {
    let reach = (3.0 * sigma).ceil() as usize;
    let weights: Vec<f64> = (0..=2 * reach)
        .map(|k| (-0.5 * ((k as f64 - reach as f64) / sigma).powi(2)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let along = |plane: &Tensor, axis: D| -> Result<Tensor> {
        let count = plane.dim(axis)?;
        let padded = plane.pad_with_same(axis, reach, reach)?;
        let mut sum = plane.zeros_like()?;
        for (k, weight) in weights.iter().enumerate() {
            sum = (sum + (padded.narrow(axis, k, count)? * (weight / total))?)?;
        }
        Ok(sum)
    };
    along(&along(plane, D::Minus1)?, D::Minus2)
}

/// Nearly normal, mean 0, deviation 1: the sum of eight uniform bytes, in whole numbers on every machine.
fn normal(random: &mut impl Rng) -> f32 {
    let sum: u32 = random
        .next_u64()
        .to_le_bytes()
        .iter()
        .map(|&byte| u32::from(byte))
        .sum();
    (sum as f32 - 1020.0) / EIGHT_BYTES
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::geometry::Point;

    fn photograph(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([
                (x * 7 + y * 3) as u8,
                (x * y % 251) as u8,
                (200 - y % 200) as u8,
            ])
        })
    }

    fn with(change: impl Fn(&mut Corruption)) -> Corruption {
        let mut corruption = Corruption::NEUTRAL;
        change(&mut corruption);
        corruption
    }

    #[test]
    fn neutral_values_leave_every_bit_and_a_full_turn_every_pixel() {
        let image = photograph(53, 31);
        assert_eq!(
            Corruption::NEUTRAL.apply(&image, &Device::Cpu).unwrap(),
            image
        );
        // the steps themselves are exact too where they should be
        let full = with(|c| c.rotation = 360.0);
        let turned = full.apply(&image, &Device::Cpu).unwrap();
        let off = image
            .iter()
            .zip(turned.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(off <= Some(1), "{off:?}");
        for (w, h) in [(1, 1), (1, 9), (9, 1), (2, 2)] {
            let small = with(|c| (c.rotation, c.blur, c.noise) = (9.0, 2.0, 0.05))
                .apply(&photograph(w, h), &Device::Cpu)
                .unwrap();
            assert_eq!(small.dimensions(), (w, h));
        }
    }

    #[test]
    fn pixels_turn_as_points_do() {
        let mut image = RgbImage::from_pixel(101, 81, Rgb([10; 3]));
        (-1..=1).for_each(|dy| {
            (-1..=1)
                .for_each(|dx| image.put_pixel((80 + dx) as u32, (30 + dy) as u32, Rgb([250; 3])))
        });
        let turn = with(|c| c.rotation = 25.0);
        let turned = turn.apply(&image, &Device::Cpu).unwrap();
        let to = turn.turn_point(Point::new(80.0, 30.0), 101, 81);
        assert!(turned.get_pixel(to.x.round() as u32, to.y.round() as u32).0[0] > 200);
        let bright = turned.pixels().filter(|pixel| pixel.0[0] > 130).count();
        assert!((7..=11).contains(&bright), "{bright}");
    }

    #[test]
    fn brightness_and_contrast_by_hand() {
        // values 100 and 200: mean 150
        let image = RgbImage::from_fn(10, 4, |x, _| Rgb([if x % 2 == 0 { 100 } else { 200 }; 3]));
        let changed = with(|c| (c.brightness, c.contrast) = (0.8, 0.5))
            .apply(&image, &Device::Cpu)
            .unwrap();
        // 0.8 (150 - 25) = 100, 0.8 (150 + 25) = 140
        assert_eq!(
            (changed.get_pixel(0, 0).0, changed.get_pixel(1, 0).0),
            ([100; 3], [140; 3])
        );
    }

    #[test]
    fn blur_spreads_a_dot_by_its_deviation_and_keeps_its_sum() {
        let mut image = RgbImage::new(160, 120);
        image.put_pixel(80, 60, Rgb([255; 3]));
        // diagonal 200: a quarter of the reference
        let blurred = blurred(
            &Tensor::from_vec(
                image.iter().step_by(3).map(|&v| f32::from(v)).collect(),
                (120, 160),
                &Device::Cpu,
            )
            .unwrap(),
            2.0,
        )
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
        let (mut sum, mut square) = (0.0, 0.0);
        for (y, row) in blurred.iter().enumerate() {
            for value in row {
                sum += value;
                square += value * (y as f32 - 60.0).powi(2);
            }
        }
        assert!((sum - 255.0).abs() < 0.1, "{sum}");
        assert!(
            ((square / sum).sqrt() - 2.0).abs() < 0.05,
            "{}",
            (square / sum).sqrt()
        );
    }

    #[test]
    fn noise_has_the_stated_deviation_and_follows_its_seed() {
        let image = RgbImage::from_pixel(100, 100, Rgb([128; 3]));
        let noisy = |seed| {
            with(|c| (c.noise, c.seed) = (0.04, seed))
                .apply(&image, &Device::Cpu)
                .unwrap()
        };
        let one = noisy(1);
        let variance = one
            .iter()
            .map(|&v| (f64::from(v) - 128.0).powi(2))
            .sum::<f64>()
            / 30_000.0;
        assert!(
            (variance.sqrt() - 0.04 * 255.0).abs() < 0.2,
            "{}",
            variance.sqrt()
        );
        assert_eq!(one, noisy(1));
        assert_ne!(one, noisy(2));
    }
}
