//! The gradient of a dense convolution's weight: for every weight the sum over places of the output's gradient times
//! what the weight met there.
//!
//! Central function [`weight_gradient`]. Few channels: the lanes of a vector are `places`, and every weight ends with a
//! sum over lanes. Many: they are `channels`, and none does.

mod channels;
mod places;

use super::lanes::Width;
use super::stencil::Stencil;

/// Channels from which lanes are channels; measured, see `experiments/network`.
const MANY: usize = 32;

/// sum over images and places of grad\[o, place\] x\[c, place + tap\], in the order output, channel, tap. The stencil
/// is that of the forward pass; its weights are not looked at.
pub(super) fn weight_gradient(width: Width, s: &Stencil, x: &[f32], grad: &[f32]) -> Vec<f32> {
    if s.seen[1] >= MANY {
        channels::weight_gradient(width, s, x, grad)
    } else {
        places::weight_gradient(width, s, x, grad)
    }
}

/// Numbers held beside the result while [`weight_gradient`] runs.
pub(super) fn scratch(s: &Stencil) -> usize {
    if s.seen[1] >= MANY {
        channels::scratch(s)
    } else {
        places::scratch(s)
    }
}
