//! Which Gaussian process stands for the objective.

use crate::gp::{Hyperparameters, LogNormal, Priors};
use crate::kernel::{KernelForm, KernelKind};

/// Standard deviation of the logarithm of a lengthscale (the default's: the root of 3).
const LENGTHSCALE_SPREAD: f64 = 0.7;

/// Spread of the prior on the noise where there are no environments.
const LONE_NOISE_SPREAD: f64 = 2.0;

/// Options of the surrogate. The default is what the recorded experiments favour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surrogate {
    /// Correlation.
    pub kernel: KernelKind,
    /// A product of one correlation of x and one of w, in place of one of both.
    pub product: bool,
    /// Whether the scale of each input is bent as the data ask for.
    pub warp: bool,
    /// Whether rough values ([`super::Outcome::Rough`]) get a noise variance of their own.
    pub rough_noise: bool,
}

impl Surrogate {
    /// The kernel over `dx` inputs of x and those of w after them.
    pub(super) fn form(self, dx: usize) -> KernelForm {
        if self.product {
            KernelForm::product(self.kernel, dx)
        } else {
            self.kernel.into()
        }
    }

    /// Priors of the fit: the default ones with a narrower prior on lengthscales and, where there are no environments, a
    /// wider one on the noise, both decided by regret on the synthetic problems (`experiments/regret`).
    ///
    /// A decision that believes a long lengthscale learned from few values never looks where the data would contradict it;
    /// the most probable lengthscale stays, the doubt about longer ones is what helps. Without environments objectives
    /// are mostly deterministic, and values near the optimum differ by far less than a hundredth of their spread: the
    /// default's least plausible noise would drown that. What environments do beyond their variables looks like noise,
    /// and a model that may believe in none predicts worse.
    pub(super) fn priors(self, inputs: usize, environments: bool, any_rough: bool) -> Priors {
        let default = Priors::for_dimension(inputs);
        let noise = match environments {
            true => default.noise,
            false => LogNormal {
                spread: LONE_NOISE_SPREAD,
                ..default.noise
            },
        };
        Priors {
            noise,
            lengthscale: default.lengthscale.with_spread(LENGTHSCALE_SPREAD),
            rough_noise: (self.rough_noise && any_rough).then_some(noise),
            warp: self.warp.then(Priors::gentle_warp),
            ..default
        }
    }

    /// Hyperparameters that every covariance matrix survives: smooth, a tenth of noise.
    pub(super) fn fallback(inputs: usize) -> Hyperparameters {
        Hyperparameters {
            lengthscales: vec![0.5 * (inputs.max(1) as f64).sqrt(); inputs],
            outputscale: 1.0,
            noise: 0.01,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        }
    }
}
