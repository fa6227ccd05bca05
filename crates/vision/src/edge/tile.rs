//! A network on images too large for it: window by window, with the logits of the whole.
//!
//! Central trait [`Windowed`]: a network whose values see a bounded neighbourhood. [`logits_within`]
//! cuts the image into [`Tiles`], runs each with a margin as wide as the network sees (its halo) and
//! keeps the inner part: the bits of the whole for the compact network, within 1e-6 of the largest logit for the others. Batches are images of equal size.

use candle_core::{Device, Tensor};
use image::RgbImage;

use super::footprint::{Purpose, Work};
use super::network::{EdgeError, EdgeMap, EdgeModel};
use super::pixels;
use super::view::View;

/// Tiles and halos are multiples of this many pixels, so that what networks pool and the blocks of
/// 4 x 4 that convolutions compute together fall on the same pixels as in the whole: four at the
/// coarsest scale, 1/16 for DexiNed and 1/8 for the others.
const fn aligned(model: EdgeModel) -> usize {
    match model {
        EdgeModel::DexiNed => 64,
        _ => 32,
    }
}

/// A network that can be run on a window of an image.
pub trait Windowed: Send + Sync {
    /// Which it is.
    fn model(&self) -> EdgeModel;

    /// Hash of the architecture's version and all weights, hexadecimal: [`EdgeNetwork::fingerprint`](super::EdgeNetwork::fingerprint).
    fn identity(&self) -> &str;

    /// Where its weights are.
    fn device(&self) -> &Device;

    /// Fused logits (N x 1 x H x W) of `x` (N x 3 x H x W, normalised), which is the window `view`
    /// of the image. Values nearer to an inner border of the window than the network's reach are
    /// not those of the whole.
    ///
    /// # Errors
    /// A failure of the device.
    fn forward(&self, x: &Tensor, view: View) -> candle_core::Result<Tensor>;
}

/// How an image is cut: rows and columns of the inner part of a tile; the last ones may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tiles {
    /// Rows of an inner part.
    pub height: usize,
    /// Columns of an inner part.
    pub width: usize,
    /// Pixels added on every inner side.
    pub halo: usize,
}

impl Tiles {
    /// One tile: the whole image of this size.
    pub fn whole(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            halo: 0,
        }
    }

    /// The ways in which images of this size, as the network reads them, are cut: whole, then the longer side of a tile
    /// cut first, down to tiles as large as their margins. Nine pixels are computed there for each that is kept, below
    /// they would be many more for hardly less memory.
    fn ladder(model: EdgeModel, (height, width): (usize, usize)) -> Result<Vec<Self>, EdgeError> {
        let halo = model.reach()?.next_multiple_of(aligned(model));
        let inner = |side: usize, cuts: usize| {
            let inner = side.div_ceil(cuts).next_multiple_of(aligned(model));
            inner.max(halo)
        };
        let mut all = vec![Self::whole(height, width)];
        let (mut down, mut across) = (1, 1);
        loop {
            let tiles = Self {
                height: inner(height, down),
                width: inner(width, across),
                halo,
            };
            if tiles.count(height, width) > 1 {
                all.push(tiles);
            }
            if (tiles.height, tiles.width) == (halo, halo) {
                return Ok(all);
            }
            if tiles.height >= tiles.width {
                down += 1;
            } else {
                across += 1;
            }
        }
    }

    /// The fewest tiles for `batch` images of this size, as the network reads them, of which each
    /// takes at most `budget` bytes beside the model.
    ///
    /// # Errors
    /// [`EdgeError::Budget`]: even the [smallest](Self::smallest) take more.
    pub fn fit(
        model: EdgeModel,
        batch: usize,
        size: (usize, usize),
        budget: u64,
    ) -> Result<Self, EdgeError> {
        let mut needed = u64::MAX;
        for tiles in Self::ladder(model, size)? {
            let bytes = tiles.bytes(model, batch, size)?;
            if bytes <= budget {
                return Ok(tiles);
            }
            needed = needed.min(bytes);
        }
        Err(EdgeError::Budget {
            model,
            needed,
            budget,
        })
    }

    /// The tiles that are used for images of this size, as the network reads them, if memory is shortest: those whose
    /// window takes least.
    ///
    /// # Errors
    /// As [`EdgeModel::reach`].
    pub fn smallest(model: EdgeModel, size: (usize, usize)) -> Result<Self, EdgeError> {
        let mut least = (u64::MAX, Self::whole(size.0, size.1));
        for tiles in Self::ladder(model, size)? {
            let bytes = tiles.bytes(model, 1, size)?;
            if bytes < least.0 {
                least = (bytes, tiles);
            }
        }
        Ok(least.1)
    }

    /// Bytes beside the model that the largest window of `batch` images of `size`, as the network reads them, takes.
    ///
    /// # Errors
    /// A window that the network does not take.
    pub fn bytes(
        &self,
        model: EdgeModel,
        batch: usize,
        (height, width): (usize, usize),
    ) -> Result<u64, EdgeError> {
        let (height, width) = self.window(height, width);
        let work = Work {
            model,
            purpose: Purpose::Inference,
            batch,
            height,
            width,
        };
        Ok(work.footprint()?.beside_model())
    }

    /// The largest window that is computed at once, in an image of this size.
    pub fn window(&self, height: usize, width: usize) -> (usize, usize) {
        let side = |inner: usize, whole: usize| match whole.div_ceil(inner) {
            1 => whole,
            2 => (inner + self.halo).min(whole),
            _ => (inner + 2 * self.halo).min(whole),
        };
        (side(self.height, height), side(self.width, width))
    }

    /// Number of tiles of an image of this size.
    pub fn count(&self, height: usize, width: usize) -> usize {
        height.div_ceil(self.height) * width.div_ceil(self.width)
    }
}

impl EdgeModel {
    /// Bytes beside the model that one image of `size`, as the network reads it, takes in its smallest tiles.
    ///
    /// # Errors
    /// As [`EdgeModel::reach`].
    pub fn least(self, size: (usize, usize)) -> Result<u64, EdgeError> {
        Tiles::smallest(self, size)?.bytes(self, 1, size)
    }
}

/// Logits of one image in one piece.
///
/// # Errors
/// As [`logits_within`].
pub(super) fn logits(network: &dyn Windowed, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
    let (height, width) = network.model().padded(rgb.height(), rgb.width());
    let mut maps = logits_within(network, &[rgb], Tiles::whole(height, width))?;
    Ok(maps.remove(0))
}

/// Logits of images of equal size, all at once, each cut into `tiles`.
///
/// # Errors
/// An empty image, images of different sizes, logits that are not finite, a failure of the device.
pub fn logits_within(
    network: &dyn Windowed,
    images: &[&RgbImage],
    tiles: Tiles,
) -> Result<Vec<EdgeMap>, EdgeError> {
    let model = network.model();
    let Some(first) = images.first() else {
        return Ok(Vec::new());
    };
    let (width, height) = first.dimensions();
    if let Some(other) = images
        .iter()
        .find(|image| image.dimensions() != (width, height))
    {
        return Err(EdgeError::Mixed {
            first: (width, height),
            other: other.dimensions(),
        });
    }
    if width == 0 || height == 0 {
        return Err(EdgeError::EmptyImage { width, height });
    }
    let (whole_height, whole_width) = model.padded(height, width);
    let mut maps = vec![vec![0.0f32; height as usize * width as usize]; images.len()];
    for (top, rows) in parts(whole_height, tiles.height) {
        for (left, columns) in parts(whole_width, tiles.width) {
            let (above, rows_held) = widened(top, rows, tiles.halo, whole_height);
            let (before, columns_held) = widened(left, columns, tiles.halo, whole_width);
            let view = View {
                top: above,
                left: before,
                height: whole_height,
                width: whole_width,
            };
            let size = (rows_held, columns_held);
            let input = pixels::window(images, model.reading(), view, size, network.device())?;
            let fused = network.forward(&input, view)?;
            drop(input);
            let inner = fused
                .narrow(
                    2,
                    top - above,
                    rows.min((height as usize).saturating_sub(top)),
                )?
                .narrow(
                    3,
                    left - before,
                    columns.min((width as usize).saturating_sub(left)),
                )?;
            place(&inner, &mut maps, (top, left), width as usize)?;
        }
    }
    let named = |map| EdgeMap::checked(model.name(), width, height, map);
    maps.into_iter().map(named).collect()
}

/// Beginning and length of each part of `whole` cut every `length`.
fn parts(whole: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
    let length = length.max(1);
    (0..whole)
        .step_by(length)
        .map(move |start| (start, length.min(whole - start)))
}

/// A part with `halo` more on each side, where there is more.
fn widened(start: usize, length: usize, halo: usize, whole: usize) -> (usize, usize) {
    let begin = start.saturating_sub(halo);
    (begin, (start + length + halo).min(whole) - begin)
}

/// Copies an inner part (N x 1 x rows x columns) to where it belongs.
fn place(
    inner: &Tensor,
    maps: &mut [Vec<f32>],
    (top, left): (usize, usize),
    width: usize,
) -> candle_core::Result<()> {
    let (_, _, rows, columns) = inner.dims4()?;
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let values = inner.flatten_all()?.to_vec1::<f32>()?;
    for (map, values) in maps.iter_mut().zip(values.chunks_exact(rows * columns)) {
        for (y, line) in values.chunks_exact(columns).enumerate() {
            map[(top + y) * width + left..][..columns].copy_from_slice(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{Compact, EdgeNetwork};

    fn noise(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let h = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97);
            image::Rgb([(h >> 3) as u8, (h >> 11) as u8, (h >> 19) as u8])
        })
    }

    /// Largest difference between tiles and the whole, as a share of the largest logit.
    fn off(network: &dyn Windowed, image: &RgbImage, tiles: Tiles) -> f32 {
        let whole = logits(network, image).unwrap().logits;
        let tiled = logits_within(network, &[image], tiles).unwrap().remove(0);
        let largest = whole.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let pairs = whole.iter().zip(&tiled.logits);
        pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
    }

    #[test]
    fn tiles_give_the_logits_of_the_whole() {
        let network = Compact::shipped(&Device::Cpu).unwrap();
        let image = noise(611, 203);
        let halo = EdgeModel::Compact
            .reach()
            .unwrap()
            .next_multiple_of(aligned(EdgeModel::Compact));
        for (height, width) in [(96, 192), (208, 64), (64, 640)] {
            let tiles = Tiles {
                height,
                width,
                halo,
            };
            // not within 1e-5 but the same bits: a memory budget must not change a recorded number
            assert_eq!(off(&network, &image, tiles), 0.0, "{tiles:?}");
        }
        // half the halo must show, or the test shows nothing
        let narrow = Tiles {
            height: 64,
            width: 64,
            halo: 32,
        };
        assert!(off(&network, &image, narrow) > 1e-4);
    }

    #[test]
    fn a_batch_gives_what_each_image_gives() {
        let network = Compact::shipped(&Device::Cpu).unwrap();
        let images = [noise(40, 30), noise(40, 30), RgbImage::new(40, 30)];
        let batch: Vec<&RgbImage> = images.iter().collect();
        let maps = logits_within(&network, &batch, Tiles::whole(32, 40)).unwrap();
        for (image, map) in images.iter().zip(&maps) {
            assert_eq!(map, &network.logits(image).unwrap());
        }
        let odd = [&images[0], &noise(41, 30)];
        let mixed = logits_within(&network, &odd, Tiles::whole(32, 48));
        assert!(matches!(mixed, Err(EdgeError::Mixed { .. })));
    }

    #[test]
    fn tiles_fit_their_budget_and_are_no_smaller_than_needed() {
        let whole = Tiles::fit(EdgeModel::Compact, 1, (480, 640), u64::MAX).unwrap();
        assert_eq!(whole, Tiles::whole(480, 640));
        let mut last = usize::MAX;
        for budget in [60 << 20, 200 << 20, 1000 << 20] {
            let tiles = Tiles::fit(EdgeModel::Compact, 1, (8000, 12_000), budget).unwrap();
            assert!(tiles.bytes(EdgeModel::Compact, 1, (8000, 12_000)).unwrap() <= budget);
            let count = tiles.count(8000, 12_000);
            assert!(count < last, "{count} tiles for {budget}");
            last = count;
        }
        let smallest = Tiles::smallest(EdgeModel::Compact, (8000, 12_000)).unwrap();
        let least = smallest
            .bytes(EdgeModel::Compact, 1, (8000, 12_000))
            .unwrap();
        let tiles = Tiles::fit(EdgeModel::Compact, 1, (8000, 12_000), least).unwrap();
        assert!(tiles.height.max(tiles.width) >= tiles.halo, "{tiles:?}");
        let none = Tiles::fit(EdgeModel::Compact, 1, (8000, 12_000), least - 1);
        assert!(matches!(none, Err(EdgeError::Budget { needed, .. }) if needed == least));
        let none = Tiles::fit(EdgeModel::Compact, 1, (480, 640), 1 << 20);
        assert!(matches!(none, Err(EdgeError::Budget { .. })));
    }
}
