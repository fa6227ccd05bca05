//! Cards as the driver shows them. `unsafe` for two questions that cudarc leaves to its caller.

use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, DriverError, result};

use super::{Capability, Card, DeviceError};
use crate::gpu;

/// How many cards the driver shows.
///
/// # Errors
/// [`DeviceError::NoDriver`], or what the driver says.
pub fn count() -> Result<usize, DeviceError> {
    match result::init() {
        Ok(()) => {}
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => return Ok(0),
        Err(error) => return Err(refused(error)),
    }
    let count = result::device::get_count().map_err(refused)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Card `ordinal`, once it is known that kernels of this program run on it.
///
/// # Errors
/// Why it cannot be used: [`DeviceError`].
pub fn probe(ordinal: usize) -> Result<Card, DeviceError> {
    let count = count()?;
    if ordinal >= count {
        return Err(DeviceError::NoDevice { count });
    }
    let has = driver().map_err(refused)?;
    // kernels travel as PTX of the compiler's version, which older drivers do not read
    if has < sys::CUDA_VERSION {
        return Err(DeviceError::OldDriver {
            has,
            needs: sys::CUDA_VERSION,
        });
    }
    let device = result::device::get(ordinal as i32).map_err(refused)?;
    let name = result::device::get_name(device).map_err(refused)?;
    let part = |attribute| {
        // SAFETY: `device` is one that the driver has just given.
        let value = unsafe { result::device::get_attribute(device, attribute) };
        value.map(|value| value.unsigned_abs()).map_err(refused)
    };
    let capability = Capability {
        major: part(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        minor: part(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    };
    if let Some(built) = Capability::built()
        && capability < built
    {
        return Err(DeviceError::OldCard {
            name,
            capability,
            built,
        });
    }
    let context = CudaContext::new(ordinal).map_err(|error| started(ordinal, error))?;
    let (free, total) = context
        .mem_get_info()
        .map_err(|error| started(ordinal, error))?;
    Ok(Card {
        name,
        capability,
        free: free as u64,
        total: total as u64,
    })
}

/// The CUDA that the driver knows: 1000 x major + 10 x minor.
fn driver() -> Result<u32, DriverError> {
    let mut version = 0;
    // SAFETY: the call writes one integer to where it is told.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result()?;
    Ok(version.unsigned_abs())
}

/// Why the driver answers no question at all.
fn refused(error: DriverError) -> DeviceError {
    match error.0 {
        CUresult::CUDA_ERROR_STUB_LIBRARY => DeviceError::NoDriver,
        CUresult::CUDA_ERROR_NO_DEVICE => DeviceError::NoDevice { count: 0 },
        _ => DeviceError::at_first_use(&error.to_string()),
    }
}

/// Why the card does not start; who holds its memory, if that is it.
fn started(ordinal: usize, error: DriverError) -> DeviceError {
    match refused(error) {
        DeviceError::Full { .. } => {
            let table = gpu::table().unwrap_or_default();
            let card = table
                .into_iter()
                .find(|card| card.index as usize == ordinal);
            DeviceError::Full {
                free: card.as_ref().and_then(|card| card.free),
                total: card.as_ref().and_then(|card| card.total),
                holders: card.map(|card| card.holders).unwrap_or_default(),
            }
        }
        other => other,
    }
}
