//! The pool, where the program was built without CUDA: none is ever opened.

use super::{DeviceBytes, DeviceError};
use crate::meter::Meter;

/// Where a card's tensors lie; without the feature `cuda` nobody gets one.
#[derive(Clone, Debug)]
pub struct DevicePool {
    _never: (),
}

impl DevicePool {
    /// The pool of card `ordinal`, which keeps up to `keep` unused bytes for the next tensors.
    ///
    /// # Errors
    /// Always [`DeviceError::NotBuilt`].
    pub fn open(_ordinal: usize, _keep: u64) -> Result<Self, DeviceError> {
        Err(DeviceError::NotBuilt)
    }

    /// Waits for everything asked of the card, then counts.
    ///
    /// # Errors
    /// Always [`DeviceError::NotBuilt`].
    pub fn bytes(&self) -> Result<DeviceBytes, DeviceError> {
        Err(DeviceError::NotBuilt)
    }

    /// Waits for everything asked of the card, then gives its unused bytes back; returns how many.
    ///
    /// # Errors
    /// Always [`DeviceError::NotBuilt`].
    pub fn trim(&self) -> Result<u64, DeviceError> {
        Err(DeviceError::NotBuilt)
    }
}

impl Meter for DevicePool {
    fn in_use(&self) -> u64 {
        0
    }
    fn peak(&self) -> u64 {
        0
    }
    fn reset_peak(&mut self) {}
}
