//! Gradients of the convolution with respect to image, weight and bias.

use rayon::prelude::*;

use super::extent::Extent;
use super::forward::is_transformed;
use super::lanes::Width;
use super::slope::weight_gradient;
use super::stencil::Stencil;
use super::{direct, winograd};

/// Gradient of the image, given the gradient of the output, plus `bias` per channel.
pub(super) fn backward_image(e: &Extent, weight: &[f32], grad: &[f32], bias: &[f32]) -> Vec<f32> {
    let image = e.c * e.h * e.w;
    let mut out = vec![0.0f32; e.n * image];
    if e.depthwise {
        out.par_chunks_mut(e.h * e.w)
            .enumerate()
            .for_each(|(i, plane)| {
                let c = i % e.c;
                let taps = &weight[c * e.kh * e.kw..(c + 1) * e.kh * e.kw];
                let grad = &grad[i * e.oh * e.ow..(i + 1) * e.oh * e.ow];
                plane.fill(bias[c]);
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
    let turned = e.turned();
    let width = Width::widest();
    if is_transformed(&turned) {
        winograd::forward(
            width,
            &turned,
            grad,
            &turn(e, weight),
            (bias, false),
            &mut out,
        );
    } else {
        for part in Stencil::backward(e, Some(weight)) {
            direct::forward(width, &part, grad, (bias, false), &mut out);
        }
    }
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
    let planes = |channel| grad.chunks_exact(area).skip(channel).step_by(channels);
    (0..channels)
        .into_par_iter()
        .map(|channel| planes(channel).map(sum).sum())
        .collect()
}

/// Gradient of the weight, given the gradient of the output.
pub(super) fn backward_weight(e: &Extent, x: &[f32], grad: &[f32]) -> Vec<f32> {
    if !e.depthwise {
        return weight_gradient(Width::widest(), &Stencil::unweighted(e), x, grad);
    }
    let partials: Vec<Vec<f32>> = (0..e.n)
        .into_par_iter()
        .map(|n| depthwise_weight(e, x, grad, n))
        .collect();
    let mut weight = vec![0.0f32; e.c * e.kh * e.kw];
    for partial in partials {
        weight.iter_mut().zip(partial).for_each(|(w, p)| *w += p);
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
