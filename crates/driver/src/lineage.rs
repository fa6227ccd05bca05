//! Names in the environment by which processes of `bo` know each other.

/// A worker's parent, by its process number. Never passed on to programs.
pub const WATCHED_BY: &str = "BO_WATCHED_BY";

/// Where a worker tells its parent of steps before its loop: a number among the parent's open files.
pub const PULSE: &str = "BO_PULSE";

/// The sweep that a run belongs to, by its process number. Never passed on to workers and programs.
pub const SWEPT_BY: &str = "BO_SWEPT_BY";

/// The mark of a program that evaluates, inherited by all that it starts.
pub const PROGRAM: &str = "BO_PROGRAM";
