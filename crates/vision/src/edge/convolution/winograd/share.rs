//! Who computes which tiles and outputs.
//!
//! `unsafe` because blocks of outputs are scattered over the planes of one buffer: every task writes its own.

use rayon::prelude::*;

use super::super::extent::Extent;
use super::super::lanes::{Lanes, Width, Work, dispatch};
use super::super::shared::{Line, Shared, lines};
use super::super::tile::{GROUP, SPARE, Strip, strip};
use super::grid::{Grid, POINTS};
use super::{input, output, weight};

/// Transformed weights are kept whole up to this many values.
const SMALL_WEIGHTS: usize = 640 * 1024;

/// Values of transformed image and products that one thread holds, if the weights are small.
const HELD: usize = 256 * 1024;

/// Values of transformed image that the threads share, if the weights are large.
const SHARED: usize = 4096 * 1024;

/// Tiles that fill the registers.
const FULL: usize = 48;

/// Groups of outputs that one task takes, if the weights are large.
const GROUPS: usize = 4;

/// One convolution with its buffers.
#[derive(Clone, Copy)]
struct Job<'a> {
    e: &'a Extent,
    grid: Grid,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    out: Shared,
}

/// What one thread holds.
#[derive(Default)]
struct Hands {
    input: input::InputScratch,
    image: Vec<Line>,
    weights: Vec<Line>,
    products: Vec<Line>,
    output: Vec<f32>,
}

/// Tiles `first..end` of image `n`.
#[derive(Clone, Copy)]
struct Run {
    n: usize,
    first: usize,
    end: usize,
}

impl Run {
    /// Distance between the rows of what is computed for its tiles.
    fn stride(self) -> usize {
        (self.end - self.first).next_multiple_of(SPARE) + SPARE
    }
}

impl Job<'_> {
    /// Runs of at most `tiles` tiles, in order.
    fn runs(&self, tiles: usize) -> Vec<Run> {
        let all = self.grid.tiles;
        (0..self.e.n)
            .flat_map(|n| (0..all).step_by(tiles).map(move |first| (n, first)))
            .map(|(n, first)| Run {
                n,
                first,
                end: (first + tiles).min(all),
            })
            .collect()
    }

    /// Transforms channel `c` of the run's tiles into `image` (points x channels x stride).
    ///
    /// # Safety
    /// Inside `dispatch`; nobody else touches the channel's rows of `image`.
    #[inline(always)]
    unsafe fn see<L: Lanes>(
        &self,
        run: Run,
        c: usize,
        image: *mut f32,
        scratch: &mut input::InputScratch,
    ) {
        let e = self.e;
        let plane = &self.x[(run.n * e.c + c) * e.h * e.w..][..e.h * e.w];
        let into = (image.wrapping_add(c * run.stride()), e.c * run.stride());
        // SAFETY: rows are stride apart, at least SPARE more than there are tiles.
        unsafe { input::transform::<L>((e, self.grid), plane, (run.first, run.end), into, scratch) }
    }

    /// Multiplies and transforms back the outputs of groups `first..end`, whose weights are `weights` (groups x
    /// points x channels x 8).
    ///
    /// # Safety
    /// Inside `dispatch`; `image` was filled by [`Job::see`]; the outputs belong to the caller alone.
    #[inline(always)]
    unsafe fn mix<L: Lanes>(
        &self,
        run: Run,
        (first, end): (usize, usize),
        (image, weights): (*const f32, *const f32),
        products: &mut Vec<Line>,
        scratch: &mut Vec<f32>,
    ) {
        let (e, stride) = (self.e, run.stride());
        let outputs = (end * GROUP).min(e.o) - first * GROUP;
        let products = lines(products, POINTS * outputs * stride);
        let offsets: Vec<usize> = (0..e.c).map(|c| c * stride).collect();
        for point in 0..POINTS {
            for group in 0..end - first {
                let at = point * outputs + group * GROUP;
                let s = Strip {
                    offsets: &offsets,
                    weights: weights.wrapping_add((group * POINTS + point) * e.c * GROUP),
                    image: image.wrapping_add(point * e.c * stride),
                    target: products.wrapping_add(at * stride),
                    stride,
                    places: run.end - run.first,
                    outputs: (outputs - group * GROUP).min(GROUP),
                    added: false,
                };
                // SAFETY: rows of image and products are stride apart, SPARE more than there are tiles.
                unsafe { strip::<L>(s) };
            }
        }
        for o in 0..outputs {
            let channel = first * GROUP + o;
            let plane = self.out.at((run.n * e.o + channel) * e.oh * e.ow);
            let from = (
                products.wrapping_add(o * stride).cast_const(),
                outputs * stride,
            );
            let finish = (self.bias[channel], self.relu);
            // SAFETY: the products of all points of this output lie there; its tiles are ours.
            unsafe {
                output::transform::<L>(
                    (e, self.grid),
                    from,
                    (run.first, run.end),
                    finish,
                    plane,
                    scratch,
                );
            }
        }
    }
}

/// All three steps for one run of tiles, weights at hand.
struct Whole<'a> {
    job: Job<'a>,
    run: Run,
    weights: *const f32,
    hands: &'a mut Hands,
}

impl Work for Whole<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self {
            job,
            run,
            weights,
            hands,
        } = self;
        let image = lines(&mut hands.image, POINTS * job.e.c * run.stride());
        // SAFETY: the buffers are this thread's; the run's outputs are this task's.
        unsafe {
            for c in 0..job.e.c {
                job.see::<L>(run, c, image, &mut hands.input);
            }
            let all = job.e.o.div_ceil(GROUP);
            let size = POINTS * job.e.c * GROUP;
            for first in (0..all).step_by(GROUPS) {
                let groups = (first, (first + GROUPS).min(all));
                let from = (image.cast_const(), weights.wrapping_add(first * size));
                job.mix::<L>(run, groups, from, &mut hands.products, &mut hands.output);
            }
        }
    }
}

/// The transformed image of one channel.
struct See<'a> {
    job: Job<'a>,
    run: Run,
    c: usize,
    image: Shared,
    hands: &'a mut Hands,
}

impl Work for See<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the channel's rows are this task's.
        unsafe {
            self.job
                .see::<L>(self.run, self.c, self.image.at(0), &mut self.hands.input)
        }
    }
}

/// Weights, products and outputs of a few groups.
struct Mix<'a> {
    job: Job<'a>,
    run: Run,
    groups: (usize, usize),
    image: Shared,
    hands: &'a mut Hands,
}

impl Work for Mix<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self {
            job,
            run,
            groups,
            image,
            hands,
        } = self;
        let size = POINTS * job.e.c * GROUP;
        let weights = lines(&mut hands.weights, (groups.1 - groups.0) * size);
        for group in groups.0..groups.1 {
            // SAFETY: the buffer was made for so many groups and is this thread's.
            let into = unsafe {
                std::slice::from_raw_parts_mut(
                    weights.wrapping_add((group - groups.0) * size),
                    size,
                )
            };
            weight::transform(job.e, job.weight, group * GROUP, into);
        }
        let from = (image.at(0).cast_const(), weights.cast_const());
        // SAFETY: the image is complete, nobody writes it; the groups' outputs are this task's.
        unsafe { job.mix::<L>(run, groups, from, &mut hands.products, &mut hands.output) }
    }
}

/// One group's transformed weights.
struct Weigh<'a> {
    job: Job<'a>,
    group: usize,
    into: &'a mut [f32],
}

impl Work for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        weight::transform(self.job.e, self.job.weight, self.group * GROUP, self.into);
    }
}

/// The convolution of `x` with `weight` plus `bias`, into `out`, for a 3x3 kernel with step 1.
pub(in super::super) fn forward(
    width: Width,
    e: &Extent,
    x: &[f32],
    weight: &[f32],
    (bias, relu): (&[f32], bool),
    out: &mut [f32],
) {
    assert_eq!(out.len(), e.n * e.o * e.oh * e.ow);
    let job = Job {
        e,
        grid: Grid::new(e),
        x,
        weight,
        bias,
        relu,
        out: Shared::new(out),
    };
    let groups = e.o.div_ceil(GROUP);
    let size = POINTS * e.c * GROUP;
    if has_small_weights(e) {
        let mut weights = vec![0.0f32; groups * size];
        weights
            .par_chunks_mut(size)
            .enumerate()
            .for_each(|(group, into)| dispatch(width, Weigh { job, group, into }));
        let weights = &weights;
        job.runs(run_of(e))
            .into_par_iter()
            .for_each_init(Hands::default, |hands, run| {
                let weights = weights.as_ptr();
                dispatch(
                    width,
                    Whole {
                        job,
                        run,
                        weights,
                        hands,
                    },
                );
            });
        return;
    }
    let mut image = Vec::new();
    for run in job.runs(run_of(e)) {
        let image = Shared::of(lines(&mut image, POINTS * e.c * run.stride()));
        (0..e.c)
            .into_par_iter()
            .for_each_init(Hands::default, |hands, c| {
                dispatch(
                    width,
                    See {
                        job,
                        run,
                        c,
                        image,
                        hands,
                    },
                );
            });
        (0..groups.div_ceil(GROUPS))
            .into_par_iter()
            .for_each_init(Hands::default, |hands, i| {
                let groups = (i * GROUPS, ((i + 1) * GROUPS).min(groups));
                dispatch(
                    width,
                    Mix {
                        job,
                        run,
                        groups,
                        image,
                        hands,
                    },
                );
            });
    }
}

fn has_small_weights(e: &Extent) -> bool {
    e.o.next_multiple_of(GROUP) * e.c * POINTS <= SMALL_WEIGHTS
}

/// Tiles of a run: a function of the shape alone, and nearly the same for all runs of an image.
fn run_of(e: &Extent) -> usize {
    let tiles = |held: usize, channels: usize| held / (POINTS * channels) / FULL * FULL;
    let most = if has_small_weights(e) {
        tiles(HELD, e.c + e.o.min(GROUPS * GROUP)).clamp(FULL, 8 * FULL)
    } else {
        tiles(SHARED, e.c).max(FULL)
    };
    let all = Grid::new(e).tiles;
    all.div_ceil(all.div_ceil(most)).next_multiple_of(SPARE)
}

/// Numbers held while [`forward`] runs.
pub(in super::super) fn scratch(e: &Extent) -> usize {
    let all = Grid::new(e).tiles;
    let run = Run {
        n: 0,
        first: 0,
        end: run_of(e).min(all),
    };
    let groups = e.o.div_ceil(GROUP);
    let weights = POINTS * e.c * GROUP;
    let image = POINTS * e.c * run.stride();
    let products = POINTS * (GROUPS * GROUP).min(e.o) * run.stride();
    let threads = rayon::current_num_threads();
    if has_small_weights(e) {
        let workers = threads.min(e.n * all.div_ceil(run.end));
        return groups * weights + workers * (image + products);
    }
    let workers = threads.min(groups.div_ceil(GROUPS));
    image + workers * (GROUPS.min(groups) * weights + products)
}
