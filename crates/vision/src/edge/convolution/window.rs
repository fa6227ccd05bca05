//! The part of an image that a band of places looks at, laid out so that a tap is a fixed offset.
//!
//! Central type [`Window`]. Rows and columns are sorted by their remainder modulo the stencil's step, so
//! that neighbouring places always see neighbouring values; what lies outside the image is zero.

use super::stencil::Stencil;
use super::tile::SPARE;

/// Layout of one band's window.
pub(super) struct Window {
    /// Remainders (row, column) that some tap needs.
    remainders: Vec<(usize, usize)>,
    /// First row and column seen by place (0, 0).
    first: (isize, isize),
    /// Rows of one sorted plane.
    rows: usize,
    /// Columns of one sorted plane; place (y, x) is number y * columns + x.
    pub(super) columns: usize,
    /// Offset of every channel and tap from the place, in the order of the weights.
    pub(super) offsets: Vec<usize>,
}

impl Window {
    /// The layout for bands of `height` rows of places.
    pub(super) fn new(s: &Stencil, height: usize) -> Self {
        let step = s.stride as isize;
        let least = |values: &mut dyn Iterator<Item = isize>| values.min().unwrap_or(0);
        let first = (
            least(&mut s.taps.iter().map(|t| t.0)),
            least(&mut s.taps.iter().map(|t| t.1)),
        );
        let split = |value: isize, first: isize| {
            let from = value - first;
            ((from % step) as usize, (from / step) as usize)
        };
        let taps = s
            .taps
            .iter()
            .map(|t| (split(t.0, first.0), split(t.1, first.1)));
        let mut remainders: Vec<_> = taps.clone().map(|(y, x)| (y.0, x.0)).collect();
        remainders.sort_unstable();
        remainders.dedup();
        let rows = height + taps.clone().map(|(y, _)| y.1).max().unwrap_or(0);
        let columns = s.places[2] + taps.clone().map(|(_, x)| x.1).max().unwrap_or(0);
        let plane = rows * columns;
        let channel = remainders.len() * plane;
        let offsets = (0..s.seen[1])
            .flat_map(|c| taps.clone().map(move |tap| (c, tap)))
            .map(|(c, (y, x))| {
                let sorted = remainders.binary_search(&(y.0, x.0)).expect("listed above");
                c * channel + sorted * plane + y.1 * columns + x.1
            })
            .collect();
        Self {
            remainders,
            first,
            rows,
            columns,
            offsets,
        }
    }

    /// Values of the window, those to spare at its end included.
    pub(super) fn size(&self, channels: usize) -> usize {
        channels * self.remainders.len() * self.rows * self.columns + SPARE
    }

    /// The list of offsets, counted in values of `f32`.
    pub(super) fn overhead(&self) -> usize {
        self.offsets.len() * size_of::<usize>() / size_of::<f32>()
    }

    /// Fills the window of the band that begins at row `y0` of places from `image` (C x H x W).
    #[inline(always)]
    pub(super) fn fill(&self, s: &Stencil, image: &[f32], y0: usize, into: &mut [f32]) {
        let [_, _, h, w] = s.seen;
        let mut lines = into.chunks_exact_mut(self.columns);
        for plane in image.chunks_exact(h * w) {
            for &(ry, rx) in &self.remainders {
                let top = (y0 * s.stride + ry) as isize + self.first.0;
                let left = rx as isize + self.first.1;
                for i in 0..self.rows {
                    let line = lines.next().expect("the window holds all rows");
                    let y = top + (i * s.stride) as isize;
                    if y < 0 || y >= h as isize {
                        line.fill(0.0);
                    } else {
                        let row = &plane[y as usize * w..(y as usize + 1) * w];
                        fill_line(row, left, s.stride, line);
                    }
                }
            }
        }
        lines.by_ref().for_each(|line| line.fill(0.0));
        lines.into_remainder().fill(0.0);
    }
}

/// line\[i\] = row\[left + i step\], zeros outside.
#[inline(always)]
fn fill_line(row: &[f32], left: isize, step: usize, line: &mut [f32]) {
    let before = ((-left).max(0) as usize).div_ceil(step).min(line.len());
    let from = (left + (before * step) as isize) as usize;
    let inside = row
        .len()
        .saturating_sub(from)
        .div_ceil(step)
        .min(line.len() - before);
    line[..before].fill(0.0);
    line[before + inside..].fill(0.0);
    let line = &mut line[before..before + inside];
    match (step, row.get(from..)) {
        (_, None) => {}
        (1, Some(row)) => line.copy_from_slice(&row[..inside]),
        (2, Some(row)) => line
            .iter_mut()
            .zip(row.chunks(2))
            .for_each(|(v, pair)| *v = pair[0]),
        (_, Some(row)) => line
            .iter_mut()
            .zip(row.iter().step_by(step))
            .for_each(|(v, r)| *v = *r),
    }
}
