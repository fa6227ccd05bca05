//! The loop of a run, how it begins, goes on and ends.
//!
//! [`Setup`] is what a run needs before it touches the disk; [`begin`] makes a directory for it,
//! [`locate`] and [`proceed`] take up one that exists. All end in [`course`], the loop.

mod course;
mod holdings;
mod locate;
mod mirror;
mod session;
mod setup;
mod signal;
mod start;
mod step;
mod stop;

pub use locate::{Base, Located, locate};
pub use setup::{Schedule, Setup, manifest};
pub use signal::watch_signals;
pub use start::{begin, proceed};
pub use stop::{End, Stop, StopFlag};
