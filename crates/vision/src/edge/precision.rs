//! In which numbers a network computes.
//!
//! Central type: [`Precision`], the names that `--precision` takes.

use std::str::FromStr;

use candle_core::DType;
use serde::{Deserialize, Serialize};

/// Numbers of a network. Bits of exponent and fraction: 8 and 23, 8 and 10, 5 and 10, 8 and 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single precision, on any device.
    #[default]
    Float32,
    /// Single precision, its products rounded to 10 bits of fraction: on GPUs from compute capability 8.0 on.
    Tf32,
    /// IEEE half precision: maps beyond 65,504 are infinite and refused as such.
    Float16,
    /// The upper half of single precision: on GPUs from compute capability 8.0 on.
    BFloat16,
}

impl Precision {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Tf32, Self::Float16, Self::BFloat16];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Tf32 => "tf32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        match self.half() {
            Some(_) => 2,
            None => 4,
        }
    }

    /// The type of 16 bits, if it is one.
    pub(crate) fn half(self) -> Option<DType> {
        match self {
            Self::Float32 | Self::Tf32 => None,
            Self::Float16 => Some(DType::F16),
            Self::BFloat16 => Some(DType::BF16),
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("{name:?} is none of {}", known()))
    }
}

/// Whether GPUs of this process round float32 products as [`Precision::Tf32`] says.
pub fn round_products(round: bool) {
    candle_core::cuda::set_gemm_reduced_precision_f32(round);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
            let written = serde_json::to_value(precision).unwrap();
            assert_eq!(written, precision.name());
        }
        let refused = "double".parse::<Precision>().unwrap_err();
        assert!(
            refused.contains("float32, tf32, float16, bfloat16"),
            "{refused}"
        );
    }
}
