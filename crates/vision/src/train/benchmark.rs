//! How well edge maps agree with hand-drawn ones: precision, recall and F at one threshold for all.
//!
//! Central type [`EdgeBenchmark`]. Predictions are thinned to ridges, cut at each threshold and
//! thinned to a skeleton; the drawn map is thinned likewise; points are matched one to one, as many
//! as possible, within a distance. The counts are summed over images before F is taken, so one
//! threshold serves all (the "optimal data-set scale" of BSDS).

use std::collections::VecDeque;

use image::GrayImage;

use crate::edge::EdgeMap;

/// Logits at which predictions are cut: -10, -9.5, ... 10.
const THRESHOLDS: usize = 41;

/// Agreement of predictions with drawn maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeScore {
    /// Logit above which a pixel counts as an edge.
    pub threshold: f32,
    /// Share of predicted points that were matched.
    pub precision: f32,
    /// Share of drawn points that were matched.
    pub recall: f32,
    /// Harmonic mean of the two; 0 where both are 0.
    pub f: f32,
    /// F where any number of points may share a partner, as some publish it: each needs one within the distance.
    pub shared: f32,
}

/// Sums counts over images.
#[derive(Clone, Debug)]
pub struct EdgeBenchmark {
    distance: f32,
    counts: [Counts; THRESHOLDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    predicted: usize,
    drawn: usize,
    matched: usize,
    /// Predicted points with any drawn one near.
    predicted_near: usize,
    /// Drawn points with any predicted one near.
    drawn_near: usize,
}

fn threshold(index: usize) -> f32 {
    index as f32 * 0.5 - 10.0
}

impl EdgeBenchmark {
    /// With points matched within `distance` pixels.
    pub fn new(distance: f32) -> Self {
        Self {
            distance,
            counts: [Counts::default(); THRESHOLDS],
        }
    }

    /// Adds one image: its predicted logits and its drawn map (an edge where above 127).
    ///
    /// # Panics
    /// If the two differ in size.
    pub fn add(&mut self, predicted: &EdgeMap, drawn: &GrayImage) {
        assert_eq!(
            (predicted.width, predicted.height),
            drawn.dimensions(),
            "one size"
        );
        let width = predicted.width as usize;
        let mut truth: Vec<bool> = drawn.as_raw().iter().map(|v| *v > 127).collect();
        skeleton(&mut truth, width);
        let truth = points(&truth, width);
        let ridges = ridges(&predicted.logits, width);
        for (i, counts) in self.counts.iter_mut().enumerate() {
            let cut = ridges
                .iter()
                .zip(&predicted.logits)
                .map(|(ridge, l)| *ridge && *l > threshold(i));
            let mut cut: Vec<bool> = cut.collect();
            skeleton(&mut cut, width);
            let found = points(&cut, width);
            counts.predicted += found.len();
            counts.drawn += truth.len();
            let near = neighbours(&found, &truth, self.distance);
            counts.matched += matched(&near, truth.len());
            counts.predicted_near += near.iter().filter(|near| !near.is_empty()).count();
            let mut reached = vec![false; truth.len()];
            near.iter().flatten().for_each(|&t| reached[t] = true);
            counts.drawn_near += reached.iter().filter(|reached| **reached).count();
        }
    }

    /// The score at every threshold, rising.
    pub fn scores(&self) -> Vec<EdgeScore> {
        let share = |part: usize, of: usize| part as f32 / of.max(1) as f32;
        let score = |(i, c): (usize, &Counts)| {
            let (precision, recall) = (share(c.matched, c.predicted), share(c.matched, c.drawn));
            let near = [
                share(c.predicted_near, c.predicted),
                share(c.drawn_near, c.drawn),
            ];
            let f = |a: f32, b: f32| 2.0 * a * b / (a + b).max(f32::MIN_POSITIVE);
            EdgeScore {
                threshold: threshold(i),
                precision,
                recall,
                f: f(precision, recall),
                shared: f(near[0], near[1]),
            }
        };
        self.counts.iter().enumerate().map(score).collect()
    }

    /// The score at the threshold with the largest F (the lowest of equals).
    pub fn best(&self) -> EdgeScore {
        let first = self.scores()[0];
        self.scores()
            .into_iter()
            .fold(first, |best, s| if s.f > best.f { s } else { best })
    }
}

/// Where the probability of an edge is not below its neighbours' across the edge.
fn ridges(logits: &[f32], width: usize) -> Vec<bool> {
    let height = logits.len() / width;
    let probability: Vec<f32> = logits
        .iter()
        .map(|l| 1.0 / (1.0 + (-l / 2.0).exp()))
        .collect();
    let fine = gaussian(&probability, width, 0.7);
    let coarse = gaussian(&probability, width, 1.5);
    let at = |x: isize, y: isize| {
        let (x, y) = (
            x.clamp(0, width as isize - 1),
            y.clamp(0, height as isize - 1),
        );
        y as usize * width + x as usize
    };
    let between = |x: f32, y: f32| {
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let v = |dx: isize, dy: isize| fine[at(x0 as isize + dx, y0 as isize + dy)];
        let (top, bottom) = (
            v(0, 0) + fx * (v(1, 0) - v(0, 0)),
            v(0, 1) + fx * (v(1, 1) - v(0, 1)),
        );
        top + fy * (bottom - top)
    };
    let mut out = Vec::with_capacity(logits.len());
    for y in 0..height as isize {
        for x in 0..width as isize {
            let c = |dx: isize, dy: isize| coarse[at(x + dx, y + dy)];
            let xx = c(1, 0) - 2.0 * c(0, 0) + c(-1, 0);
            let yy = c(0, 1) - 2.0 * c(0, 0) + c(0, -1);
            let xy = (c(1, 1) - c(1, -1) - c(-1, 1) + c(-1, -1)) / 4.0;
            // Direction of the most negative curvature: across the ridge.
            let angle = 0.5 * (2.0 * xy).atan2(xx - yy) + std::f32::consts::FRAC_PI_2;
            let (dy, dx) = angle.sin_cos();
            let here = fine[at(x, y)] * 1.001;
            let side = |sign: f32| between(x as f32 + sign * dx, y as f32 + sign * dy);
            out.push(here >= side(1.0) && here >= side(-1.0));
        }
    }
    out
}

fn gaussian(plane: &[f32], width: usize, sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp())
        .collect();
    let total: f32 = weights.iter().sum();
    let height = plane.len() / width;
    let blur = |from: &[f32], dx: isize, dy: isize| -> Vec<f32> {
        let value = |i: usize| {
            let (x, y) = ((i % width) as isize, (i / width) as isize);
            let tap = |k: usize| {
                let by = k as isize - reach;
                let (x, y) = (x + by * dx, y + by * dy);
                from[y.clamp(0, height as isize - 1) as usize * width
                    + x.clamp(0, width as isize - 1) as usize]
            };
            weights
                .iter()
                .enumerate()
                .map(|(k, w)| w * tap(k))
                .sum::<f32>()
                / total
        };
        (0..from.len()).map(value).collect()
    };
    blur(&blur(plane, 1, 0), 0, 1)
}

/// Thins to lines one pixel wide, keeping what hangs together together.
/// Source: Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", 1984.
fn skeleton(mask: &mut [bool], width: usize) {
    let height = mask.len() / width;
    loop {
        let mut changed = false;
        for turn in 0..2 {
            let mut gone = Vec::new();
            for y in 0..height {
                for x in 0..width {
                    if mask[y * width + x] && removable(mask, width, height, x, y, turn) {
                        gone.push(y * width + x);
                    }
                }
            }
            changed |= !gone.is_empty();
            gone.into_iter().for_each(|i| mask[i] = false);
        }
        if !changed {
            return;
        }
    }
}

fn removable(mask: &[bool], width: usize, height: usize, x: usize, y: usize, turn: usize) -> bool {
    // Neighbours from north, clockwise.
    const AROUND: [(isize, isize); 8] = [
        (0, -1),
        (1, -1),
        (1, 0),
        (1, 1),
        (0, 1),
        (-1, 1),
        (-1, 0),
        (-1, -1),
    ];
    let p = AROUND.map(|(dx, dy)| {
        let (nx, ny) = (x as isize + dx, y as isize + dy);
        let inside = nx >= 0 && ny >= 0 && nx < width as isize && ny < height as isize;
        inside && mask[ny as usize * width + nx as usize]
    });
    let count = p.iter().filter(|v| **v).count();
    let rises = (0..8).filter(|&i| !p[i] && p[(i + 1) % 8]).count();
    let (north, east, south, west) = (p[0], p[2], p[4], p[6]);
    let open = match turn {
        0 => !(east && south && (north || west)),
        _ => !(north && west && (east || south)),
    };
    (2..=6).contains(&count) && rises == 1 && open
}

fn points(mask: &[bool], width: usize) -> Vec<[i32; 2]> {
    let on = mask.iter().enumerate().filter(|(_, on)| **on);
    on.map(|(i, _)| [(i % width) as i32, (i / width) as i32])
        .collect()
}

/// Largest number of pairs of neighbours, one point of each side in at most one pair.
/// Source: Hopcroft and Karp, 1973; started from a greedy matching, nearest first.
fn matched(near: &[Vec<usize>], truths: usize) -> usize {
    let (mut of_found, mut of_truth) = (vec![usize::MAX; near.len()], vec![usize::MAX; truths]);
    for (f, near) in near.iter().enumerate() {
        if let Some(&t) = near.iter().find(|&&t| of_truth[t] == usize::MAX) {
            (of_found[f], of_truth[t]) = (t, f);
        }
    }
    while let Some(levels) = levels(near, &of_found, &of_truth) {
        let mut next = vec![0usize; near.len()];
        for f in 0..near.len() {
            if of_found[f] == usize::MAX {
                augment(f, near, &levels, &mut next, &mut of_found, &mut of_truth);
            }
        }
    }
    of_found.iter().filter(|t| **t != usize::MAX).count()
}

/// Distances of the alternating paths from free found points; none if no free truth is reached.
fn levels(near: &[Vec<usize>], of_found: &[usize], of_truth: &[usize]) -> Option<Vec<usize>> {
    let mut levels = vec![usize::MAX; near.len()];
    let mut queue: VecDeque<usize> = (0..near.len())
        .filter(|&f| of_found[f] == usize::MAX)
        .collect();
    queue.iter().for_each(|&f| levels[f] = 0);
    let mut reached = false;
    while let Some(f) = queue.pop_front() {
        for &t in &near[f] {
            match of_truth[t] {
                usize::MAX => reached = true,
                other if levels[other] == usize::MAX => {
                    levels[other] = levels[f] + 1;
                    queue.push_back(other);
                }
                _ => {}
            }
        }
    }
    reached.then_some(levels)
}

/// Follows one alternating path from `start`, depth first without recursion, and turns it over.
fn augment(
    start: usize,
    near: &[Vec<usize>],
    levels: &[usize],
    next: &mut [usize],
    of_found: &mut [usize],
    of_truth: &mut [usize],
) {
    let mut path = vec![start];
    while let Some(&f) = path.last() {
        let Some(&t) = near[f].get(next[f]) else {
            path.pop();
            if let Some(&before) = path.last() {
                next[before] += 1;
            }
            continue;
        };
        match of_truth[t] {
            usize::MAX => {
                for &f in path.iter().rev() {
                    let t = near[f][next[f]];
                    (of_found[f], of_truth[t]) = (t, f);
                }
                return;
            }
            other if levels[other] == levels[f] + 1 => path.push(other),
            _ => next[f] += 1,
        }
    }
}

/// For each found point the true ones within `distance`, nearest first.
fn neighbours(found: &[[i32; 2]], truth: &[[i32; 2]], distance: f32) -> Vec<Vec<usize>> {
    let reach = distance.floor() as i32;
    let side =
        |points: &[[i32; 2]], axis: usize| points.iter().map(|p| p[axis]).max().unwrap_or(0) + 1;
    let (width, height) = (side(truth, 0), side(truth, 1));
    let mut grid = vec![usize::MAX; (width * height) as usize];
    for (t, p) in truth.iter().enumerate() {
        grid[(p[1] * width + p[0]) as usize] = t;
    }
    let mut steps: Vec<(i32, i32, i32)> = (-reach..=reach)
        .flat_map(|dy| (-reach..=reach).map(move |dx| (dx * dx + dy * dy, dy, dx)))
        .filter(|(d, ..)| *d as f32 <= distance * distance)
        .collect();
    steps.sort();
    let near = |p: &[i32; 2]| {
        let inside = |x: i32, y: i32| x >= 0 && y >= 0 && x < width && y < height;
        let places = steps
            .iter()
            .map(|(_, dy, dx)| (p[0] + dx, p[1] + dy))
            .filter(|&(x, y)| inside(x, y));
        places
            .map(|(x, y)| grid[(y * width + x) as usize])
            .filter(|t| *t != usize::MAX)
            .collect()
    };
    found.iter().map(near).collect()
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn matching_is_one_to_one_and_as_large_as_possible() {
        let matched = |found: &[[i32; 2]], truth: &[[i32; 2]], distance| {
            matched(&neighbours(found, truth, distance), truth.len())
        };
        // The second found point can only take the true point that the first is nearest to.
        let truth = [[0, 0], [3, 0]];
        assert_eq!(matched(&[[1, 0], [-2, 0]], &truth, 3.0), 2);
        assert_eq!(matched(&[[0, 0], [0, 1], [1, 0]], &[[0, 0]], 3.0), 1);
        assert_eq!(matched(&[[0, 0]], &[[0, 4]], 3.0), 0);
        assert_eq!(matched(&[], &truth, 3.0), 0);
    }

    #[test]
    fn a_bar_thins_to_a_line() {
        let mut mask = vec![false; 20 * 9];
        (3..6).for_each(|y| (2..18).for_each(|x| mask[y * 20 + x] = true));
        skeleton(&mut mask, 20);
        let left = points(&mask, 20);
        assert!(
            left.len() >= 12 && left.iter().all(|p| p[1] == 4),
            "{left:?}"
        );
    }

    #[test]
    fn two_strokes_may_share_one_drawn_line_only_in_the_looser_measure() {
        let drawn = GrayImage::from_fn(60, 40, |x, _| Luma([if x == 30 { 255 } else { 0 }]));
        let logit = |i: u32| {
            if [28, 33].contains(&(i % 60)) {
                6.0
            } else {
                -6.0
            }
        };
        let mut benchmark = EdgeBenchmark::new(3.0);
        benchmark.add(
            &EdgeMap {
                width: 60,
                height: 40,
                logits: (0..2400).map(logit).collect(),
            },
            &drawn,
        );
        let best = benchmark.best();
        assert!((best.f - 2.0 / 3.0).abs() < 0.02, "{best:?}");
        assert!(best.shared > 0.98, "{best:?}");
    }

    #[test]
    fn a_perfect_prediction_scores_one_and_a_shifted_one_zero() {
        let drawn = GrayImage::from_fn(40, 40, |x, _| Luma([if x == 20 { 255 } else { 0 }]));
        let predict = |column: u32| {
            let logit = |i: u32| 6.0 - 3.0 * (i % 40).abs_diff(column) as f32;
            EdgeMap {
                width: 40,
                height: 40,
                logits: (0..1600).map(logit).collect(),
            }
        };
        for (column, low, high) in [(20, 0.99, 1.01), (22, 0.95, 1.01), (30, -0.01, 0.01)] {
            let mut benchmark = EdgeBenchmark::new(3.0);
            benchmark.add(&predict(column), &drawn);
            let f = benchmark.best().f;
            assert!(f > low && f < high, "{column}: {f}");
        }
    }
}
