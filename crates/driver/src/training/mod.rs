//! Training an edge network from the command line: what was asked ([`Plan`]), how it goes ([`Course`]) and what it
//! leaves in its folder.

mod course;
mod inputs;
mod ledger;
mod limits;
mod maps;
mod paces;
mod plan;

pub use course::{Course, Ended, JUDGING, Opening};
pub use inputs::Inputs;
pub use ledger::Entry;
#[cfg(any(test, fuzzing))]
pub use ledger::Ledger;
pub use maps::unlikely;
#[cfg(any(test, fuzzing))]
pub use paces::Paces;
pub use plan::{Adaptation, Labelled, Pair, Plan};
