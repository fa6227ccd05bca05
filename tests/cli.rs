//! End to end: the built binary in an empty folder.

mod bad_input;
mod budget;
mod case;
mod command_objective;
mod commands;
mod decide;
mod exchange;
mod growth;
mod holders;
mod images;
mod kept;
mod moved;
mod networks;
mod rules;
mod sweep;
mod training;
mod trust;
mod watching;
