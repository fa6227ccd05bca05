//! A dense convolution seen from its outputs: which pixels of the image a place looks at.
//!
//! Central type [`Stencil`]. A convolution with a step, with gaps between its taps, and each phase of a
//! transposed one are all the same: out\[o, y u + v, x u + v'\] = bias\[o\] + sum over c and taps t of
//! weight\[o, c, t\] image\[c, y s + dy(t), x s + dx(t)\], zeros outside the image.

use super::extent::Extent;
use super::tile::GROUP;

/// Shape of one such sum.
pub(super) struct Stencil {
    /// Images, channels, rows and columns seen.
    pub(super) seen: [usize; 4],
    /// Output channels, rows and columns of places.
    pub(super) places: [usize; 3],
    /// Step between neighbouring places in the image.
    pub(super) stride: usize,
    /// What a place looks at: row and column, relative to its own.
    pub(super) taps: Vec<(isize, isize)>,
    /// Rows and columns of the output plane.
    pub(super) plane: [usize; 2],
    /// Step between neighbouring places in the output, and where the first lies.
    pub(super) spread: usize,
    /// Row and column of the first place in the output.
    pub(super) origin: [usize; 2],
    /// Weights by group of outputs, channel, tap and output in the group; zeros past the last output.
    pub(super) weights: Vec<f32>,
}

impl Stencil {
    /// The convolution itself.
    pub(super) fn forward(e: &Extent, weight: &[f32]) -> Self {
        let depth = e.depth();
        Self {
            weights: packed(e.o, depth, |o, k| weight[o * depth + k]),
            ..Self::unweighted(e)
        }
    }

    /// The same without weights.
    pub(super) fn unweighted(e: &Extent) -> Self {
        let taps = (0..e.kh * e.kw).map(|t| {
            let at = |k: usize| (k * e.dilation) as isize - e.padding;
            (at(t / e.kw), at(t % e.kw))
        });
        Self {
            seen: [e.n, e.c, e.h, e.w],
            places: [e.o, e.oh, e.ow],
            stride: e.stride,
            taps: taps.collect(),
            plane: [e.oh, e.ow],
            spread: 1,
            origin: [0, 0],
            weights: Vec::new(),
        }
    }

    /// The gradient of the image from that of the output, in stride x stride parts: part (v, v') holds the
    /// rows v, v + stride, ... and the columns v', v' + stride, ... of the image. Without `weight` the parts have none.
    pub(super) fn backward(e: &Extent, weight: Option<&[f32]>) -> Vec<Self> {
        let stride = e.stride as isize;
        // the taps that meet rows (or columns) y u + v of the image, and how far from y they lie
        let meeting = |v: usize, side: usize| -> Vec<(usize, isize)> {
            (0..side)
                .map(|k| (k, v as isize + e.padding - (k * e.dilation) as isize))
                .filter(|(_, from)| from.rem_euclid(stride) == 0)
                .map(|(k, from)| (k, from / stride))
                .collect()
        };
        let mut parts = Vec::with_capacity(e.stride * e.stride);
        for (v, u) in (0..e.stride * e.stride).map(|i| (i / e.stride, i % e.stride)) {
            let (rows, columns) = (meeting(v, e.kh), meeting(u, e.kw));
            let pairs = || {
                rows.iter()
                    .flat_map(|row| columns.iter().map(move |column| (row, column)))
            };
            let kernel: Vec<usize> = pairs()
                .map(|(row, column)| row.0 * e.kw + column.0)
                .collect();
            if v >= e.h || u >= e.w {
                continue;
            }
            let (taps, area) = (kernel.len(), e.kh * e.kw);
            parts.push(Self {
                seen: [e.n, e.o, e.oh, e.ow],
                places: [
                    e.c,
                    (e.h - v).div_ceil(e.stride),
                    (e.w - u).div_ceil(e.stride),
                ],
                stride: 1,
                taps: pairs().map(|(row, column)| (row.1, column.1)).collect(),
                plane: [e.h, e.w],
                spread: e.stride,
                origin: [v, u],
                weights: weight.map_or(Vec::new(), |weight| {
                    packed(e.c, e.o * taps, |c, k| {
                        weight[((k / taps) * e.c + c) * area + kernel[k % taps]]
                    })
                }),
            });
        }
        parts
    }

    /// Numbers that the weights take in the order of [`Stencil::weights`].
    pub(super) fn packed_size(&self) -> usize {
        self.places[0].next_multiple_of(GROUP) * self.depth()
    }

    /// Terms of every sum.
    pub(super) fn depth(&self) -> usize {
        self.seen[1] * self.taps.len()
    }
}

/// Weights of `outputs` x `depth` in the order of [`Stencil::weights`].
fn packed(outputs: usize, depth: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut all = vec![0.0f32; outputs.next_multiple_of(GROUP) * depth];
    for o in 0..outputs {
        let group = &mut all[o / GROUP * GROUP * depth..];
        for k in 0..depth {
            group[k * GROUP + o % GROUP] = weight(o, k);
        }
    }
    all
}
