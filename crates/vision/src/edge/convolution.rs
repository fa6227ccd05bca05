//! Two-dimensional convolution for candle tensors, faster on a CPU than candle's own.
//!
//! Central type [`Convolution`], a candle custom operation with forward and all three gradients
//! (image, weight, bias) and an optional ReLU folded in. The ordinary case unrolls a few output rows
//! at a time into a bounded scratch matrix and multiplies with the `gemm` crate; the depthwise case
//! runs directly over rows. Work is cut into blocks whose size depends on shapes only and every
//! block is summed in a fixed order, so the bits do not depend on the number of threads.
//!
//! `unsafe` is needed because a block of output rows is scattered over the channel planes of one
//! buffer (blocks are disjoint), and because `gemm` takes raw pointers.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use multiversion::multiversion;
use rayon::prelude::*;

/// Largest number of floats of one block's scratch matrix, unless one row already needs more.
const SCRATCH: usize = 96 * 1024;

/// How to convolve: y = [relu](w * x + b), cross-correlation as everywhere in deep learning.
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
    /// On a device other than the CPU candle's own convolution runs instead.
    ///
    /// # Errors
    /// Shapes that do not fit, a kernel larger than the padded image, an element type other than
    /// `f32`, or groups other than 1 and depthwise.
    pub fn apply(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
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

    fn shape(&self, x: &[usize], weight: &[usize]) -> Result<Extent> {
        let (&[n, c, h, w], &[o, per_group, kh, kw]) = (x, weight) else {
            bail!("convolution takes 4-dimensional image and weight, got {x:?} and {weight:?}");
        };
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

/// All sizes of one convolution.
#[derive(Clone, Copy)]
struct Extent {
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    o: usize,
    kh: usize,
    kw: usize,
    oh: usize,
    ow: usize,
    stride: usize,
    padding: isize,
    dilation: usize,
    depthwise: bool,
}

impl Extent {
    /// Rows of the unrolled matrix: one per input channel and kernel tap.
    fn depth(&self) -> usize {
        self.c * self.kh * self.kw
    }

    /// True if the unrolled matrix is the image itself.
    fn is_pointwise(&self) -> bool {
        self.kh == 1 && self.kw == 1 && self.stride == 1 && self.padding == 0
    }

    /// Output rows of one block: a function of the shape alone.
    fn block_rows(&self) -> usize {
        (SCRATCH / (self.depth() * self.ow).max(1)).clamp(1, self.oh)
    }

    /// (image, first row, one past the last row) of every block, in order.
    fn blocks(&self) -> Vec<(usize, usize, usize)> {
        let rows = self.block_rows();
        (0..self.n)
            .flat_map(|n| (0..self.oh).step_by(rows).map(move |y| (n, y, y + rows)))
            .map(|(n, y, end)| (n, y, end.min(self.oh)))
            .collect()
    }

    /// Columns `ox` of the output whose tap `kx` lies inside the image.
    fn valid(&self, k: usize, size: usize, out: usize) -> (usize, usize) {
        let shift = (k * self.dilation) as isize - self.padding;
        let stride = self.stride as isize;
        let first = if shift < 0 {
            (-shift + stride - 1) / stride
        } else {
            0
        };
        let last = (size as isize - 1 - shift).div_euclid(stride) + 1;
        let last = last.clamp(0, out as isize);
        (first.min(last) as usize, last as usize)
    }

    /// Writes the unrolled matrix (depth x pixels) of output rows `y0..y1` of `image` (C x H x W).
    fn unroll(&self, image: &[f32], y0: usize, y1: usize, columns: &mut [f32]) {
        let pixels = (y1 - y0) * self.ow;
        let mut rows = columns.chunks_exact_mut(pixels);
        for plane in image.chunks_exact(self.h * self.w) {
            for ky in 0..self.kh {
                for kx in 0..self.kw {
                    let row = rows.next().expect("the scratch holds depth x pixels");
                    self.unroll_tap(plane, ky, kx, y0, row);
                }
            }
        }
    }

    fn unroll_tap(&self, plane: &[f32], ky: usize, kx: usize, y0: usize, into: &mut [f32]) {
        let (x0, x1) = self.valid(kx, self.w, self.ow);
        for (i, line) in into.chunks_exact_mut(self.ow).enumerate() {
            let y = ((y0 + i) * self.stride + ky * self.dilation) as isize - self.padding;
            if y < 0 || y >= self.h as isize || x0 >= x1 {
                line.fill(0.0);
                continue;
            }
            line[..x0].fill(0.0);
            line[x1..].fill(0.0);
            let start = (x0 * self.stride + kx * self.dilation) as isize - self.padding;
            let source = &plane[y as usize * self.w + start as usize..(y as usize + 1) * self.w];
            if self.stride == 1 {
                line[x0..x1].copy_from_slice(&source[..x1 - x0]);
            } else {
                for (out, value) in line[x0..x1]
                    .iter_mut()
                    .zip(source.iter().step_by(self.stride))
                {
                    *out = *value;
                }
            }
        }
    }

    /// Adds an unrolled gradient (depth x pixels of rows `y0..y1`) back onto `image` (C x H x W).
    fn fold(&self, columns: &[f32], y0: usize, y1: usize, image: &mut [f32]) {
        let mut rows = columns.chunks_exact((y1 - y0) * self.ow);
        for plane in image.chunks_exact_mut(self.h * self.w) {
            for ky in 0..self.kh {
                for kx in 0..self.kw {
                    let row = rows.next().expect("the scratch holds depth x pixels");
                    let (x0, x1) = self.valid(kx, self.w, self.ow);
                    for (i, line) in row.chunks_exact(self.ow).enumerate() {
                        let y =
                            ((y0 + i) * self.stride + ky * self.dilation) as isize - self.padding;
                        if y < 0 || y >= self.h as isize || x0 >= x1 {
                            continue;
                        }
                        let start = (x0 * self.stride + kx * self.dilation) as isize - self.padding;
                        let target = &mut plane[y as usize * self.w + start as usize..];
                        for (value, out) in line[x0..x1]
                            .iter()
                            .zip(target.iter_mut().step_by(self.stride))
                        {
                            *out += *value;
                        }
                    }
                }
            }
        }
    }
}

/// A matrix seen through strides, for `gemm`.
#[derive(Clone, Copy)]
struct Strided {
    start: *const f32,
    row: usize,
    column: usize,
}

impl Strided {
    fn new(slice: &[f32], row: usize, column: usize) -> Self {
        Self {
            start: slice.as_ptr(),
            row,
            column,
        }
    }
}

/// dst (m x n, rows `stride` apart, columns adjacent) += lhs (m x k) rhs (k x n), on this thread.
///
/// # Safety
/// All three matrices lie inside live allocations for their sizes and strides, and nobody else
/// touches the elements of `dst`.
unsafe fn multiply_add(
    m: usize,
    n: usize,
    k: usize,
    dst: *mut f32,
    stride: usize,
    lhs: Strided,
    rhs: Strided,
) {
    // SAFETY: the caller's promise is exactly what gemm asks for.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst,
            1,
            stride as isize,
            true,
            lhs.start,
            lhs.column as isize,
            lhs.row as isize,
            rhs.start,
            rhs.column as isize,
            rhs.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Output buffer shared between blocks that write disjoint rows.
#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: every block writes only its own rows of every plane; see `forward_dense`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

fn forward(e: &Extent, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
    let mut out = vec![0.0f32; e.n * e.o * e.oh * e.ow];
    if e.depthwise {
        out.par_chunks_mut(e.oh * e.ow)
            .enumerate()
            .for_each(|(i, plane)| {
                let c = i % e.c;
                let taps = &weight[c * e.kh * e.kw..(c + 1) * e.kh * e.kw];
                plane.fill(bias[c]);
                depthwise_plane(e, &x[i * e.h * e.w..(i + 1) * e.h * e.w], taps, plane);
                if relu {
                    plane.iter_mut().for_each(|v| *v = v.max(0.0));
                }
            });
    } else {
        forward_dense(e, x, weight, bias, relu, &mut out);
    }
    out
}

fn forward_dense(e: &Extent, x: &[f32], weight: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    let (area, image) = (e.oh * e.ow, e.c * e.h * e.w);
    let shared = Shared(out.as_mut_ptr());
    e.blocks()
        .into_par_iter()
        .for_each_init(Vec::new, |scratch: &mut Vec<f32>, (n, y0, y1)| {
            let pixels = (y1 - y0) * e.ow;
            let input = &x[n * image..(n + 1) * image];
            let columns = if e.is_pointwise() {
                Strided::new(&input[y0 * e.ow..], area, 1)
            } else {
                scratch.resize(e.depth() * pixels, 0.0);
                e.unroll(input, y0, y1, scratch);
                Strided::new(scratch, pixels, 1)
            };
            let start = shared.at(n * e.o * area + y0 * e.ow);
            // SAFETY: rows y0..y1 of image n belong to this block alone, in each of the o planes, and
            // lie inside `out`; the slices made here do not outlive their turn.
            let line = |o: usize| unsafe {
                std::slice::from_raw_parts_mut(start.wrapping_add(o * area), pixels)
            };
            for (o, &b) in bias.iter().enumerate() {
                line(o).fill(b);
            }
            // SAFETY: the weight is o x depth, the columns depth x pixels, the target as above.
            unsafe {
                multiply_add(
                    e.o,
                    pixels,
                    e.depth(),
                    start,
                    area,
                    Strided::new(weight, e.depth(), 1),
                    columns,
                );
            }
            if relu {
                for o in 0..e.o {
                    line(o).iter_mut().for_each(|v| *v = v.max(0.0));
                }
            }
        });
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn depthwise_plane(e: &Extent, plane: &[f32], taps: &[f32], out: &mut [f32]) {
    for (oy, line) in out.chunks_exact_mut(e.ow).enumerate() {
        for ky in 0..e.kh {
            let y = (oy * e.stride + ky * e.dilation) as isize - e.padding;
            if y < 0 || y >= e.h as isize {
                continue;
            }
            let row = &plane[y as usize * e.w..(y as usize + 1) * e.w];
            for kx in 0..e.kw {
                let (x0, x1) = e.valid(kx, e.w, e.ow);
                if x0 >= x1 {
                    continue;
                }
                let start = ((x0 * e.stride + kx * e.dilation) as isize - e.padding) as usize;
                let tap = taps[ky * e.kw + kx];
                if e.stride == 1 {
                    for (o, v) in line[x0..x1].iter_mut().zip(&row[start..]) {
                        *o += tap * v;
                    }
                } else {
                    for (o, v) in line[x0..x1]
                        .iter_mut()
                        .zip(row[start..].iter().step_by(e.stride))
                    {
                        *o += tap * v;
                    }
                }
            }
        }
    }
}

/// Gradient of the image, given the gradient of the output.
fn backward_image(e: &Extent, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    let image = e.c * e.h * e.w;
    let mut out = vec![0.0f32; e.n * image];
    if e.depthwise {
        out.par_chunks_mut(e.h * e.w)
            .enumerate()
            .for_each(|(i, plane)| {
                let c = i % e.c;
                let taps = &weight[c * e.kh * e.kw..(c + 1) * e.kh * e.kw];
                let grad = &grad[i * e.oh * e.ow..(i + 1) * e.oh * e.ow];
                let mut scratch = vec![0.0f32; e.kh * e.kw * e.oh * e.ow];
                for (row, tap) in scratch.chunks_exact_mut(e.oh * e.ow).zip(taps) {
                    row.iter_mut().zip(grad).for_each(|(o, g)| *o = tap * g);
                }
                Extent {
                    c: 1,
                    o: 1,
                    n: 1,
                    ..*e
                }
                .fold(&scratch, 0, e.oh, plane);
            });
        return out;
    }
    let reach = e.dilation as isize * (e.kh as isize - 1);
    if e.stride == 1 && e.kh == e.kw && reach >= e.padding {
        let turned = Extent {
            c: e.o,
            h: e.oh,
            w: e.ow,
            o: e.c,
            oh: e.h,
            ow: e.w,
            padding: reach - e.padding,
            ..*e
        };
        forward_dense(
            &turned,
            grad,
            &turn(e, weight),
            &vec![0.0; e.c],
            false,
            &mut out,
        );
        return out;
    }
    let (area, rows) = (e.oh * e.ow, e.block_rows());
    out.par_chunks_mut(image)
        .enumerate()
        .for_each(|(n, target)| {
            let mut scratch = Vec::new();
            for y0 in (0..e.oh).step_by(rows) {
                let y1 = (y0 + rows).min(e.oh);
                let pixels = (y1 - y0) * e.ow;
                scratch.clear();
                scratch.resize(e.depth() * pixels, 0.0);
                let lhs = Strided::new(weight, 1, e.depth());
                let rhs = Strided::new(&grad[n * e.o * area + y0 * e.ow..], area, 1);
                // SAFETY: the turned weight is depth x o, the gradient rows o x pixels, the scratch
                // depth x pixels and owned here.
                unsafe {
                    multiply_add(
                        e.depth(),
                        pixels,
                        e.o,
                        scratch.as_mut_ptr(),
                        pixels,
                        lhs,
                        rhs,
                    )
                };
                e.fold(&scratch, y0, y1, target);
            }
        });
    out
}

/// The weight with taps turned by 180 degrees and inputs and outputs exchanged.
fn turn(e: &Extent, weight: &[f32]) -> Vec<f32> {
    let taps = e.kh * e.kw;
    let mut turned = vec![0.0f32; weight.len()];
    for o in 0..e.o {
        for c in 0..e.c {
            for t in 0..taps {
                turned[(c * e.o + o) * taps + taps - 1 - t] = weight[(o * e.c + c) * taps + t];
            }
        }
    }
    turned
}

/// Gradients of weight and bias, given the gradient of the output.
fn backward_weight(e: &Extent, x: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let area = e.oh * e.ow;
    let mut bias = vec![0.0f32; e.o];
    for (i, plane) in grad.chunks_exact(area).enumerate() {
        bias[i % e.o] += sum(plane);
    }
    let partials: Vec<Vec<f32>> = if e.depthwise {
        (0..e.n)
            .into_par_iter()
            .map(|n| depthwise_weight(e, x, grad, n))
            .collect()
    } else {
        (0..e.n)
            .into_par_iter()
            .map(|n| dense_weight(e, x, grad, n))
            .collect()
    };
    let mut weight = vec![0.0f32; partials.first().map_or(0, Vec::len)];
    for partial in partials {
        weight.iter_mut().zip(partial).for_each(|(w, p)| *w += p);
    }
    (weight, bias)
}

fn dense_weight(e: &Extent, x: &[f32], grad: &[f32], n: usize) -> Vec<f32> {
    let (area, image, rows) = (e.oh * e.ow, e.c * e.h * e.w, e.block_rows());
    let input = &x[n * image..(n + 1) * image];
    let mut weight = vec![0.0f32; e.o * e.depth()];
    let mut scratch = Vec::new();
    for y0 in (0..e.oh).step_by(rows) {
        let y1 = (y0 + rows).min(e.oh);
        let pixels = (y1 - y0) * e.ow;
        let columns = if e.is_pointwise() {
            Strided::new(&input[y0 * e.ow..], 1, area)
        } else {
            scratch.resize(e.depth() * pixels, 0.0);
            e.unroll(input, y0, y1, &mut scratch);
            Strided::new(&scratch, 1, pixels)
        };
        let lhs = Strided::new(&grad[n * e.o * area + y0 * e.ow..], area, 1);
        // SAFETY: the gradient rows are o x pixels, the turned columns pixels x depth, the target
        // o x depth and owned here.
        unsafe {
            multiply_add(
                e.o,
                e.depth(),
                pixels,
                weight.as_mut_ptr(),
                e.depth(),
                lhs,
                columns,
            )
        };
    }
    weight
}

fn depthwise_weight(e: &Extent, x: &[f32], grad: &[f32], n: usize) -> Vec<f32> {
    let mut row = vec![0.0f32; e.oh * e.ow];
    let mut weight = Vec::with_capacity(e.c * e.kh * e.kw);
    for c in n * e.c..(n + 1) * e.c {
        let plane = &x[c * e.h * e.w..(c + 1) * e.h * e.w];
        let grad = &grad[c * e.oh * e.ow..(c + 1) * e.oh * e.ow];
        for ky in 0..e.kh {
            for kx in 0..e.kw {
                e.unroll_tap(plane, ky, kx, 0, &mut row);
                row.iter_mut().zip(grad).for_each(|(r, g)| *r *= g);
                weight.push(sum(&row));
            }
        }
    }
    weight
}

/// Sum in sixteen lanes, then over the lanes: fixed order, less rounding than one running sum.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v);
    }
    lanes.iter().sum::<f32>() + rest
}

/// The elements of a contiguous `f32` tensor in main memory.
///
/// # Errors
/// The storage is elsewhere, of another type, or strided.
pub(super) fn slice<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => cpu_slice(storage, layout),
        _ => bail!("expected a tensor in main memory"),
    }
}

/// [`slice`] for storage already known to lie in main memory.
pub(super) fn cpu_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!(
            "expected a contiguous tensor, got strides {:?}",
            layout.stride()
        );
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
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
        let mut grad = slice(&sg, lg)?.to_vec();
        if self.relu {
            let (sr, lr) = res.storage_and_layout();
            let res = slice(&sr, lr)?;
            grad.iter_mut()
                .zip(res)
                .for_each(|(g, r)| *g = if *r > 0.0 { *g } else { 0.0 });
        }
        let (sx, lx) = x.storage_and_layout();
        let (sw, lw) = weight.storage_and_layout();
        let gx = if x.track_op() {
            Some(backward_image(&e, slice(&sw, lw)?, &grad))
        } else {
            None
        };
        let (gw, gb) = backward_weight(&e, slice(&sx, lx)?, &grad);
        let device = x.device();
        Ok((
            gx.map(|g| Tensor::from_vec(g, x.shape(), device))
                .transpose()?,
            Some(Tensor::from_vec(gw, weight.shape(), device)?),
            Some(Tensor::from_vec(gb, bias.shape(), device)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(shape: &[usize], seed: u64) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0)
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        (a - b)
            .unwrap()
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    /// (channels, outputs, kernel, height, width, how)
    fn cases() -> Vec<(usize, usize, usize, usize, usize, Convolution)> {
        let plain = Convolution::default();
        vec![
            (
                3,
                5,
                3,
                17,
                23,
                Convolution {
                    padding: 1,
                    ..plain
                },
            ),
            (
                4,
                6,
                3,
                16,
                22,
                Convolution {
                    padding: 1,
                    stride: 2,
                    ..plain
                },
            ),
            (
                4,
                6,
                3,
                17,
                21,
                Convolution {
                    padding: 1,
                    stride: 2,
                    relu: true,
                    ..plain
                },
            ),
            (
                3,
                4,
                3,
                20,
                19,
                Convolution {
                    padding: 5,
                    dilation: 5,
                    ..plain
                },
            ),
            (
                3,
                2,
                3,
                12,
                9,
                Convolution {
                    padding: 11,
                    dilation: 11,
                    ..plain
                },
            ),
            (7, 3, 1, 13, 11, plain),
            (2, 3, 1, 13, 11, Convolution { stride: 2, ..plain }),
            (
                3,
                3,
                5,
                14,
                15,
                Convolution {
                    relu: true,
                    ..plain
                },
            ),
            (
                4,
                4,
                3,
                15,
                18,
                Convolution {
                    padding: 1,
                    groups: 4,
                    ..plain
                },
            ),
            (
                4,
                4,
                5,
                15,
                18,
                Convolution {
                    padding: 2,
                    groups: 4,
                    relu: true,
                    ..plain
                },
            ),
            (
                4,
                4,
                3,
                16,
                18,
                Convolution {
                    padding: 1,
                    stride: 2,
                    groups: 4,
                    ..plain
                },
            ),
            (
                64,
                40,
                3,
                70,
                64,
                Convolution {
                    padding: 1,
                    ..plain
                },
            ),
        ]
    }

    /// candle's own convolution; depthwise as an ordinary one with zeros, since candle's gradient of
    /// a grouped convolution with a stride has the wrong shape.
    fn reference(x: &Tensor, weight: &Tensor, how: Convolution) -> Tensor {
        let weight = if how.groups > 1 {
            let eye = Tensor::eye(how.groups, candle_core::DType::F32, &Device::Cpu).unwrap();
            let eye = eye.reshape((how.groups, how.groups, 1, 1)).unwrap();
            weight.broadcast_mul(&eye).unwrap()
        } else {
            weight.clone()
        };
        x.conv2d(&weight, how.padding, how.stride, how.dilation, 1)
            .unwrap()
    }

    #[test]
    fn agrees_with_candle_forward_and_backward() {
        for (i, (c, o, k, h, w, how)) in cases().into_iter().enumerate() {
            let x = Var::from_tensor(&random(&[2, c, h, w], i as u64)).unwrap();
            let weight =
                Var::from_tensor(&random(&[o, c / how.groups, k, k], 100 + i as u64)).unwrap();
            let bias = Var::from_tensor(&random(&[o], 200 + i as u64)).unwrap();
            let ours = how.apply(&x, &weight, &bias).unwrap();
            let theirs = reference(&x, &weight, how);
            let theirs = theirs
                .broadcast_add(&bias.reshape((1, o, 1, 1)).unwrap())
                .unwrap();
            let theirs = if how.relu {
                theirs.relu().unwrap()
            } else {
                theirs
            };
            assert!(distance(&ours, &theirs) < 1e-4, "forward, case {i}");
            let seen = random(ours.dims(), 300 + i as u64);
            let ours = (ours * &seen)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            let theirs = (theirs * &seen)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            for (name, var) in [("image", &x), ("weight", &weight), ("bias", &bias)] {
                let (a, b) = (ours.get(var).unwrap(), theirs.get(var).unwrap());
                let scale = 1.0 + distance(b, &b.zeros_like().unwrap());
                assert!(
                    distance(a, b) < 1e-4 * scale,
                    "gradient of {name}, case {i}: {}",
                    distance(a, b)
                );
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let how = Convolution {
            padding: 1,
            stride: 2,
            ..Convolution::default()
        };
        let (x, weight, bias) = (
            random(&[1, 2, 7, 8], 1),
            random(&[3, 2, 3, 3], 2),
            random(&[3], 3),
        );
        let value = |x: &Tensor, w: &Tensor| {
            let y = how.apply(x, w, &bias).unwrap();
            f64::from(
                y.sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap(),
            )
        };
        let (vx, vw) = (
            Var::from_tensor(&x).unwrap(),
            Var::from_tensor(&weight).unwrap(),
        );
        let y = how
            .apply(&vx, &vw, &bias)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        let grads = y.backward().unwrap();
        for (tensor, var, which) in [(&x, &vx, 0), (&weight, &vw, 1)] {
            let analytic = grads
                .get(var)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for i in (0..flat.len()).step_by(5) {
                let moved = |by: f32| {
                    let mut v = flat.clone();
                    v[i] += by;
                    let t = Tensor::from_vec(v, tensor.shape(), &Device::Cpu).unwrap();
                    if which == 0 {
                        value(&t, &weight)
                    } else {
                        value(&x, &t)
                    }
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!(
                    (slope - f64::from(analytic[i])).abs() < 1e-2 * (1.0 + slope.abs()),
                    "{slope} {}",
                    analytic[i]
                );
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let how = Convolution {
            padding: 1,
            ..Convolution::default()
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let x = Var::from_tensor(&random(&[2, 16, 60, 70], 1)).unwrap();
                let w = Var::from_tensor(&random(&[8, 16, 3, 3], 2)).unwrap();
                let b = Var::from_tensor(&random(&[8], 3)).unwrap();
                let grads = how
                    .apply(&x, &w, &b)
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .backward()
                    .unwrap();
                [&x, &w].map(|v| {
                    grads
                        .get(v)
                        .unwrap()
                        .flatten_all()
                        .unwrap()
                        .to_vec1::<f32>()
                        .unwrap()
                })
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let how = Convolution::default();
        let bias = random(&[2], 0);
        assert!(
            how.apply(&random(&[1, 3, 8, 8], 0), &random(&[2, 4, 3, 3], 0), &bias)
                .is_err()
        );
        assert!(
            how.apply(&random(&[1, 3, 2, 2], 0), &random(&[2, 3, 3, 3], 0), &bias)
                .is_err()
        );
        assert!(
            how.apply(&random(&[1, 3, 8, 8], 0), &random(&[3, 3, 3, 3], 0), &bias)
                .is_err()
        );
        assert!(
            how.apply(&random(&[3, 8, 8], 0), &random(&[2, 3, 3, 3], 0), &bias)
                .is_err()
        );
    }
}
