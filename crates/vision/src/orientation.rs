//! The fixed orientation detector: how much the edge map looks like a line in each of six directions.
//!
//! [`Bank`] holds six 9x9 kernels, each a one-pixel line through the centre, 30 degrees apart;
//! [`Orientation`] holds per pixel the six responses to a map of edge logits, minus their mean,
//! scaled to unit length. Source: AirLine (Lin and Wang, IROS 2023).
//!
//! Nothing here depends on the parameters; it is computed anew for each region because kept it would
//! take twelve times the memory of the logits.

use half::f16;
use half::slice::HalfFloatSliceExt;
use multiversion::multiversion;

use crate::geometry::Rect;

/// Number of directions.
pub const DIRECTIONS: usize = 6;

/// How far a kernel reaches from its centre, in pixels.
const REACH: usize = 4;

/// Floats per pixel in [`Orientation`]: six used, padded so that no pixel straddles a cache line.
const STRIDE: usize = 8;

/// A non-zero (= 1) entry of a kernel: (row, column) from its centre.
type Tap = (i8, i8);

/// Six kernels; kernel k is a line at 30 k degrees, clockwise as the image is seen.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    kernels: [&'static [Tap]; DIRECTIONS],
}

/// The bank of the weld pipeline: lines of reach 4, cut to whole pixels.
pub const BANK_WELD: Bank = Bank {
    kernels: [
        HORIZONTAL,
        &[(-1, -3), (-1, -2), (0, -1), (0, 0), (0, 1), (1, 2), (1, 3)],
        &[(-3, -2), (-2, -1), (-1, -1), (0, 0), (1, 1), (2, 1), (3, 2)],
        &[(-3, 0), (-2, 0), (-1, 0), (0, 0), (1, 0), (2, 0), (3, 0)],
        &[(-3, 1), (-2, 1), (-1, 0), (0, 0), (1, 0), (2, -1), (3, -1)],
        &[(-2, 3), (-1, 1), (-1, 2), (0, 0), (1, -2), (1, -1), (2, -3)],
    ],
};

/// The bank of AirLine itself: lines that run through the whole kernel.
pub const BANK_AIRLINE: Bank = Bank {
    kernels: [
        HORIZONTAL,
        &[
            (-2, -4),
            (-1, -3),
            (-1, -2),
            (0, -1),
            (0, 0),
            (1, 1),
            (2, 2),
            (2, 3),
            (3, 4),
        ],
        &[
            (-4, -3),
            (-3, -2),
            (-2, -2),
            (-1, -1),
            (0, -1),
            (1, 0),
            (2, 1),
            (3, 1),
            (4, 2),
        ],
        &[
            (-4, 0),
            (-3, 0),
            (-2, 0),
            (-1, 0),
            (0, 0),
            (1, 0),
            (2, 0),
            (3, 0),
            (4, 0),
        ],
        &[
            (-4, 3),
            (-3, 2),
            (-2, 2),
            (-1, 1),
            (0, 0),
            (1, 0),
            (2, -1),
            (3, -1),
            (4, -2),
        ],
        &[
            (-3, 4),
            (-2, 3),
            (-1, 1),
            (-1, 2),
            (0, 0),
            (1, -1),
            (2, -3),
            (2, -2),
            (3, -4),
        ],
    ],
};

const HORIZONTAL: &[Tap] = &[
    (0, -4),
    (0, -3),
    (0, -2),
    (0, -1),
    (0, 0),
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
];

impl Bank {
    /// The kernels as dense 9x9 arrays, kernel by kernel, row-major.
    pub fn dense(&self) -> Vec<f32> {
        const SIDE: usize = 2 * REACH + 1;
        let mut dense = vec![0.0; DIRECTIONS * SIDE * SIDE];
        for (kernel, taps) in self.kernels.iter().enumerate() {
            for &(dy, dx) in *taps {
                let (row, column) = (tap_index(dy), tap_index(dx));
                dense[(kernel * SIDE + row) * SIDE + column] = 1.0;
            }
        }
        dense
    }
}

/// Index of a tap's coordinate counted from the kernel's first row or column.
fn tap_index(offset: i8) -> usize {
    (offset + REACH as i8) as usize
}

/// A rectangle of edge logits with the margin that the kernels need.
///
/// Row-major, (height + 8) x (width + 8); what lies outside the image is 0, as in a convolution
/// with zero padding.
#[derive(Clone, Debug, Default)]
pub struct LogitCrop {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl LogitCrop {
    /// Takes `bounds` out of a map of `width` columns (row-major, any number of rows); `bounds` is
    /// cut to the map first.
    pub fn read(&mut self, logits: &[f16], width: u32, bounds: Rect) {
        self.read_rows(logits.len(), width, bounds, |range, row| {
            logits[range].convert_to_f32_slice(row);
        });
    }

    /// The same from single precision.
    pub fn read_f32(&mut self, logits: &[f32], width: u32, bounds: Rect) {
        self.read_rows(logits.len(), width, bounds, |range, row| {
            row.copy_from_slice(&logits[range]);
        });
    }

    fn read_rows(
        &mut self,
        pixels: usize,
        width: u32,
        bounds: Rect,
        copy: impl Fn(std::ops::Range<usize>, &mut [f32]),
    ) {
        let columns = width as usize;
        let rows = pixels.checked_div(columns).unwrap_or(0);
        let (right, bottom) = (
            columns.min(bounds.right as usize),
            rows.min(bounds.bottom as usize),
        );
        let (left, top) = (
            right.min(bounds.left as usize),
            bottom.min(bounds.top as usize),
        );
        self.width = right - left;
        self.height = bottom - top;
        let stride = self.stride();
        self.values.clear();
        self.values.resize((self.height + 2 * REACH) * stride, 0.0);
        let (from, to) = (left.saturating_sub(REACH), columns.min(right + REACH));
        let first = from + REACH - left;
        for row in top.saturating_sub(REACH)..rows.min(bottom + REACH) {
            let start = (row + REACH - top) * stride + first;
            copy(
                row * columns + from..row * columns + to,
                &mut self.values[start..start + to - from],
            );
        }
    }

    /// Columns without the margin.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows without the margin.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The logits of row `row` of the rectangle.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        assert!(row < self.height, "row {row} of {}", self.height);
        let start = (row + REACH) * self.stride() + REACH;
        &self.values[start..start + self.width]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }

    fn stride(&self) -> usize {
        self.width + 2 * REACH
    }
}

/// Unit-length orientation features of a rectangle of pixels.
#[derive(Clone, Debug, Default)]
pub struct Orientation {
    features: Vec<[f32; STRIDE]>,
    rows: Vec<f32>,
}

impl Orientation {
    /// Computes the features of every pixel of `crop`; memory is reused.
    pub fn compute(&mut self, crop: &LogitCrop, bank: &Bank) {
        self.features.clear();
        self.features
            .resize(crop.width * crop.height, [0.0; STRIDE]);
        self.rows.clear();
        self.rows.resize(DIRECTIONS * crop.width, 0.0);
        if crop.width == 0 {
            return;
        }
        for (row, features) in self.features.chunks_exact_mut(crop.width).enumerate() {
            respond(&crop.values, crop.stride(), row, bank, &mut self.rows);
            normalise(&mut self.rows, crop.width);
            interleave(&self.rows, features);
        }
    }

    /// A field of any features, one for each pixel (row-major). Growth wants unit length or 0; nothing is checked.
    pub fn given(field: &[[f32; DIRECTIONS]]) -> Self {
        let padded = |feature: &[f32; DIRECTIONS]| {
            let mut out = [0.0; STRIDE];
            out[..DIRECTIONS].copy_from_slice(feature);
            out
        };
        Self {
            features: field.iter().map(padded).collect(),
            rows: Vec::new(),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.features.capacity() * size_of::<[f32; STRIDE]>()
            + self.rows.capacity() * size_of::<f32>()
    }

    /// The six features of pixel `index` (row-major); of unit length, or 0 where the map is flat.
    #[inline]
    pub fn feature(&self, index: usize) -> &[f32; DIRECTIONS] {
        self.features[index]
            .first_chunk()
            .expect("the stride exceeds the number of directions")
    }
}

/// Responses of one row, direction by direction (6 x width), to the padded map `values`.
#[multiversion(targets("x86_64+avx2"))]
fn respond(values: &[f32], stride: usize, row: usize, bank: &Bank, out: &mut [f32]) {
    let width = stride - 2 * REACH;
    out.fill(0.0);
    for (taps, sum) in bank.kernels.iter().zip(out.chunks_exact_mut(width)) {
        for &(dy, dx) in *taps {
            let start = (row + tap_index(dy)) * stride + tap_index(dx);
            for (sum, value) in sum.iter_mut().zip(&values[start..start + width]) {
                *sum += value;
            }
        }
    }
}

/// Subtracts from the six responses of each pixel their mean and scales them to unit length.
#[multiversion(targets("x86_64+avx2"))]
fn normalise(rows: &mut [f32], width: usize) {
    let (a, rest) = rows.split_at_mut(width);
    let (b, rest) = rest.split_at_mut(width);
    let (c, rest) = rest.split_at_mut(width);
    let (d, rest) = rest.split_at_mut(width);
    let (e, f) = rest.split_at_mut(width);
    let f = &mut f[..width];
    for x in 0..width {
        let mean = (a[x] + b[x] + c[x] + d[x] + e[x] + f[x]) / 6.0;
        let v = [
            a[x] - mean,
            b[x] - mean,
            c[x] - mean,
            d[x] - mean,
            e[x] - mean,
            f[x] - mean,
        ];
        let squares =
            v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + v[3] * v[3] + v[4] * v[4] + v[5] * v[5];
        let length = squares.sqrt().max(1e-12);
        a[x] = v[0] / length;
        b[x] = v[1] / length;
        c[x] = v[2] / length;
        d[x] = v[3] / length;
        e[x] = v[4] / length;
        f[x] = v[5] / length;
    }
}

/// From direction-major to pixel-major.
fn interleave(rows: &[f32], features: &mut [[f32; STRIDE]]) {
    let width = features.len();
    for (direction, row) in rows.chunks_exact(width).enumerate() {
        for (feature, value) in features.iter_mut().zip(row) {
            feature[direction] = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oriented(logits: &[f32], width: u32, bounds: Rect) -> (LogitCrop, Orientation) {
        let mut crop = LogitCrop::default();
        crop.read_f32(logits, width, bounds);
        let mut orientation = Orientation::default();
        orientation.compute(&crop, &BANK_WELD);
        (crop, orientation)
    }

    #[test]
    fn a_drawn_line_answers_in_its_own_direction() {
        let mut logits = vec![0.0; 32 * 32];
        for i in 4..28 {
            logits[16 * 32 + i] = 10.0;
        }
        let (_, horizontal) = oriented(&logits, 32, Rect::whole(32, 32));
        let feature = horizontal.feature(16 * 32 + 16);
        assert!(feature[1..].iter().all(|value| *value < feature[0]));
        assert!((feature.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_flat_map_has_no_direction() {
        let (_, flat) = oriented(&[0.0; 20 * 20], 20, Rect::whole(20, 20));
        assert_eq!(flat.feature(10 * 20 + 10), &[0.0; 6]);
    }

    #[test]
    fn a_crop_sees_the_map_around_it() {
        let logits: Vec<f32> = (0..40 * 30)
            .map(|i| ((i * 7919) % 101) as f32 / 10.0)
            .collect();
        let (_, whole) = oriented(&logits, 40, Rect::whole(40, 30));
        let bounds = Rect {
            left: 7,
            top: 9,
            right: 21,
            bottom: 22,
        };
        let (crop, part) = oriented(&logits, 40, bounds);
        assert_eq!((crop.width(), crop.height()), (14, 13));
        for y in 0..13 {
            assert_eq!(crop.row(y)[3], logits[(y + 9) * 40 + 10]);
            for x in 0..14 {
                assert_eq!(
                    part.feature(y * 14 + x),
                    whole.feature((y + 9) * 40 + x + 7)
                );
            }
        }
    }

    #[test]
    fn bounds_outside_the_map_are_cut() {
        let logits = [1.0; 12];
        for bounds in [
            Rect {
                left: 5,
                top: 5,
                right: 9,
                bottom: 9,
            },
            Rect {
                left: 3,
                top: 2,
                right: 1,
                bottom: 1,
            },
            Rect::whole(100, 100),
        ] {
            let (crop, _) = oriented(&logits, 4, bounds);
            assert!(crop.width() <= 4 && crop.height() <= 3);
        }
        let (crop, _) = oriented(&[], 0, Rect::whole(3, 3));
        assert_eq!(crop.width() * crop.height(), 0);
    }
}
