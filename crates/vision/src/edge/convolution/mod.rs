//! Two-dimensional convolution for candle tensors, faster on a CPU than candle's own.
//!
//! Central type [`Convolution`], a candle custom operation with forward and all three gradients
//! (image, weight, bias) and an optional ReLU folded in, and [`Transposed`], its transpose. 3x3 kernels with
//! many channels go through `winograd`, other dense ones through `direct`, both made of the register tiles
//! of `tile` on the vectors of `lanes`; the depthwise case runs directly over rows. Work is cut into blocks
//! whose size depends on shapes only and every block is summed in a fixed order, so the bits do not depend
//! on the number of threads.

#[cfg(test)]
mod agreement;
mod backward;
mod direct;
mod extent;
mod forward;
mod lanes;
mod memory;
mod operation;
mod shared;
mod slope;
mod stencil;
mod storage;
mod tile;
mod transposed;
mod window;
mod winograd;

pub use operation::Convolution;
pub(super) use storage::{cpu_slice, slice};
pub use transposed::Transposed;
