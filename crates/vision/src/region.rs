//! Conditional region growing: edge pixels that lie side by side and point the same way become one
//! region, and each region a straight segment.
//!
//! [`Growth`] does it, in time linear in the pixels and with memory that grows with them; the caller
//! owns the scratch. Source: AirLine (Lin and Wang, IROS 2023). The visiting order and the counting
//! of the published program are kept, because its results hang on them: seeds on even rows and
//! columns from 2, the seed pixel counted twice, regions of 5,000 pixels or more dropped.

use crate::geometry::{Point, Segment};
use crate::orientation::{DIRECTIONS, LogitCrop, Orientation};

/// Regions with this many pixels or more are dropped: surfaces, not lines.
const LARGEST_REGION: usize = 5_000;

/// What makes a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrowthSettings {
    /// Pixels whose edge logit exceeds this take part.
    pub threshold: f32,
    /// A neighbour joins if the cosine of its features and the region's mean exceeds this.
    pub similarity: f32,
    /// A region needs more pixels than this (the seed counted twice).
    pub least_pixels: usize,
}

/// A segment fitted to a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrownSegment {
    /// Ends, in pixels of the crop.
    pub segment: Segment,
    /// Mean absolute cosine between the region's direction and its pixels as seen from its centre,
    /// in per cent: 100 is a straight line.
    pub straightness: f32,
}

/// The scratch of region growing, reusable over maps of any size.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    /// 1 where a pixel takes part and belongs to no region yet.
    free: Vec<u8>,
    /// Pixels of the current region in the order of joining, as (row, column).
    members: Vec<(u32, u32)>,
    expanded: usize,
}

impl Growth {
    /// Pixels whose neighbours the last call looked at, the measure of its work: at most the pixels
    /// of the map and its seeds, since a pixel joins once and a seed is expanded once more.
    pub fn expanded(&self) -> usize {
        self.expanded
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.free.capacity() + self.members.capacity() * size_of::<(u32, u32)>()
    }

    /// Segments of all regions, in the order of their seeds.
    ///
    /// # Panics
    /// If `orientation` was not computed from `crop`.
    pub fn segments(
        &mut self,
        crop: &LogitCrop,
        orientation: &Orientation,
        settings: &GrowthSettings,
    ) -> Vec<GrownSegment> {
        let (width, height) = (crop.width(), crop.height());
        self.free.clear();
        for row in 0..height {
            self.free.extend(
                crop.row(row)
                    .iter()
                    .map(|logit| u8::from(*logit > settings.threshold)),
            );
        }
        self.expanded = 0;
        let mut segments = Vec::new();
        for row in (2..height.saturating_sub(3)).step_by(2) {
            for column in (2..width.saturating_sub(3)).step_by(2) {
                if self.free[row * width + column] == 0 {
                    continue;
                }
                self.grow(
                    width,
                    height,
                    (row, column),
                    orientation,
                    settings.similarity,
                );
                let pixels = self.members.len();
                if pixels > settings.least_pixels && pixels < LARGEST_REGION {
                    segments.extend(fit(&self.members));
                }
            }
        }
        segments
    }

    /// Collects in `members` what is connected to `seed`, breadth first.
    ///
    /// The seed stays free until it joins as its own neighbour, which is how it comes to be counted
    /// twice. A region that reaches the largest size takes what it still meets on its present front
    /// and stops.
    fn grow(
        &mut self,
        width: usize,
        height: usize,
        seed: (usize, usize),
        orientation: &Orientation,
        similarity: f32,
    ) {
        self.members.clear();
        self.members.push((seed.0 as u32, seed.1 as u32));
        let mut mean = *orientation.feature(seed.0 * width + seed.1);
        let mut next = 0;
        while next < self.members.len() {
            let front = self.members.len();
            let mut full = false;
            while next < front {
                let (row, column) = (self.members[next].0 as usize, self.members[next].1 as usize);
                next += 1;
                self.expanded += 1;
                if row < 2 || row + 2 > height || column < 2 || column + 2 > width {
                    continue;
                }
                for y in row - 1..=row + 1 {
                    for x in column - 1..=column + 1 {
                        let index = y * width + x;
                        if self.free[index] == 0 {
                            continue;
                        }
                        let feature = orientation.feature(index);
                        if dot(&mean, feature) > similarity {
                            self.free[index] = 0;
                            join(&mut mean, feature, self.members.len());
                            if self.members.len() < LARGEST_REGION {
                                self.members.push((y as u32, x as u32));
                            } else {
                                full = true;
                            }
                        }
                    }
                }
            }
            if full {
                return;
            }
        }
    }
}

#[inline]
fn dot(a: &[f32; DIRECTIONS], b: &[f32; DIRECTIONS]) -> f32 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// Moves the unit-length mean direction of `count` pixels towards one more.
#[inline]
fn join(mean: &mut [f32; DIRECTIONS], feature: &[f32; DIRECTIONS], count: usize) {
    let (old, new) = (count as f32, (count + 1) as f32);
    for (mean, feature) in mean.iter_mut().zip(feature) {
        *mean = (*mean * old + feature) / new;
    }
    let length = dot(mean, mean).sqrt();
    for mean in mean {
        *mean /= length;
    }
}

/// The segment through the centre of the pixels, in the direction of the sum of their (sign-aligned)
/// offsets from it, as far as they reach; `None` if they have no direction.
///
/// The reach to either side belongs to the direction before its sign is made positive in y. The
/// published program keeps it so; where the sign turns, the two reaches change places.
fn fit(pixels: &[(u32, u32)]) -> Option<GrownSegment> {
    let count = pixels.len() as f32;
    let (mut row, mut column) = (0.0_f32, 0.0_f32);
    for &(y, x) in pixels {
        row += y as f32;
        column += x as f32;
    }
    row /= count;
    column /= count;

    let (mut vy, mut vx) = (0.0_f32, 0.0_f32);
    let (mut ahead, mut behind) = (0.0_f32, 0.0_f32);
    for &(y, x) in pixels {
        let (mut dy, mut dx) = (row - y as f32, column - x as f32);
        let length = (dy * dy + dx * dx).sqrt();
        if vy * dy + vx * dx < 0.0 {
            (dy, dx) = (-dy, -dx);
            behind = behind.max(length);
        } else {
            ahead = ahead.max(length);
        }
        vy += dy;
        vx += dx;
    }
    let length = (vy * vy + vx * vx).sqrt();
    if length <= 0.0 {
        return None;
    }
    vy /= length;
    vx /= length;
    if vy < 0.0 {
        (vy, vx) = (-vy, -vx);
    }
    Some(GrownSegment {
        segment: Segment {
            p0: Point::new(column - vx * ahead, row - vy * ahead),
            p1: Point::new(column + vx * behind, row + vy * behind),
        },
        straightness: straightness(pixels, (row, column), (vy, vx)),
    })
}

/// Judged on every third pixel; a pixel in the very centre counts as straight.
fn straightness(pixels: &[(u32, u32)], centre: (f32, f32), direction: (f32, f32)) -> f32 {
    let (mut sum, mut count) = (0.0_f32, 0.0_f32);
    for &(y, x) in pixels.iter().step_by(3) {
        let (dy, dx) = (centre.0 - y as f32, centre.1 - x as f32);
        let length = (dy * dy + dx * dx).sqrt();
        let cosine = if length > 0.0 {
            (dy * direction.0 + dx * direction.1).abs() / length
        } else {
            1.0
        };
        sum += cosine;
        count += 1.0;
    }
    sum * 100.0 / count
}
