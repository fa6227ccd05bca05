//! What is optimised, what is asked and what is answered.

use crate::environment::Environments;
use crate::space::Space;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Large values are good; the bad tail is the lower one.
    Maximize,
    /// Small values are good; the bad tail is the upper one.
    Minimize,
}

impl Direction {
    /// +1 or -1: what turns a value of the user's sign into one to be maximised, and back.
    pub fn sign(self) -> f64 {
        match self {
            Self::Maximize => 1.0,
            Self::Minimize => -1.0,
        }
    }
}

/// A problem: decision space, environments, direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Decision parameters x.
    pub space: Space,
    /// Environments w.
    pub environments: Environments,
    /// Which way is better.
    pub direction: Direction,
}

/// One (x, w) to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Decision parameters in natural units; a category is the index of its choice.
    pub x: Vec<f64>,
    /// Row of a finite environment set, `None` otherwise.
    pub environment: Option<usize>,
    /// Environment in natural units; empty without environments.
    pub w: Vec<f64>,
}

/// What an evaluation ended with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// A finite value in the user's sign.
    Value(f64),
    /// The same from an evaluation under lesser conditions, such as a smaller scale: right on average, but
    /// noisier, if [`super::Surrogate::rough_noise`] asks for the difference.
    Rough(f64),
    /// It failed: no value. Never stands for a bad value.
    Failed,
}

impl Outcome {
    /// The value, unless it failed.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) | Self::Rough(value) => Some(value),
            Self::Failed => None,
        }
    }
}

/// A finished evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Unique number; observations count in the order of their ids, not of their telling.
    pub id: u64,
    /// Iteration that decided it; 0 = initial design.
    pub iteration: u64,
    /// What was evaluated.
    pub query: Query,
    /// What came back.
    pub outcome: Outcome,
}
