//! [`Transposed`], the convolution's transpose as a candle operation of its own.
//!
//! Its forward pass is the ordinary convolution's gradient of the image and the other way round, so it
//! has no arithmetic of its own.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use super::backward::{backward_image, backward_weight, channel_sums};
use super::extent::Extent;
use super::forward::forward;
use super::storage::{cpu_slice, slice};

/// How to enlarge: every input pixel adds its kernel, scaled, around `stride` times its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transposed {
    /// Step between the places of neighbouring inputs, at least 1.
    pub stride: usize,
    /// Rows and columns cut off every side of the result.
    pub padding: usize,
}

impl Transposed {
    /// Convolves `x` (N x C x H x W) with `weight` (C x O x KH x KW) transposed and adds `bias` (O),
    /// giving N x O x OH x OW with OH = (H - 1) stride + KH - 2 padding.
    ///
    /// On a device other than the CPU, and in numbers other than `f32`, candle's own runs instead.
    ///
    /// # Errors
    /// Shapes that do not fit, or a padding that leaves nothing.
    pub fn apply(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() || x.dtype() != DType::F32 {
            let y = x.conv_transpose2d(weight, self.padding, 0, self.stride, 1)?;
            return y.broadcast_add(&bias.reshape((1, (), 1, 1))?);
        }
        x.contiguous()?
            .apply_op3(&weight.contiguous()?, &bias.contiguous()?, self)
    }

    /// The convolution whose transpose this is: its image is our output.
    pub(super) fn shape(&self, x: &[usize], weight: &[usize]) -> Result<Extent> {
        let (&[n, o, oh, ow], &[inputs, c, kh, kw]) = (x, weight) else {
            bail!(
                "transposed convolution takes 4-dimensional image and weight, got {x:?} and {weight:?}"
            );
        };
        if inputs != o || [o, oh, ow, c, kh, kw, self.stride].contains(&0) {
            bail!("transposed convolution weight {weight:?} does not fit image {x:?}");
        }
        let side = |size: usize, kernel: usize| {
            ((size - 1) * self.stride + kernel).checked_sub(2 * self.padding)
        };
        let (Some(h @ 1..), Some(w @ 1..)) = (side(oh, kh), side(ow, kw)) else {
            bail!("transposed convolution of {x:?} with {weight:?}: the padding leaves nothing");
        };
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
            stride: self.stride,
            padding: self.padding as isize,
            dilation: 1,
            depthwise: false,
        })
    }
}

impl CustomOp3 for Transposed {
    fn name(&self) -> &'static str {
        "bo-transposed-convolution"
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
        if l3.dims() != [e.c] {
            bail!(
                "transposed convolution bias has shape {:?}, not [{}]",
                l3.dims(),
                e.c
            );
        }
        let (x, weight, bias) = (cpu_slice(s1, l1)?, cpu_slice(s2, l2)?, cpu_slice(s3, l3)?);
        let out = backward_image(&e, weight, x, bias);
        Ok((CpuStorage::F32(out), Shape::from((e.n, e.c, e.h, e.w))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let e = self.shape(x.dims(), weight.dims())?;
        let grad_res = grad_res.contiguous()?;
        let (sg, lg) = grad_res.storage_and_layout();
        let (sx, lx) = x.storage_and_layout();
        let (sw, lw) = weight.storage_and_layout();
        let grad = slice(&sg, lg)?;
        let gx = forward(&e, grad, slice(&sw, lw)?, &vec![0.0; e.o], false);
        let gw = backward_weight(&e, grad, slice(&sx, lx)?);
        let gb = channel_sums(grad, e.c, e.h * e.w);
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(gx, x.shape(), device)?),
            Some(Tensor::from_vec(gw, weight.shape(), device)?),
            Some(Tensor::from_vec(gb, bias.shape(), device)?),
        ))
    }
}
