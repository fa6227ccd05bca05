//! Acquisitions: the worth of evaluating an (x, w) next.
//!
//! One file a rule: [`rho_kg`] (by [`KnowledgeGradient`], the exact knowledge gradient of the risk), [`rho_kg_paths`]
//! (the published one, of the expected risk over sample paths), [`cv_ucb`],
//! [`log_nei`], [`thompson`]; [`space_filling`] does without a model. All choose from a [`Situation`].
//! `envelope` integrates the maximum of piecewise-linear functions against a normal z; `path` draws sample
//! paths; [`region`] makes the sets of x near the best one, and `multistart` climbs from them; `adjoint` is the chain rule
//! from posterior to x; `informative` picks an environment where a rule picks only x.

mod adjoint;
pub mod cv_ucb;
mod envelope;
#[cfg(test)]
mod examples;
mod gradient;
mod informative;
mod knowledge_gradient;
pub mod log_nei;
mod multistart;
mod normal;
mod path;
pub mod region;
pub mod rho_kg;
pub mod rho_kg_paths;
mod situation;
pub mod space_filling;
pub mod thompson;

pub use envelope::{Envelope, Gain, REACH};
pub use knowledge_gradient::KnowledgeGradient;
pub(crate) use knowledge_gradient::seen;
pub use region::Region;
pub use situation::{Choice, Situation, Taken};
