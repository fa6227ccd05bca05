//! `bo verify`: checks a run against itself.

use std::path::PathBuf;

use clap::Args;

use super::result::print;
use crate::exit::Failure;
use crate::run::verify;

/// Flags of `bo verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// The run's directory
    run: PathBuf,

    /// The run's command, repeated: needed when its files belong to another user
    #[arg(long, value_name = "PROG ARGS")]
    command: Option<String>,

    /// The outcome as one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks every file of a run and computes each decision again.
///
/// # Errors
/// [`Failure::Unusable`] naming the file or the iteration.
pub fn main(args: &VerifyArgs) -> Result<(), Failure> {
    print(&verify(&args.run, args.command.as_deref())?, args.json)
}
