//! The other voters: straight segments of a classical detector, Canny edges and a Hough transform.
//!
//! The transform gives lines without ends, to a degree and a pixel. Each is walked along the edge
//! map, cut into the stretches that edge pixels support, and refitted to those pixels.

use image::GrayImage;

use crate::canny::canny;
use crate::geometry::{Point, Segment};
use crate::line::StraightLine;
use crate::line::edge_bits::EdgeBits;
use crate::line::transform::strongest;

/// Version of the voters, part of the key under which they are kept: changes whenever the same image
/// would give others.
pub const VERSION: &str = "voters 1";

/// Gradient strengths (Sobel, after a blur) of Canny's hysteresis, of a possible 1,140.
const GRADIENT: (u16, u16) = (40, 100);

/// Shortest segment, largest gap within one, as shares of the image's diagonal.
const SHORTEST: f32 = 0.05;
const LARGEST_GAP: f32 = 0.0125;

/// Shortest segment in pixels: in a small image a share of the diagonal is a few pixels of noise.
const LEAST_LENGTH: f32 = 24.0;

/// Least share of a segment's length that edge pixels support.
const DENSITY: f32 = 0.6;

/// How many times as many edge pixels must lie near a segment as, on average, in a strip of the same
/// width to its left and right, and by how many standard deviations of a random count more: among
/// texture every line finds support.
const STANDS_OUT: (f32, f32) = (1.7, 5.0);

/// Half width in pixels of the strip that a segment owns.
const STRIP: f32 = 1.5;

/// Lines of the transform that are looked at, about, evenly over all directions: where there are
/// more the image is texture.
const MOST_LINES: usize = 4_000;

/// Straight segments in `grey` that edge pixels support, longest first.
pub fn voters(grey: &GrayImage) -> Vec<Segment> {
    let (width, height) = grey.dimensions();
    if width < 16 || height < 16 {
        return Vec::new();
    }
    let diagonal = (width as f32).hypot(height as f32);
    let shortest = (SHORTEST * diagonal).max(LEAST_LENGTH);
    let gap = LARGEST_GAP * diagonal;
    let edges = canny(grey, GRADIENT.0, GRADIENT.1);
    let lines = strongest(&edges, shortest as u32);
    let edges = EdgeBits::of(&edges);
    let mut near = Vec::new();
    let mut candidates: Vec<Segment> = lines
        .iter()
        .step_by(lines.len() / MOST_LINES + 1)
        .filter_map(|polar| {
            let (sin, cos) = (polar.degrees as f32).to_radians().sin_cos();
            let middle = polar.distance + 0.5;
            let line = StraightLine {
                origin: Point::new(middle * cos, middle * sin),
                direction: (-sin, cos),
            };
            longest_stretch(&edges, &line, 2.0, gap, &mut near)
        })
        .collect();
    candidates.sort_by(|a, b| b.length().total_cmp(&a.length()));

    let mut left = edges.clone();
    let mut segments = Vec::new();
    for candidate in candidates {
        // Pixels that a longer segment has taken are gone by now: look again.
        let Some(line) = StraightLine::along(&candidate) else {
            continue;
        };
        let Some(segment) = longest_stretch(&left, &line, STRIP, gap, &mut near) else {
            continue;
        };
        if segment.length() >= shortest && stands_out(&edges, &segment) {
            clear(&mut left, &segment, 2.0);
            segments.push(segment);
        }
    }
    segments.sort_by(|a, b| b.length().total_cmp(&a.length()));
    segments
}

/// The longest stretch of `line` with edge pixels within `reach` and no gap above `gap`, refitted
/// to those pixels; `None` if there is none or it is too thinly supported. `pixels` is working memory.
fn longest_stretch(
    edges: &EdgeBits,
    line: &StraightLine,
    reach: f32,
    gap: f32,
    pixels: &mut Vec<(f32, Point)>,
) -> Option<Segment> {
    pixels.clear();
    // forwards along the axis that the walk takes, so that positions ascend
    let (dx, dy) = line.direction;
    let sign = if dx.abs() >= dy.abs() {
        dx.signum()
    } else {
        dy.signum()
    };
    let line = &StraightLine {
        origin: line.origin,
        direction: (sign * dx, sign * dy),
    };
    edges.visit(line, reach, |position, x, y| {
        pixels.push((position, Point::new(x as f32, y as f32)))
    });
    let mut best = 0..0;
    let mut start = 0;
    for end in 1..=pixels.len() {
        if end == pixels.len() || pixels[end].0 - pixels[end - 1].0 > gap {
            let extent = |range: &std::ops::Range<usize>| {
                if range.is_empty() {
                    0.0
                } else {
                    pixels[range.end - 1].0 - pixels[range.start].0
                }
            };
            if extent(&(start..end)) > extent(&best) {
                best = start..end;
            }
            start = end;
        }
    }
    let stretch = &pixels[best];
    let (first, last) = (stretch.first()?.0, stretch.last()?.0);
    if last - first < 1.0 || (stretch.len() as f32) < DENSITY * (last - first) {
        return None;
    }
    let refitted = StraightLine::least_squares(stretch.iter().map(|(_, point)| (*point, 1.0)))?;
    let positions = stretch.iter().map(|(_, point)| refitted.position(*point));
    let (low, high) = positions.fold(
        (f32::INFINITY, f32::NEG_INFINITY),
        |(low, high), position| (low.min(position), high.max(position)),
    );
    Some(Segment {
        p0: refitted.at(low),
        p1: refitted.at(high),
    })
}

/// True if edge pixels are denser on the segment than beside it, in strips four widths away.
fn stands_out(edges: &EdgeBits, segment: &Segment) -> bool {
    let Some(line) = StraightLine::along(segment) else {
        return false;
    };
    let end = segment.length();
    let count = |offset: f32| {
        let (dx, dy) = line.direction;
        let origin = Point::new(line.origin.x - offset * dy, line.origin.y + offset * dx);
        let mut count = 0.0_f32;
        edges.visit(&StraightLine { origin, ..line }, STRIP, |position, _, _| {
            count += f32::from((0.0..=end).contains(&position));
        });
        count
    };
    let beside = (count(-4.0 * STRIP) + count(4.0 * STRIP)) / 2.0;
    let on = count(0.0);
    on >= STANDS_OUT.0 * beside && on - beside >= STANDS_OUT.1 * beside.sqrt()
}

/// Removes the edge pixels within `reach` of `segment`.
fn clear(edges: &mut EdgeBits, segment: &Segment, reach: f32) {
    let Some(line) = StraightLine::along(segment) else {
        return;
    };
    let mut taken = Vec::new();
    let end = line.position(segment.p1);
    edges.visit(&line, reach, |position, x, y| {
        if (-reach..=end + reach).contains(&position) {
            taken.push((x, y));
        }
    });
    for (x, y) in taken {
        edges.clear(x, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright half plane: one straight edge at `degrees` through the middle.
    fn edge(degrees: f32) -> GrayImage {
        let (sin, cos) = degrees.to_radians().sin_cos();
        GrayImage::from_fn(200, 160, |x, y| {
            let offset = (y as f32 - 80.0) * cos - (x as f32 - 100.0) * sin;
            image::Luma([if offset > 0.0 { 200 } else { 40 }])
        })
    }

    #[test]
    fn an_edge_of_any_direction_is_found_once_and_in_place() {
        for degrees in [0.0_f32, 3.3, 30.0, 45.0, 71.2, 90.0, 120.0, 177.6] {
            let found = voters(&edge(degrees));
            assert_eq!(found.len(), 1, "{degrees} degrees: {found:?}");
            let (sin, cos) = degrees.to_radians().sin_cos();
            let truth = StraightLine {
                origin: Point::new(100.0, 80.0),
                direction: (cos, sin),
            };
            assert!(found[0].length() > 140.0, "{degrees} degrees: {found:?}");
            for end in [found[0].p0, found[0].p1] {
                assert!(truth.distance(end) < 1.5, "{degrees} degrees: {found:?}");
            }
        }
    }

    #[test]
    fn texture_has_few_voters() {
        let mut state = 1_u32;
        let noise = GrayImage::from_fn(320, 240, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Luma([(state >> 24) as u8])
        });
        // a third of the pixels are edges here
        let found = voters(&noise).len();
        assert!(found < 30, "{found}");
    }

    #[test]
    fn plain_and_tiny_images_have_no_voters() {
        assert!(voters(&GrayImage::from_pixel(100, 80, image::Luma([90]))).is_empty());
        assert!(voters(&GrayImage::new(0, 0)).is_empty());
        assert!(voters(&GrayImage::new(3, 200)).is_empty());
    }
}
