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
