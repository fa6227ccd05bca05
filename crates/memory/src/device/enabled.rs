//! Meter of one CUDA device.

use std::cell::Cell;
use std::sync::Arc;

use cudarc::driver::{CudaContext, DriverError};
use thiserror::Error;

use crate::meter::Meter;

/// A CUDA device could not be asked.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The device could not be opened.
    #[error("cuda device {ordinal} cannot be opened: {source}")]
    Open {
        /// Its number.
        ordinal: usize,
        /// What the driver said.
        source: DriverError,
    },
}

/// Bytes of one device, from the driver's free memory.
#[derive(Debug)]
pub struct DeviceMeter {
    context: Arc<CudaContext>,
    floor: u64,
    /// At the last answer.
    now: Cell<u64>,
    peak: Cell<u64>,
}

impl DeviceMeter {
    /// Opens device `ordinal`; what is in use now is its zero.
    ///
    /// # Errors
    /// [`DeviceError::Open`] when the driver refuses it.
    pub fn open(ordinal: usize) -> Result<Self, DeviceError> {
        let context =
            CudaContext::new(ordinal).map_err(|source| DeviceError::Open { ordinal, source })?;
        let (free, total) = context
            .mem_get_info()
            .map_err(|source| DeviceError::Open { ordinal, source })?;
        Ok(Self {
            context,
            floor: total.saturating_sub(free) as u64,
            now: Cell::new(0),
            peak: Cell::new(0),
        })
    }

    /// Free and total bytes of the device; `None` when the driver does not answer.
    pub fn free_and_total(&self) -> Option<(u64, u64)> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some((free as u64, total as u64))
    }
}

impl Meter for DeviceMeter {
    fn in_use(&self) -> u64 {
        // a driver that is silent has not freed anything: the last answer stands
        if let Some((free, total)) = self.free_and_total() {
            let now = total.saturating_sub(free).saturating_sub(self.floor);
            self.now.set(now);
            self.peak.set(self.peak.get().max(now));
        }
        self.now.get()
    }

    fn peak(&self) -> u64 {
        let now = self.in_use();
        self.peak.get().max(now)
    }

    fn reset_peak(&mut self) {
        self.peak.set(0);
        self.peak.set(self.in_use());
    }
}
