//! What the layers of a network compute on.
//!
//! Central trait [`Activation`]: a candle tensor, or an [`super::outline::Outline`], which has shape
//! and bytes but no numbers. A network writes its layers once, over this trait; run on tensors they
//! give logits, run on outlines the memory that this takes. Every method makes a new map.

use candle_core::{Result, Tensor};

use super::convolution::{Convolution, Transposed};
use super::pool::halving_maximum;
use super::resize::bilinear_within;
use super::view::View;

/// A map of N x C x H x W, or a weight.
pub trait Activation: Clone {
    /// Rows and columns.
    ///
    /// # Errors
    /// Not four-dimensional.
    fn size(&self) -> Result<(usize, usize)>;

    /// As [`Convolution::apply`].
    ///
    /// # Errors
    /// Shapes that do not fit, or a failure of the device, as in every method below.
    fn convolve(&self, how: Convolution, weight: &Self, bias: &Self) -> Result<Self>;

    /// As [`Transposed::apply`].
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn enlarged(&self, how: Transposed, weight: &Self, bias: &Self) -> Result<Self>;

    /// The sum with a map of the same shape.
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn plus(&self, other: &Self) -> Result<Self>;

    /// Every value times `factor`.
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn scaled(&self, factor: f64) -> Result<Self>;

    /// max(0, x).
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn rectified(&self) -> Result<Self>;

    /// 1 / (1 + exp(-x)).
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn sigmoid(&self) -> Result<Self>;

    /// Every channel times `gate`, which has one.
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn gated(&self, gate: &Self) -> Result<Self>;

    /// The largest of every 2 x 2 pixels; an odd last row or column is dropped.
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn halved(&self) -> Result<Self>;

    /// As [`halving_maximum`].
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn halved_overlapping(&self) -> Result<Self>;

    /// As [`bilinear_within`].
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn resized(&self, from: View, to: View, size: (usize, usize)) -> Result<Self>;

    /// Channels of all `maps`, one after the other.
    ///
    /// # Errors
    /// As [`Activation::convolve`].
    fn stacked(maps: &[Self]) -> Result<Self>;
}

impl Activation for Tensor {
    fn size(&self) -> Result<(usize, usize)> {
        self.dims4().map(|(_, _, height, width)| (height, width))
    }

    fn convolve(&self, how: Convolution, weight: &Self, bias: &Self) -> Result<Self> {
        how.apply(self, weight, bias)
    }

    fn enlarged(&self, how: Transposed, weight: &Self, bias: &Self) -> Result<Self> {
        how.apply(self, weight, bias)
    }

    fn plus(&self, other: &Self) -> Result<Self> {
        self + other
    }

    fn scaled(&self, factor: f64) -> Result<Self> {
        self * factor
    }

    fn rectified(&self) -> Result<Self> {
        self.relu()
    }

    fn sigmoid(&self) -> Result<Self> {
        candle_nn::ops::sigmoid(self)
    }

    fn gated(&self, gate: &Self) -> Result<Self> {
        self.broadcast_mul(gate)
    }

    fn halved(&self) -> Result<Self> {
        self.max_pool2d(2)
    }

    fn halved_overlapping(&self) -> Result<Self> {
        halving_maximum(self)
    }

    fn resized(&self, from: View, to: View, size: (usize, usize)) -> Result<Self> {
        bilinear_within(self, from, to, size)
    }

    fn stacked(maps: &[Self]) -> Result<Self> {
        Tensor::cat(maps, 1)
    }
}
