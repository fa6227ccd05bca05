//! DexiNed, the edge network of the original pipeline: 35 million parameters, forward only.
//!
//! [`DexiNed`] answers for images; its layers are in `body`, the branches that bring every scale back
//! to full size in `rise`, and how a layer's tensors come out of a file in `layer`. Source: Soria,
//! Riba and Sappa, "Dense Extreme Inception Network: Towards a Robust CNN Model for Edge Detection",
//! WACV 2020.

mod body;
#[cfg(test)]
mod golden;
mod layer;
mod network;
mod rise;

pub use body::Body;
pub(super) use layer::Reader;
pub use layer::{Doubling, Layer, LayerSource};
pub use network::DexiNed;
pub(super) use network::{ARCHITECTURE, MULTIPLE, READING};
