//! Dense convolutions of any shape: sums over taps, a band of output rows at a time.
//!
//! Central function [`forward`]. `unsafe` because a band is scattered over the channel planes of one
//! buffer: bands are disjoint, and each writes through a pointer to the whole.

use rayon::prelude::*;

use super::lanes::{Lanes, Width, Work, dispatch};
use super::shared::{Line, Shared, lines};
use super::stencil::Stencil;
use super::tile::{GROUP, SPARE, Strip, strip};
use super::window::Window;

/// Values of the window that a band may take, unless one row already needs more.
const HELD: usize = 48 * 1024;

/// Places that a band may have, unless one row already has more.
const PLACES: usize = 4096;

/// What one thread holds.
#[derive(Default)]
struct Hands {
    window: Vec<Line>,
    products: Vec<Line>,
}

/// Rows `y0..y1` of places of image `n`.
struct Band<'a> {
    s: &'a Stencil,
    window: &'a Window,
    x: &'a [f32],
    finish: (&'a [f32], bool),
    out: Shared,
    n: usize,
    y0: usize,
    y1: usize,
    hands: &'a mut Hands,
}

/// The sums of `s` over `x`, plus a bias per output, if asked for not below 0, written to their places in `out`.
pub(super) fn forward(
    width: Width,
    s: &Stencil,
    x: &[f32],
    finish: (&[f32], bool),
    out: &mut [f32],
) {
    let ([n, c, h, w], [o, oh, _]) = (s.seen, s.places);
    assert_eq!(x.len(), n * c * h * w);
    assert_eq!(out.len(), n * o * s.plane[0] * s.plane[1]);
    let height = band(s);
    let window = &Window::new(s, height);
    let out = Shared::new(out);
    let bands: Vec<(usize, usize)> = (0..n)
        .flat_map(|n| (0..oh).step_by(height).map(move |y0| (n, y0)))
        .collect();
    bands
        .into_par_iter()
        .for_each_init(Hands::default, |hands, (n, y0)| {
            let y1 = (y0 + height).min(oh);
            let x = &x[n * c * h * w..(n + 1) * c * h * w];
            dispatch(
                width,
                Band {
                    s,
                    window,
                    x,
                    finish,
                    out,
                    n,
                    y0,
                    y1,
                    hands,
                },
            );
        });
}

/// Rows of a band: a function of the shape alone.
fn band(s: &Stencil) -> usize {
    let ([_, c, ..], [_, oh, ow]) = (s.seen, s.places);
    let row = Window::new(s, 2).size(c) - Window::new(s, 1).size(c);
    (HELD / row.max(1)).min(PLACES / ow).clamp(1, oh)
}

/// Numbers that threads hold while [`forward`] runs.
pub(super) fn scratch(s: &Stencil) -> usize {
    let ([n, c, ..], [_, oh, ow]) = (s.seen, s.places);
    let height = band(s);
    let window = Window::new(s, height);
    let places = (height - 1) * window.columns + ow;
    let products = GROUP * (places.next_multiple_of(SPARE) + SPARE);
    let workers = rayon::current_num_threads().min(n * oh.div_ceil(height));
    workers * (window.size(c) + products) + window.overhead()
}

impl Work for Band<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (s, columns) = (self.s, self.window.columns);
        let places = (self.y1 - self.y0 - 1) * columns + s.places[2];
        let size = self.window.size(s.seen[1]);
        let window = lines(&mut self.hands.window, size);
        // SAFETY: the buffer holds `size` values and is this thread's.
        let filled = unsafe { std::slice::from_raw_parts_mut(window, size) };
        self.window.fill(s, self.x, self.y0, filled);
        let stride = places.next_multiple_of(SPARE) + SPARE;
        let products = lines(&mut self.hands.products, GROUP * stride);
        for first in (0..s.places[0]).step_by(GROUP) {
            let outputs = (s.places[0] - first).min(GROUP);
            let group = Strip {
                offsets: &self.window.offsets,
                weights: s.weights[first * s.depth()..].as_ptr(),
                image: window,
                target: products,
                stride,
                places,
                outputs,
                added: false,
            };
            // SAFETY: the window ends with SPARE values, the rows of the products are SPARE apart.
            unsafe { strip::<L>(group) };
            for o in 0..outputs {
                // SAFETY: the strip has just written them.
                let sums = unsafe {
                    std::slice::from_raw_parts(products.wrapping_add(o * stride), places)
                };
                // SAFETY: the band's outputs are this task's.
                unsafe { self.write(first + o, sums) };
            }
        }
    }
}

impl Band<'_> {
    /// Writes one output channel of the band.
    ///
    /// # Safety
    /// Nobody else touches the band's outputs.
    #[inline(always)]
    unsafe fn write(&self, o: usize, sums: &[f32]) {
        let (s, (bias, relu)) = (self.s, self.finish);
        let [height, width] = s.plane;
        let least = if relu { 0.0 } else { f32::NEG_INFINITY };
        let plane = self.out.at((self.n * s.places[0] + o) * height * width);
        for (i, sums) in sums.chunks(self.window.columns).enumerate() {
            let start = (s.origin[0] + (self.y0 + i) * s.spread) * width + s.origin[1];
            let count = (s.places[2] - 1) * s.spread + 1;
            // SAFETY: a row of the plane, from the first place to the last; with a spread other tasks'
            // places lie between, in other rows or after this stencil.
            let line = unsafe { std::slice::from_raw_parts_mut(plane.wrapping_add(start), count) };
            let sums = &sums[..s.places[2]];
            match s.spread {
                1 => line
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(v, sum)| *v = (sum + bias[o]).max(least)),
                2 => line
                    .chunks_mut(2)
                    .zip(sums)
                    .for_each(|(v, sum)| v[0] = (sum + bias[o]).max(least)),
                _ => line
                    .iter_mut()
                    .step_by(s.spread)
                    .zip(sums)
                    .for_each(|(v, sum)| *v = (sum + bias[o]).max(least)),
            }
        }
    }
}
