//! Risk measures over weighted finite sets of environments.
//!
//! Everything is maximised, so the *lower* tail is bad. [`TailMass`] is the share of the mass that
//! counts as the tail; BoTorch's `alpha` is one minus ours. Weights need not sum to one: every
//! measure divides by their sum. Source of the definitions: Rockafellar and Uryasev (2002).

mod affine;
mod measure;
mod tail;

pub use affine::{PiecewiseLinear, TailSet, cvar_of_affine};
pub use measure::RiskMeasure;
pub use tail::{RiskError, TailMass, cvar, mean, mean_minus_deviation, tail_shares, var, worst};
