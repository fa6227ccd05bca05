//! Risk-averse Bayesian optimisation as mathematics.
//!
//! Maximises a risk measure (by default the CVaR of the worst share `alpha` of environments) of an
//! expensive function `f(x, w)` over decision parameters `x`, with environments `w`. A Gaussian
//! process over (x, w) is the surrogate; an acquisition chooses which (x, w) to evaluate next.
//!
//! This crate holds no files, clock, terminal, GPU or global random generator. Everything inside is
//! *maximised*; a problem to be minimised is turned round where it enters ([`optimizer`]).
//! Random numbers derive from (seed, iteration, purpose), see [`stream`].

pub mod acquisition;
pub mod design;
pub mod environment;
pub mod gp;
pub mod incumbent;
pub mod kernel;
pub mod linalg;
pub mod maximize;
pub mod optimizer;
pub mod risk;
pub mod sobol;
pub mod space;
pub mod stream;
pub mod synthetic;

#[cfg(test)]
mod reference;
