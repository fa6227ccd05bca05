//! What an error of the GPU's libraries means for the program: less memory, or a process that is over.
//!
//! candle hands on what cudarc says, and cudarc names the status as the libraries do. Statuses are recognised by these
//! names, so that the kinds are known, and can be tested, without CUDA.

/// A failure of the device that asks for more than a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// Its memory is full: less may do.
    OutOfMemory,
    /// What this process holds there is gone and every further call fails: only a new process helps. The status says
    /// what happened, see [`DeviceFault::meaning`].
    Lost(&'static str),
}

/// Statuses that mean a full memory.
const FULL: [&str; 5] = [
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CURAND_STATUS_ALLOCATION_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
];

/// Statuses after which the context is of no more use, and what they tell.
const LOST: [(&str, &str); 22] = [
    (
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "its memory has an error that ECC cannot correct (Xid 48)",
    ),
    (
        "CUDA_ERROR_NVLINK_UNCORRECTABLE",
        "NVLink has an error that cannot be corrected (Xid 74)",
    ),
    (
        "CUDA_ERROR_CONTAINED",
        "its memory had an error, contained to this process (Xid 94)",
    ),
    (
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "a kernel reached outside its memory (Xid 31)",
    ),
    (
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "a kernel held an instruction that is none (Xid 13)",
    ),
    (
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "a kernel read from an address that is not aligned (Xid 13)",
    ),
    (
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "a kernel mixed up kinds of memory (Xid 13)",
    ),
    (
        "CUDA_ERROR_INVALID_PC",
        "a kernel jumped out of its code (Xid 13)",
    ),
    (
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "a kernel's stack overflowed or was damaged",
    ),
    ("CUDA_ERROR_LAUNCH_FAILED", "a kernel failed (Xid 13 or 43)"),
    (
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "a kernel ran longer than the system lets it (Xid 8)",
    ),
    ("CUDA_ERROR_ASSERT", "a kernel's assertion failed"),
    (
        "CUDA_ERROR_TENSOR_MEMORY_LEAK",
        "a kernel left tensor memory behind",
    ),
    (
        "CUDA_ERROR_EXTERNAL_DEVICE",
        "another device that it works with failed",
    ),
    (
        "CUDA_ERROR_DEVICE_UNAVAILABLE",
        "it is not available, or fell off the bus (Xid 79)",
    ),
    ("CUDA_ERROR_SYSTEM_NOT_READY", "the driver is not ready"),
    (
        "CUDA_ERROR_MPS_CONNECTION_FAILED",
        "the connection to the MPS server broke",
    ),
    ("CUDA_ERROR_MPS_RPC_FAILURE", "the MPS server failed"),
    (
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        "its context was destroyed",
    ),
    (
        "CUDA_ERROR_UNKNOWN",
        "the driver does not know what happened",
    ),
    (
        "CUBLAS_STATUS_EXECUTION_FAILED",
        "a kernel of cuBLAS failed",
    ),
    ("CUDNN_STATUS_EXECUTION_FAILED", "a kernel of cuDNN failed"),
];

impl DeviceFault {
    /// The fault that an error tells of in its words; `None` for errors of the program's own, such as shapes that do not
    /// fit. Statuses are whole words: `CUDA_ERROR_ASSERT` is not found in `CUDA_ERROR_ASSERTION`.
    pub fn of(words: &str) -> Option<Self> {
        let mut statuses = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        statuses.find_map(|status| {
            if FULL.contains(&status) {
                return Some(Self::OutOfMemory);
            }
            let lost = LOST.iter().find(|(name, _)| *name == status);
            lost.map(|(name, _)| Self::Lost(name))
        })
    }

    /// In a user's words, as said of the device.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::OutOfMemory => "its memory is full",
            Self::Lost(status) => {
                let known = LOST.iter().find(|(name, _)| *name == status);
                known.map_or("it failed", |(_, meaning)| meaning)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart_whatever_surrounds_them() {
        let full = r#"edge network failed: DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#;
        assert_eq!(DeviceFault::of(full), Some(DeviceFault::OutOfMemory));
        let blas = "CublasError(CUBLAS_STATUS_ALLOC_FAILED)";
        assert_eq!(DeviceFault::of(blas), Some(DeviceFault::OutOfMemory));
        for (status, meaning) in LOST {
            let words = format!("DriverError({status}, \"...\") when loading conv\n   0: frame");
            let fault = DeviceFault::of(&words).unwrap();
            assert_eq!(
                (fault, fault.meaning()),
                (DeviceFault::Lost(status), meaning)
            );
        }
        for harmless in [
            "shape mismatch in conv2d, lhs: [1, 3], rhs: [2]",
            "DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")",
            "CUDA_ERROR_ASSERTION",
            "out of memory",
            "",
        ] {
            assert_eq!(DeviceFault::of(harmless), None, "{harmless}");
        }
    }

    /// The names above are those by which cudarc's errors show themselves.
    #[cfg(feature = "cuda")]
    #[test]
    fn the_drivers_own_errors_are_recognised() {
        use cudarc::driver::{DriverError, sys::CUresult};
        let fault = |status| DeviceFault::of(&DriverError(status).to_string());
        assert_eq!(
            fault(CUresult::CUDA_ERROR_OUT_OF_MEMORY),
            Some(DeviceFault::OutOfMemory)
        );
        let ecc = DeviceFault::Lost("CUDA_ERROR_ECC_UNCORRECTABLE");
        assert_eq!(fault(CUresult::CUDA_ERROR_ECC_UNCORRECTABLE), Some(ecc));
        assert_eq!(fault(CUresult::CUDA_ERROR_INVALID_VALUE), None);
    }
}
