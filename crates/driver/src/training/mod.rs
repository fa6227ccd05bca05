//! Training an edge network from the command line: what was asked ([`Plan`]), how it goes ([`Course`]) and what it
//! leaves in its folder.

mod course;
mod ledger;
mod plan;

pub use course::{Course, Ended, JUDGING};
pub use plan::{Adaptation, Labelled, Pair, Plan};
