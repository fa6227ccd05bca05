//! [`Region`]: a trust region, the part of the space that a decision searches (Eriksson et al. 2019, *Scalable global
//! optimization via local Bayesian optimization*).
//!
//! A box around the best x observed, longer where the lengthscale of an input is longer. It doubles after `SUCCESSES`
//! evaluations in a row that bettered what was known, halves after as many without one as there are parameters
//! (at least `FAILURES`), and starts over from its first size when it has become too small. Nothing of this is remembered: the
//! size is [`side`] of the risks, under the present model, of the x evaluated so far, so that a resumed run has the
//! same region. Only x is held; environments are chosen from all those of the decision. Categories and integers are not
//! boxed in: a step of theirs has no length.

use crate::pool;
use crate::sobol;
use crate::space::Space;

/// Side of the first box, as a share of the space.
const FIRST: f64 = 0.8;
/// Greatest side.
const GREATEST: f64 = 1.6;
/// Below this side the region starts over.
const LEAST: f64 = 1.0 / 128.0;
/// Evaluations in a row that must better the best for the box to double.
const SUCCESSES: usize = 3;
/// Least number of evaluations in a row that must fail to for it to halve.
const FAILURES: usize = 4;
/// Gain, in standard deviations of the values, that betters the best.
const GAIN: f64 = 1e-3;
/// Parameters that a candidate moves, on average, where there are more.
const MOVED: f64 = 20.0;
/// Sobol points looked at for each one that is to be admitted.
const TRIES: usize = 64;
/// Lengthscales count within this factor of their geometric mean.
const UNEVEN: f64 = 16.0;

/// A box of unit points around a centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    centre: Vec<f64>,
    /// Bounds of each parameter of the space.
    sides: Vec<(f64, f64)>,
}

/// Side of the box after evaluations at x of these `risks` (standardised, maximised; `None`: the evaluation failed), the
/// first of them being better than nothing by `start`, the best risk known before.
pub fn side(start: f64, risks: &[Option<f64>], dimension: usize) -> f64 {
    let patience = dimension.max(FAILURES);
    let (mut side, mut best, mut won, mut lost) = (FIRST, start, 0, 0);
    for risk in risks {
        match risk {
            Some(risk) if *risk > best + GAIN => {
                (best, won, lost) = (*risk, won + 1, 0);
            }
            _ => (won, lost) = (0, lost + 1),
        }
        if won == SUCCESSES {
            (side, won) = ((2.0 * side).min(GREATEST), 0);
        } else if lost == patience {
            (side, lost) = (0.5 * side, 0);
        }
        if side < LEAST {
            (side, won, lost) = (FIRST, 0, 0);
        }
    }
    side
}

impl Region {
    /// The box of `side` around unit point `centre`: each real parameter gets `side` times its lengthscale over the
    /// geometric mean of theirs, cut at the bounds of the space. `lengthscales` are those of the encoded inputs.
    pub fn new(space: &Space, centre: &[f64], side: f64, lengthscales: &[f64]) -> Self {
        let axes = space.real_axes();
        let logarithms = axes.iter().map(|(_, e)| lengthscales[*e].ln());
        let mean = logarithms.sum::<f64>() / axes.len().max(1) as f64;
        let mut sides = vec![(0.0, 1.0); space.dimension()];
        for (unit, encoded) in axes {
            let share = (lengthscales[encoded] / mean.exp()).clamp(1.0 / UNEVEN, UNEVEN);
            let half = 0.5 * side * share;
            let at = centre[unit];
            sides[unit] = ((at - half).max(0.0), (at + half).min(1.0));
        }
        Self {
            centre: centre.to_vec(),
            sides,
        }
    }

    /// What it lies around.
    pub fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// Lower and upper bound of each parameter.
    pub fn sides(&self) -> &[(f64, f64)] {
        &self.sides
    }

    /// Whether a unit point lies in it.
    pub fn holds(&self, unit: &[f64]) -> bool {
        let mut both = unit.iter().zip(&self.sides);
        both.all(|(u, (low, high))| low <= u && u <= high)
    }

    /// Moves a unit point to the nearest one in it.
    pub fn confine(&self, unit: &mut [f64]) {
        for (u, (low, high)) in unit.iter_mut().zip(&self.sides) {
            *u = u.clamp(*low, *high);
        }
    }

    /// `n` admitted points of the box, the first from Sobol number `first` on; fewer where the condition admits less than
    /// one in 64. Beyond 20 parameters each point leaves most at the centre and moves about 20.
    pub fn spread(&self, space: &Space, first: u64, n: usize, seed: u32) -> Vec<Vec<f64>> {
        let d = space.dimension();
        let chance = (MOVED / d as f64).min(1.0);
        (first..first + (TRIES * n) as u64)
            .map(|k| {
                // Of the parameters one moves in any case.
                let always = (sobol::coordinate(k, 2 * d, seed) * d as f64) as usize;
                let mut unit = self.centre.clone();
                for (i, (low, high)) in self.sides.iter().enumerate() {
                    if i == always || sobol::coordinate(k, d + i, seed) < chance {
                        unit[i] = low + (high - low) * sobol::coordinate(k, i, seed);
                    }
                }
                space.snap_unit(&mut unit);
                unit
            })
            .filter(|unit| space.admits_unit(unit))
            .take(n)
            .collect()
    }

    /// [`pool::around`] the centre, confined.
    pub fn around(
        &self,
        space: &Space,
        radius: f64,
        first: u64,
        n: usize,
        seed: u32,
    ) -> Vec<Vec<f64>> {
        let mut points = pool::around(space, &self.centre, radius, first, n, seed);
        points.iter_mut().for_each(|unit| self.confine(unit));
        points.retain(|unit| space.admits_unit(unit));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Parameter;

    #[test]
    fn the_side_doubles_halves_and_starts_over() {
        let better = |n: usize| (1..=n).map(|k| Some(k as f64)).collect::<Vec<_>>();
        let worse = |n: usize| vec![Some(-1.0); n];
        assert_eq!(side(0.0, &[], 20), 0.8);
        assert_eq!(side(0.0, &better(2), 20), 0.8);
        assert_eq!(side(0.0, &better(3), 20), 1.6);
        assert_eq!(side(0.0, &better(9), 20), 1.6);
        assert_eq!(side(0.0, &worse(19), 20), 0.8);
        assert_eq!(side(0.0, &worse(20), 20), 0.4);
        assert_eq!(side(0.0, &[None; 8], 2), 0.2);
        // 0.8 / 2^6 = 1 / 80 is still above 1/128, half of it is not.
        assert_eq!(side(0.0, &worse(24), 4), 0.0125);
        assert_eq!(side(0.0, &worse(28), 4), 0.8);
        // A success between two failures forgets the first.
        let mixed = [worse(19), better(1), worse(19)].concat();
        assert_eq!(side(0.0, &mixed, 20), 0.8);
    }

    fn space(reals: usize) -> Space {
        let reals = (0..reals).map(|i| Parameter::real(format!("r{i}"), -3.0, 5.0));
        let others = [
            Parameter::integer("k", 0, 4),
            Parameter::categorical("c", ["a", "b", "c"]),
        ];
        Space::new(reals.chain(others).collect()).unwrap()
    }

    #[test]
    fn points_lie_in_the_box_and_on_the_space() {
        let space = space(40);
        let centre = space.to_unit(&[vec![4.9; 40], vec![2.0, 1.0]].concat());
        let mut lengthscales = vec![1.0; space.encoded_dimension()];
        lengthscales[0] = 4.0;
        let region = Region::new(&space, &centre, 0.4, &lengthscales);
        let wide = region.sides()[0].1 - region.sides()[0].0;
        let narrow = region.sides()[1].1 - region.sides()[1].0;
        assert!(wide > 3.0 * narrow, "{wide} {narrow}");
        assert_eq!(region.sides()[40..], [(0.0, 1.0); 2]);
        let points = region.spread(&space, 0, 64, 5);
        assert_eq!(points.len(), 64);
        let near = region.around(&space, 0.9, 0, 32, 5);
        for unit in points.iter().chain(&near) {
            assert!(region.holds(unit));
            space.check(&space.from_unit(unit)).unwrap();
        }
        let moved = |u: &Vec<f64>| u.iter().zip(&centre).filter(|(a, b)| a != b).count();
        let mean = points.iter().map(moved).sum::<usize>() as f64 / 64.0;
        assert!((15.0..25.0).contains(&mean), "{mean} parameters moved");
        assert!(points.iter().all(|u| moved(u) > 0));
    }
}
