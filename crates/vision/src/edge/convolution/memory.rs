//! Working memory of a convolution beyond its arguments and results, for predictions.

use candle_core::Result;

use super::extent::Extent;
use super::operation::Convolution;

/// Bytes of a number.
const NUMBER: usize = size_of::<f32>();

impl Convolution {
    /// N x O x OH x OW for an image and a weight of these shapes.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn output(self, x: &[usize], weight: &[usize]) -> Result<[usize; 4]> {
        let e = self.shape(x, weight)?;
        Ok([e.n, e.o, e.oh, e.ow])
    }

    /// Bytes that [`Convolution::apply`] needs on the CPU beside its result, at most: scratch
    /// matrices, one a thread.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn working_memory(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        let e = self.shape(x, weight)?;
        Ok((dense(&e) * NUMBER) as u64)
    }

    /// Bytes that the gradients need on the CPU beside themselves, at most.
    ///
    /// # Errors
    /// As [`Convolution::apply`].
    pub fn working_memory_back(self, x: &[usize], weight: &[usize]) -> Result<u64> {
        let e = self.shape(x, weight)?;
        let area = e.oh * e.ow;
        let threads = rayon::current_num_threads();
        let (image, kernels) = if e.depthwise {
            let planes = threads.min(e.n * e.c);
            (planes * e.kh * e.kw * area, threads.min(e.n) * area)
        } else {
            let partial = e.n * e.o * e.depth();
            let block = e.depth() * e.block_rows() * e.ow;
            (dense(&e), partial + threads.min(e.n) * block)
        };
        // the gradient of the output is copied first
        Ok(((e.n * e.o * area + image.max(kernels)) * NUMBER) as u64)
    }
}

/// Numbers in the scratch matrices of a dense convolution.
fn dense(e: &Extent) -> usize {
    if e.depthwise || e.is_pointwise() {
        return 0;
    }
    let blocks = e.n * e.oh.div_ceil(e.block_rows());
    rayon::current_num_threads().min(blocks) * e.depth() * e.block_rows() * e.ow
}
