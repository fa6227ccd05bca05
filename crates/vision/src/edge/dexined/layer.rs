//! One convolution of DexiNed and the way its tensors come out of a weight file.
//!
//! Central types [`Layer`] and [`Reader`]. A normalisation that follows a convolution is folded into
//! its weight and bias, since statistics are fixed at inference:
//! w' = w g / sqrt(v + 1e-5), b' = (b - m) g / sqrt(v + 1e-5) + a.

use candle_core::{Device, Tensor};

use crate::edge::convolution::{Convolution, Transposed};
use crate::edge::{Activation, EdgeError, Weights};

/// Added to a variance before its root, as in the original.
const EPSILON: f64 = 1e-5;

/// One convolution with its weights.
pub struct Layer<A> {
    /// O x I x side x side.
    pub weight: A,
    /// O.
    pub bias: A,
    /// Stride, padding, dilation, ReLU.
    pub how: Convolution,
}

impl<A: Activation> Layer<A> {
    pub(super) fn run(&self, x: &A) -> candle_core::Result<A> {
        x.convolve(self.how, &self.weight, &self.bias)
    }
}

/// One transposed convolution with its weights.
pub struct Doubling<A> {
    /// Channels x channels x side x side.
    pub weight: A,
    /// As many as channels.
    pub bias: A,
    /// Stride and padding.
    pub how: Transposed,
}

impl<A: Activation> Doubling<A> {
    pub(super) fn run(&self, x: &A) -> candle_core::Result<A> {
        x.enlarged(self.how, &self.weight, &self.bias)
    }

    /// How a kernel of this side doubles the size.
    pub fn how(side: usize) -> Transposed {
        Transposed {
            stride: 2,
            padding: side / 2 - 1,
        }
    }
}

/// Where layers get their tensors.
pub trait LayerSource<A> {
    /// Why there is none.
    type Error;

    /// The convolution `name`.weight (`shape`: outputs, inputs, side, side) and `name`.bias.
    ///
    /// # Errors
    /// The tensors are not to be had.
    fn plain(
        &self,
        name: &str,
        shape: [usize; 4],
        how: Convolution,
    ) -> Result<Layer<A>, Self::Error>;

    /// The same followed by the normalisation `norm`, all times `scale`.
    ///
    /// # Errors
    /// As [`LayerSource::plain`].
    fn normed(
        &self,
        names: (&str, &str),
        shape: [usize; 4],
        how: Convolution,
        scale: f64,
    ) -> Result<Layer<A>, Self::Error>;

    /// The transposed convolution `name` that doubles the size of `channels` planes, kernel `side`.
    ///
    /// # Errors
    /// As [`LayerSource::plain`].
    fn doubling(
        &self,
        name: &str,
        channels: usize,
        side: usize,
    ) -> Result<Doubling<A>, Self::Error>;
}

/// Takes layers out of a file.
pub(in crate::edge) struct Reader<'a> {
    pub(in crate::edge) weights: &'a Weights,
    pub(in crate::edge) device: &'a Device,
}

impl LayerSource<Tensor> for Reader<'_> {
    type Error = EdgeError;

    fn plain(
        &self,
        name: &str,
        shape: [usize; 4],
        how: Convolution,
    ) -> Result<Layer<Tensor>, EdgeError> {
        let weight = format!("{name}.weight");
        Ok(Layer {
            weight: self.weights.take(&weight, &shape, self.device)?,
            bias: self
                .weights
                .take(&format!("{name}.bias"), &shape[..1], self.device)?,
            how,
        })
    }

    fn normed(
        &self,
        (name, norm): (&str, &str),
        shape: [usize; 4],
        how: Convolution,
        scale: f64,
    ) -> Result<Layer<Tensor>, EdgeError> {
        let outputs = &shape[..1];
        let weight = self.weights.plain(&format!("{name}.weight"), &shape)?;
        let bias = self.weights.plain(&format!("{name}.bias"), outputs)?;
        let part = |part: &str| self.weights.plain(&format!("{norm}.{part}"), outputs);
        let (gain, shift) = (part("weight")?, part("bias")?);
        let mean = part("running_mean")?;
        let variance = self
            .weights
            .variances(&format!("{norm}.running_var"), outputs)?;
        let factors: Vec<f64> = gain
            .values
            .iter()
            .zip(&variance.values)
            .map(|(g, v)| scale * f64::from(*g) / (f64::from(*v) + EPSILON).sqrt())
            .collect();
        let kernel = weight.values.len() / shape[0];
        let folded: Vec<f32> = weight
            .values
            .chunks_exact(kernel)
            .zip(&factors)
            .flat_map(|(kernel, factor)| {
                kernel.iter().map(move |w| (f64::from(*w) * factor) as f32)
            })
            .collect();
        let shifted: Vec<f32> = (0..shape[0])
            .map(|o| {
                let centred = f64::from(bias.values[o]) - f64::from(mean.values[o]);
                (centred * factors[o] + scale * f64::from(shift.values[o])) as f32
            })
            .collect();
        Ok(Layer {
            weight: Tensor::from_vec(folded, &shape, self.device)?,
            bias: Tensor::from_vec(shifted, shape[0], self.device)?,
            how,
        })
    }

    fn doubling(
        &self,
        name: &str,
        channels: usize,
        side: usize,
    ) -> Result<Doubling<Tensor>, EdgeError> {
        let weight = format!("{name}.weight");
        Ok(Doubling {
            weight: self
                .weights
                .take(&weight, &[channels, channels, side, side], self.device)?,
            bias: self
                .weights
                .take(&format!("{name}.bias"), &[channels], self.device)?,
            how: Doubling::<Tensor>::how(side),
        })
    }
}
