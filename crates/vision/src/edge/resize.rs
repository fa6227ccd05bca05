//! Bilinear change of size of feature maps, half-pixel centres, corners not aligned.
//!
//! Central function [`bilinear`], a candle custom operation with its gradient. Enlarging
//! interpolates between the four neighbours; coordinates beyond the border take the border's value.
//! Rows and columns are interpolated one after the other, each in a fixed order.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::convolution::{cpu_slice, slice};
use super::view::View;

/// `x` (N x C x H x W) resampled to N x C x `height` x `width`.
///
/// # Errors
/// Not four-dimensional, or an empty side.
pub fn bilinear(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let (from, to) = (View::whole(h, w), View::whole(height, width));
    bilinear_within(x, from, to, (height, width))
}

/// The window `to` of the whole resampled map, `size` rows and columns of it, computed from `x`, the
/// window `from` of the whole map. Coordinates that `x` does not hold take its nearest row or column.
///
/// # Errors
/// As [`bilinear`].
pub fn bilinear_within(
    x: &Tensor,
    from: View,
    to: View,
    (height, width): (usize, usize),
) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if [h, w, height, width, from.height, from.width].contains(&0) {
        bail!("cannot resize {h} x {w} to {height} x {width}");
    }
    if from == to && (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let rows = mixes((from.height, to.height), (from.top, h), (to.top, height));
    let columns = mixes((from.width, to.width), (from.left, w), (to.left, width));
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        return mixed(&mixed(x, &rows, 2)?, &columns, 3);
    }
    x.contiguous()?.apply_op1(Bilinear { rows, columns })
}

/// The mixture along one axis by candle's own operations, for devices other than the CPU and numbers other than `f32`.
fn mixed(x: &Tensor, mixes: &[Mix], axis: usize) -> Result<Tensor> {
    let index = |pick: fn(&Mix) -> usize| {
        let indices: Vec<u32> = mixes.iter().map(|m| pick(m) as u32).collect();
        Tensor::from_vec(indices, mixes.len(), x.device())
    };
    let (low, high) = (index(|m| m.low)?, index(|m| m.high)?);
    let (low, high) = (x.index_select(&low, axis)?, x.index_select(&high, axis)?);
    let mut shape = [1; 4];
    shape[axis] = mixes.len();
    let share: Vec<f32> = mixes.iter().map(|m| m.share).collect();
    let share = Tensor::from_vec(share, &shape, x.device())?.to_dtype(x.dtype())?;
    (high - &low)?.broadcast_mul(&share)? + low
}

struct Bilinear {
    rows: Vec<Mix>,
    columns: Vec<Mix>,
}

/// One output coordinate as a mixture of two input coordinates.
#[derive(Clone, Copy)]
struct Mix {
    low: usize,
    high: usize,
    share: f32,
}

/// For outputs `first..first + count` of the whole `to`, their inputs in a window of `held` inputs
/// that begins at `begins` of the whole `from`.
fn mixes(
    (from, to): (usize, usize),
    (begins, held): (usize, usize),
    (first, count): (usize, usize),
) -> Vec<Mix> {
    let scale = from as f64 / to as f64;
    let inside = |i: usize| i.saturating_sub(begins).min(held - 1);
    (first..first + count)
        .map(|i| {
            let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            let low = (at.floor() as usize).min(from - 1);
            Mix {
                low: inside(low),
                high: inside((low + 1).min(from - 1)),
                share: (at - low as f64) as f32,
            }
        })
        .collect()
}

impl CustomOp1 for Bilinear {
    fn name(&self) -> &'static str {
        "bo-bilinear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let x = cpu_slice(storage, layout)?;
        let (height, width) = (self.rows.len(), self.columns.len());
        let mut out = vec![0.0f32; n * c * height * width];
        out.par_chunks_mut(height * width)
            .zip(x.par_chunks(h * w))
            .for_each(|(out, plane)| {
                let mut line = vec![0.0f32; w];
                for (out, row) in out.chunks_exact_mut(width).zip(&self.rows) {
                    let (a, b) = (
                        &plane[row.low * w..(row.low + 1) * w],
                        &plane[row.high * w..(row.high + 1) * w],
                    );
                    for ((l, a), b) in line.iter_mut().zip(a).zip(b) {
                        *l = a + row.share * (b - a);
                    }
                    for (o, m) in out.iter_mut().zip(&self.columns) {
                        *o = line[m.low] + m.share * (line[m.high] - line[m.low]);
                    }
                }
            });
        Ok((CpuStorage::F32(out), Shape::from((n, c, height, width))))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let (n, c, h, w) = x.dims4()?;
        let grad_res = grad_res.contiguous()?;
        let (storage, layout) = grad_res.storage_and_layout();
        let grad = slice(&storage, layout)?;
        let mut out = vec![0.0f32; n * c * h * w];
        let (width, area) = (self.columns.len(), self.rows.len() * self.columns.len());
        out.par_chunks_mut(h * w)
            .zip(grad.par_chunks(area))
            .for_each(|(out, grad)| {
                let mut line = vec![0.0f32; w];
                for (grad, row) in grad.chunks_exact(width).zip(&self.rows) {
                    line.fill(0.0);
                    for (g, m) in grad.iter().zip(&self.columns) {
                        line[m.low] += (1.0 - m.share) * g;
                        line[m.high] += m.share * g;
                    }
                    for (i, l) in line.iter().enumerate() {
                        out[row.low * w + i] += (1.0 - row.share) * l;
                        out[row.high * w + i] += row.share * l;
                    }
                }
            });
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn doubling_a_row_interpolates_at_quarters() {
        let x = Tensor::from_vec(vec![0.0f32, 4.0], (1, 1, 1, 2), &Device::Cpu).unwrap();
        let y = bilinear(&x, 1, 4)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(y, [0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_window_of_the_result_from_a_window_of_the_map() {
        let values: Vec<f32> = (0..9 * 7).map(|i| ((i * 7) % 11) as f32).collect();
        let x = Tensor::from_vec(values, (1, 1, 9, 7), &Device::Cpu).unwrap();
        let all = bilinear(&x, 75, 60).unwrap();
        let part = x.narrow(2, 3, 5).unwrap().narrow(3, 2, 4).unwrap();
        let from = View {
            top: 3,
            left: 2,
            ..View::whole(9, 7)
        };
        let to = View {
            top: 30,
            left: 26,
            ..View::whole(75, 60)
        };
        let got = bilinear_within(&part, from, to, (32, 20)).unwrap();
        let want = all.narrow(2, 30, 32).unwrap().narrow(3, 26, 20).unwrap();
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(got), values(want));
        let by_parts = {
            let rows = mixes((9, 75), (0, 9), (0, 75));
            mixed(
                &mixed(&x, &rows, 2).unwrap(),
                &mixes((7, 60), (0, 7), (0, 60)),
                3,
            )
            .unwrap()
        };
        assert_eq!(values(by_parts), values(all));
    }

    #[test]
    fn the_gradient_is_the_transpose() {
        let values: Vec<f32> = (0..2 * 15).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let x = Var::from_tensor(&Tensor::from_vec(values, (1, 2, 3, 5), &Device::Cpu).unwrap())
            .unwrap();
        let seen: Vec<f32> = (0..2 * 7 * 8)
            .map(|i| ((i * 5) % 13) as f32 - 6.0)
            .collect();
        let seen = Tensor::from_vec(seen, (1, 2, 7, 8), &Device::Cpu).unwrap();
        let inner = (bilinear(&x, 7, 8).unwrap() * seen)
            .unwrap()
            .sum_all()
            .unwrap();
        let grads = inner.backward().unwrap();
        let turned = (grads.get(&x).unwrap() * x.as_tensor())
            .unwrap()
            .sum_all()
            .unwrap();
        let (a, b) = (
            inner.to_scalar::<f32>().unwrap(),
            turned.to_scalar::<f32>().unwrap(),
        );
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}
