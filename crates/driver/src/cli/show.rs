//! `bo show`.

use std::path::PathBuf;

use clap::Args;

use super::result::print;
use crate::exit::Failure;
use crate::show::State;

/// Flags of `bo show`.
#[derive(Args)]
pub struct ShowArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// The run in one screen.
///
/// # Errors
/// No run, or one that cannot be read.
pub fn main(args: &ShowArgs) -> Result<(), Failure> {
    print(&State::read(&args.run)?, args.json)
}
