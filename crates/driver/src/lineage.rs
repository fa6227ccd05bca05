//! Names in the environment by which processes of `bo` know each other.

/// A worker's parent, by its process number. Never passed on to programs.
pub const WATCHED_BY: &str = "BO_WATCHED_BY";

/// The mark of a program that evaluates, inherited by all that it starts.
pub const PROGRAM: &str = "BO_PROGRAM";
