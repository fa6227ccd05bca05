//! Settings of an optimisation, and what they mean for what a decision looks at.

use super::{Query, Surrogate};
use crate::environment::{Environments, Look};
use crate::risk::{RiskMeasure, TailMass};
use std::fmt;

/// Which rule chooses the next (x, w).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquisitionKind {
    /// Exact knowledge gradient of the risk of the posterior mean.
    RhoKg,
    /// Knowledge gradient of the expected risk over sample paths.
    RhoKgPaths,
    /// Risk of upper confidence bounds.
    CvUcb,
    /// Logarithm of the noisy expected improvement of the risk.
    LogNei,
    /// Risk of a sample path.
    Thompson,
    /// Uniformly random.
    Random,
}

impl AcquisitionKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::RhoKg,
        Self::RhoKgPaths,
        Self::CvUcb,
        Self::LogNei,
        Self::Thompson,
        Self::Random,
    ];
}

/// What is done for spaces of many parameters. The region was level with the plain mode on problems without environments
/// and on the one measured with them lower on three to five seeds of five (`experiments/high_dimension`): it is there to be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HighDimension {
    /// Nothing beyond lengthscale priors that grow with the square root of the dimension.
    #[default]
    Plain,
    /// Decisions inside a trust region around the best x observed ([`crate::acquisition::Region`]).
    Region,
}

impl HighDimension {
    /// Every mode, for tables and tests.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Region];
}

/// How to optimise. Make one with `Settings { seed: 3, ..Settings::default() }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What was evaluated elsewhere: the initial design begins with it, so that its values are observations like any others.
    pub earlier: Vec<Query>,
    /// Points x of the initial design beside those, at least 1; 0 where there are earlier ones.
    pub n_initial: usize,
    /// Environments evaluated at each x of the initial design, at least 1 (more than there are: all).
    pub initial_w: usize,
    /// Environments a decision looks at.
    pub n_w: Look,
    /// What is maximised over x.
    pub risk: RiskMeasure,
    /// Rule for decisions.
    pub acquisition: AcquisitionKind,
    /// The Gaussian process.
    pub surrogate: Surrogate,
    /// What is done for many parameters.
    pub high_dimension: HighDimension,
    /// Seed of every random stream.
    pub seed: u64,
}

impl Default for Settings {
    /// 5 x 3 initial evaluations, CVaR of the worst tenth, decisions over 3 environments by the knowledge
    /// gradient, Matern 5/2, seed 0.
    fn default() -> Self {
        Self {
            earlier: Vec::new(),
            n_initial: 5,
            initial_w: 3,
            n_w: Look::Count(3),
            risk: RiskMeasure::Cvar(TailMass::new(0.1).expect("0.1 is in (0, 1]")),
            acquisition: AcquisitionKind::RhoKg,
            surrogate: Surrogate::default(),
            high_dimension: HighDimension::Plain,
            seed: 0,
        }
    }
}

/// What a tail mass means when a decision looks at `n_w` environments and `alpha * n_w < 1`: where they weigh alike only
/// the worst one counts, else the worst ones as far as `alpha` of the weight reaches. `Display` gives the sentence a user
/// should read before the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looks {
    /// Tail mass.
    pub alpha: f64,
    /// Environments a decision looks at.
    pub n_w: usize,
    /// Environments in all (`None`: continuous).
    pub all: Option<usize>,
    /// Whether all of them weigh alike.
    pub alike: bool,
}

impl Looks {
    /// The notice, where one is due: decisions look at some of the environments, and at more than one.
    pub fn notice(alpha: f64, n_w: usize, environments: &Environments) -> Option<Self> {
        let all = match environments {
            Environments::None => return None,
            other => other.count(),
        };
        let due = alpha * (n_w as f64) < 1.0 && n_w > 1 && all != Some(n_w);
        let alike = match environments {
            Environments::Finite(f) => f.weights().iter().all(|w| *w == f.weights()[0]),
            Environments::None | Environments::Continuous(_) => true,
        };
        due.then_some(Self {
            alpha,
            n_w,
            all,
            alike,
        })
    }

    /// Largest tail mass that decides alike, where all environments weigh alike.
    pub fn alike_up_to(&self) -> f64 {
        1.0 / self.n_w as f64
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            alpha, n_w, all, ..
        } = self;
        write!(f, "alpha {alpha} over {n_w} environments: ")?;
        if self.alike {
            write!(
                f,
                "decisions look at the worst 1 of {n_w} (any alpha up to {:.3} would decide alike)",
                self.alike_up_to()
            )?;
        } else {
            write!(
                f,
                "they weigh differently, and decisions look at the worst {alpha} of the weight: at the worst 1 of {n_w} alone \
                 where that weighs {alpha} or more"
            )?;
        }
        write!(f, "; the incumbent is judged at alpha {alpha} over ")?;
        match all {
            Some(n) => write!(f, "all {n}"),
            None => write!(f, "{} fixed points", crate::environment::JUDGING_POINTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Continuous, Finite, Marginal};

    fn finite(weights: Vec<f64>) -> Environments {
        let points = (0..weights.len()).map(|i| vec![i as f64]).collect();
        let set = Finite::new(vec!["w".into()], points, Some(weights), None);
        Environments::Finite(set.unwrap())
    }

    #[test]
    fn the_notice_reads_as_promised() {
        let notice = |environments: &Environments| {
            let looks = Looks::notice(0.1, 3, environments);
            looks.map(|looks| looks.to_string())
        };
        assert_eq!(
            notice(&finite(vec![2.0; 24])).unwrap(),
            "alpha 0.1 over 3 environments: decisions look at the worst 1 of 3 (any alpha up to 0.333 \
             would decide alike); the incumbent is judged at alpha 0.1 over all 24"
        );
        let weighted = finite((1..=24).map(f64::from).collect());
        assert_eq!(
            notice(&weighted).unwrap(),
            "alpha 0.1 over 3 environments: they weigh differently, and decisions look at the worst 0.1 of the \
             weight: at the worst 1 of 3 alone where that weighs 0.1 or more; the incumbent is judged at alpha 0.1 \
             over all 24"
        );
        let law = Marginal::Uniform {
            low: 0.0,
            high: 1.0,
        };
        let continuous = Continuous::new(vec![("w".into(), law)]).unwrap();
        let told = notice(&Environments::Continuous(continuous)).unwrap();
        assert!(told.ends_with("over 1024 fixed points"), "{told}");
        // All three, and none.
        assert_eq!(notice(&finite(vec![1.0; 3])), None);
        assert_eq!(notice(&Environments::None), None);
        assert_eq!(Looks::notice(0.5, 3, &weighted), None);
    }
}
