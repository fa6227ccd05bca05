//! Pixels that vote for a region's line, and what each vote weighs.
//!
//! [`Ballot`] rasterises segments of up to three voters (the two presets and the classical detector)
//! into one map and gives each marked pixel a weight by who marked it.

use imageproc::drawing::BresenhamLineIter;

use crate::geometry::{Point, Rect, Segment};
use crate::line::inside;

/// Who found a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voter {
    /// Preset Q.
    Q,
    /// Preset QG.
    Qg,
    /// The classical detector.
    Other,
}

/// Weighted pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Votes {
    pub(super) x: Vec<f32>,
    pub(super) y: Vec<f32>,
    pub(super) weight: Vec<f32>,
}

impl Votes {
    /// Adds the vote of one pixel (image pixels; weight >= 0).
    pub fn push(&mut self, point: Point, weight: f32) {
        self.x.push(point.x);
        self.y.push(point.y);
        self.weight.push(weight);
    }

    /// Number of votes.
    pub fn len(&self) -> usize {
        self.weight.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.weight.is_empty()
    }

    /// Pixel of vote `index`.
    pub fn point(&self, index: usize) -> Point {
        Point::new(self.x[index], self.y[index])
    }

    /// All pixels with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (Point, f32)> + Clone + '_ {
        (0..self.len()).map(|index| (self.point(index), self.weight[index]))
    }
}

impl FromIterator<(Point, f32)> for Votes {
    fn from_iter<I: IntoIterator<Item = (Point, f32)>>(votes: I) -> Self {
        let mut all = Self::default();
        votes
            .into_iter()
            .for_each(|(point, weight)| all.push(point, weight));
        all
    }
}

/// Share of a preset's weight that its pixels keep where nobody else agrees.
const ALONE: f32 = 0.6;

/// The marked pixels of one region, reusable.
#[derive(Clone, Debug, Default)]
pub struct Ballot {
    marks: Vec<u8>,
    marked: Vec<u32>,
    bounds: Option<Rect>,
}

impl Voter {
    fn bit(self) -> u8 {
        match self {
            Self::Q => 1,
            Self::Qg => 2,
            Self::Other => 4,
        }
    }
}

impl Ballot {
    /// Forgets all marks and turns to another region.
    pub fn open(&mut self, bounds: Rect) {
        self.marks.clear();
        self.marks
            .resize(bounds.width() as usize * bounds.height() as usize, 0);
        self.marked.clear();
        self.bounds = Some(bounds);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.marks.capacity() + self.marked.capacity() * size_of::<u32>()
    }

    /// Marks the pixels of `segment` (image pixels) that lie in the region.
    pub fn mark(&mut self, segment: &Segment, voter: Voter) {
        let Some(bounds) = self.bounds else { return };
        let Some(inside) = inside(segment, bounds) else {
            return;
        };
        // the iterator cuts to whole pixels: half a pixel makes that rounding
        let (left, top) = (bounds.left as f32 - 0.5, bounds.top as f32 - 0.5);
        let width = bounds.width() as i32;
        let start = (inside.p0.x - left, inside.p0.y - top);
        let end = (inside.p1.x - left, inside.p1.y - top);
        for (x, y) in BresenhamLineIter::new(start, end) {
            if x < 0 || y < 0 || x >= width || y >= bounds.height() as i32 {
                continue;
            }
            let index = (y * width + x) as usize;
            if self.marks[index] == 0 {
                self.marked.push(index as u32);
            }
            self.marks[index] |= voter.bit();
        }
    }

    /// The marked pixels with their weights, in the order of first marking.
    ///
    /// `weights` are those of presets Q and QG. Other voters only: 1; one preset only: 0.6 of its
    /// weight; one preset and the others: its weight; both presets: the sum of the two.
    pub fn count(&self, weights: [f32; 2]) -> Votes {
        let mut votes = Votes::default();
        let Some(bounds) = self.bounds else {
            return votes;
        };
        let width = bounds.width();
        let by_marks = [
            0.0,
            ALONE * weights[0],
            ALONE * weights[1],
            weights[0] + weights[1],
            1.0,
            weights[0],
            weights[1],
            weights[0] + weights[1],
        ];
        for &index in &self.marked {
            let (x, y) = (bounds.left + index % width, bounds.top + index / width);
            let weight = by_marks[usize::from(self.marks[index as usize])];
            votes.push(Point::new(x as f32, y as f32), weight);
        }
        votes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Rect = Rect {
        left: 10,
        top: 20,
        right: 50,
        bottom: 40,
    };

    #[test]
    fn weights_follow_who_marked_a_pixel() {
        let mut ballot = Ballot::default();
        ballot.open(BOUNDS);
        let row = |y: f32| Segment::new(15.0, y, 24.0, y);
        for (y, voters) in [
            (22.0, vec![Voter::Other]),
            (24.0, vec![Voter::Q]),
            (26.0, vec![Voter::Qg]),
            (28.0, vec![Voter::Q, Voter::Other]),
            (30.0, vec![Voter::Qg, Voter::Other]),
            (32.0, vec![Voter::Q, Voter::Qg]),
            (34.0, vec![Voter::Q, Voter::Qg, Voter::Other]),
        ] {
            for voter in voters {
                ballot.mark(&row(y), voter);
            }
        }
        let votes = ballot.count([5.0, 8.0]);
        assert_eq!(votes.len(), 70);
        for (y, weight) in [
            (22.0, 1.0),
            (24.0, 3.0),
            (26.0, 4.8),
            (28.0, 5.0),
            (30.0, 8.0),
            (32.0, 13.0),
            (34.0, 13.0),
        ] {
            let row: Vec<_> = votes.iter().filter(|(point, _)| point.y == y).collect();
            assert_eq!(row.len(), 10);
            assert!(
                row.iter().all(|vote| (vote.1 - weight).abs() < 1e-5),
                "row {y}: {row:?}"
            );
        }
    }

    #[test]
    fn only_pixels_of_the_region_are_marked() {
        let mut ballot = Ballot::default();
        ballot.open(BOUNDS);
        ballot.mark(&Segment::new(-1e6, 30.0, 1e6, 30.0), Voter::Q);
        assert_eq!(ballot.count([1.0, 1.0]).len(), 40);
        ballot.mark(&Segment::new(0.0, 0.0, 5.0, 5.0), Voter::Q);
        ballot.mark(&Segment::new(f32::NAN, 0.0, 5.0, f32::INFINITY), Voter::Q);
        assert_eq!(ballot.count([1.0, 1.0]).len(), 40);
    }
}
