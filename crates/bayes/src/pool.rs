//! Finite sets of decisions x to compare and to start from, as unit points of the space.
//!
//! All points are snapped to the space and admitted by its condition; [`distinct`] drops repeats by their exact natural values.

use crate::maximize::{Effort, Slope, ascend};
use crate::sobol;
use crate::space::Space;

/// Sobol points looked at for each one that is to be admitted.
const TRIES: usize = 64;

/// `n` scrambled Sobol points, the first admitted from number `first` on; fewer where the condition admits less than
/// one in 64.
pub fn spread(space: &Space, first: u64, n: usize, seed: u32) -> Vec<Vec<f64>> {
    (first..first + (TRIES * n) as u64)
        .map(|k| {
            let mut u = sobol::point(k, space.dimension(), seed);
            space.snap_unit(&mut u);
            u
        })
        .filter(|u| space.admits_unit(u))
        .take(n)
        .collect()
}

/// `n` points around `centre`, fewer where some are not admitted: uniform steps of at most `radius` per coordinate, reflected at the
/// bounds. In every other point each coordinate moves with probability one half only, so that
/// searches along few axes are among them. A discrete coordinate moves by at least one value when its
/// step asks for more than half of one.
pub fn around(
    space: &Space,
    centre: &[f64],
    radius: f64,
    first: u64,
    n: usize,
    seed: u32,
) -> Vec<Vec<f64>> {
    let d = space.dimension();
    (first..first + n as u64)
        .map(|k| {
            let mut u: Vec<f64> = (0..d)
                .map(|i| {
                    let step = radius * (2.0 * sobol::coordinate(k, i, seed) - 1.0);
                    let stays = k % 2 == 1 && d > 1 && sobol::coordinate(k, d + i, seed) < 0.5;
                    let moved = (centre[i] + if stays { 0.0 } else { step }).abs();
                    if moved > 1.0 { 2.0 - moved } else { moved }
                })
                .collect();
            space.snap_unit(&mut u);
            u
        })
        .filter(|u| space.admits_unit(u))
        .collect()
}

/// Drops repeats, keeping the first of each.
pub fn distinct(points: impl IntoIterator<Item = Vec<f64>>) -> Vec<Vec<f64>> {
    let mut seen = std::collections::BTreeSet::new();
    points
        .into_iter()
        .filter(|p| seen.insert(p.iter().map(|v| v.to_bits()).collect::<Vec<_>>()))
        .collect()
}

/// The `n` points of highest value (not-a-number counts lowest), best first, ties in order.
pub fn best(
    points: Vec<Vec<f64>>,
    n: usize,
    value: impl Fn(&[f64]) -> f64 + Sync,
) -> Vec<(Vec<f64>, f64)> {
    let mut best = ranked(points, value);
    best.truncate(n);
    best
}

/// All points with their values, as [`best`] would.
pub fn ranked(points: Vec<Vec<f64>>, value: impl Fn(&[f64]) -> f64 + Sync) -> Vec<(Vec<f64>, f64)> {
    use rayon::prelude::*;
    let values: Vec<f64> = points.par_iter().map(|p| value(p)).collect();
    let mut ranked: Vec<_> = points
        .into_iter()
        .zip(values)
        .map(|(p, v)| (p, if v.is_nan() { f64::NEG_INFINITY } else { v }))
        .collect();
    rank(&mut ranked);
    ranked
}

/// Points with values, best first, ties in order.
pub fn rank(points: &mut [(Vec<f64>, f64)]) {
    points.sort_by(|a, b| b.1.total_cmp(&a.1));
}

/// Climbs from a unit point: gradient ascent over the real parameters, then the best single step of
/// a discrete one, as long as that helps. `f` takes an *encoded* point and gives value and gradient
/// with respect to it. Points that are not admitted count as minus infinity. Returns unit point and value.
pub fn climb(
    space: &Space,
    start: &[f64],
    effort: Effort,
    f: impl Fn(&[f64]) -> Slope,
) -> (Vec<f64>, f64) {
    climb_within(
        space,
        &vec![(0.0, 1.0); space.dimension()],
        start,
        effort,
        f,
    )
}

/// The same with the real parameters held between bounds, one pair a parameter of the space.
pub fn climb_within(
    space: &Space,
    sides: &[(f64, f64)],
    start: &[f64],
    effort: Effort,
    f: impl Fn(&[f64]) -> Slope,
) -> (Vec<f64>, f64) {
    let axes = space.real_axes();
    let mut unit = start.to_vec();
    let mut value = f64::NEG_INFINITY;
    // Each round ends higher than the last, so a few suffice; the bound only guards the time.
    for _ in 0..50 {
        // The ascent runs over shares of the sides.
        let encode = |shares: &[f64], unit: &[f64]| {
            let mut unit = unit.to_vec();
            for ((u, _), share) in axes.iter().zip(shares) {
                let (low, high) = sides[*u];
                unit[*u] = (low + (high - low) * share).min(high);
            }
            let mut encoded = Vec::with_capacity(space.encoded_dimension());
            space.encode_unit_into(&unit, &mut encoded);
            (unit, encoded)
        };
        let shares = axes.iter().map(|(u, _)| {
            let (low, high) = sides[*u];
            if high > low {
                (unit[*u] - low) / (high - low)
            } else {
                0.0
            }
        });
        let shares: Vec<f64> = shares.collect();
        let (shares, reached) = ascend(&shares, effort, |r| {
            let (moved, encoded) = encode(r, &unit);
            if !space.admits_unit(&moved) {
                return (f64::NEG_INFINITY, vec![0.0; axes.len()]);
            }
            let (value, gradient) = f(&encoded);
            let scaled = axes
                .iter()
                .map(|(u, e)| gradient[*e] * (sides[*u].1 - sides[*u].0));
            (value, scaled.collect())
        });
        unit = encode(&shares, &unit).0;
        value = f64::max(value, reached);
        let step = space
            .neighbours(&unit)
            .into_iter()
            .filter(|next| space.admits_unit(next))
            .map(|next| {
                let mut encoded = Vec::new();
                space.encode_unit_into(&next, &mut encoded);
                let v = f(&encoded).0;
                (next, v)
            })
            .filter(|(_, v)| *v > value)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        match step {
            Some((next, v)) => (unit, value) = (next, v),
            None => break,
        }
    }
    (unit, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Parameter;

    #[test]
    fn climbing_solves_reals_integers_and_categories_together() {
        let space = Space::new(vec![
            Parameter::real("r", 0.0, 1.0),
            Parameter::integer("k", 0, 9),
            Parameter::categorical("c", ["a", "b", "c"]),
        ])
        .unwrap();
        let f = |e: &[f64]| {
            let value = -(e[0] - 0.3).powi(2) - (e[1] - 0.75).powi(2) + 0.1 * e[4];
            (
                value,
                vec![-2.0 * (e[0] - 0.3), -2.0 * (e[1] - 0.75), 0.0, 0.0, 0.1],
            )
        };
        let start = space.to_unit(&[0.9, 1.0, 0.0]);
        let (best, _) = climb(&space, &start, Effort::default(), f);
        let natural = space.from_unit(&best);
        assert!((natural[0] - 0.3).abs() < 1e-5);
        assert_eq!(&natural[1..], [7.0, 2.0]);
    }

    #[test]
    fn climbing_scores_no_point_between_those_of_the_space() {
        let space = Space::new(vec![
            Parameter::real("r", 0.0, 1.0),
            Parameter::integer("k", 1, 100).log(),
            Parameter::categorical("c", ["a", "b", "c"]),
        ])
        .unwrap();
        let asked = std::cell::RefCell::new(Vec::new());
        let f = |e: &[f64]| {
            asked.borrow_mut().push(e.to_vec());
            // Relaxed, every coordinate would want to be somewhere in the middle.
            let value = e.iter().map(|v| -(v - 0.43).powi(2)).sum();
            (value, e.iter().map(|v| -2.0 * (v - 0.43)).collect())
        };
        for start in spread(&space, 0, 8, 3) {
            climb(&space, &start, Effort::default(), f);
        }
        let asked = asked.into_inner();
        assert!(asked.len() > 50, "{}", asked.len());
        for e in asked {
            let category = e[2..].iter().position(|v| *v == 1.0).unwrap();
            let integer = space.from_unit(&[e[0], e[1], 0.0])[1];
            assert_eq!(space.encode(&[e[0], integer, category as f64]), e);
        }
    }

    #[test]
    fn climbing_crosses_a_large_range_of_integers() {
        let space = Space::new(vec![Parameter::integer("k", 0, 1_000_000)]).unwrap();
        let f = |e: &[f64]| (-(e[0] - 0.765_432).powi(2), vec![0.0]);
        let start = space.to_unit(&[3.0]);
        let (best, _) = climb(&space, &start, Effort::default(), f);
        assert_eq!(space.from_unit(&best), [765_432.0]);
    }

    #[test]
    fn points_around_stay_within_radius_and_box() {
        let space = Space::new(vec![
            Parameter::real("a", 0.0, 1.0),
            Parameter::real("b", 0.0, 1.0),
        ])
        .unwrap();
        for p in around(&space, &[0.02, 0.5], 0.1, 0, 50, 1) {
            assert!(p[0] >= 0.0 && p[0] <= 0.12 && (p[1] - 0.5).abs() <= 0.1);
        }
    }
}
