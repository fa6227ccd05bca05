//! Counts bytes: which part of a run holds memory, on the host and on the device.
//!
//! A [`Ledger`] opens one [`Scope`] for each iteration of a run (the arena): bytes before, peak and
//! after, by child scope. What an iteration means to keep it names with [`Ledger::hold`]; anything
//! else that stays is a leak and is attributed to the child that left it. [`Counting`] is the global
//! allocator that makes the host's bytes countable; [`host`] asks the system; [`device`] the GPU.
//!
//! The crate allocates and frees nothing on anybody's behalf: ownership does that. It proves it.

pub mod budget;
pub mod cgroup;
mod clean;
mod counting;
pub mod device;
pub mod gpu;
pub mod host;
mod ledger;
mod meter;
mod scope;
mod slope;

pub use clean::Reclaimed;
pub use counting::{Counting, piece};
pub use ledger::{Ledger, TOLERANCE};
pub use meter::{Bytes, Meter, Unmetered};
pub use scope::{Child, ChildReport, Leak, Scope, ScopeReport};
pub use slope::{Growth, Slope};
