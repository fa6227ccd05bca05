//! How well detected lines cover the true ones: LP_r, precision and F.
//!
//! [`LineScore`] is what an evaluation of an image yields; `lp` is the objective. Distances are to
//! segments, ends included: a detected line does not count where it does not reach.

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Segment};

/// Points at which a line is sampled, ends included.
const SAMPLES: usize = 100;

/// Radius in pixels at the image size for which the score was first stated.
const REFERENCE_RADIUS: f32 = 20.0;

/// Diagonal in pixels of a 3264 x 2448 image.
const REFERENCE_DIAGONAL: f32 = 4080.0;

/// Smallest radius in pixels: below it the labels' own accuracy decides.
const SMALLEST_RADIUS: f32 = 3.0;

/// Scores of one image, each in [0, 1], larger is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineScore {
    /// LP_r, the mean over true lines of how well they are covered (a soft recall).
    pub lp: f64,
    /// The same measured from the detected lines to the true ones; 0 if nothing was detected.
    pub precision: f64,
    /// Harmonic mean of `lp` and `precision`; 0 if either is.
    pub f: f64,
}

/// The radius r of LP_r in pixels: 20 px at 3264 x 2448, scaled with the diagonal, at least 3 px.
pub fn radius(width: u32, height: u32) -> f32 {
    let diagonal = (width as f32).hypot(height as f32);
    (REFERENCE_RADIUS * diagonal / REFERENCE_DIAGONAL).max(SMALLEST_RADIUS)
}

/// Scores `detected` against `truth` in an image of `width` x `height` pixels.
///
/// Each true line is sampled at 100 points; a point at distance d from the nearest detected segment
/// counts max(0, 1 - d / r). `lp` is the mean over points and lines, so that every true line weighs
/// alike. Without true lines `lp` is 1 if nothing was detected and 0 otherwise.
pub fn score(detected: &[Segment], truth: &[Segment], width: u32, height: u32) -> LineScore {
    if truth.is_empty() {
        let clean = if detected.is_empty() { 1.0 } else { 0.0 };
        return LineScore {
            lp: clean,
            precision: clean,
            f: clean,
        };
    }
    let radius = radius(width, height);
    let lp = coverage(truth, detected, radius);
    let precision = coverage(detected, truth, radius);
    let f = if lp > 0.0 && precision > 0.0 {
        2.0 * lp * precision / (lp + precision)
    } else {
        0.0
    };
    LineScore { lp, precision, f }
}

/// Mean over `lines`, sampled, of max(0, 1 - d / radius), d to the nearest of `others`; 0 if either
/// is empty.
fn coverage(lines: &[Segment], others: &[Segment], radius: f32) -> f64 {
    if lines.is_empty() || others.is_empty() {
        return 0.0;
    }
    let mut sum = 0.0;
    for line in lines {
        let near: Vec<&Segment> = others
            .iter()
            .filter(|other| may_reach(line, other, radius))
            .collect();
        for index in 0..SAMPLES {
            let t = index as f32 / (SAMPLES - 1) as f32;
            let point = Point::new(
                line.p0.x + t * (line.p1.x - line.p0.x),
                line.p0.y + t * (line.p1.y - line.p0.y),
            );
            let nearest = near
                .iter()
                .map(|other| other.distance(point))
                .fold(f32::INFINITY, f32::min);
            sum += f64::from((1.0 - nearest / radius).max(0.0));
        }
    }
    sum / (lines.len() * SAMPLES) as f64
}

/// False if the bounding boxes are more than `radius` apart: no sample can count then.
fn may_reach(a: &Segment, b: &Segment, radius: f32) -> bool {
    let apart = |a0: f32, a1: f32, b0: f32, b1: f32| {
        a0.min(a1) > b0.max(b1) + radius || b0.min(b1) > a0.max(a1) + radius
    };
    !apart(a.p0.x, a.p1.x, b.p0.x, b.p1.x) && !apart(a.p0.y, a.p1.y, b.p0.y, b.p1.y)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE: Segment = Segment {
        p0: Point { x: 10.0, y: 50.0 },
        p1: Point { x: 110.0, y: 50.0 },
    };

    #[test]
    fn radius_follows_the_diagonal_and_has_a_floor() {
        assert_eq!(radius(3264, 2448), 20.0);
        assert!((radius(6528, 4896) - 40.0).abs() < 1e-4);
        assert!((radius(640, 480) - 800.0 * 20.0 / 4080.0).abs() < 1e-5);
        assert_eq!(radius(100, 100), 3.0);
    }

    #[test]
    fn the_line_itself_scores_one() {
        let s = score(&[TRUE], &[TRUE], 640, 480);
        assert!(s.lp.min(s.precision).min(s.f) > 1.0 - 1e-5, "{s:?}");
    }

    #[test]
    fn half_a_radius_off_scores_a_half() {
        let r = radius(640, 480);
        let off = Segment::new(10.0, 50.0 + r / 2.0, 110.0, 50.0 + r / 2.0);
        let s = score(&[off], &[TRUE], 640, 480);
        assert!((s.lp - 0.5).abs() < 1e-6 && (s.precision - 0.5).abs() < 1e-6);
    }

    #[test]
    fn half_the_line_scores_about_a_half_at_full_precision() {
        let half = Segment::new(10.0, 50.0, 60.0, 50.0);
        let s = score(&[half], &[TRUE], 640, 480);
        assert!((s.lp - 0.5).abs() < 0.03, "{}", s.lp);
        assert!(s.precision > 1.0 - 1e-5);
    }

    #[test]
    fn nothing_detected_is_zero_and_strays_cost_precision_only() {
        assert_eq!(
            score(&[], &[TRUE], 640, 480),
            LineScore {
                lp: 0.0,
                precision: 0.0,
                f: 0.0
            }
        );
        let stray = Segment::new(10.0, 300.0, 110.0, 300.0);
        let s = score(&[TRUE, stray], &[TRUE], 640, 480);
        assert!(s.lp > 1.0 - 1e-5);
        assert!((s.precision - 0.5).abs() < 1e-5);
    }

    #[test]
    fn the_order_of_ends_and_lines_means_nothing() {
        let a = Segment::new(0.0, 0.0, 40.0, 30.0);
        let turned = Segment { p0: a.p1, p1: a.p0 };
        let one = score(&[a, TRUE], &[turned, TRUE], 640, 480);
        let other = score(&[TRUE, turned], &[TRUE, a], 640, 480);
        assert!((one.lp - other.lp).abs() < 1e-12);
    }
}
