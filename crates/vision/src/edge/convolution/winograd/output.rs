//! From the 36 products of every tile to 4 x 4 outputs.
//!
//! `unsafe` because results are read and written through pointers: many threads write one buffer.

use super::super::extent::Extent;
use super::super::lanes::Lanes;
use super::super::tile::SPARE;
use super::grid::{Grid, Piece, SEEN, TILE};
use super::matrix;

/// Writes A^T m A + `bias`, if `relu` not below 0, of tiles `first..end` into `plane`; point p of the t-th
/// tile lies at `from` + p `stride` + t.
///
/// # Safety
/// Inside `dispatch`. For every point and tile, and [`SPARE`] - 1 tiles more, `from` can be read; the outputs
/// of the tiles can be written in `plane` (oh x ow), and nobody else touches them.
#[inline(always)]
pub(super) unsafe fn transform<L: Lanes>(
    (e, grid): (&Extent, Grid),
    (from, stride): (*const f32, usize),
    (first, end): (usize, usize),
    (bias, relu): (f32, bool),
    plane: *mut f32,
    scratch: &mut Vec<f32>,
) {
    for piece in grid.pieces(first, end) {
        let length = piece.tiles + SPARE;
        scratch.resize(TILE * TILE * length, 0.0);
        let split = scratch.as_mut_ptr();
        // SAFETY: reads as the caller promises; the buffer holds TILE x TILE x length values, and writes
        // end before tiles + WIDTH.
        unsafe {
            let from = from.wrapping_add(piece.before);
            for t in (0..piece.tiles).step_by(L::WIDTH) {
                // no closures: what is not inlined here loses its vectors
                let mut columns = [[L::splat(0.0); TILE]; SEEN];
                for (i, column) in columns.iter_mut().enumerate() {
                    let mut m = [L::splat(0.0); SEEN];
                    for (r, m) in m.iter_mut().enumerate() {
                        *m = L::load(from.wrapping_add((r * SEEN + i) * stride + t));
                    }
                    *column = matrix::output(m);
                }
                for y in 0..TILE {
                    let mut m = [L::splat(0.0); SEEN];
                    for (m, column) in m.iter_mut().zip(columns) {
                        *m = column[y];
                    }
                    for (x, value) in matrix::output(m).into_iter().enumerate() {
                        value.store(split.add((y * TILE + x) * length + t));
                    }
                }
            }
        }
        for (y, split) in scratch.chunks_exact(TILE * length).enumerate() {
            let row = piece.row * TILE + y;
            if row < e.oh {
                let start = row * e.ow + piece.column * TILE;
                let count = (piece.tiles * TILE).min(e.ow - piece.column * TILE);
                // SAFETY: these outputs belong to the tiles of this piece.
                let line =
                    unsafe { std::slice::from_raw_parts_mut(plane.wrapping_add(start), count) };
                weave(split, length, bias, relu, line, piece);
            }
        }
    }
}

/// Puts the four columns of every tile back beside each other.
#[inline(always)]
fn weave(split: &[f32], length: usize, bias: f32, relu: bool, line: &mut [f32], piece: Piece) {
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    let part = |x: usize| &split[x * length..x * length + piece.tiles];
    let (whole, rest) = line.as_chunks_mut::<TILE>();
    let quads = whole
        .iter_mut()
        .zip(part(0))
        .zip(part(1))
        .zip(part(2))
        .zip(part(3));
    for ((((out, a), b), c), d) in quads {
        out[0] = (a + bias).max(least);
        out[1] = (b + bias).max(least);
        out[2] = (c + bias).max(least);
        out[3] = (d + bias).max(least);
    }
    for (x, out) in rest.iter_mut().enumerate() {
        *out = (part(x)[piece.tiles - 1] + bias).max(least);
    }
}
