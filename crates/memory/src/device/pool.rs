//! The pool of one card, from which every tensor there is taken.
//!
//! Central type: [`DevicePool`]. The driver counts it exactly. Left alone it would give everything unused back to the card
//! at each wait, and the next tensors would be as slow as the first; it is told to keep some, and [`DevicePool::trim`]
//! gives that back. What lies beside the pool (the context, code, cuBLAS) is taken once and shows in
//! [`DeviceBytes::free`] alone. `unsafe` for attributes, whose type cudarc leaves to its caller, and for trimming.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{CUmemPool_attribute, CUmemoryPool};
use cudarc::driver::{CudaContext, DriverError, result};

use super::{DeviceBytes, DeviceError};
use crate::meter::Meter;

/// Where a card's tensors lie. Clones are the same pool.
#[derive(Clone, Debug)]
pub struct DevicePool {
    context: Arc<CudaContext>,
    /// Answers of the last count: a driver that is silent has freed nothing.
    last: Arc<Mutex<DeviceBytes>>,
}

impl DevicePool {
    /// The pool of card `ordinal`, which keeps up to `keep` unused bytes for the next tensors.
    ///
    /// # Errors
    /// The card cannot be used, or has no such pool (some virtual GPUs).
    pub fn open(ordinal: usize, keep: u64) -> Result<Self, DeviceError> {
        let context = CudaContext::new(ordinal).map_err(said)?;
        let pool = Self {
            context,
            last: Arc::default(),
        };
        let threshold = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        pool.set(threshold, keep).map_err(said)?;
        pool.count().map_err(said)?;
        Ok(pool)
    }

    /// Waits for everything asked of the card, then counts.
    ///
    /// # Errors
    /// The driver does not answer, or what was asked of the card has failed.
    pub fn bytes(&self) -> Result<DeviceBytes, DeviceError> {
        self.count().map_err(said)
    }

    /// Waits for everything asked of the card, then gives its unused bytes back; returns how many.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn trim(&self) -> Result<u64, DeviceError> {
        let before = self.bytes()?.reserved;
        let pool = self.handle().map_err(said)?;
        // SAFETY: the handle is that of the card's own pool, which lives as long as the context.
        unsafe { result::mem_pool::trim_to(pool, 0) }.map_err(said)?;
        Ok(before.saturating_sub(self.bytes()?.reserved))
    }

    fn count(&self) -> Result<DeviceBytes, DriverError> {
        self.context.synchronize()?;
        let (free, total) = self.context.mem_get_info()?;
        let bytes = DeviceBytes {
            used: self.get(CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?,
            used_peak: self.get(CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?,
            reserved: self.get(CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?,
            reserved_peak: self.get(CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)?,
            free: free as u64,
            total: total as u64,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(bytes)
    }

    fn now(&self) -> DeviceBytes {
        let last = || *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.count().unwrap_or_else(|_| last())
    }

    /// The pool that allocations on this card are taken from.
    fn handle(&self) -> Result<CUmemoryPool, DriverError> {
        self.context.bind_to_thread()?;
        // SAFETY: the context's device is one that the driver has given.
        unsafe { result::device::get_mem_pool(self.context.cu_device()) }
    }

    fn get(&self, attribute: CUmemPool_attribute) -> Result<u64, DriverError> {
        let (pool, mut value) = (self.handle()?, 0_u64);
        let to = (&raw mut value).cast::<c_void>();
        // SAFETY: the pool is the card's own; each attribute asked for is a number of 64 bits.
        unsafe { result::mem_pool::get_attribute(pool, attribute, to) }?;
        Ok(value)
    }

    fn set(&self, attribute: CUmemPool_attribute, mut value: u64) -> Result<(), DriverError> {
        let (pool, from) = (self.handle()?, (&raw mut value).cast::<c_void>());
        // SAFETY: as in `get`; the driver reads the number before it returns.
        unsafe { result::mem_pool::set_attribute(pool, attribute, from) }
    }
}

fn said(error: DriverError) -> DeviceError {
    DeviceError::at_first_use(&error.to_string())
}

impl Meter for DevicePool {
    fn in_use(&self) -> u64 {
        self.now().used
    }

    fn peak(&self) -> u64 {
        self.now().used_peak
    }

    fn reset_peak(&mut self) {
        let peaks = [
            CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH,
            CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH,
        ];
        for peak in peaks {
            // a driver that refuses keeps its older peak, which is told as it is; 0 is the only value it takes
            let _ = self.set(peak, 0);
        }
    }
}
