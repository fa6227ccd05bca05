//! Independent continuous environment variables, represented by scrambled Sobol points.

use super::{EnvironmentError, EnvironmentSet, Rows};
use crate::sobol;
use statrs::distribution::{ContinuousCDF, Normal};

/// Law of one environment variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Marginal {
    /// Uniform on [low, high].
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, positive.
        sd: f64,
    },
}

impl Marginal {
    /// Value below which the share `u` in (0, 1) lies.
    pub fn quantile(&self, u: f64) -> f64 {
        match *self {
            Self::Uniform { low, high } => low + u * (high - low),
            Self::Normal { mean, sd } => mean + sd * Normal::standard().inverse_cdf(u),
        }
    }

    fn encode(&self, value: f64) -> f64 {
        match *self {
            Self::Uniform { low, high } => (value - low) / (high - low),
            Self::Normal { mean, sd } => 0.5 + (value - mean) / (6.0 * sd),
        }
    }

    fn fault(&self) -> Option<String> {
        match *self {
            // a span beyond f64 encodes to nothing
            Self::Uniform { low, high } => (!(low < high && (high - low).is_finite()))
                .then(|| format!("low {low} and high {high} must be finite with low below high")),
            Self::Normal { mean, sd } => (!(mean.is_finite() && sd.is_finite() && sd > 0.0))
                .then(|| format!("mean {mean} must be finite and sd {sd} positive")),
        }
    }
}

/// Independent continuous variables (checked).
#[derive(Clone, Debug, PartialEq)]
pub struct Continuous {
    names: Vec<String>,
    marginals: Vec<Marginal>,
}

impl Continuous {
    /// Checks names with their laws.
    ///
    /// # Errors
    /// No variable, or a law that is not one.
    pub fn new(variables: Vec<(String, Marginal)>) -> Result<Self, EnvironmentError> {
        if variables.is_empty() {
            return Err(EnvironmentError::Empty);
        }
        for (name, m) in &variables {
            if let Some(reason) = m.fault() {
                return Err(EnvironmentError::Marginal {
                    name: name.clone(),
                    reason,
                });
            }
        }
        let (names, marginals) = variables.into_iter().unzip();
        Ok(Self { names, marginals })
    }

    /// Names of the variables.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Laws of the variables.
    pub fn marginals(&self) -> &[Marginal] {
        &self.marginals
    }

    pub(super) fn encode(&self, w: &[f64]) -> Vec<f64> {
        self.marginals
            .iter()
            .zip(w)
            .map(|(m, v)| m.encode(*v))
            .collect()
    }

    /// Natural w at shares `u` in (0, 1), one per variable.
    pub fn quantile(&self, u: &[f64]) -> Vec<f64> {
        self.marginals
            .iter()
            .zip(u)
            .map(|(m, u)| m.quantile(*u))
            .collect()
    }

    /// `n` scrambled Sobol points of equal mass.
    pub(super) fn sobol(&self, n: usize, seed: u32) -> EnvironmentSet {
        let width = self.names.len();
        let points = (0..n as u64).map(|k| self.quantile(&sobol::point(k, width, seed)));
        let natural = Rows::new(width, points);
        let encoded = Rows::new(width, natural.iter().map(|w| self.encode(w)));
        EnvironmentSet::own(encoded, natural, vec![1.0 / n as f64; n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_without_a_finite_span_are_refused() {
        for (low, high) in [
            (1.0, 1.0),
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
            (-1e308, 1e308),
        ] {
            let law = Continuous::new(vec![("u".into(), Marginal::Uniform { low, high })]);
            assert!(
                matches!(law, Err(EnvironmentError::Marginal { .. })),
                "{low} {high}"
            );
        }
    }

    #[test]
    fn sobol_points_follow_their_laws() {
        let law = Continuous::new(vec![
            (
                "u".into(),
                Marginal::Uniform {
                    low: -1.0,
                    high: 3.0,
                },
            ),
            (
                "n".into(),
                Marginal::Normal {
                    mean: 20.0,
                    sd: 5.0,
                },
            ),
        ])
        .unwrap();
        let set = law.sobol(1024, 1);
        let mean = |d: usize| set.environments().map(|e| e.w[d]).sum::<f64>() / 1024.0;
        assert!((mean(0) - 1.0).abs() < 1e-2);
        assert!((mean(1) - 20.0).abs() < 5e-2);
        let var = set
            .environments()
            .map(|e| (e.w[1] - 20.0).powi(2))
            .sum::<f64>()
            / 1024.0;
        assert!((var - 25.0).abs() < 0.5, "{var}");
        assert!((set.encoded[3][0] - (set.environment(3).w[0] + 1.0) / 4.0).abs() < 1e-15);
    }
}
