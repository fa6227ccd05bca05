//! Cards, where the program was built without CUDA: none.

use super::{Card, DeviceError};

/// How many cards the driver shows.
///
/// # Errors
/// Always [`DeviceError::NotBuilt`].
pub fn count() -> Result<usize, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// Card `ordinal`, once it is known that kernels of this program run on it.
///
/// # Errors
/// Always [`DeviceError::NotBuilt`].
pub fn probe(_ordinal: usize) -> Result<Card, DeviceError> {
    Err(DeviceError::NotBuilt)
}
