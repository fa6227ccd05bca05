//! What can be metered: a place that holds bytes, its peak, and a way to begin a new peak.

use serde::{Deserialize, Serialize};

/// Bytes on the host and on the device, as one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Bytes in host memory, counted by the allocator.
    pub host: u64,
    /// Bytes in device memory; 0 without a device.
    pub device: u64,
}

impl Bytes {
    /// The larger of each part.
    pub fn max(self, other: Self) -> Self {
        Self {
            host: self.host.max(other.host),
            device: self.device.max(other.device),
        }
    }
}

/// A counter of bytes in use with a resettable peak.
pub trait Meter: Send {
    /// Bytes in use now.
    fn in_use(&self) -> u64;
    /// Most bytes in use since [`Meter::reset_peak`]; at least [`Meter::in_use`].
    fn peak(&self) -> u64;
    /// Begins a new peak at the bytes in use now.
    fn reset_peak(&mut self);
}

/// The meter of a place that nobody meters: always 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn in_use(&self) -> u64 {
        0
    }
    fn peak(&self) -> u64 {
        0
    }
    fn reset_peak(&mut self) {}
}
