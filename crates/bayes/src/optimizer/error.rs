//! [`Error`]: why the optimiser refused.

use crate::environment::EnvironmentError;
use crate::space::SpaceError;
use thiserror::Error;

/// Why the optimiser refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// A point outside the space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// Environments that do not fit the settings.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A setting outside its range.
    #[error("{setting} {value}: {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// A condition that no point was found to meet.
    #[error("none of {tried} points spread over the space is admitted by its constraints")]
    Inadmissible {
        /// Points tried.
        tried: u64,
    },
    /// An id told twice.
    #[error("observation {id} is already told")]
    Repeated {
        /// The id.
        id: u64,
    },
    /// A value that is not finite; tell it as failed instead.
    #[error("observation {id}: value {value} is not finite, tell it as failed")]
    Value {
        /// The id.
        id: u64,
        /// The value.
        value: f64,
    },
    /// A query whose environment is not one of the problem's.
    #[error(
        "observation {id}: environment {environment:?} with {found} values is none of the problem's"
    )]
    Query {
        /// The id.
        id: u64,
        /// Row given.
        environment: Option<usize>,
        /// Length of w given.
        found: usize,
    },
    /// Nothing was observed successfully yet, so nothing can be recommended.
    #[error("no successful observation yet: tell one first")]
    NothingObserved,
    /// A recorded state that does not belong to the observations told.
    #[error("recorded model state does not fit: {reason}")]
    State {
        /// Why.
        reason: String,
    },
}
