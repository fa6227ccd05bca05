//! Photographs whose lines are labelled, as examples of edges: each labelled line is drawn.
//!
//! Central type [`LabelledExamples`]. Labels are seldom exact: within [`DRAWN`] of a line is edge, up to [`UNSURE`]
//! nothing is said. Everything else counts as no edge, so that a network learns to pass over what was not labelled.

use std::path::PathBuf;

use blake3::Hash;
use image::{GrayImage, Luma};

use super::{Example, ExampleSource, TrainError};
use crate::folder::FolderSource;
use crate::geometry::{Point, Segment};
use crate::source::ImageSource as _;

/// Pixels from a labelled line that are edge.
const DRAWN: f32 = 1.5;
/// Pixels from it of which nothing is known.
const UNSURE: f32 = 4.0;
/// What an edge map holds there: between the shares that count as an edge and as none.
const UNKNOWN: u8 = 64;

/// Labelled photographs.
#[derive(Clone, Debug)]
pub struct LabelledExamples(pub FolderSource);

impl ExampleSource for LabelledExamples {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn pixels(&self) -> u64 {
        let of = |index| {
            let (width, height) = self.0.size(index);
            u64::from(width) * u64::from(height)
        };
        (0..self.0.len()).map(of).max().unwrap_or(0)
    }

    /// An image's labels count as part of it.
    fn files(&self) -> Result<Vec<(PathBuf, Hash)>, TrainError> {
        let of = |index| (self.0.path(index), self.0.content_hash(index));
        Ok((0..self.0.len()).map(of).collect())
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        let image = self.0.load(index).map_err(|error| TrainError::Image {
            path: self.0.name(index).into(),
            reason: error.to_string(),
        })?;
        let (width, height) = image.pixels.dimensions();
        Ok(Example {
            edges: drawn(&image.truth.lines(), width, height),
            image: image.pixels,
        })
    }
}

/// The edge map of some lines.
fn drawn(lines: &[Segment], width: u32, height: u32) -> GrayImage {
    let mut map = GrayImage::new(width, height);
    for line in lines {
        let (x0, x1) = (line.p0.x.min(line.p1.x), line.p0.x.max(line.p1.x));
        let (y0, y1) = (line.p0.y.min(line.p1.y), line.p0.y.max(line.p1.y));
        let within = |low: f32, high: f32, side: u32| {
            let first = (low - UNSURE).floor().max(0.0) as u32;
            first..((high + UNSURE).ceil().max(0.0) as u32 + 1).min(side)
        };
        for y in within(y0, y1, height) {
            for x in within(x0, x1, width) {
                let value = match line.distance(Point::new(x as f32, y as f32)) {
                    far if far > UNSURE => continue,
                    near if near > DRAWN => UNKNOWN,
                    _ => 255,
                };
                let Luma([old]) = *map.get_pixel(x, y);
                map.put_pixel(x, y, Luma([old.max(value)]));
            }
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edge_its_surroundings_unsure_and_the_rest_none() {
        let line = Segment::new(5.0, 10.0, 30.0, 10.0);
        let off = Segment::new(-20.0, -20.0, -10.0, -20.0);
        let map = drawn(&[line, off], 40, 20);
        let at = |x, y| map.get_pixel(x, y).0[0];
        assert_eq!((at(5, 10), at(20, 11), at(30, 9)), (255, 255, 255));
        assert_eq!(
            (at(20, 13), at(33, 10), at(2, 10)),
            (UNKNOWN, UNKNOWN, UNKNOWN)
        );
        assert_eq!((at(20, 15), at(36, 10), at(0, 0)), (0, 0, 0));
        let edges = map.pixels().filter(|p| p.0[0] == 255).count();
        assert!((26 * 3..=30 * 3).contains(&edges), "{edges}");
    }
}
