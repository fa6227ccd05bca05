//! `cv-ucb`: the x whose risk of upper confidence bounds is greatest, and an environment of its tail that is
//! least known.
//!
//! With bounds `u, l = mean +- KAPPA deviation` in each environment, x maximises `risk(u(x, .))`. For the CVaR, whose
//! value is the mean of the quantiles V_a over a in (0, alpha], the level a of largest `V_a(u) - V_a(l)` is taken and
//! there a *lacing* environment: one with `l(x, w) <= V_a(l)` and `V_a(u) <= u(x, w)`, which always exists, of
//! the greatest mass. Source: Nguyen, Dai, Low and Jaillet (2021), *Optimizing conditional
//! value-at-risk of black-box functions*, section 3 (they let KAPPA grow with the iteration to prove a rate; a
//! constant is what is used in practice). For the quantile a is fixed; the worst case takes the least
//! a, the mean and the mean minus deviations all of (0, 1]. The mean minus deviations does not grow with each value:
//! its value at the upper bounds is a score there, no bound of anything.

use super::adjoint::Adjoint;
use super::informative::{expected, greatest};
use super::knowledge_gradient::seen;
use super::{Choice, Situation, multistart};
use crate::gp::Whitened;
use crate::maximize::Slope;
use crate::risk::{RiskMeasure, TailMass, var};
use ndarray::Array2;

/// Standard deviations between mean and bound.
const KAPPA: f64 = 2.0;
/// Deviations below this have no direction worth following.
const KNOWN: f64 = 1e-9;
/// A lacing environment that returns a value less likely than this is no answer: what always fails stays the least known.
const EVEN: f64 = 0.5;

/// The pair chosen; its value is the gain of the bound over the risk of the mean at the incumbent, where evaluations failed
/// times the fourth power of the probability of a value, never negative as long as a pair of the incumbent's x or of a
/// better bound is free.
pub fn choose(s: &Situation<'_>) -> Option<Choice> {
    let bounds = Bounds { s };
    let now = bounds.risk(&bounds.at(&s.encode(s.incumbent)), 0.0);
    let value = |x: &[f64]| bounds.risk(&bounds.at(x), KAPPA) - now;
    let slope = |x: &[f64]| {
        let (value, gradient) = bounds.slope(x);
        (value - now, gradient)
    };
    let ranked = multistart::by_gain(s, value, slope);
    ranked.into_iter().find_map(|(x, value)| {
        let environment = bounds.lacing(&x)?;
        Some(Choice {
            x,
            environment,
            value: value.max(0.0),
            jitter: 0.0,
        })
    })
}

struct Bounds<'a> {
    s: &'a Situation<'a>,
}

impl Bounds<'_> {
    fn at(&self, x: &[f64]) -> Whitened {
        seen(self.s.posterior, &[x.to_vec()], self.s.environments)
    }

    /// Mean plus `kappa` deviations in each environment.
    fn bound(own: &Whitened, kappa: f64) -> Vec<f64> {
        let pairs = own.mean.iter().zip(&own.variance);
        pairs.map(|(m, v)| m + kappa * v.sqrt()).collect()
    }

    fn risk(&self, own: &Whitened, kappa: f64) -> f64 {
        let masses = &self.s.environments.masses;
        self.s.risk.evaluate(&Self::bound(own, kappa), masses)
    }

    fn slope(&self, x: &[f64]) -> Slope {
        let own = self.at(x);
        let upper = Self::bound(&own, KAPPA);
        let masses = &self.s.environments.masses;
        let shares = self.s.risk.tail_weights(&upper, masses);
        let mut variances = Array2::zeros((shares.len(), shares.len()));
        for (j, (share, variance)) in shares.iter().zip(&own.variance).enumerate() {
            let deviation = variance.sqrt();
            if deviation > KNOWN {
                variances[(j, j)] = share * KAPPA / (2.0 * deviation);
            }
        }
        let adjoint = Adjoint {
            mean: shares,
            own: variances,
            others: None,
        };
        let value = self.s.risk.evaluate(&upper, masses);
        (value, adjoint.gradient(self.s.posterior, &own, x))
    }

    /// The free lacing environment of greatest mass at the widest level, of those as likely as not to return a value; without one
    /// the free environment of greatest mass times width. Either counts times the probability of a value there.
    fn lacing(&self, x: &[f64]) -> Option<usize> {
        let encoded = self.s.encode(x);
        let own = self.at(&encoded);
        let (upper, lower) = (Self::bound(&own, KAPPA), Self::bound(&own, -KAPPA));
        let masses = &self.s.environments.masses;
        let (_, high, low) = levels(self.s.risk, &[&upper, &lower], masses)
            .into_iter()
            .map(|a| (a, var(&upper, masses, a), var(&lower, masses, a)))
            .reduce(|best, next| {
                if next.1 - next.2 > best.1 - best.2 {
                    next
                } else {
                    best
                }
            })?;
        let laces = |j: usize| lower[j] <= low && high <= upper[j];
        let free = |j: usize| self.s.is_free(x, j);
        let chances = self.s.chances(&encoded);
        let laced = expected(masses, &chances);
        greatest(&laced, |j| laces(j) && chances[j] >= EVEN && free(j)).or_else(|| {
            let widths = upper.iter().zip(&lower).zip(masses.iter());
            let widths: Vec<f64> = widths.map(|((u, l), mass)| mass * (u - l)).collect();
            greatest(&expected(&widths, &chances), free)
        })
    }
}

/// Levels a at which V_a of one of `values` changes, up to the measure's tail.
fn levels(risk: RiskMeasure, values: &[&Vec<f64>], masses: &[f64]) -> Vec<TailMass> {
    let total: f64 = masses.iter().sum();
    let least = masses.iter().filter(|m| **m > 0.0);
    let least = 0.5 * least.fold(total, |a, b| a.min(*b)) / total;
    let tail = match risk {
        RiskMeasure::Var(tail) => return vec![tail],
        RiskMeasure::Cvar(tail) => tail.get(),
        RiskMeasure::Worst => least,
        RiskMeasure::Mean | RiskMeasure::MeanDeviation { .. } => 1.0,
    };
    let mut levels = vec![tail];
    for values in values {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut below = 0.0;
        for j in order {
            below += masses[j] / total;
            if below >= tail {
                break;
            }
            levels.push(below);
        }
    }
    // Just inside a step, so that rounding of the sums decides nothing.
    let inside = levels.into_iter().map(|a| a - 1e-9 * least.min(a));
    inside.filter_map(|a| TailMass::new(a).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Example, worth};
    use super::*;

    #[test]
    fn a_choice_is_worth_what_its_rounded_point_is() {
        let example = Example::mixed(14, 4, 3);
        for iteration in 0..4 {
            let mut s = example.situation();
            s.iteration = iteration;
            let choice = choose(&s).unwrap();
            let bounds = Bounds { s: &s };
            let risk = |x: &[f64], kappa: f64| bounds.risk(&bounds.at(x), kappa);
            let now = risk(&s.encode(s.incumbent), 0.0);
            worth(&choice, risk(&example.rounded(&choice), KAPPA) - now);
        }
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let examples = [Example::new(12, 4, 1), Example::bent(12, 4, 5)];
        for example in examples {
            let s = example.situation();
            let bounds = Bounds { s: &s };
            for k in 0..6 {
                let x = crate::sobol::point(k, 2, 9);
                let (value, gradient) = bounds.slope(&x);
                assert!((value - bounds.risk(&bounds.at(&x), KAPPA)).abs() < 1e-13);
                super::super::examples::agrees(&x, &gradient, |x| {
                    bounds.risk(&bounds.at(x), KAPPA)
                });
            }
        }
    }

    #[test]
    fn the_environment_laces_the_widest_level() {
        let example = Example::new(12, 5, 1);
        let s = example.situation();
        let (bounds, masses) = (Bounds { s: &s }, &s.environments.masses);
        let mut chosen = std::collections::BTreeSet::new();
        for k in 0..24 {
            let x = crate::sobol::point(k, 2, 9);
            let own = bounds.at(&x);
            let (upper, lower) = (Bounds::bound(&own, KAPPA), Bounds::bound(&own, -KAPPA));
            // The widest of a fine grid of levels up to the tail of the example's CVaR.
            let quantiles = |a: f64| {
                let a = TailMass::new(a).unwrap();
                (var(&lower, masses, a), var(&upper, masses, a))
            };
            let grid = (1..4000).map(|i| quantiles(0.4 * f64::from(i) / 4000.0));
            let widest = grid.fold(0.0, |most, (low, high)| f64::max(most, high - low));
            let j = bounds.lacing(&x).unwrap();
            let laced = (1..4000).any(|i| {
                let (low, high) = quantiles(0.4 * f64::from(i) / 4000.0);
                high - low > widest - 1e-9 && lower[j] <= low && high <= upper[j]
            });
            assert!(laced, "environment {j} at {x:?}: {lower:?} {upper:?}");
            chosen.insert(j);
        }
        assert!(chosen.len() > 1, "x of several lacing environments");
    }

    #[test]
    fn levels_reach_up_to_the_tail() {
        // Three environments of equal mass: the widest gap among levels up to 2/3 is the lower one.
        let risk = RiskMeasure::Cvar(TailMass::new(2.0 / 3.0).unwrap());
        let (upper, lower) = (vec![2.0, 1.5, 9.0], vec![-3.0, 1.0, 0.0]);
        let masses = [1.0 / 3.0; 3];
        let widths: Vec<f64> = levels(risk, &[&upper, &lower], &masses)
            .into_iter()
            .map(|a| var(&upper, &masses, a) - var(&lower, &masses, a))
            .collect();
        // V(u) = 1.5, 2 and V(l) = -3, 0 at the levels 1/3 and 2/3.
        let widest = widths.iter().copied().fold(0.0, f64::max);
        assert!((widest - 4.5).abs() < 1e-12, "{widths:?}");
    }
}
