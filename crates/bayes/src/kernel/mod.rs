//! Stationary kernels with one lengthscale per input (ARD), on inputs scaled to [0, 1]^d.
//!
//! A [`KernelKind`] is a correlation as a function of the scaled squared distance; a [`KernelForm`] says
//! whether one such correlation covers all inputs or one covers x and another w; a [`Kernel`] adds
//! lengthscales and outputscale and fills matrices. Source: Rasmussen and Williams (2006), ch. 4.

mod ard;
mod correlation;
mod distance;
mod exponential;
mod form;

pub use ard::Kernel;
pub use correlation::KernelKind;
pub use distance::{
    add_weighted_differences, add_weighted_products, add_weighted_squares, squared_distances,
};
pub use form::{KernelForm, Structure};
