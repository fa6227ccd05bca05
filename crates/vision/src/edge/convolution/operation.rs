//! [`Convolution`] as candle sees it: shapes checked, the work handed on, gradients given back.

use std::borrow::Cow;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use rayon::prelude::*;

use super::backward::{backward_image, backward_weight, channel_sums};
use super::extent::Extent;
use super::forward::forward;
use super::storage::{cpu_slice, slice};

/// How to convolve: y = w * x + b, or max(0, w * x + b), cross-correlation as everywhere in deep learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Step between outputs, both directions, at least 1.
    pub stride: usize,
    /// Zero rows and columns added on every side.
    pub padding: usize,
    /// Distance between kernel taps, at least 1.
    pub dilation: usize,
    /// 1, or the number of channels (depthwise: as many outputs as inputs).
    pub groups: usize,
    /// Apply max(0, .) to the result.
    pub relu: bool,
}

impl Default for Convolution {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
            relu: false,
        }
    }
}

impl Convolution {
    /// Convolves `x` (N x C x H x W) with `weight` (O x C/groups x KH x KW) and adds `bias` (O),
    /// giving N x O x OH x OW with OH = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1.
    ///
    /// On a device other than the CPU, and in numbers other than `f32`, candle's own convolution runs instead.
    ///
    /// # Errors
    /// Shapes that do not fit, a kernel larger than the padded image, or groups other than 1 and depthwise.
    pub fn apply(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() || x.dtype() != DType::F32 {
            let y = x.conv2d(
                weight,
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
            )?;
            let y = y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?;
            return if self.relu { y.relu() } else { Ok(y) };
        }
        x.contiguous()?
            .apply_op3(&weight.contiguous()?, &bias.contiguous()?, self)
    }

    pub(super) fn shape(&self, x: &[usize], weight: &[usize]) -> Result<Extent> {
        let (&[n, c, h, w], &[o, per_group, kh, kw]) = (x, weight) else {
            bail!("convolution takes 4-dimensional image and weight, got {x:?} and {weight:?}");
        };
        if [c, h, w, o, kh, kw, self.dilation].contains(&0) {
            bail!("convolution of image {x:?} with weight {weight:?}: no side may be empty");
        }
        let depthwise = self.groups > 1;
        if (depthwise && (self.groups != c || o != c || per_group != 1))
            || (!depthwise && per_group != c)
        {
            bail!(
                "convolution weight {weight:?} does not fit image {x:?} with {} groups",
                self.groups
            );
        }
        let (reach_h, reach_w) = (self.dilation * (kh - 1) + 1, self.dilation * (kw - 1) + 1);
        if h + 2 * self.padding < reach_h || w + 2 * self.padding < reach_w || self.stride == 0 {
            bail!("convolution kernel {weight:?} is larger than the padded image {x:?}");
        }
        let oh = (h + 2 * self.padding - reach_h) / self.stride + 1;
        let ow = (w + 2 * self.padding - reach_w) / self.stride + 1;
        let (stride, padding, dilation) = (self.stride, self.padding as isize, self.dilation);
        Ok(Extent {
            n,
            c,
            h,
            w,
            o,
            kh,
            kw,
            oh,
            ow,
            stride,
            padding,
            dilation,
            depthwise,
        })
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "bo-convolution"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let e = self.shape(l1.dims(), l2.dims())?;
        if l3.dims() != [e.o] {
            bail!("convolution bias has shape {:?}, not [{}]", l3.dims(), e.o);
        }
        let (x, weight, bias) = (cpu_slice(s1, l1)?, cpu_slice(s2, l2)?, cpu_slice(s3, l3)?);
        let out = forward(&e, x, weight, bias, self.relu);
        Ok((CpuStorage::F32(out), Shape::from((e.n, e.o, e.oh, e.ow))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let e = self.shape(x.dims(), weight.dims())?;
        let grad_res = grad_res.contiguous()?;
        let (sg, lg) = grad_res.storage_and_layout();
        let grad = if self.relu {
            let (sr, lr) = res.storage_and_layout();
            Cow::Owned(passed(slice(&sg, lg)?, slice(&sr, lr)?))
        } else {
            Cow::Borrowed(slice(&sg, lg)?)
        };
        let (sx, lx) = x.storage_and_layout();
        let (sw, lw) = weight.storage_and_layout();
        let gx = if x.track_op() {
            Some(backward_image(&e, slice(&sw, lw)?, &grad, &vec![0.0; e.c]))
        } else {
            None
        };
        let gw = backward_weight(&e, slice(&sx, lx)?, &grad);
        let gb = channel_sums(&grad, e.o, e.oh * e.ow);
        let device = x.device();
        Ok((
            gx.map(|g| Tensor::from_vec(g, x.shape(), device))
                .transpose()?,
            Some(Tensor::from_vec(gw, weight.shape(), device)?),
            Some(Tensor::from_vec(gb, bias.shape(), device)?),
        ))
    }
}

/// The gradient where the result of a ReLU is above 0, elsewhere 0.
fn passed(grad: &[f32], result: &[f32]) -> Vec<f32> {
    let pairs = grad.par_iter().zip(result);
    pairs
        .map(|(g, r)| if *r > 0.0 { *g } else { 0.0 })
        .collect()
}
