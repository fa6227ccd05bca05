//! `bo run`.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::settings::{Origin, RawSettings, Settings, read_config};

/// Flags of `bo run`.
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    settings: RawSettings,

    /// Settings from a file (TOML); flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check everything, say what would be run, and stop
    #[arg(long)]
    dry_run: bool,

    /// The result as one JSON object
    #[arg(long)]
    json: bool,

    /// No progress on stderr
    #[arg(long)]
    quiet: bool,
}

/// Runs an optimisation from its start.
///
/// # Errors
/// Any [`Failure`].
pub fn main(args: RunArgs) -> Result<(), Failure> {
    let settings = settings(args.settings, args.config.as_deref())?;
    if args.dry_run {
        return Ok(());
    }
    super::session::finish(settings.out(), args.json, args.quiet, |world, reporter| {
        crate::run::start(&settings, world, reporter)
    })
}

/// Flags over file, checked.
fn settings(flags: RawSettings, config: Option<&std::path::Path>) -> Result<Settings, Failure> {
    let file = match config {
        Some(path) => read_config(path)?,
        None => RawSettings::default(),
    };
    let merged = flags.clone().over(file.clone());
    Settings::check(&merged, &|key| match config {
        _ if flags.names(key) => Origin::Flag(format!("--{key}")),
        Some(path) if file.names(key) => Origin::File {
            path: path.to_owned(),
            key: key.to_owned(),
        },
        _ => Origin::Default,
    })
}
