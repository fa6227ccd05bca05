//! What makes steps possible in numbers of 16 bits: the loss scaled up on its way back, and steps skipped whose gradient is
//! infinite for it.
//!
//! Central type [`LossScale`]. Source: Micikevicius et al., "Mixed precision training", 2018.

use super::TrainError;
use crate::edge::Precision;

/// What the loss is multiplied by on its way back in float16, whose smallest number is 6e-8: a pixel's share of the loss
/// of a crop is about 1e-6.
const FLOAT16: f64 = 16_384.0;
/// Steps in a row whose gradients may be infinite.
const SKIPPED: usize = 16;

/// A fixed factor for each kind of number, and how many steps in a row it was too large for.
pub(super) struct LossScale {
    precision: Precision,
    skipped: usize,
}

impl LossScale {
    /// For maps of such numbers; no step was skipped.
    pub fn new(precision: Precision) -> Self {
        Self {
            precision,
            skipped: 0,
        }
    }

    /// What the loss is multiplied by on its way back, and gradients are divided by.
    pub fn factor(&self) -> f64 {
        match self.precision {
            Precision::Float16 => FLOAT16,
            _ => 1.0,
        }
    }

    /// A step had a finite gradient.
    pub fn finite(&mut self) {
        self.skipped = 0;
    }

    /// Counts a step whose gradient is not finite: in float16 the loss was scaled too far up for it, and it moves nothing.
    ///
    /// # Errors
    /// In other numbers, where the factor is not to blame, and in float16 after [`SKIPPED`] in a row.
    pub fn infinite(&mut self, step: usize, loss: f32) -> Result<(), TrainError> {
        if self.precision != Precision::Float16 {
            return Err(TrainError::Diverged { step, loss });
        }
        self.skipped += 1;
        if self.skipped < SKIPPED {
            return Ok(());
        }
        Err(TrainError::Overflow {
            step,
            steps: self.skipped,
            precision: self.precision,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_skipped_in_a_row_end_it_and_in_float32_the_first() {
        let mut scale = LossScale::new(Precision::Float16);
        for _ in 0..2 {
            for step in 0..SKIPPED - 1 {
                scale.infinite(step, 0.7).unwrap();
            }
            scale.finite();
        }
        for step in 0..SKIPPED - 1 {
            scale.infinite(step, 0.7).unwrap();
        }
        let said = scale.infinite(15, 0.7).unwrap_err().to_string();
        assert!(
            said.contains("float16 were infinite in 16 steps in a row"),
            "{said}"
        );
        let mut plain = LossScale::new(Precision::Float32);
        let ended = plain.infinite(0, 0.7);
        assert!(matches!(ended, Err(TrainError::Diverged { .. })));
    }
}
