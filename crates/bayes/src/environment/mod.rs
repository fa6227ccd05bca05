//! Environments: under which conditions w the objective is judged, and which of them a decision looks at.
//!
//! [`Environments`] is none (ordinary optimisation), a finite weighted set, or a continuous law.
//! [`EnvironmentSet`] is what the rest of the crate works on: encoded points with masses that sum to 1.

mod continuous;
mod effect;
mod finite;
mod rows;
mod set;

pub use continuous::{Continuous, Marginal};
pub use effect::effects;
pub use finite::Finite;
pub use rows::Rows;
pub use set::EnvironmentSet;

use crate::stream::{Purpose, sobol_seed};
use thiserror::Error;

/// Number of Sobol points that judge continuous environments.
pub const JUDGING_POINTS: usize = 1024;

/// Why environments were refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EnvironmentError {
    /// No environment, or no variable.
    #[error("environments are empty: give at least one environment with one variable")]
    Empty,
    /// A row of the wrong length.
    #[error("environment {row} has {found} values, {expected} variables are named")]
    Dimension {
        /// Row, from 0.
        row: usize,
        /// Variables named.
        expected: usize,
        /// Values in the row.
        found: usize,
    },
    /// A value that is not finite.
    #[error("environment {row}, variable {name:?}: {value} is not finite")]
    Value {
        /// Row, from 0.
        row: usize,
        /// Variable.
        name: String,
        /// The value.
        value: f64,
    },
    /// Weights of another number than the environments.
    #[error("{found} weights for {expected} environments")]
    WeightCount {
        /// Environments.
        expected: usize,
        /// Weights.
        found: usize,
    },
    /// Labels of another number than the environments.
    #[error("{found} labels for {expected} environments")]
    LabelCount {
        /// Environments.
        expected: usize,
        /// Labels.
        found: usize,
    },
    /// A negative or non-finite weight, or weights that sum to zero.
    #[error(
        "environment {row}: weight {weight} must be finite and not negative, and one must be positive"
    )]
    Weight {
        /// Row, from 0.
        row: usize,
        /// The weight.
        weight: f64,
    },
    /// A marginal law that is not one.
    #[error("environment variable {name:?}: {reason}")]
    Marginal {
        /// Variable.
        name: String,
        /// What is wrong, with the values.
        reason: String,
    },
    /// A decision is to look at more environments than there are.
    #[error("n_w {asked} is above the number of environments {available}: lower it or use all")]
    TooMany {
        /// Asked for.
        asked: usize,
        /// There are.
        available: usize,
    },
    /// A decision is to look at no environment.
    #[error("n_w must be at least 1")]
    Zero,
}

/// How many environments a decision looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This many, drawn anew for each decision.
    Count(usize),
    /// All of them with their exact weights (continuous: the judging set).
    All,
}

/// Under which conditions the objective is judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Environments {
    /// None: ordinary optimisation of f(x).
    None,
    /// A finite set with weights.
    Finite(Finite),
    /// Independent continuous variables.
    Continuous(Continuous),
}

/// One environment as a query carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Row of a finite set.
    pub index: Option<usize>,
    /// Values in natural units; empty without environments.
    pub w: Vec<f64>,
}

impl Environments {
    /// Names of the variables, in the order of w.
    pub fn names(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::Finite(f) => f.names(),
            Self::Continuous(c) => c.names(),
        }
    }

    /// Length of w, natural and encoded.
    pub fn encoded_dimension(&self) -> usize {
        self.names().len()
    }

    /// Number of environments if it is finite; 1 without environments.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::None => Some(1),
            Self::Finite(f) => Some(f.len()),
            Self::Continuous(_) => None,
        }
    }

    /// Encoding of a natural w: a finite set scales each variable from its range over the set to
    /// [0, 1], a uniform marginal from its bounds, a normal one from mean -+ 3 sd.
    pub fn encode(&self, w: &[f64]) -> Vec<f64> {
        match self {
            Self::None => Vec::new(),
            Self::Finite(f) => f.encode(w),
            Self::Continuous(c) => c.encode(w),
        }
    }

    /// What judges an incumbent: every environment with its exact weight, or [`JUDGING_POINTS`] fixed
    /// scrambled Sobol points of a continuous law (the same for the whole run).
    pub fn judging(&self, seed: u64) -> EnvironmentSet {
        match self {
            Self::None => {
                let nothing = Rows::new(0, [[0.0; 0]]);
                EnvironmentSet::own(nothing.clone(), nothing, vec![1.0])
            }
            Self::Finite(f) => f.all(),
            Self::Continuous(c) => {
                c.sobol(JUDGING_POINTS, sobol_seed(seed, 0, Purpose::JudgingSet))
            }
        }
    }

    /// The environments one decision looks at; a pure function of its arguments.
    ///
    /// Finite sets: see [`Finite::spread`]. Continuous: fresh scrambled Sobol points of equal mass.
    ///
    /// # Errors
    /// [`EnvironmentError::TooMany`] or [`EnvironmentError::Zero`].
    pub fn decision_set(
        &self,
        look: Look,
        seed: u64,
        iteration: u64,
    ) -> Result<EnvironmentSet, EnvironmentError> {
        self.check_look(look)?;
        let sobol = sobol_seed(seed, iteration, Purpose::Environments);
        Ok(match (self, look) {
            (Self::None, _) | (_, Look::All) => self.judging(seed),
            (Self::Finite(f), Look::Count(n)) => f.spread(n, sobol),
            (Self::Continuous(c), Look::Count(n)) => c.sobol(n, sobol),
        })
    }

    /// Whether a decision can look at so many environments. Without environments any count is taken
    /// as the one there is.
    ///
    /// # Errors
    /// [`EnvironmentError::TooMany`] or [`EnvironmentError::Zero`].
    pub fn check_look(&self, look: Look) -> Result<(), EnvironmentError> {
        match (self, look) {
            (_, Look::Count(0)) => Err(EnvironmentError::Zero),
            (Self::Finite(f), Look::Count(n)) if n > f.len() => Err(EnvironmentError::TooMany {
                asked: n,
                available: f.len(),
            }),
            _ => Ok(()),
        }
    }
}
