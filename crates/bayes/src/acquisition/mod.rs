//! Acquisitions: the worth of evaluating an (x, w) next.
//!
//! [`KnowledgeGradient`] is the exact knowledge gradient of the risk and [`rho_kg`] chooses by it;
//! [`Envelope`] integrates the maximum of piecewise-linear functions against a normal z; [`pool`] makes
//! the finite sets of x that both run over; [`space_filling`] does without a model.

mod envelope;
mod gradient;
mod knowledge_gradient;
mod normal;
pub mod pool;
pub mod rho_kg;
mod situation;
pub mod space_filling;

pub use envelope::{Envelope, Gain, REACH};
pub use knowledge_gradient::KnowledgeGradient;
pub use situation::{Choice, Situation, Taken};
