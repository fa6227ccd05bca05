//! The gradient-based voter: LSD, the line segment detector of von Gioi, Jakubowicz, Morel and Randall (IPOL 2012).
//!
//! The image is taken at 0.8 of its size; neighbouring pixels whose level lines (at right angles to the gradient) run
//! alike grow into regions, a region becomes a rectangle, and a rectangle counts where so many aligned pixels would be
//! expected less than once in noise. Three things differ from the publication: the binomial tail is bounded (Hoeffding)
//! instead of summed, a rectangle that fails is not tried again in narrower variants (the segments that vote are far
//! longer than those in doubt), and a pixel goes free only once, so that the work is linear in the pixels.

mod field;
mod grow;
mod rectangle;

use image::GrayImage;

use crate::geometry::{Rect, Segment};
use crate::line::inside;
use field::LevelLines;
use grow::Grower;

/// Version of the detector, part of the key under which voters are kept: changes whenever the same image would give
/// others.
pub const VERSION: &str = "lsd 1";

/// Shortest segment, as a share of the image's diagonal, and in pixels.
const SHORTEST: (f32, f32) = (0.025, 16.0);

/// Straight segments in `grey` along which the brightness changes, in image pixels, longest first.
pub fn segments(grey: &GrayImage) -> Vec<Segment> {
    let field = LevelLines::new(grey);
    let diagonal = (grey.width() as f32).hypot(grey.height() as f32);
    let shortest = (SHORTEST.0 * diagonal).max(SHORTEST.1);
    let whole = Rect::whole(grey.width(), grey.height());
    let mut grower = Grower::new(&field);
    let mut segments = Vec::new();
    for seed in field.strongest_first() {
        let rectangle = grower.rectangle(seed);
        let axis = rectangle
            .filter(|r| r.is_meaningful(&field))
            .map(|r| r.axis());
        if let Some(axis) = axis {
            let axis = Segment {
                p0: field.in_image(axis.p0),
                p1: field.in_image(axis.p1),
            };
            // the axis of a wide region may end beyond the border
            let Some(segment) = inside(&axis, whole) else {
                continue;
            };
            if segment.length() >= shortest {
                segments.push(segment);
            }
        }
    }
    segments.sort_by(|a, b| b.length().total_cmp(&a.length()));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Point;
    use crate::line::StraightLine;
    use proptest::prelude::*;

    /// A bright half plane: one straight edge at `degrees` through the middle.
    fn edge(degrees: f32) -> GrayImage {
        let (sin, cos) = degrees.to_radians().sin_cos();
        GrayImage::from_fn(200, 160, |x, y| {
            let offset = (y as f32 - 80.0) * cos - (x as f32 - 100.0) * sin;
            image::Luma([(120.0 + 80.0 * offset.clamp(-0.5, 0.5)) as u8])
        })
    }

    #[test]
    fn an_edge_of_any_direction_is_found_once_and_in_place() {
        for degrees in [0.0_f32, 3.3, 30.0, 45.0, 71.2, 90.0, 120.0, 177.6] {
            let found = segments(&edge(degrees));
            assert_eq!(found.len(), 1, "{degrees} degrees: {found:?}");
            let (sin, cos) = degrees.to_radians().sin_cos();
            let truth = StraightLine {
                origin: Point::new(100.0, 80.0),
                direction: (cos, sin),
            };
            assert!(found[0].length() > 150.0, "{degrees} degrees: {found:?}");
            for end in [found[0].p0, found[0].p1] {
                assert!(truth.distance(end) < 0.5, "{degrees} degrees: {found:?}");
            }
        }
    }

    #[test]
    fn a_segment_ends_where_its_edge_ends() {
        let bar = GrayImage::from_fn(300, 200, |x, y| {
            let inside = (60..220).contains(&x) && (90..130).contains(&y);
            image::Luma([if inside { 190 } else { 60 }])
        });
        let found = segments(&bar);
        assert_eq!(found.len(), 4, "{found:?}");
        // pixel centres: the bar's border lies half a pixel before its first pixel
        for (row, segment) in [89.5_f32, 129.5].iter().zip(&{
            let mut long = found[..2].to_vec();
            long.sort_by(|a, b| a.p0.y.total_cmp(&b.p0.y));
            long
        }) {
            let (left, right) = (
                segment.p0.x.min(segment.p1.x),
                segment.p0.x.max(segment.p1.x),
            );
            assert!(
                (left - 59.5).abs() < 3.0 && (right - 219.5).abs() < 3.0,
                "{found:?}"
            );
            assert!((segment.p0.y - row).abs() < 0.5, "{found:?}");
        }
    }

    #[test]
    fn noise_has_no_segments() {
        for seed in 1..4_u32 {
            let mut state = seed;
            let noise = GrayImage::from_fn(320, 240, |_, _| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                image::Luma([(state >> 24) as u8])
            });
            let found = segments(&noise);
            assert!(found.is_empty(), "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn a_plain_image_and_any_tiny_one_have_no_segments() {
        assert!(segments(&GrayImage::from_pixel(100, 80, image::Luma([90]))).is_empty());
        for (width, height) in [(0, 0), (1, 1), (3, 200), (200, 1), (2, 2)] {
            assert!(segments(&GrayImage::new(width, height)).is_empty());
        }
    }

    proptest! {
        /// Blocks and slopes of any contrast under any noise: no panic, the same again, ends inside the image,
        /// work bounded by the pixels.
        #[test]
        fn any_image_is_survived_in_bounded_work(
            width in 0_u32..90,
            height in 0_u32..90,
            slope in (-9_i32..10, -9_i32..10),
            block in 1_i32..40,
            noise in 0_u32..256,
            seed: u32,
        ) {
            let mut state = seed;
            let image = GrayImage::from_fn(width, height, |x, y| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (x, y) = (x as i32, y as i32);
                let pattern = slope.0 * x + slope.1 * y + 90 * ((x / block + y / block) % 2);
                let value = pattern + ((state >> 24) * noise / 256) as i32;
                image::Luma([value.rem_euclid(256) as u8])
            });
            let found = segments(&image);
            prop_assert_eq!(&found, &segments(&image));
            for end in found.iter().flat_map(|s| [s.p0, s.p1]) {
                prop_assert!((-0.01..width as f32).contains(&end.x), "{:?}", end);
                prop_assert!((-0.01..height as f32).contains(&end.y), "{:?}", end);
            }
            let field = LevelLines::new(&image);
            let mut grower = Grower::new(&field);
            for seed in field.strongest_first() {
                grower.rectangle(seed);
            }
            prop_assert!(grower.taken() <= 4 * (width * height) as usize);
        }
    }
}
