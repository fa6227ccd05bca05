//! Maximum over 3x3 neighbourhoods of every second pixel, with gradient.
//!
//! Central function [`halving_maximum`], a candle custom operation: candle's own has neither a border
//! nor, where neighbourhoods overlap, a gradient.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::convolution::{cpu_slice, slice};

/// y\[i, j\] = max of x over rows 2i - 1 .. 2i + 1 and columns 2j - 1 .. 2j + 1 inside the image: N x C x H x W becomes
/// N x C x ceil(H / 2) x ceil(W / 2). The gradient goes to the first largest pixel, row by row.
///
/// # Errors
/// Not four-dimensional.
pub fn halving_maximum(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        if x.track_op() {
            return largest_of_three(&largest_of_three(x, 2)?, 3);
        }
        // a border that repeats pixels of the same neighbourhood changes no maximum
        let wide = x.pad_with_same(2, 1, 1)?.pad_with_same(3, 1, 1)?;
        return wide.max_pool2d_with_stride(3, 2);
    }
    x.contiguous()?.apply_op1(HalvingMaximum)
}

/// The largest of every second value along an axis and its neighbours, by operations of candle that have a gradient, for
/// devices other than the CPU and numbers other than `f32`. Of equal ones each gets a part of the gradient.
fn largest_of_three(x: &Tensor, axis: usize) -> Result<Tensor> {
    let side = x.dim(axis)?;
    let shifted = |by: isize| {
        let inside = |at: usize| (2 * at).saturating_add_signed(by).min(side - 1) as u32;
        let indices: Vec<u32> = (0..side.div_ceil(2)).map(inside).collect();
        let indices = Tensor::from_vec(indices, side.div_ceil(2), x.device())?;
        x.index_select(&indices, axis)
    };
    shifted(-1)?.maximum(&shifted(0)?)?.maximum(&shifted(1)?)
}

struct HalvingMaximum;

impl CustomOp1 for HalvingMaximum {
    fn name(&self) -> &'static str {
        "bo-halving-maximum"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let (oh, ow) = (h.div_ceil(2), w.div_ceil(2));
        let x = cpu_slice(storage, layout)?;
        let mut out = vec![0.0f32; n * c * oh * ow];
        if !out.is_empty() {
            out.par_chunks_mut(oh * ow)
                .zip(x.par_chunks(h * w))
                .for_each(|(out, plane)| maximum_plane(plane, w, out));
        }
        Ok((CpuStorage::F32(out), Shape::from((n, c, oh, ow))))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let (n, c, h, w) = x.dims4()?;
        let (oh, ow) = (h.div_ceil(2), w.div_ceil(2));
        let grad_res = grad_res.contiguous()?;
        let (sg, lg) = grad_res.storage_and_layout();
        let (sx, lx) = x.storage_and_layout();
        let (grad, values) = (slice(&sg, lg)?, slice(&sx, lx)?);
        let mut out = vec![0.0f32; n * c * h * w];
        if !out.is_empty() {
            out.par_chunks_mut(h * w)
                .zip(values.par_chunks(h * w).zip(grad.par_chunks(oh * ow)))
                .for_each(|(out, (plane, grad))| {
                    for (i, g) in grad.iter().enumerate() {
                        out[largest(plane, (h, w), i / ow, i % ow)] += g;
                    }
                });
        }
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}

/// Maxima of one plane of width `w`: first over rows, then over columns.
fn maximum_plane(plane: &[f32], w: usize, out: &mut [f32]) {
    let h = plane.len() / w;
    let mut tall = vec![0.0f32; w];
    for (i, out) in out.chunks_exact_mut(w.div_ceil(2)).enumerate() {
        tall.copy_from_slice(&plane[2 * i * w..(2 * i + 1) * w]);
        let above = (2 * i).checked_sub(1);
        let below = Some(2 * i + 1).filter(|y| *y < h);
        for y in [above, below].into_iter().flatten() {
            for (t, v) in tall.iter_mut().zip(&plane[y * w..(y + 1) * w]) {
                *t = t.max(*v);
            }
        }
        let mut left = f32::NEG_INFINITY;
        for (out, pair) in out.iter_mut().zip(tall.chunks(2)) {
            let right = pair[pair.len() - 1];
            *out = left.max(pair[0]).max(right);
            left = right;
        }
    }
}

/// Index of the first largest pixel of the neighbourhood of output (i, j).
fn largest(plane: &[f32], (h, w): (usize, usize), i: usize, j: usize) -> usize {
    let rows = (2 * i).saturating_sub(1)..(2 * i + 2).min(h);
    let mut best = rows.start * w + (2 * j).saturating_sub(1);
    for y in rows {
        for x in (2 * j).saturating_sub(1)..(2 * j + 2).min(w) {
            if plane[y * w + x] > plane[best] {
                best = y * w + x;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn maxima_and_their_gradient_by_hand() {
        let values = vec![1.0f32, 5.0, 2.0, 0.0, -1.0, 3.0, 4.0, 4.0, -7.0];
        let x = Tensor::from_vec(values, (1, 1, 3, 3), &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let y = halving_maximum(&x).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&y), [5.0, 5.0, 4.0, 4.0]);
        let seen = Tensor::from_vec(vec![1.0f32, 10.0, 100.0, 1000.0], y.shape(), &Device::Cpu);
        let grads = (y * seen.unwrap()).unwrap().sum_all().unwrap();
        let grads = grads.backward().unwrap();
        let expected = [0.0, 11.0, 0.0, 0.0, 0.0, 0.0, 100.0, 1000.0, 0.0];
        assert_eq!(flat(grads.get(&x).unwrap()), expected);
    }

    #[test]
    fn with_candles_own_operations_maxima_and_gradient_are_the_same() {
        for (h, w) in [(1, 4), (5, 6), (6, 5), (7, 1)] {
            let values: Vec<f32> = (0..h * w).map(|i| ((i * 37) % 41) as f32 - 20.0).collect();
            let x = Tensor::from_vec(values, (1, 1, h, w), &Device::Cpu).unwrap();
            let x = Var::from_tensor(&x).unwrap();
            let weighed = |y: Tensor| {
                let weights: Vec<f32> = (1..=y.elem_count()).map(|i| i as f32).collect();
                let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu).unwrap();
                let grads = (&y * weights).unwrap().sum_all().unwrap().backward();
                let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                (flat(&y), flat(grads.unwrap().get(&x).unwrap()))
            };
            let own = weighed(halving_maximum(&x).unwrap());
            let composed = largest_of_three(&largest_of_three(&x, 2).unwrap(), 3);
            assert_eq!(weighed(composed.unwrap()), own, "{h} x {w}");
        }
    }

    #[test]
    fn every_size_agrees_with_the_plain_definition() {
        for (h, w) in [(1usize, 1usize), (1, 4), (2, 2), (5, 6), (6, 5), (7, 1)] {
            let plane: Vec<f32> = (0..h * w).map(|i| ((i * 37) % 23) as f32 - 30.0).collect();
            let (oh, ow) = (h.div_ceil(2), w.div_ceil(2));
            let mut out = vec![0.0f32; oh * ow];
            maximum_plane(&plane, w, &mut out);
            for (i, v) in out.iter().enumerate() {
                assert_eq!(
                    *v,
                    plane[largest(&plane, (h, w), i / ow, i % ow)],
                    "{h}x{w}"
                );
            }
        }
    }
}
