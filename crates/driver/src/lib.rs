//! `bo`: risk-averse Bayesian optimisation that finishes.
//!
//! [`main`] reads the command line, runs one command and turns its end into an exit code. It is a library only so
//! that fuzz targets reach its readers; nothing else of it is meant for other programs.

mod bounded;
mod cli;
mod detect;
mod doctor;
mod evaluate;
mod event;
mod exchange;
mod exit;
mod forecast;
mod lineage;
mod objective;
mod picture;
mod plan;
mod progress;
mod quantity;
#[cfg(any(test, fuzzing))]
pub mod readers;
mod record;
mod report;
mod run;
mod settings;
mod show;
mod summary;
mod supervise;
mod sweep;
mod training;
mod weights;

use std::process::ExitCode;

/// Counts host bytes, so that the ledger can say which iteration left some behind.
#[global_allocator]
static ALLOCATOR: bo_memory::Counting = bo_memory::Counting;

/// `bo` with the words of this process's command line.
pub fn main() -> ExitCode {
    // where the allocator cannot be told it is the same program, with more pages
    bo_memory::host::share_heap();
    cli::main()
}
