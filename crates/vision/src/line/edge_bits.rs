//! Edge pixels as bits, by lines and by columns: a walk along a straight line looks at those near it a word at a time.
//!
//! Central type [`EdgeBits`].

use image::GrayImage;
use multiversion::multiversion;

use crate::geometry::Point;
use crate::line::StraightLine;
use crate::whole::{MOST, whole};

/// Pixels of an image that are edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EdgeBits {
    width: u32,
    height: u32,
    /// Line by line, for walks that go across.
    lines: Bits,
    /// Column by column, for walks that go down.
    columns: Bits,
}

/// Rows of bits, eight to a byte, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits {
    /// Bytes of a row: 7 more than its bits take, so that eight can be read from wherever one of them lies.
    stride: usize,
    bytes: Vec<u8>,
}

impl Bits {
    fn new(rows: u32, length: u32) -> Self {
        let stride = length.div_ceil(8) as usize + 7;
        Self {
            stride,
            bytes: vec![0; rows as usize * stride],
        }
    }

    fn place(&self, row: u32, at: u32) -> (usize, u8) {
        (row as usize * self.stride + at as usize / 8, 1 << (at % 8))
    }

    /// Bits `low ..= high` of a row, at most 57, `low` as the lowest of the answer.
    #[inline(always)]
    fn window(&self, row: u32, low: u32, high: u32) -> u64 {
        let (first, _) = self.place(row, low);
        let word: [u8; 8] = self.bytes[first..first + 8]
            .try_into()
            .expect("eight bytes");
        let word = u64::from_le_bytes(word) >> (low % 8);
        word & ((1 << (high - low + 1)) - 1)
    }
}

impl EdgeBits {
    /// The pixels that are not 0.
    pub fn of(edges: &GrayImage) -> Self {
        let (width, height) = edges.dimensions();
        let mut bits = Self {
            width,
            height,
            lines: Bits::new(height, width),
            columns: Bits::new(width, height),
        };
        for (x, y, pixel) in edges.enumerate_pixels() {
            if pixel.0[0] > 0 {
                let (line, bit) = bits.lines.place(y, x);
                bits.lines.bytes[line] |= bit;
                let (column, bit) = bits.columns.place(x, y);
                bits.columns.bytes[column] |= bit;
            }
        }
        bits
    }

    /// Makes a pixel none.
    pub fn clear(&mut self, x: u32, y: u32) {
        let (line, bit) = self.lines.place(y, x);
        self.lines.bytes[line] &= !bit;
        let (column, bit) = self.columns.place(x, y);
        self.columns.bytes[column] &= !bit;
    }

    /// Calls `found` with (position along the line, column, row) of every pixel within `reach` (px, at most 10) of `line`, in
    /// steps of one pixel along the axis that the line is nearer to.
    #[inline(always)]
    pub fn visit(&self, line: &StraightLine, reach: f32, mut found: impl FnMut(f32, u32, u32)) {
        let (dx, dy) = line.direction;
        if dx.abs() >= dy.abs() {
            let walk = Walk::new((line.origin.x, line.origin.y), dy / dx, reach);
            walk.visit(&self.columns, self.width, self.height, |x, y| {
                found(line.position(Point::new(x as f32, y as f32)), x, y);
            });
        } else {
            let walk = Walk::new((line.origin.y, line.origin.x), dx / dy, reach);
            walk.visit(&self.lines, self.height, self.width, |y, x| {
                found(line.position(Point::new(x as f32, y as f32)), x, y);
            });
        }
    }
}

/// Steps whose spans are found at once.
const BLOCK: usize = 64;

/// A line as a walk along one axis takes it.
struct Walk {
    /// A point of the line: along the axis and across it.
    origin: (f32, f32),
    /// Change across in a step, -1 ..= 1.
    slope: f32,
    /// Across, on either side.
    reach: f32,
}

impl Walk {
    /// `reach` is measured at right angles to the line, the walk goes at right angles to an axis.
    fn new(origin: (f32, f32), slope: f32, reach: f32) -> Self {
        Self {
            origin,
            slope,
            reach: reach * (1.0 + slope * slope).sqrt(),
        }
    }

    /// Calls `found` with (step, place across) of the bits that are near, of a row a step.
    #[inline(always)]
    fn visit(&self, rows: &Bits, steps: u32, across: u32, mut found: impl FnMut(u32, u32)) {
        let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
        for first in (0..steps).step_by(BLOCK) {
            self.spans(first, across, &mut low, &mut high);
            for ((step, &low), &high) in (first..steps).zip(&low).zip(&high) {
                if low > high {
                    continue;
                }
                let mut near = rows.window(step, low as u32, high as u32);
                while near != 0 {
                    found(step, low as u32 + near.trailing_zeros());
                    near &= near - 1;
                }
            }
        }
    }

    /// First and last place across that are near the line, in each of the steps from `first` on; the first beyond the last
    /// where none is.
    fn spans(&self, first: u32, across: u32, low: &mut [i32; BLOCK], high: &mut [i32; BLOCK]) {
        spans(self, first as f32, across as f32 - 1.0, low, high);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn spans(walk: &Walk, first: f32, last: f32, low: &mut [i32; BLOCK], high: &mut [i32; BLOCK]) {
    for k in 0..BLOCK {
        let step = first + k as f32;
        let middle = walk.origin.1 + (step - walk.origin.0) * walk.slope;
        low[k] = whole((middle - walk.reach).ceil().clamp(0.0, MOST));
        high[k] = whole((middle + walk.reach).floor().min(last).max(-1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_meets_the_pixels_near_the_line_in_order() {
        let mut state = 7u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let (width, height) = (131, 90);
        let edges = GrayImage::from_fn(width, height, |_, _| {
            image::Luma([u8::from(next() % 3 == 0)])
        });
        let mut bits = EdgeBits::of(&edges);
        let mut cleared = edges.clone();
        for _ in 0..500 {
            let (x, y) = (next() % width, next() % height);
            bits.clear(x, y);
            cleared.put_pixel(x, y, image::Luma([0]));
        }
        assert_eq!(bits, EdgeBits::of(&cleared));
        for degrees in (0..360).step_by(7) {
            let (sin, cos) = (degrees as f32).to_radians().sin_cos();
            let origin = Point::new((next() % 200) as f32 - 30.0, (next() % 150) as f32 - 30.0);
            let line = StraightLine {
                origin,
                direction: (cos, sin),
            };
            for reach in [0.4, 1.5, 10.0] {
                let mut found = Vec::new();
                bits.visit(&line, reach, |position, x, y| found.push((position, x, y)));
                let flat = cos.abs() >= sin.abs();
                let mut expected: Vec<_> = cleared
                    .enumerate_pixels()
                    .filter(|(_, _, pixel)| pixel.0[0] > 0)
                    .map(|(x, y, _)| (Point::new(x as f32, y as f32), x, y))
                    .filter(|(point, _, _)| line.distance(*point) <= reach)
                    .map(|(point, x, y)| (line.position(point), x, y))
                    .collect();
                expected.sort_by_key(|&(_, x, y)| if flat { (x, y) } else { (y, x) });
                assert_eq!(found, expected, "{degrees} degrees, {reach}");
            }
        }
    }
}
