//! The loop of a run, how it begins, goes on and ends.

mod stop;

pub use stop::{Stop, StopFlag};
