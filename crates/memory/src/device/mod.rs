//! The GPU: whether it can be used, how many of its bytes are held, and what its errors mean.
//!
//! [`probe`] looks at a card before anything is put on it, [`DevicePool`] counts and gives back, [`DeviceFault`] reads
//! errors, [`DeviceError`] says why there is no card. What asks the driver has two bodies with the same signatures: one
//! with the feature `cuda`, and one without, which always answers [`DeviceError::NotBuilt`].

#[cfg(not(feature = "cuda"))]
#[path = "absent.rs"]
mod card;
#[cfg(feature = "cuda")]
mod card;
mod error;
mod fault;
#[cfg(not(feature = "cuda"))]
#[path = "unpooled.rs"]
mod pool;
#[cfg(feature = "cuda")]
mod pool;

use serde::{Deserialize, Serialize};

pub use card::{count, probe};
pub use error::DeviceError;
pub use fault::DeviceFault;
pub use pool::DevicePool;

/// Compute capability of a card, or that for which kernels were built: 7.5 (RTX 2060, T4), 9.0 (H100, H200).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// Before the point.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl Capability {
    /// That of this program's kernels, as `CUDA_COMPUTE_CAP` said when it was built; `None` without CUDA or where it was
    /// left to the compiler.
    pub fn built() -> Option<Self> {
        Self::parse(option_env!("CUDA_COMPUTE_CAP").filter(|_| cfg!(feature = "cuda"))?)
    }

    /// From the digits that compilers take: `75`, `90a`, `100`.
    pub fn parse(digits: &str) -> Option<Self> {
        let number: u32 = digits.trim_end_matches(['a', 'f']).parse().ok()?;
        Some(Self {
            major: number / 10,
            minor: number % 10,
        })
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A card that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it is, in its maker's words.
    pub name: String,
    /// What its code may use.
    pub capability: Capability,
    /// Bytes that nobody holds.
    pub free: u64,
    /// All of its bytes.
    pub total: u64,
}

/// Bytes of a card, all counted after everything that was asked of it has been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceBytes {
    /// Held by tensors.
    pub used: u64,
    /// Most of [`Self::used`] since the last reset.
    pub used_peak: u64,
    /// Taken from the card for tensors, in use or not.
    pub reserved: u64,
    /// Most of [`Self::reserved`] since the last reset.
    pub reserved_peak: u64,
    /// Free on the card, whoever holds the rest.
    pub free: u64,
    /// All of the card.
    pub total: u64,
}

impl DeviceBytes {
    /// Bytes that new tensors may take, so that no more than `share`, in (0, 1], of the card is held by all programs
    /// together: what is reserved and unused counts as free.
    pub fn room(self, share: f64) -> u64 {
        let idle = self.reserved.saturating_sub(self.used);
        let held = self.total.saturating_sub(self.free + idle);
        ((self.total as f64 * share) as u64).saturating_sub(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_and_own_tensors_count_against_the_share_and_idle_bytes_do_not() {
        let bytes = DeviceBytes {
            used: 10,
            reserved: 30,
            free: 50,
            total: 100,
            ..DeviceBytes::default()
        };
        // 20 held by others, 10 by own tensors, 20 idle
        assert_eq!((bytes.room(0.8), bytes.room(0.2)), (50, 0));
        let pressed = DeviceBytes { free: 5, ..bytes };
        assert_eq!((pressed.room(0.8), pressed.room(1.0)), (5, 25));
    }

    #[test]
    fn capabilities_are_read_as_compilers_write_them() {
        let of = |digits| Capability::parse(digits).map(|capability| capability.to_string());
        assert_eq!(of("75").as_deref(), Some("7.5"));
        assert_eq!(of("90a").as_deref(), Some("9.0"));
        assert_eq!(of("120").as_deref(), Some("12.0"));
        assert_eq!(of("sm_80"), None);
        assert!(Capability::parse("100") > Capability::parse("90a"));
    }
}
