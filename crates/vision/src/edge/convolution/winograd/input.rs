//! From an image plane to the 36 numbers of every tile.
//!
//! Neighbouring tiles lie in neighbouring lanes: rows are split by their column modulo 4 first, so that
//! all loads are of adjacent values. `unsafe` because results are written through a pointer.

use super::super::extent::Extent;
use super::super::lanes::Lanes;
use super::super::tile::SPARE;
use super::grid::{Grid, Piece, SEEN, TILE};
use super::matrix;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct InputScratch {
    line: Vec<f32>,
    split: Vec<f32>,
    tall: Vec<f32>,
}

/// Writes B^T d B of tiles `first..end` of `plane`: point p of the t-th tile goes to `into` + p `stride` + t.
///
/// # Safety
/// Inside `dispatch`. For every point and tile, and [`SPARE`] - 1 tiles more, the result can be written.
#[inline(always)]
pub(super) unsafe fn transform<L: Lanes>(
    (e, grid): (&Extent, Grid),
    plane: &[f32],
    (first, end): (usize, usize),
    (into, stride): (*mut f32, usize),
    scratch: &mut InputScratch,
) {
    for piece in grid.pieces(first, end) {
        // one column more than tiles: a tile sees two columns of its neighbour
        let length = piece.tiles + 1 + SPARE;
        scratch.line.resize(TILE * length, 0.0);
        scratch.split.resize(SEEN * TILE * length, 0.0);
        scratch.tall.resize(SEEN * TILE * length, 0.0);
        for (r, split) in scratch.split.chunks_exact_mut(TILE * length).enumerate() {
            split_row(e, plane, piece, r, &mut scratch.line, split);
        }
        // SAFETY: both buffers hold SEEN x TILE x length values, and reads end before
        // tiles + 1 + WIDTH; writes as the caller promises. No closures: what is not inlined here
        // loses its vectors.
        unsafe {
            let (split, tall) = (scratch.split.as_ptr(), scratch.tall.as_mut_ptr());
            for phase in 0..TILE {
                for t in (0..=piece.tiles).step_by(L::WIDTH) {
                    let at = phase * length + t;
                    let mut d = [L::splat(0.0); SEEN];
                    for (r, d) in d.iter_mut().enumerate() {
                        *d = L::load(split.add(r * TILE * length + at));
                    }
                    for (r, value) in matrix::input(d).into_iter().enumerate() {
                        value.store(tall.add(r * TILE * length + at));
                    }
                }
            }
            let into = into.wrapping_add(piece.before);
            for r in 0..SEEN {
                let row = tall.add(r * TILE * length);
                for t in (0..piece.tiles).step_by(L::WIDTH) {
                    let mut d = [L::splat(0.0); SEEN];
                    for (i, d) in d.iter_mut().enumerate() {
                        *d = L::load(row.add((i % TILE) * length + t + i / TILE));
                    }
                    for (i, value) in matrix::input(d).into_iter().enumerate() {
                        value.store(into.wrapping_add((r * SEEN + i) * stride + t));
                    }
                }
            }
        }
    }
}

/// Row `r` of what the tiles of a piece see, split by column modulo 4; zeros outside the image.
#[inline(always)]
fn split_row(
    e: &Extent,
    plane: &[f32],
    piece: Piece,
    r: usize,
    line: &mut [f32],
    split: &mut [f32],
) {
    let y = (piece.row * TILE + r) as isize - e.padding;
    if y < 0 || y >= e.h as isize {
        split.fill(0.0);
        return;
    }
    let row = &plane[y as usize * e.w..(y as usize + 1) * e.w];
    let start = (piece.column * TILE) as isize - e.padding;
    let wanted = (piece.tiles + 1) * TILE;
    let left = (-start).clamp(0, wanted as isize) as usize;
    let from = (start + left as isize) as usize;
    let count = row.len().saturating_sub(from).min(wanted - left);
    line[..left].fill(0.0);
    line[left..left + count].copy_from_slice(&row[from..from + count]);
    line[left + count..wanted].fill(0.0);
    let length = split.len() / TILE;
    let (a, rest) = split.split_at_mut(length);
    let (b, rest) = rest.split_at_mut(length);
    let (c, d) = rest.split_at_mut(length);
    let quads = line[..wanted].as_chunks::<4>().0;
    for ((((quad, a), b), c), d) in quads.iter().zip(a).zip(b).zip(c).zip(d) {
        [*a, *b, *c, *d] = *quad;
    }
}
