//! The convolution itself.
//!
//! `unsafe` because a block of output rows is scattered over the channel planes of one buffer: blocks
//! are disjoint, and each writes through a pointer to the whole.

use multiversion::multiversion;
use rayon::prelude::*;

use super::extent::Extent;
use super::product::{Strided, multiply_add};

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
