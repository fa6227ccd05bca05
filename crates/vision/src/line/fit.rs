//! The one line that the weighted votes of a region support best: RANSAC with a least-squares finish.
//!
//! [`fit_line`] draws pairs of votes by weight, scores each line by the weight of the votes near it,
//! and refits the best to its inliers. The draws depend on the region alone, never on the clock.

use multiversion::multiversion;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::geometry::{Rect, Segment};
use crate::line::{StraightLine, Votes, along_longer_axis};

/// Purpose number of this file's random stream.
const STREAM: u64 = 0x6c69_6e65;

/// Segments tried as lines, at most; the drawn pairs speak for the rest.
const MOST_SEGMENTS: usize = 200;

/// Rounds of refitting to the inliers of the last fit.
const REFITS: usize = 3;

/// How hard to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitSettings {
    /// Pairs drawn.
    pub hypotheses: usize,
    /// Distance in pixels at which a vote stops counting for a line.
    pub tolerance: f32,
}

impl FitSettings {
    /// For an image of `width` x `height` pixels: 256 pairs, 1/400 of the diagonal but at least
    /// 1.5 px.
    pub fn for_image(width: u32, height: u32) -> Self {
        let diagonal = (width as f32).hypot(height as f32);
        Self {
            hypotheses: 256,
            tolerance: (diagonal / 400.0).max(1.5),
        }
    }
}

/// A region's line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FittedLine {
    /// Where it runs, from border to border of the region: how far anything was seen is `supported`.
    pub segment: Segment,
    /// The stretch of it that has most votes near it in excess of gaps; `None` where no vote lies near it.
    pub supported: Option<Segment>,
    /// On how much of the region's longer side votes lie near it, 0 .. 1 (a little more for lines
    /// along the diagonal); weights do not count.
    pub coverage: f32,
}

/// The best line through `votes` (pixel, weight), as far as it runs inside `bounds`.
///
/// Only lines along the longer axis of `bounds` are considered. `segments` are tried before the
/// drawn pairs. `None` if no two votes make such a line.
pub fn fit_line(
    votes: &Votes,
    segments: &[Segment],
    bounds: Rect,
    settings: &FitSettings,
) -> Option<FittedLine> {
    let admissible = |line: &StraightLine| {
        line.clip(bounds)
            .is_some_and(|inside| along_longer_axis(&inside, bounds))
    };

    let mut best: Option<(f32, StraightLine)> = None;
    let mut consider = |line: StraightLine| {
        let support = support(votes, &line, settings.tolerance);
        if best.is_none_or(|(most, _)| support > most) && admissible(&line) {
            best = Some((support, line));
        }
    };
    segments
        .iter()
        .take(MOST_SEGMENTS)
        .filter_map(StraightLine::along)
        .for_each(&mut consider);
    pairs(votes, bounds, settings.hypotheses).for_each(&mut consider);

    let (mut support_so_far, mut line) = best?;
    for _ in 0..REFITS {
        let inliers = votes
            .iter()
            .filter(|vote| line.distance(vote.0) < settings.tolerance);
        let Some(refitted) = StraightLine::least_squares(inliers).filter(&admissible) else {
            break;
        };
        let refitted_support = support(votes, &refitted, settings.tolerance);
        if refitted_support <= support_so_far {
            break;
        }
        (support_so_far, line) = (refitted_support, refitted);
    }
    let segment = line.clip(bounds)?;
    let covered = covered(votes, &line, settings.tolerance);
    let (low, high) = (line.position(segment.p0), line.position(segment.p1));
    let end = |position: i32| line.at((position as f32).clamp(low, high));
    Some(FittedLine {
        segment,
        supported: stretch(&covered).map(|(first, last)| Segment {
            p0: end(first),
            p1: end(last),
        }),
        coverage: covered.len() as f32 / bounds.width().max(bounds.height()) as f32,
    })
}

/// Whole pixels along `line`, in order, at which a vote lies near it.
fn covered(votes: &Votes, line: &StraightLine, tolerance: f32) -> Vec<i32> {
    let near = votes
        .iter()
        .filter(|vote| line.distance(vote.0) < tolerance);
    let mut positions: Vec<i32> = near
        .map(|vote| line.position(vote.0).round() as i32)
        .collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// First and last of the stretch of `positions` (in order, each once) that exceed the gaps between them by most: what
/// lies beyond a gap longer than itself is left out.
fn stretch(positions: &[i32]) -> Option<(i32, i32)> {
    let mut first = *positions.first()?;
    let (mut last, mut excess) = (i64::from(first) - 1, 0);
    let (mut best, mut most) = ((first, first), 0);
    for &position in positions {
        let at = i64::from(position);
        excess -= at - last - 1;
        if excess <= 0 {
            (first, excess) = (position, 0);
        }
        excess += 1;
        if excess >= most {
            (best, most) = ((first, position), excess);
        }
        last = at;
    }
    Some(best)
}

/// Sum over votes of weight x max(0, 1 - (distance / tolerance)^2), in eight sums side by side so
/// that it runs in vector registers and yet in one order everywhere.
#[multiversion(targets("x86_64+avx2"))]
fn support(votes: &Votes, line: &StraightLine, tolerance: f32) -> f32 {
    let (dx, dy) = line.direction;
    let offset = line.origin.x * dy - line.origin.y * dx;
    let scale = 1.0 / tolerance;
    let vote = |x: f32, y: f32, weight: f32| {
        let off = (x * dy - y * dx - offset) * scale;
        weight * (1.0 - off * off).max(0.0)
    };
    let (xs, rest_x) = votes.x.as_chunks::<8>();
    let (ys, rest_y) = votes.y.as_chunks::<8>();
    let (weights, rest_weight) = votes.weight.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for ((x, y), weight) in xs.iter().zip(ys).zip(weights) {
        for lane in 0..8 {
            sums[lane] += vote(x[lane], y[lane], weight[lane]);
        }
    }
    for (lane, sum) in sums.iter_mut().enumerate().take(rest_x.len()) {
        *sum += vote(rest_x[lane], rest_y[lane], rest_weight[lane]);
    }
    sums.iter().sum()
}

/// Lines through `count` pairs of votes drawn by weight; the seed is the region.
fn pairs(votes: &Votes, bounds: Rect, count: usize) -> impl Iterator<Item = StraightLine> + '_ {
    let mut cumulative = Vec::with_capacity(votes.len());
    let mut total = 0.0_f64;
    for weight in &votes.weight {
        total += f64::from(*weight);
        cumulative.push(total);
    }
    let corners = [bounds.left, bounds.top, bounds.right, bounds.bottom];
    let seed = corners.iter().fold(0_u64, |seed, &corner| {
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(u64::from(corner) + 1)
    });
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM);
    let mut draw = move || {
        let target = random.random::<f64>() * total;
        cumulative
            .partition_point(|sum| *sum <= target)
            .min(cumulative.len().saturating_sub(1))
    };
    let count = if votes.len() < 2 { 0 } else { count };
    (0..count).filter_map(move |_| {
        let (a, b) = (draw(), draw());
        StraightLine::through(votes.point(a), votes.point(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Point;

    const BOUNDS: Rect = Rect {
        left: 100,
        top: 50,
        right: 300,
        bottom: 110,
    };
    const SETTINGS: FitSettings = FitSettings {
        hypotheses: 256,
        tolerance: 2.0,
    };

    fn line_of_votes(y0: f32, slope: f32, weight: f32) -> Vec<(Point, f32)> {
        (0..200)
            .map(|i| {
                (
                    Point::new(100.0 + i as f32, (y0 + slope * i as f32).round()),
                    weight,
                )
            })
            .collect()
    }

    #[test]
    fn the_heavier_of_two_lines_wins() {
        let mut votes = line_of_votes(60.0, 0.05, 1.0);
        votes.extend(line_of_votes(100.0, -0.05, 3.0));
        let found = fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS)
            .unwrap()
            .segment;
        assert!(found.distance(Point::new(100.0, 100.0)) < 0.5, "{found:?}");
        assert!(found.distance(Point::new(299.0, 90.05)) < 0.5, "{found:?}");
        assert!((found.length() - 199.0).abs() < 1.0);
    }

    #[test]
    fn outliers_do_not_pull_the_line() {
        let mut votes = line_of_votes(80.0, 0.0, 1.0);
        votes.extend((0..150).map(|i| {
            (
                Point::new(100.0 + (i * 37 % 200) as f32, 50.0 + (i * 17 % 60) as f32),
                1.0,
            )
        }));
        let found = fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS)
            .unwrap()
            .segment;
        assert!(
            (found.p0.y - 80.0).abs() < 0.3 && (found.p1.y - 80.0).abs() < 0.3,
            "{found:?}"
        );
    }

    #[test]
    fn lines_across_the_region_are_not_considered() {
        let mut votes: Vec<(Point, f32)> = (50..110)
            .map(|y| (Point::new(200.0, y as f32), 9.0))
            .collect();
        assert_eq!(
            fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS),
            None
        );
        votes.extend(line_of_votes(70.0, 0.0, 1.0));
        let found = fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS)
            .unwrap()
            .segment;
        assert!((found.p0.y - 70.0).abs() < 1.0, "{found:?}");
    }

    #[test]
    fn coverage_is_the_share_of_the_longer_side_with_votes() {
        let votes = &line_of_votes(80.0, 0.0, 1.0)[50..100];
        let twice: Vec<_> = votes.iter().chain(votes).copied().collect();
        let found = fit_line(&twice.iter().copied().collect(), &[], BOUNDS, &SETTINGS).unwrap();
        assert!((found.coverage - 0.25).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn what_supports_a_line_ends_where_votes_do() {
        let mut votes = line_of_votes(80.0, 0.0, 1.0)[60..140].to_vec();
        // a gap within is crossed, a speck by the border is not the line's end
        votes.drain(30..45);
        votes.extend((290..294).map(|x| (Point::new(x as f32, 80.0), 1.0)));
        let found = fit_line(&votes.into_iter().collect(), &[], BOUNDS, &SETTINGS).unwrap();
        assert!((found.segment.length() - 199.0).abs() < 1.0, "{found:?}");
        let Segment { p0, p1 } = found.supported.unwrap();
        let (low, high) = (p0.x.min(p1.x), p0.x.max(p1.x));
        assert!(
            (low - 160.0).abs() <= 1.0 && (high - 239.0).abs() <= 1.0,
            "{found:?}"
        );
        assert_eq!(stretch(&[]), None);
        assert_eq!(stretch(&[i32::MIN, 5, 6, 8, 20, i32::MAX]), Some((5, 8)));
    }

    #[test]
    fn no_votes_no_line() {
        assert_eq!(fit_line(&Votes::default(), &[], BOUNDS, &SETTINGS), None);
        assert_eq!(
            fit_line(
                &[(Point::new(120.0, 80.0), 1.0)].into_iter().collect(),
                &[],
                BOUNDS,
                &SETTINGS
            ),
            None
        );
    }

    #[test]
    fn the_same_votes_give_the_same_line() {
        let votes = line_of_votes(66.0, 0.11, 2.0);
        assert_eq!(
            fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS),
            fit_line(&votes.iter().copied().collect(), &[], BOUNDS, &SETTINGS)
        );
    }
}
