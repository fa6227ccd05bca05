//! The convolution itself: which way to compute it.

use multiversion::multiversion;
use rayon::prelude::*;

use super::extent::Extent;
use super::lanes::Width;
use super::stencil::Stencil;
use super::{direct, winograd};

/// Inputs and outputs from which fewer multiplications are worth the transformations around them; measured, see
/// `experiments/network`.
const WORTH_TRANSFORMING: usize = 32;

/// N x O x OH x OW values of the convolution of `x` with `weight`, plus `bias`.
pub(super) fn forward(e: &Extent, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
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

/// The same without groups, into `out`.
pub(super) fn forward_dense(
    e: &Extent,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    relu: bool,
    out: &mut [f32],
) {
    let width = Width::widest();
    if is_transformed(e) {
        winograd::forward(width, e, x, weight, (bias, relu), out);
    } else {
        direct::forward(width, &Stencil::forward(e, weight), x, (bias, relu), out);
    }
}

/// True for 3x3 kernels with step 1 and enough channels on both sides.
pub(super) fn is_transformed(e: &Extent) -> bool {
    let plain = (e.kh, e.kw, e.stride, e.dilation) == (3, 3, 1, 1);
    plain && e.c.min(e.o) >= WORTH_TRANSFORMING
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
