//! Working memory of convolutions beyond their arguments and results, for predictions.

use candle_core::Result;

use super::extent::Extent;
use super::operation::Convolution;
use super::transposed::Transposed;

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
        // the gradient of the output is copied first
        let copy = e.n * e.o * e.oh * e.ow;
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

/// Numbers in scratch matrices, over all threads that can work at once.
impl Extent {
    /// Of one block of output rows.
    fn block(&self) -> usize {
        self.depth() * self.block_rows() * self.ow
    }

    fn forward_scratch(&self) -> usize {
        if self.depthwise || self.is_pointwise() {
            return 0;
        }
        let blocks = self.n * self.oh.div_ceil(self.block_rows());
        rayon::current_num_threads().min(blocks) * self.block()
    }

    /// For the gradient of the image.
    fn image_scratch(&self) -> usize {
        let threads = rayon::current_num_threads();
        if self.depthwise {
            return threads.min(self.n * self.c) * self.kh * self.kw * self.oh * self.ow;
        }
        if self.stride > 1 {
            return threads.min(self.n) * self.block();
        }
        // the convolution of the gradient with the turned weight
        let turned = Self {
            c: self.o,
            h: self.oh,
            w: self.ow,
            o: self.c,
            oh: self.h,
            ow: self.w,
            ..*self
        };
        turned.forward_scratch() + self.o * self.depth()
    }

    /// For the gradient of the weight.
    fn weight_scratch(&self) -> usize {
        let workers = rayon::current_num_threads().min(self.n);
        if self.depthwise {
            return workers * self.oh * self.ow;
        }
        let block = if self.is_pointwise() { 0 } else { self.block() };
        self.n * self.o * self.depth() + workers * block
    }
}
