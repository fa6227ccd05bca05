//! Gradients of the convolution with respect to image, weight and bias.
//!
//! `unsafe` for the calls of [`multiply_add`], each on buffers owned or borrowed here.

use rayon::prelude::*;

use super::extent::Extent;
use super::forward::forward_dense;
use super::product::{Strided, multiply_add};

/// Gradient of the image, given the gradient of the output.
pub(super) fn backward_image(e: &Extent, weight: &[f32], grad: &[f32]) -> Vec<f32> {
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

/// Sum of every channel over images and pixels (`area` a plane): the gradient of the bias.
pub(super) fn channel_sums(grad: &[f32], channels: usize, area: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; channels];
    for (i, plane) in grad.chunks_exact(area).enumerate() {
        sums[i % channels] += sum(plane);
    }
    sums
}

/// Gradient of the weight, given the gradient of the output.
pub(super) fn backward_weight(e: &Extent, x: &[f32], grad: &[f32]) -> Vec<f32> {
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
    weight
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
