//! Training an edge network from the command line: what was asked ([`Plan`]), how it goes ([`Course`]) and what it
//! leaves in its folder.

mod course;
mod ledger;
mod plan;

pub use course::{Course, Ended};
pub use plan::{Pair, Plan};
