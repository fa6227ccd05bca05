//! The gradient of a weight whose channels are few.
//!
//! Central function [`weight_gradient`]. The window of the forward pass serves again; a register tile holds eight
//! outputs and three weights, and its lanes are places. `unsafe` because it reads through pointers.

use rayon::prelude::*;

use super::super::lanes::{Lanes, Width, Work, dispatch};
use super::super::shared::{Line, lines};
use super::super::stencil::Stencil;
use super::super::tile::{GROUP, SPARE};
use super::super::window::Window;

/// Values of the window that a band may take, unless one row already needs more.
const HELD: usize = 32 * 1024;

/// Places that a band may have, unless one row already has more.
const PLACES: usize = 4096;

/// Weights up to which every task has sums for all of them; above, a task has one group of outputs.
const SMALL: usize = 64 * 1024;

/// Tasks among which bands are divided.
const TASKS: usize = 16;

/// Some bands and some groups of outputs.
struct Slope<'a> {
    s: &'a Stencil,
    window: &'a Window,
    height: usize,
    x: &'a [f32],
    grad: &'a [f32],
    /// First row of places of every band, and its image.
    bands: &'a [(usize, usize)],
    groups: std::ops::Range<usize>,
}

/// As [`super::weight_gradient`].
pub(super) fn weight_gradient(width: Width, s: &Stencil, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let ([n, ..], [o, oh, _]) = (s.seen, s.places);
    let height = band(s);
    let window = &Window::new(s, height);
    let bands: Vec<(usize, usize)> = (0..n)
        .flat_map(|n| (0..oh).step_by(height).map(move |y0| (n, y0)))
        .collect();
    let (depth, groups) = (s.depth(), o.div_ceil(GROUP));
    let slope = |bands, groups| Slope {
        s,
        window,
        height,
        x,
        grad,
        bands,
        groups,
    };
    let mut sums = vec![0.0f32; groups * depth * GROUP];
    if sums.len() <= SMALL {
        let parts: Vec<Vec<f32>> = bands
            .par_chunks(bands.len().div_ceil(TASKS))
            .map(|bands| dispatch(width, slope(bands, 0..groups)))
            .collect();
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
    } else {
        sums.par_chunks_mut(depth * GROUP)
            .enumerate()
            .for_each(|(group, sums)| {
                sums.copy_from_slice(&dispatch(width, slope(&bands, group..group + 1)));
            });
    }
    let place = |i: usize| (i / depth / GROUP * depth + i % depth) * GROUP + i / depth % GROUP;
    (0..o * depth).map(|i| sums[place(i)]).collect()
}

/// Rows of a band: a function of the shape alone.
fn band(s: &Stencil) -> usize {
    let ([_, c, ..], [_, oh, ow]) = (s.seen, s.places);
    let row = Window::new(s, 2).size(c) - Window::new(s, 1).size(c);
    (HELD / row.max(1)).min(PLACES / ow).clamp(1, oh)
}

/// Numbers held beside the result while [`weight_gradient`] runs.
pub(super) fn scratch(s: &Stencil) -> usize {
    let ([n, c, ..], [o, oh, _]) = (s.seen, s.places);
    let height = band(s);
    let window = Window::new(s, height);
    let bands = n * oh.div_ceil(height);
    let sums = o.next_multiple_of(GROUP) * s.depth();
    let (tasks, task) = if sums <= SMALL {
        (bands.div_ceil(bands.div_ceil(TASKS)), sums)
    } else {
        (o.div_ceil(GROUP), s.depth() * GROUP)
    };
    let workers = rayon::current_num_threads().min(tasks);
    let grads = GROUP * (height * window.columns).next_multiple_of(SPARE);
    let parts = if sums <= SMALL { tasks } else { workers };
    sums + parts * task + workers * (window.size(c) + grads) + window.overhead()
}

impl Work for Slope<'_> {
    /// Sums by group, term and output in the group.
    type Output = Vec<f32>;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Vec<f32> {
        let (s, columns) = (self.s, self.window.columns);
        let [_, c, h, w] = s.seen;
        let [o, oh, ow] = s.places;
        let size = self.window.size(c);
        let stride = (self.height * columns).next_multiple_of(SPARE);
        let (mut window, mut grads): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
        let window = lines(&mut window, size);
        let grads = lines(&mut grads, GROUP * stride);
        // SAFETY: both buffers are this task's and hold so many values.
        let (filled, rows) = unsafe {
            (
                std::slice::from_raw_parts_mut(window, size),
                std::slice::from_raw_parts_mut(grads, GROUP * stride),
            )
        };
        let mut sums = vec![0.0f32; self.groups.len() * s.depth() * GROUP];
        for &(n, y0) in self.bands {
            let height = self.height.min(oh - y0);
            let image = &self.x[n * c * h * w..(n + 1) * c * h * w];
            self.window.fill(s, image, y0, filled);
            for (group, sums) in self
                .groups
                .clone()
                .zip(sums.chunks_exact_mut(s.depth() * GROUP))
            {
                rows.fill(0.0);
                for i in 0..(o - group * GROUP).min(GROUP) {
                    let plane = (n * o + group * GROUP + i) * oh + y0;
                    let from = self.grad[plane * ow..(plane + height) * ow].chunks_exact(ow);
                    let into = rows[i * stride..(i + 1) * stride].chunks_mut(columns);
                    into.zip(from)
                        .for_each(|(into, from)| into[..ow].copy_from_slice(from));
                }
                let places = height * columns;
                // SAFETY: a term's values begin at its offset and reach over all places and those to
                // spare; the rows are stride long, a multiple of every width.
                unsafe { self.add::<L>(window, (grads, stride), places, sums) };
            }
        }
        sums
    }
}

impl Slope<'_> {
    /// Adds the sums over one band's places for one group of outputs.
    ///
    /// # Safety
    /// Inside `dispatch`; window and gradient can be read at all places, rounded up to whole vectors.
    #[inline(always)]
    unsafe fn add<L: Lanes>(
        &self,
        window: *const f32,
        grads: (*const f32, usize),
        places: usize,
        sums: &mut [f32],
    ) {
        let terms = self.window.offsets.chunks(3);
        for (offsets, sums) in terms.zip(sums.chunks_mut(3 * GROUP)) {
            // SAFETY: as the caller promises.
            unsafe {
                match *offsets {
                    [a, b, c] => three::<L, 3>(window, [a, b, c], grads, places, sums),
                    [a, b] => three::<L, 2>(window, [a, b], grads, places, sums),
                    [a] => three::<L, 1>(window, [a], grads, places, sums),
                    _ => {}
                }
            }
        }
    }
}

/// `N` terms with all eight outputs, four at a time where registers are few.
///
/// # Safety
/// As [`Slope::add`].
#[inline(always)]
unsafe fn three<L: Lanes, const N: usize>(
    window: *const f32,
    offsets: [usize; N],
    (grads, stride): (*const f32, usize),
    places: usize,
    sums: &mut [f32],
) {
    // SAFETY: as the caller promises.
    unsafe {
        if L::MANY_REGISTERS {
            tile::<L, N, GROUP>(window, offsets, (grads, stride), places, sums);
        } else {
            let half = GROUP / 2;
            tile::<L, N, 4>(window, offsets, (grads, stride), places, sums);
            let lower = grads.wrapping_add(half * stride);
            tile::<L, N, 4>(window, offsets, (lower, stride), places, &mut sums[half..]);
        }
    }
}

/// One register tile: sums\[term * GROUP + row\] += sum over places.
///
/// # Safety
/// As [`Slope::add`].
#[inline(always)]
unsafe fn tile<L: Lanes, const N: usize, const ROWS: usize>(
    window: *const f32,
    offsets: [usize; N],
    (grads, stride): (*const f32, usize),
    places: usize,
    sums: &mut [f32],
) {
    // SAFETY: as the caller promises; the array takes the widest vector.
    unsafe {
        let mut held = [[L::splat(0.0); N]; ROWS];
        for at in (0..places).step_by(L::WIDTH) {
            // no closures: what is not inlined here loses its vectors
            let mut seen = [L::splat(0.0); N];
            for (seen, offset) in seen.iter_mut().zip(offsets) {
                *seen = L::load(window.wrapping_add(offset + at));
            }
            for (row, held) in held.iter_mut().enumerate() {
                let grad = L::load(grads.wrapping_add(row * stride + at));
                for (held, seen) in held.iter_mut().zip(seen) {
                    *held = grad.fused(seen, *held);
                }
            }
        }
        for (row, held) in held.into_iter().enumerate() {
            for (term, held) in held.into_iter().enumerate() {
                let mut values = [0.0f32; SPARE];
                held.store(values.as_mut_ptr());
                sums[term * GROUP + row] += values[..L::WIDTH].iter().sum::<f32>();
            }
        }
    }
}
