//! The gradient of a weight whose channels are many.
//!
//! Central function [`weight_gradient`]. With the channels of a pixel lying together, sum over places p of
//! grad\[o, p\] x\[p + t, c\] is the sum that `tile::strip` computes: its terms are places, its weights the gradients
//! of eight outputs, and what it does side by side are channels. Images one after the other, places in blocks.
//! `unsafe` because it reads and writes through pointers.

use rayon::prelude::*;

use super::super::lanes::{Lanes, Width, Work, dispatch};
use super::super::stencil::Stencil;
use super::super::tile::{GROUP, SPARE, Strip, strip};

/// Places of a block, unless one row already has more: what a block sees stays in the cache from tap to tap.
const PLACES: usize = 512;

/// One image with the channels of a pixel side by side, and how places meet it.
struct Pixels {
    /// Row and column that place (0, 0) sees first.
    first: (isize, isize),
    /// Rows and columns that places see, zeros outside the image.
    size: [usize; 2],
    /// Values of a pixel: the channels, and zeros up to a whole vector.
    depth: usize,
    /// Rows of places of a block: a function of the shape alone.
    height: usize,
}

impl Pixels {
    fn new(s: &Stencil) -> Self {
        let [_, oh, ow] = s.places;
        let reach = |of: fn(&(isize, isize)) -> isize, places: usize| {
            let (least, most) = (s.taps.iter().map(of).min(), s.taps.iter().map(of).max());
            let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
            (least, (places - 1) * s.stride + (most - least) as usize + 1)
        };
        let (top, rows) = reach(|tap| tap.0, oh);
        let (left, columns) = reach(|tap| tap.1, ow);
        Self {
            first: (top, left),
            size: [rows, columns],
            depth: s.seen[1].next_multiple_of(SPARE),
            height: (PLACES / ow).clamp(1, oh),
        }
    }

    fn count(&self) -> usize {
        self.size[0] * self.size[1] * self.depth
    }

    /// Sorts `image` (C x H x W) by pixel into `into`, which holds zeros where the image is not.
    fn fill(&self, s: &Stencil, image: &[f32], into: &mut [f32]) {
        let [_, c, h, w] = s.seen;
        let [_, columns] = self.size;
        let lines = into.par_chunks_mut(columns * self.depth).enumerate();
        lines.for_each(|(row, line)| {
            let y = row as isize + self.first.0;
            if y < 0 || y >= h as isize {
                return;
            }
            for (column, pixel) in line.chunks_exact_mut(self.depth).enumerate() {
                let x = column as isize + self.first.1;
                if x >= 0 && x < w as isize {
                    let from = image[y as usize * w + x as usize..].iter().step_by(h * w);
                    pixel[..c]
                        .iter_mut()
                        .zip(from)
                        .for_each(|(v, from)| *v = *from);
                }
            }
        });
    }

    /// Where place (y, x) lies.
    fn offset(&self, s: &Stencil, y: usize, x: usize) -> usize {
        (y * self.size[1] + x) * s.stride * self.depth
    }

    /// Where a tap lies, seen from its place.
    fn tap(&self, tap: (isize, isize)) -> usize {
        let (y, x) = (tap.0 - self.first.0, tap.1 - self.first.1);
        (y as usize * self.size[1] + x as usize) * self.depth
    }
}

/// Eight outputs of one image.
struct Outputs<'a> {
    s: &'a Stencil,
    pixels: &'a Pixels,
    /// By place of a block, from its first.
    offsets: &'a [usize],
    image: &'a [f32],
    /// Gradients of the group: output, row and column.
    grad: &'a [f32],
    /// Tap, output in the group, channel; added to.
    sums: &'a mut [f32],
}

/// As [`super::weight_gradient`].
pub(super) fn weight_gradient(width: Width, s: &Stencil, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let ([n, c, h, w], [o, oh, ow]) = (s.seen, s.places);
    let (pixels, taps) = (&Pixels::new(s), s.taps.len());
    let offsets: &Vec<usize> = &(0..pixels.height * ow)
        .map(|place| pixels.offset(s, place / ow, place % ow))
        .collect();
    let group = taps * GROUP * pixels.depth;
    let mut sums = vec![0.0f32; o.div_ceil(GROUP) * group];
    let mut image = vec![0.0f32; pixels.count()];
    for n in 0..n {
        pixels.fill(s, &x[n * c * h * w..(n + 1) * c * h * w], &mut image);
        let grad = grad[n * o * oh * ow..(n + 1) * o * oh * ow].par_chunks(GROUP * oh * ow);
        let image = &image;
        sums.par_chunks_mut(group)
            .zip(grad)
            .for_each(|(sums, grad)| {
                dispatch(
                    width,
                    Outputs {
                        s,
                        pixels,
                        offsets,
                        image,
                        grad,
                        sums,
                    },
                );
            });
    }
    let mut weight = vec![0.0f32; o * c * taps];
    let outputs = weight.par_chunks_mut(c * taps).enumerate();
    outputs.for_each(|(o, weight)| {
        let sums = &sums[o / GROUP * group..][..group];
        for (i, weight) in weight.iter_mut().enumerate() {
            *weight = sums[(i % taps * GROUP + o % GROUP) * pixels.depth + i / taps];
        }
    });
    weight
}

/// Numbers held beside the result while [`weight_gradient`] runs.
pub(super) fn scratch(s: &Stencil) -> usize {
    let [o, _, ow] = s.places;
    let (pixels, groups) = (Pixels::new(s), o.div_ceil(GROUP));
    let places = pixels.height * ow;
    let offsets = places * size_of::<usize>() / size_of::<f32>();
    let sums = groups * s.taps.len() * GROUP * pixels.depth;
    let workers = rayon::current_num_threads().min(groups);
    pixels.count() + sums + offsets + workers * GROUP * places
}

impl Work for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (s, pixels) = (self.s, self.pixels);
        let [_, oh, ow] = s.places;
        let mut packed = vec![0.0f32; GROUP * self.offsets.len()];
        for y0 in (0..oh).step_by(pixels.height) {
            let places = pixels.height.min(oh - y0) * ow;
            for (i, plane) in self.grad.chunks_exact(oh * ow).enumerate() {
                let rows = &plane[y0 * ow..y0 * ow + places];
                let into = packed[i..].iter_mut().step_by(GROUP);
                into.zip(rows).for_each(|(into, from)| *into = *from);
            }
            let seen = pixels.offset(s, y0, 0);
            let taps = self.sums.chunks_exact_mut(GROUP * pixels.depth);
            for (&tap, sums) in s.taps.iter().zip(taps) {
                let block = Strip {
                    offsets: &self.offsets[..places],
                    weights: packed.as_ptr(),
                    image: self.image[seen + pixels.tap(tap)..].as_ptr(),
                    target: sums.as_mut_ptr(),
                    stride: pixels.depth,
                    places: s.seen[1],
                    outputs: self.grad.len() / (oh * ow),
                    added: true,
                };
                // SAFETY: pixels and sums are `depth` apart, a multiple of every vector; the last place of the block
                // and the last tap lie inside the image by the choice of its size.
                unsafe { strip::<L>(block) };
            }
        }
    }
}
