//! Device memory behind the same meter: the driver's count with the feature `cuda`, zeros without.
//!
//! The driver tells what is free on the whole device; bytes in use are counted from the level at
//! which the meter was opened. It keeps no peak of its own, so the peak is that of the moments at
//! which it was asked.

#[cfg(feature = "cuda")]
mod enabled;
#[cfg(feature = "cuda")]
pub use enabled::{DeviceError, DeviceMeter};
