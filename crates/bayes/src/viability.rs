//! Where evaluations succeed, learned from those that failed.
//!
//! Labels +1 (a value came back) and -1 (none did) are regressed by a Gaussian process; its posterior mean m gives the
//! probability `Phi(m / s)` of a value, s the deviation of a label's noise. To explore, the prior mean is +1: what is far from every failure counts as
//! viable. To recommend, it is 0: success must have been seen nearby. Regression on labels is the simplest model that leaves a failing region alone: it shares the
//! posterior's code, needs no iteration and no link function, and only the order of probabilities matters to
//! an acquisition. One lengthscale for all inputs, because failures are few and
//! their border is often one of a single input, which a long common lengthscale follows; and one noise, because some
//! failures say nothing of x: a full disk, a lost connection. The most likely pair of a few of each.

use crate::environment::EnvironmentSet;
use crate::gp::{Hyperparameters, MeanSurface, Posterior};
use crate::kernel::KernelKind;
use crate::maximize::Slope;
use ndarray::{Array1, Array2, s};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};
use std::sync::Arc;

/// Lengthscales tried, for one input; they grow with the root of the number of inputs.
const LENGTHSCALES: [f64; 6] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2];
/// Newest observations by which they are compared.
const COMPARED: usize = 300;
/// Noise variances of a label tried: failures that follow from x and w, some that do not, hardly one that does.
const NOISES: [f64; 3] = [0.06, 0.3, 1.0];
/// Probability from which on an x may be recommended.
const LIKELY: f64 = 0.9;
/// Where x that returned values do not reach that, because some environments always fail or all do now and then: this
/// share of their median.
const NEAR_USUAL: f64 = 0.95;

/// The probability of a value as a function of (x, w).
#[derive(Clone, Debug)]
pub struct Viability {
    /// Prior mean +1.
    hopeful: Posterior,
    /// Prior mean 0.
    doubtful: Posterior,
    /// 1 / deviation of a label's noise.
    steepness: f64,
    dx: usize,
}

impl Viability {
    /// Learns from encoded inputs (n x d, the first `dx` of them x) in the order of their ids, and which of them
    /// failed. `None` where none did, or where the labels have no model.
    pub fn learn(dx: usize, inputs: &Array2<f64>, failed: &[bool]) -> Option<Self> {
        if !failed.contains(&true) {
            return None;
        }
        let labels: Array1<f64> = failed.iter().map(|f| if *f { -1.0 } else { 1.0 }).collect();
        let (n, d) = inputs.dim();
        let model = |(lengthscale, noise): (f64, f64), mean: f64, first: usize| {
            let hyper = Hyperparameters {
                lengthscales: vec![lengthscale * (d as f64).sqrt(); d],
                outputscale: 1.0,
                noise,
                mean,
                rough_noise: None,
                warp: Vec::new(),
            };
            let inputs = inputs.slice(s![first.., ..]).to_owned();
            let labels = labels.slice(s![first..]).to_owned();
            Posterior::new(KernelKind::Matern52, &hyper, inputs, labels).ok()
        };
        let newest = n.saturating_sub(COMPARED);
        let pairs = NOISES
            .into_iter()
            .flat_map(|noise| LENGTHSCALES.map(|lengthscale| (lengthscale, noise)));
        let best = pairs
            .filter_map(|p| Some((p, model(p, 1.0, newest)?.log_marginal_likelihood())))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        Some(Self {
            hopeful: model(best.0, 1.0, 0)?,
            doubtful: model(best.0, 0.0, 0)?,
            steepness: best.0.1.sqrt().recip(),
            dx,
        })
    }

    /// To explore: the probability over x in these environments.
    pub fn over(&self, environments: &EnvironmentSet) -> ViableSurface {
        self.surface(&self.hopeful, environments)
    }

    fn surface(&self, labels: &Posterior, environments: &EnvironmentSet) -> ViableSurface {
        ViableSurface {
            labels: MeanSurface::new(labels, self.dx, &environments.encoded),
            steepness: self.steepness,
            masses: Arc::clone(&environments.masses),
        }
    }

    /// To recommend: where nine evaluations in ten would succeed, or nearly as many as at the median of these
    /// encoded x, which returned values.
    pub fn proven(&self, environments: &EnvironmentSet, observed: &[Vec<f64>]) -> Proven {
        let surface = self.surface(&self.doubtful, environments);
        let mut usual: Vec<f64> = observed.iter().map(|x| surface.value(x)).collect();
        usual.sort_by(f64::total_cmp);
        let median = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
        let least = LIKELY.min(NEAR_USUAL * median);
        Proven { surface, least }
    }
}

/// Probabilities of a value at encoded x in each environment of a set.
#[derive(Clone, Debug)]
pub struct ViableSurface {
    labels: MeanSurface,
    steepness: f64,
    masses: Arc<[f64]>,
}

impl ViableSurface {
    /// In each environment.
    pub fn each(&self, x: &[f64]) -> Vec<f64> {
        let normal = Normal::standard();
        let means = self.labels.means(x).into_iter();
        means.map(|m| normal.cdf(self.steepness * m)).collect()
    }

    /// In environment `j`, with its gradient with respect to x.
    pub fn slope_in(&self, x: &[f64], j: usize) -> Slope {
        let mut weights = vec![0.0; self.masses.len()];
        weights[j] = 1.0;
        self.weighted(x, &weights)
    }

    /// Mean over the environments by their masses, with its gradient.
    pub fn slope(&self, x: &[f64]) -> Slope {
        self.weighted(x, &self.masses)
    }

    /// Mean over the environments by their masses.
    pub fn value(&self, x: &[f64]) -> f64 {
        let pairs = self.each(x).into_iter().zip(self.masses.iter());
        pairs.map(|(p, mass)| p * mass).sum()
    }

    fn weighted(&self, x: &[f64], weights: &[f64]) -> Slope {
        let normal = Normal::standard();
        let means = self.labels.means(x);
        let at = means.iter().map(|m| self.steepness * m).zip(weights);
        let value = at.clone().map(|(t, w)| w * normal.cdf(t)).sum();
        let shares: Vec<f64> = at
            .map(|(t, w)| w * self.steepness * normal.pdf(t))
            .collect();
        (value, self.labels.gradient(x, &shares))
    }
}

/// Which x may be recommended.
#[derive(Clone, Debug)]
pub struct Proven {
    surface: ViableSurface,
    least: f64,
}

impl Proven {
    /// Whether encoded x may be.
    pub fn holds(&self, x: &[f64]) -> bool {
        self.surface.value(x) >= self.least
    }
}

/// A gain (what is positive of it) times its probability; losses stay what they are.
pub fn expected((gain, gradient): Slope, probability: impl FnOnce() -> Slope) -> Slope {
    if gain <= 0.0 {
        return (gain, gradient);
    }
    let (p, rise) = probability();
    let product = gradient
        .iter()
        .zip(rise)
        .map(|(g, r)| g * p + gain * r)
        .collect();
    (gain * p, product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Rows;
    use crate::sobol;

    #[test]
    fn failures_that_have_nothing_to_do_with_x_exclude_little() {
        let inputs = Array2::from_shape_fn((60, 3), |(i, d)| sobol::coordinate(i as u64, d, 3));
        // 15 of 60, here and there.
        let failed: Vec<bool> = (0..60)
            .map(|i| sobol::coordinate(i, 7, 11) < 0.25)
            .collect();
        let viability = Viability::learn(2, &inputs, &failed).unwrap();
        let encoded = Rows::new(1, [[0.2], [0.9]]);
        let environments = EnvironmentSet::own(encoded.clone(), encoded, vec![0.5; 2]);
        let good = (0..60).filter(|i| !failed[*i]);
        let good: Vec<Vec<f64>> = good.map(|i| inputs.slice(s![i, ..2]).to_vec()).collect();
        let surface = viability.over(&environments);
        let proven = viability.proven(&environments, &good);
        let held = good.iter().filter(|x| proven.holds(x)).count();
        assert!(10 * held >= 8 * good.len(), "{held} of {}", good.len());
        assert!(good.iter().all(|x| surface.value(x) > 0.4));
    }

    #[test]
    fn a_failing_half_is_learned_and_the_gradient_is_its_slope() {
        let inputs = Array2::from_shape_fn((16, 3), |(i, d)| sobol::coordinate(i as u64, d, 3));
        let failed: Vec<bool> = inputs.column(0).iter().map(|x| *x > 0.5).collect();
        assert!(Viability::learn(2, &inputs, &[false; 16]).is_none());
        let viability = Viability::learn(2, &inputs, &failed).unwrap();
        let encoded = Rows::new(1, [[0.2], [0.9]]);
        let environments = EnvironmentSet::own(encoded.clone(), encoded, vec![0.3, 0.7]);
        let surface = viability.over(&environments);
        for y in [0.1, 0.5, 0.9] {
            assert!(surface.value(&[0.85, y]) < 0.2);
            assert!(surface.value(&[0.15, y]) > 0.9);
        }
        let proven = viability.proven(&environments, &[vec![0.1, 0.5]]);
        assert!(proven.holds(&[0.15, 0.5]) && !proven.holds(&[0.6, 0.5]));
        let x = [0.52, 0.4];
        let (value, gradient) = surface.slope(&x);
        assert!((value - surface.value(&x)).abs() < 1e-14);
        let h = 1e-5;
        for d in 0..2 {
            let moved = |by: f64| {
                let mut x = x;
                x[d] += by;
                surface.value(&x)
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((gradient[d] - difference).abs() < 1e-6, "{d}");
        }
    }
}
