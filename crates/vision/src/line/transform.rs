//! The Hough transform: to which straight lines do the edge pixels of an image belong?
//!
//! [`strongest`] gives what `imageproc::hough::detect_lines` does, bit for bit, one direction after another: the votes of one
//! lie in a few kilobytes, those of all in a megabyte that each pixel would be scattered over.

use image::{GrayImage, ImageBuffer, Luma};
use imageproc::suppress::suppress_non_maximum;
use multiversion::multiversion;

use crate::whole::whole;

/// Directions, a degree apart.
const DIRECTIONS: u32 = 180;
/// A line stands for those of fewer votes within so many pixels and degrees.
const SUPPRESSED: u32 = 4;

/// A line by the foot of its perpendicular from the top-left pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Polar {
    /// Signed distance from the top-left pixel, rounded towards 0, in pixels.
    pub distance: f32,
    /// Direction of the perpendicular, clockwise from the x-axis; 0 ..= 179.
    pub degrees: u32,
}

/// Lines with at least `least` pixels that no stronger one is near to, by their direction, then by their distance.
pub(super) fn strongest(edges: &GrayImage, least: u32) -> Vec<Polar> {
    let (width, height) = edges.dimensions();
    let square = |side: u32| u64::from(side).pow(2);
    let furthest = (square(width) + square(height)).isqrt() as u32;
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (x, y, pixel) in edges.enumerate_pixels() {
        if pixel.0[0] > 0 {
            xs.push(x as f32);
            ys.push(y as f32);
        }
    }
    let across = 2 * furthest + 1;
    let mut votes: ImageBuffer<Luma<u32>, Vec<u32>> = ImageBuffer::new(across, DIRECTIONS);
    for (degrees, votes) in votes.chunks_exact_mut(across as usize).enumerate() {
        let towards = (degrees as f32).to_radians().sin_cos();
        vote((&xs, &ys), towards, furthest, votes);
    }
    let votes = suppress_non_maximum(&votes, SUPPRESSED);
    let strong = votes
        .enumerate_pixels()
        .filter(|(_, _, votes)| votes.0[0] >= least);
    let polar = strong.map(|(x, degrees, _)| Polar {
        distance: (i64::from(x) - i64::from(furthest)) as f32,
        degrees,
    });
    polar.collect()
}

/// Pixels whose distances are found at once.
const BLOCK: usize = 128;

/// Counts the pixels by their distance along (sine, cosine), from -`furthest` to `furthest`.
#[multiversion(targets("x86_64+avx2"))]
fn vote((xs, ys): (&[f32], &[f32]), (sin, cos): (f32, f32), furthest: u32, votes: &mut [u32]) {
    let mut places = [0i32; BLOCK];
    for (xs, ys) in xs.chunks(BLOCK).zip(ys.chunks(BLOCK)) {
        for ((place, x), y) in places.iter_mut().zip(xs).zip(ys) {
            *place = whole((x * cos + y * sin).trunc()) + furthest as i32;
        }
        for place in &places[..xs.len()] {
            votes[*place as usize] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use imageproc::hough::{LineDetectionOptions, detect_lines};

    use super::*;
    use crate::canny::canny;
    use crate::scene::Scene;

    #[test]
    fn lines_are_those_of_imageproc() {
        let scene = image::imageops::grayscale(&Scene::generate(3, 0).image);
        let mut images = vec![canny(&scene, 40, 100), GrayImage::new(20, 30)];
        let mut state = 1u32;
        for (width, height) in [(1, 1), (7, 300), (160, 120)] {
            images.push(GrayImage::from_fn(width, height, |_, _| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Luma([if state >> 30 == 0 { 255 } else { 0 }])
            }));
        }
        for edges in &images {
            for least in [1, 9, 40] {
                let options = LineDetectionOptions {
                    vote_threshold: least,
                    suppression_radius: SUPPRESSED,
                };
                let expected: Vec<_> = detect_lines(edges, options)
                    .iter()
                    .map(|line| (line.r, line.angle_in_degrees))
                    .collect();
                let found: Vec<_> = strongest(edges, least)
                    .iter()
                    .map(|line| (line.distance, line.degrees))
                    .collect();
                assert_eq!(found, expected, "{:?}, {least}", edges.dimensions());
            }
        }
    }
}
