//! One decision parameter: its name, its domain, and how a value of it is written as a unit number.

use super::SpaceError;
use std::fmt;

/// How the values of a numeric domain are spread over the unit interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in the logarithm; the lower bound must be positive.
    Log,
}

/// What values a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Real numbers in [low, high].
    Real {
        /// Lower bound, included.
        low: f64,
        /// Upper bound, included.
        high: f64,
        /// Spread.
        scale: Scale,
    },
    /// Whole numbers in [low, high].
    Integer {
        /// Lower bound, included.
        low: i64,
        /// Upper bound, included.
        high: i64,
        /// Spread; with `Log`, shares of the unit interval shrink as values grow.
        scale: Scale,
    },
    /// One of several named choices, written as its index from 0.
    Categorical {
        /// Names, distinct.
        choices: Vec<String>,
    },
}

/// A named parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name, unique in its space.
    pub name: String,
    /// Values it takes.
    pub domain: Domain,
}

/// Largest magnitude at which every whole number is an f64.
const EXACT: i64 = 1 << 53;

impl Parameter {
    /// A real parameter in [low, high], linear.
    pub fn real(name: impl Into<String>, low: f64, high: f64) -> Self {
        Self {
            name: name.into(),
            domain: Domain::Real {
                low,
                high,
                scale: Scale::Linear,
            },
        }
    }

    /// An integer parameter in [low, high], linear.
    pub fn integer(name: impl Into<String>, low: i64, high: i64) -> Self {
        Self {
            name: name.into(),
            domain: Domain::Integer {
                low,
                high,
                scale: Scale::Linear,
            },
        }
    }

    /// A categorical parameter.
    pub fn categorical<S: Into<String>>(
        name: impl Into<String>,
        choices: impl IntoIterator<Item = S>,
    ) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self {
            name: name.into(),
            domain: Domain::Categorical { choices },
        }
    }

    /// The same parameter on a logarithmic scale (no effect on a category).
    pub fn log(mut self) -> Self {
        if let Domain::Real { scale, .. } | Domain::Integer { scale, .. } = &mut self.domain {
            *scale = Scale::Log;
        }
        self
    }

    pub(super) fn check(&self) -> Result<(), SpaceError> {
        let name = || self.name.clone();
        match &self.domain {
            Domain::Real { low, high, scale } => {
                if !(low.is_finite() && high.is_finite() && low < high && (high - low).is_finite())
                {
                    return Err(SpaceError::Bounds {
                        name: name(),
                        low: *low,
                        high: *high,
                    });
                }
                if *scale == Scale::Log && *low <= 0.0 {
                    return Err(SpaceError::LogOfNonPositive {
                        name: name(),
                        low: *low,
                    });
                }
            }
            Domain::Integer { low, high, scale } => {
                if low.abs_diff(0) > EXACT as u64 || high.abs_diff(0) > EXACT as u64 {
                    return Err(SpaceError::IntegerRange {
                        name: name(),
                        low: *low,
                        high: *high,
                    });
                }
                if low > high {
                    let (low, high) = (*low as f64, *high as f64);
                    return Err(SpaceError::Bounds {
                        name: name(),
                        low,
                        high,
                    });
                }
                if *scale == Scale::Log && *low <= 0 {
                    return Err(SpaceError::LogOfNonPositive {
                        name: name(),
                        low: *low as f64,
                    });
                }
            }
            Domain::Categorical { choices } => {
                let twice = choices
                    .iter()
                    .enumerate()
                    .any(|(i, c)| choices[..i].contains(c));
                if choices.is_empty() || twice {
                    return Err(SpaceError::Choices { name: name() });
                }
            }
        }
        Ok(())
    }
}

impl Domain {
    /// Whether neighbouring values are a step apart (integers and categories).
    pub fn is_discrete(&self) -> bool {
        !matches!(self, Self::Real { .. })
    }

    /// Number of values of a discrete domain.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Real { .. } => None,
            Self::Integer { low, high, .. } => Some(high.abs_diff(*low) + 1),
            Self::Categorical { choices } => Some(choices.len() as u64),
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Categorical { choices } => choices.len(),
            _ => 1,
        }
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        match self {
            Self::Real { low, high, .. } => (*low..=*high).contains(&value),
            Self::Integer { low, high, .. } => {
                value.fract() == 0.0 && (*low as f64..=*high as f64).contains(&value)
            }
            Self::Categorical { choices } => {
                value.fract() == 0.0 && value >= 0.0 && value < choices.len() as f64
            }
        }
    }

    /// Natural value at unit position `u` (clamped to [0, 1]).
    pub(super) fn natural(&self, u: f64) -> f64 {
        let u = u.clamp(0.0, 1.0);
        match self {
            Self::Real {
                low,
                high,
                scale: Scale::Linear,
            } => (low + u * (high - low)).clamp(*low, *high),
            Self::Real {
                low,
                high,
                scale: Scale::Log,
            } => (low.ln() + u * (high.ln() - low.ln()))
                .exp()
                .clamp(*low, *high),
            Self::Integer { low, high, scale } => {
                let (a, b) = (*low as f64 - 0.5, *high as f64 + 0.5);
                let t = match scale {
                    Scale::Linear => a + u * (b - a),
                    Scale::Log => (a.ln() + u * (b.ln() - a.ln())).exp(),
                };
                (t + 0.5).floor().clamp(*low as f64, *high as f64)
            }
            Self::Categorical { choices } => {
                let n = choices.len() as f64;
                (u * n).floor().min(n - 1.0)
            }
        }
    }

    /// Unit position of a natural value: exact for reals, middle of its share otherwise.
    pub(super) fn unit(&self, value: f64) -> f64 {
        let u = match self {
            Self::Real {
                low,
                high,
                scale: Scale::Linear,
            } => (value - low) / (high - low),
            Self::Real {
                low,
                high,
                scale: Scale::Log,
            } => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            Self::Integer {
                low,
                high,
                scale: Scale::Linear,
            } => (value - *low as f64 + 0.5) / (*high as f64 - *low as f64 + 1.0),
            Self::Integer {
                low,
                high,
                scale: Scale::Log,
            } => {
                let (a, b) = ((*low as f64 - 0.5).ln(), (*high as f64 + 0.5).ln());
                let (s, e) = ((value - 0.5).ln(), (value + 0.5).ln());
                (0.5 * (s + e) - a) / (b - a)
            }
            Self::Categorical { choices } => (value + 0.5) / choices.len() as f64,
        };
        u.clamp(0.0, 1.0)
    }

    pub(super) fn encode_into(&self, unit: f64, out: &mut Vec<f64>) {
        match self {
            Self::Categorical { choices } => {
                let chosen = self.natural(unit) as usize;
                out.extend((0..choices.len()).map(|i| f64::from(u8::from(i == chosen))));
            }
            _ => out.push(unit),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real { low, high, .. } => write!(f, "[{low}, {high}]"),
            Self::Integer { low, high, .. } => write!(f, "the whole numbers {low} to {high}"),
            Self::Categorical { choices } => {
                write!(
                    f,
                    "the choices 0 to {} ({})",
                    choices.len() - 1,
                    choices.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_discrete_value_survives_the_way_through_the_unit_interval() {
        let domains = [
            Domain::Integer {
                low: -3,
                high: 9,
                scale: Scale::Linear,
            },
            Domain::Integer {
                low: 1,
                high: 1000,
                scale: Scale::Log,
            },
            Domain::Integer {
                low: 7,
                high: 7,
                scale: Scale::Linear,
            },
            Domain::Categorical {
                choices: vec!["a".into(), "b".into(), "c".into()],
            },
        ];
        for d in domains {
            let first = if let Domain::Integer { low, .. } = d {
                low as f64
            } else {
                0.0
            };
            for k in 0..d.count().unwrap() {
                let value = first + k as f64;
                assert_eq!(d.natural(d.unit(value)), value, "{d}");
                assert!(d.contains(value));
            }
        }
    }

    #[test]
    fn ends_of_a_log_range_are_exact() {
        let d = Domain::Real {
            low: 1e-5,
            high: 0.1,
            scale: Scale::Log,
        };
        assert_eq!((d.natural(0.0), d.natural(1.0)), (1e-5, 0.1));
        assert!((d.natural(0.5) - 1e-3).abs() < 1e-15);
        assert!((d.unit(1e-3) - 0.5).abs() < 1e-12);
    }
}
