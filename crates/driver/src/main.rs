//! `bo`: risk-averse Bayesian optimisation that finishes.
//!
//! The binary reads the command line, runs one command and turns its end into an exit code.

mod cli;
mod event;
mod exit;
mod objective;
mod record;
mod run;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
