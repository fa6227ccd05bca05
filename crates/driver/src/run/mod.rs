//! The loop of a run, how it begins, goes on and ends.
//!
//! [`start()`] begins a run and [`resume`] takes one up; both end in the loop, `course`, whose steps stand
//! in `step` and `evaluate`. [`Setup`] is what a run needs before it touches the disk; [`World`] is what it shares with
//! the process around it.

mod allowance;
mod choices;
mod course;
mod crew;
mod evaluate;
mod holdings;
mod launch;
mod locate;
mod mirror;
mod provenance;
mod session;
mod setup;
mod signal;
mod start;
mod step;
mod stop;
mod told;
mod trust;
mod verify;

pub use choices::{choices, measure};
pub use launch::{ResumeRequest, Total, World, free, resume, start, workers};
pub use setup::{Schedule, Setup};
pub use signal::{watch_signals, watch_signals_within};
pub use stop::{End, Stop, StopFlag, StopRequest};
#[cfg(any(test, fuzzing))]
pub use trust::recorded_settings;
pub use trust::{foreign, trusted_settings};
pub use verify::verify;
