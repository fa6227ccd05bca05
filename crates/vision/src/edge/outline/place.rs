//! Where tensors are: what an operation on them allocates depends on that.

use serde::Serialize;

/// A place of tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Main memory, in float32, with convolutions of our own.
    #[default]
    Host,
    /// A GPU, with candle's convolutions.
    Card {
        /// Bytes of a number: 4, or 2 in float16 and bfloat16.
        number: u64,
    },
}

impl Place {
    /// Bytes of a number.
    pub fn number(self) -> u64 {
        match self {
            Self::Host => size_of::<f32>() as u64,
            Self::Card { number } => number,
        }
    }
}
