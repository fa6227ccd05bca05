//! Ascent of a smooth (or kinked) function in the unit box: BFGS on the free coordinates, with a
//! backtracking search along the projected path.
//!
//! A coordinate at a bound whose gradient points outward is held; when the held set changes the
//! curvature estimate starts over. BFGS copes with the kinks of a CVaR (Lewis and Overton 2013); the
//! result is never worse than the start.

/// Value and gradient at a point of the box.
pub type Slope = (f64, Vec<f64>);

/// When an ascent ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Most steps.
    pub steps: usize,
    /// Steps shorter than this (largest coordinate) end it.
    pub shortest: f64,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            steps: 40,
            shortest: 1e-7,
        }
    }
}

/// Climbs from `start` (in [0, 1]^k); returns the best point met and its value.
pub fn ascend(
    start: &[f64],
    effort: Effort,
    mut f: impl FnMut(&[f64]) -> Slope,
) -> (Vec<f64>, f64) {
    let k = start.len();
    let mut x: Vec<f64> = start.iter().map(|v| v.clamp(0.0, 1.0)).collect();
    let (mut value, mut gradient) = f(&x);
    if k == 0 || !value.is_finite() {
        return (x, value);
    }
    let mut inverse = Inverse::identity(k);
    let mut held = vec![false; k];
    let mut fresh = true;
    for _ in 0..effort.steps {
        let now: Vec<bool> = (0..k)
            .map(|i| (x[i] <= 0.0 && gradient[i] <= 0.0) || (x[i] >= 1.0 && gradient[i] >= 0.0))
            .collect();
        if now != held {
            held = now;
            inverse = Inverse::identity(k);
            fresh = true;
        }
        let mut direction = inverse.times(&gradient, &held);
        if dot(&direction, &gradient, &held) <= 0.0 {
            inverse = Inverse::identity(k);
            fresh = true;
            direction = inverse.times(&gradient, &held);
        }
        let longest = direction.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        // A denormal slope is none: the step that it asks for would be infinite, and stay so.
        if !(longest.is_finite() && longest.recip().is_finite()) {
            break;
        }
        // A first step knows no scale: a tenth of the box. Later ones never cross more than half.
        let cap = if fresh { 0.1 } else { 0.5 };
        let mut step = if fresh {
            cap / longest
        } else {
            f64::min(1.0, cap / longest)
        };
        let mut moved = None;
        while step * longest >= effort.shortest {
            let next: Vec<f64> = x
                .iter()
                .zip(&direction)
                .map(|(x, d)| (x + step * d).clamp(0.0, 1.0))
                .collect();
            let shift: Vec<f64> = next.iter().zip(&x).map(|(n, x)| n - x).collect();
            let promised: f64 = shift.iter().zip(&gradient).map(|(s, g)| s * g).sum();
            let slope = f(&next);
            if slope.0.is_finite() && slope.0 > value + 1e-4 * promised.max(0.0) {
                moved = Some((next, shift, slope));
                break;
            }
            step *= 0.4;
        }
        let Some((next, shift, slope)) = moved else {
            if fresh {
                break;
            }
            inverse = Inverse::identity(k);
            fresh = true;
            continue;
        };
        let change: Vec<f64> = gradient
            .iter()
            .zip(&slope.1)
            .map(|(old, new)| old - new)
            .collect();
        inverse.update(&shift, &change, fresh);
        fresh = false;
        x = next;
        (value, gradient) = slope;
    }
    (x, value)
}

fn dot(a: &[f64], b: &[f64], held: &[bool]) -> f64 {
    a.iter()
        .zip(b)
        .zip(held)
        .map(|((a, b), h)| if *h { 0.0 } else { a * b })
        .sum()
}

/// Estimate of the inverse of minus the Hessian, k x k.
struct Inverse {
    k: usize,
    entries: Vec<f64>,
}

impl Inverse {
    fn identity(k: usize) -> Self {
        let mut entries = vec![0.0; k * k];
        (0..k).for_each(|i| entries[i * k + i] = 1.0);
        Self { k, entries }
    }

    /// Product with the free part of `v`; held coordinates stay 0.
    fn times(&self, v: &[f64], held: &[bool]) -> Vec<f64> {
        (0..self.k)
            .map(|i| {
                if held[i] {
                    0.0
                } else {
                    dot(&self.entries[i * self.k..][..self.k], v, held)
                }
            })
            .collect()
    }

    /// BFGS: `s` the step, `y` the fall of the gradient along it. Skipped without curvature.
    fn update(&mut self, s: &[f64], y: &[f64], scale: bool) {
        let k = self.k;
        let sy: f64 = s.iter().zip(y).map(|(a, b)| a * b).sum();
        let yy: f64 = y.iter().map(|v| v * v).sum();
        let ss: f64 = s.iter().map(|v| v * v).sum();
        if sy <= 1e-10 * (ss * yy).sqrt() {
            return;
        }
        if scale {
            self.entries.iter_mut().for_each(|e| *e *= sy / yy);
        }
        let free = vec![false; k];
        let hy = self.times(y, &free);
        let yhy: f64 = y.iter().zip(&hy).map(|(a, b)| a * b).sum();
        for i in 0..k {
            for j in 0..k {
                self.entries[i * k + j] +=
                    (1.0 + yhy / sy) * s[i] * s[j] / sy - (hy[i] * s[j] + s[i] * hy[j]) / sy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denormal_slope_ends_the_ascent() {
        let flat = |x: &[f64]| (1e-310 * x[0], vec![1e-310]);
        let (x, _) = ascend(&[0.3], Effort::default(), flat);
        assert_eq!(x, [0.3]);
    }

    #[test]
    fn a_bent_valley_is_climbed() {
        // Minus Rosenbrock on [-0.5, 1.5]^2, maximum 0 at (1, 1).
        let f = |u: &[f64]| {
            let (a, b) = (2.0 * u[0] - 0.5, 2.0 * u[1] - 0.5);
            let r = b - a * a;
            let value = -((1.0 - a).powi(2) + 100.0 * r * r);
            (
                value,
                vec![2.0 * (2.0 * (1.0 - a) + 400.0 * a * r), 2.0 * (-200.0 * r)],
            )
        };
        let (x, value) = ascend(
            &[0.1, 0.9],
            Effort {
                steps: 200,
                shortest: 1e-9,
            },
            f,
        );
        assert!(value > -1e-8, "{value} at {x:?}");
    }

    #[test]
    fn a_maximum_at_a_corner_is_reached_and_bounds_hold() {
        let f = |u: &[f64]| {
            assert!(u.iter().all(|v| (0.0..=1.0).contains(v)));
            (
                u[0] - 2.0 * u[1] - (u[2] - 0.3).powi(2),
                vec![1.0, -2.0, -2.0 * (u[2] - 0.3)],
            )
        };
        let (x, _) = ascend(&[0.5, 0.5, 0.9], Effort::default(), f);
        assert_eq!((x[0], x[1]), (1.0, 0.0));
        assert!((x[2] - 0.3).abs() < 1e-6);
    }

    #[test]
    fn the_smaller_of_two_planes_is_climbed_to_its_ridge() {
        let f = |u: &[f64]| {
            let (a, b) = (u[0] + 0.1 * u[1], 1.0 - u[0] + 0.2 * u[1]);
            if a < b {
                (a, vec![1.0, 0.1])
            } else {
                (b, vec![-1.0, 0.2])
            }
        };
        let (_, value) = ascend(
            &[0.05, 0.2],
            Effort {
                steps: 200,
                shortest: 1e-10,
            },
            f,
        );
        assert!(value > 0.64, "{value}"); // 0.65 at x = 0.55, y = 1
    }
}
