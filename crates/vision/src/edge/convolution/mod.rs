//! Two-dimensional convolution for candle tensors, faster on a CPU than candle's own.
//!
//! Central type [`Convolution`], a candle custom operation with forward and all three gradients
//! (image, weight, bias) and an optional ReLU folded in. The ordinary case unrolls a few output rows
//! at a time into a bounded scratch matrix and multiplies with the `gemm` crate; the depthwise case
//! runs directly over rows. Work is cut into blocks whose size depends on shapes only and every
//! block is summed in a fixed order, so the bits do not depend on the number of threads.

#[cfg(test)]
mod agreement;
mod backward;
mod extent;
mod forward;
mod memory;
mod operation;
mod product;
mod storage;
mod transposed;

pub use operation::Convolution;
pub use product::warm_up;
pub(super) use storage::{cpu_slice, slice};
pub use transposed::Transposed;
