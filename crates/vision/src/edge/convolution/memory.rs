//! Working memory of convolutions beyond their arguments and results, for predictions.

use candle_core::Result;

use super::extent::Extent;
use super::forward::is_transformed;
use super::operation::Convolution;
use super::stencil::Stencil;
use super::transposed::Transposed;
use super::{direct, slope, winograd};

impl Convolution {
    /// N x O x OH x OW for an image and a weight of these shapes.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn output(self, x: &[usize], weight: &[usize]) -> Result<[usize; 4]> {
        let e = self.shape(x, weight)?;
        Ok([e.n, e.o, e.oh, e.ow])
    }

    /// Bytes that [`Convolution::apply`] needs on the CPU beside its result, at most.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn working_memory(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        Ok(bytes(self.shape(x, weight)?.forward_scratch()))
    }

    /// Bytes that the gradients need on the CPU beside themselves, at most.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn working_memory_back(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        let e = self.shape(x, weight)?;
        // the gradient of the output is copied where the ReLU lets it pass
        let copy = if self.relu {
            e.n * e.o * e.oh * e.ow
        } else {
            0
        };
        Ok(bytes(copy + e.image_scratch().max(e.weight_scratch())))
    }
}

impl Convolution {
    /// Bytes that [`Convolution::apply`] takes on a GPU beside its result, with `number` bytes to a value: while candle
    /// convolves, and after that for maps before bias and ReLU.
    ///
    /// candle unfolds the image, N x OH x OW rows of C x KH x KW values (`Im2Col` in its `cuda_backend`), multiplies, and
    /// turns the product around into the map; of groups it does so one by one and joins their maps. Bias and ReLU each make
    /// another map.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn memory_on_card(self, x: &[usize], weight: &[usize], number: u64) -> Result<(u64, u64)> {
        let e = self.shape(x, weight)?;
        let (pixels, taps) = (e.n * e.oh * e.ow, e.kh * e.kw);
        let out = pixels * e.o;
        let convolving = match e.depthwise {
            false => pixels * taps * e.c + out,
            true => pixels * taps + pixels + out,
        };
        let beside = out * (1 + usize::from(self.relu));
        Ok((convolving as u64 * number, beside as u64 * number))
    }
}

impl Transposed {
    /// N x O x OH x OW for an image and a weight of these shapes.
    ///
    /// # Errors
    /// As [`Transposed::apply`].
    pub fn output(self, x: &[usize], weight: &[usize]) -> Result<[usize; 4]> {
        let e = self.shape(x, weight)?;
        Ok([e.n, e.c, e.h, e.w])
    }

    /// Bytes that [`Transposed::apply`] needs on the CPU beside its result, at most.
    ///
    /// # Errors
    /// As [`Transposed::apply`].
    pub fn working_memory(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        Ok(bytes(self.shape(x, weight)?.image_scratch()))
    }

    /// Bytes that the gradients need on the CPU beside themselves, at most.
    ///
    /// # Errors
    /// As [`Transposed::apply`].
    pub fn working_memory_back(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        let e = self.shape(x, weight)?;
        Ok(bytes(e.forward_scratch().max(e.weight_scratch())))
    }
}

fn bytes(numbers: usize) -> u64 {
    (numbers * size_of::<f32>()) as u64
}

/// Numbers held beside arguments and results, over all threads that can work at once.
impl Extent {
    fn forward_scratch(&self) -> usize {
        if self.depthwise {
            0
        } else if is_transformed(self) {
            winograd::scratch(self)
        } else {
            let stencil = Stencil::unweighted(self);
            stencil.packed_size() + direct::scratch(&stencil)
        }
    }

    /// For the gradient of the image.
    fn image_scratch(&self) -> usize {
        if self.depthwise {
            let threads = rayon::current_num_threads();
            return threads.min(self.n * self.c) * self.kh * self.kw * self.oh * self.ow;
        }
        let turned = self.turned();
        if is_transformed(&turned) {
            // the weight is turned first
            return self.o * self.depth() + winograd::scratch(&turned);
        }
        let parts = Stencil::backward(self, None);
        let weights: usize = parts.iter().map(Stencil::packed_size).sum();
        weights + parts.iter().map(direct::scratch).max().unwrap_or(0)
    }

    /// For the gradient of the weight.
    fn weight_scratch(&self) -> usize {
        if self.depthwise {
            let workers = rayon::current_num_threads().min(self.n);
            return self.n * self.o * self.depth() + workers * self.oh * self.ow;
        }
        slope::scratch(&Stencil::unweighted(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_card_by_hand() {
        let how = Convolution {
            padding: 1,
            ..Convolution::default()
        };
        let (x, weight) = ([2, 3, 8, 10], [4, 3, 3, 3]);
        // 2 x 8 x 10 rows of 27 values and a product of 2 x 4 x 8 x 10; then the map before its bias
        let float = how.memory_on_card(&x, &weight, 4).unwrap();
        assert_eq!(float, (4 * (160 * 27 + 640), 4 * 640));
        let half = how.memory_on_card(&x, &weight, 2).unwrap();
        assert_eq!(half, (float.0 / 2, float.1 / 2));
        // every second pixel: 2 x 4 x 5 rows; and the map before ReLU
        let steps = Convolution {
            stride: 2,
            relu: true,
            ..how
        };
        let found = steps.memory_on_card(&x, &weight, 4).unwrap();
        assert_eq!(found, (4 * (40 * 27 + 160), 4 * 2 * 160));
        // one channel at a time: 9 values a row, its product, and the maps of all of them before they are joined
        let apart = Convolution { groups: 3, ..how };
        let found = apart.memory_on_card(&x, &[3, 1, 3, 3], 4).unwrap();
        assert_eq!(found, (4 * (160 * 9 + 160 + 480), 4 * 480));
    }
}
