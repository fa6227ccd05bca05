//! The branch that brings one scale back to the size of the image.
//!
//! Central type [`Rise`]: as many steps as the scale was halved, each a pointwise convolution, a ReLU
//! and a transposed convolution that doubles both sides; 16 channels on the way, one at the end.

use super::layer::{Doubling, Layer, LayerSource};
use crate::edge::Activation;
use crate::edge::convolution::Convolution;

/// Channels between the first and the last step.
const CHANNELS: usize = 16;

/// The steps of one branch.
pub(super) struct Rise<A> {
    steps: Vec<(Layer<A>, Doubling<A>)>,
}

impl<A: Activation> Rise<A> {
    /// The branch `name` for `inputs` channels at 1/2^`halvings` of the image's size. All its
    /// transposed convolutions have a kernel of side 2^`halvings`.
    pub(super) fn new<S: LayerSource<A>>(
        reader: &S,
        name: &str,
        inputs: usize,
        halvings: usize,
    ) -> Result<Self, S::Error> {
        let how = Convolution {
            relu: true,
            ..Convolution::default()
        };
        let mut steps = Vec::with_capacity(halvings);
        let mut from = inputs;
        for step in 0..halvings {
            let to = if step + 1 == halvings { 1 } else { CHANNELS };
            // the ReLU between the two has a number of its own in the original's list
            let narrow = reader.plain(
                &format!("{name}.features.{}", 3 * step),
                [to, from, 1, 1],
                how,
            )?;
            let double = reader.doubling(
                &format!("{name}.features.{}", 3 * step + 2),
                to,
                1 << halvings,
            )?;
            steps.push((narrow, double));
            from = to;
        }
        Ok(Self { steps })
    }

    pub(super) fn run(&self, x: &A) -> candle_core::Result<A> {
        let mut y = x.clone();
        for (narrow, double) in &self.steps {
            y = double.run(&narrow.run(&y)?)?;
        }
        Ok(y)
    }
}
