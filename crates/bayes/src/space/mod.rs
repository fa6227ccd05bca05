//! The decision space: named parameters, their domains, and three ways to write a point.
//!
//! * *natural*: what the user sees; integers as whole numbers, categories as the index of the choice;
//! * *unit*: one number in [0, 1] per parameter, where Sobol points and moves live;
//! * *encoded*: what the Gaussian process sees; as unit, but one 0/1 number per choice of a category.
//!
//! Central type: [`Space`], a checked list of [`Parameter`]s, with a [`Condition`] where not every point of their
//! domains may be evaluated.

mod condition;
mod neighbour;
mod parameter;

pub use condition::Condition;
pub use parameter::{Domain, Parameter, Scale};

use thiserror::Error;

/// Why a space, or a point of one, was refused. Every variant that can names the parameter.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SpaceError {
    /// No parameter at all.
    #[error("space has no parameters: name at least one")]
    Empty,
    /// Two parameters of one name.
    #[error("parameter {name:?} is named twice: rename one")]
    Duplicate {
        /// The name that occurs twice.
        name: String,
    },
    /// A bound is not finite, or low is not below high.
    #[error("parameter {name:?}: low {low} and high {high} must be finite with low below high")]
    Bounds {
        /// Parameter.
        name: String,
        /// Lower bound given.
        low: f64,
        /// Upper bound given.
        high: f64,
    },
    /// Logarithmic scale with a lower bound that is not positive.
    #[error("parameter {name:?}: a log scale needs low above 0, not {low}")]
    LogOfNonPositive {
        /// Parameter.
        name: String,
        /// Lower bound given.
        low: f64,
    },
    /// An integer range too wide to count exactly.
    #[error("parameter {name:?}: integer bounds {low} and {high} must lie within +-2^53")]
    IntegerRange {
        /// Parameter.
        name: String,
        /// Lower bound given.
        low: i64,
        /// Upper bound given.
        high: i64,
    },
    /// A categorical parameter without choices, or with one choice twice.
    #[error("parameter {name:?}: choices must be at least one and distinct")]
    Choices {
        /// Parameter.
        name: String,
    },
    /// A point with the wrong number of values.
    #[error("point has {found} values, the space has {expected} parameters")]
    Dimension {
        /// Parameters of the space.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value outside its domain.
    #[error("parameter {name:?}: {value} is outside {domain}")]
    Outside {
        /// Parameter.
        name: String,
        /// Value given.
        value: f64,
        /// The domain in words.
        domain: String,
    },
}

/// A checked, ordered list of parameters; where there is a condition, only points that it admits are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
    condition: Option<Condition>,
}

impl Space {
    /// Checks the parameters.
    ///
    /// # Errors
    /// No parameter, a name used twice, or a domain that is not one (see [`SpaceError`]).
    pub fn new(parameters: Vec<Parameter>) -> Result<Self, SpaceError> {
        if parameters.is_empty() {
            return Err(SpaceError::Empty);
        }
        for (i, p) in parameters.iter().enumerate() {
            p.check()?;
            if parameters[..i].iter().any(|q| q.name == p.name) {
                return Err(SpaceError::Duplicate {
                    name: p.name.clone(),
                });
            }
        }
        Ok(Self {
            parameters,
            condition: None,
        })
    }

    /// The same parameters under a condition.
    #[must_use]
    pub fn under(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Whether a natural point of the domains may be evaluated.
    pub fn admits(&self, natural: &[f64]) -> bool {
        let condition = self.condition.as_ref();
        condition.is_none_or(|condition| condition.admits(natural))
    }

    /// [`Self::admits`] of a unit point.
    pub fn admits_unit(&self, unit: &[f64]) -> bool {
        self.condition.is_none() || self.admits(&self.from_unit(unit))
    }

    /// The parameters, in the order in which points list their values.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Number of parameters: the length of a natural or unit point.
    pub fn dimension(&self) -> usize {
        self.parameters.len()
    }

    /// Length of an encoded point: one per real or integer, one per choice of a category.
    pub fn encoded_dimension(&self) -> usize {
        self.parameters.iter().map(|p| p.domain.encoded_len()).sum()
    }

    /// Whether a natural point lies in the space; integers and categories must be whole numbers.
    ///
    /// # Errors
    /// [`SpaceError::Dimension`] or [`SpaceError::Outside`].
    pub fn check(&self, natural: &[f64]) -> Result<(), SpaceError> {
        if natural.len() != self.dimension() {
            return Err(SpaceError::Dimension {
                expected: self.dimension(),
                found: natural.len(),
            });
        }
        for (p, &value) in self.parameters.iter().zip(natural) {
            if !p.domain.contains(value) {
                return Err(SpaceError::Outside {
                    name: p.name.clone(),
                    value,
                    domain: p.domain.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Natural point of a unit point; integers and categories take equal shares of [0, 1], values
    /// outside [0, 1] are clamped.
    pub fn from_unit(&self, unit: &[f64]) -> Vec<f64> {
        debug_assert_eq!(unit.len(), self.dimension());
        self.parameters
            .iter()
            .zip(unit)
            .map(|(p, &u)| p.domain.natural(u))
            .collect()
    }

    /// Unit point of a natural point; integers and categories go to the middle of their share.
    pub fn to_unit(&self, natural: &[f64]) -> Vec<f64> {
        debug_assert_eq!(natural.len(), self.dimension());
        self.parameters
            .iter()
            .zip(natural)
            .map(|(p, &v)| p.domain.unit(v))
            .collect()
    }

    /// Moves a unit point to the nearest one that stands for a point of the space: reals are clamped
    /// to [0, 1], integers and categories go to the middle of their share.
    pub fn snap_unit(&self, unit: &mut [f64]) {
        for (p, u) in self.parameters.iter().zip(unit) {
            *u = if p.domain.is_discrete() {
                p.domain.unit(p.domain.natural(*u))
            } else {
                u.clamp(0.0, 1.0)
            };
        }
    }

    /// Appends the encoding of a unit point to `out` ([`Self::encoded_dimension`] numbers).
    pub fn encode_unit_into(&self, unit: &[f64], out: &mut Vec<f64>) {
        for (p, &u) in self.parameters.iter().zip(unit) {
            p.domain.encode_into(u, out);
        }
    }

    /// Encoding of a natural point.
    pub fn encode(&self, natural: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.encoded_dimension());
        self.encode_unit_into(&self.to_unit(natural), &mut out);
        out
    }

    /// Real parameters as (position in a unit point, position in an encoded point); the two
    /// coordinates are the same number.
    pub fn real_axes(&self) -> Vec<(usize, usize)> {
        let mut encoded = 0;
        let mut axes = Vec::new();
        for (unit, p) in self.parameters.iter().enumerate() {
            if !p.domain.is_discrete() {
                axes.push((unit, encoded));
            }
            encoded += p.domain.encoded_len();
        }
        axes
    }

    /// Number of points if no parameter is real (`None` if one is, or beyond 2^53).
    pub fn size(&self) -> Option<u64> {
        self.parameters
            .iter()
            .try_fold(1_u64, |n, p| n.checked_mul(p.domain.count()?))
            .filter(|n| *n <= 1 << 53)
    }
}
