//! `bo run`: a new optimisation.

use std::path::{Path, PathBuf};

use clap::Args;

use super::result::{Voice, finish, print};
use super::supervision::Supervision;
use crate::exit::Failure;
use crate::plan::Plan;
use crate::run::{free, start};
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

    #[command(flatten)]
    supervision: Supervision,

    #[command(flatten)]
    voice: Voice,
}

/// Runs an optimisation from its start.
///
/// # Errors
/// Any [`Failure`].
pub fn main(args: RunArgs) -> Result<(), Failure> {
    let settings = settings(args.settings, args.config.as_deref())?;
    if args.dry_run {
        return print(&Plan::new(&settings)?, args.voice.json);
    }
    if args.supervision.watches() {
        free(settings.out())?;
        return args.supervision.watch(settings.out(), &args.voice, None);
    }
    finish(settings.out(), &args.voice, |world, reporter| {
        start(&settings, world, reporter)
    })
}

/// Flags over file, with paths that hold wherever the run is resumed from; and those of the file.
///
/// # Errors
/// As [`read_config`].
pub(super) fn merged(
    flags: RawSettings,
    config: Option<&Path>,
) -> Result<(RawSettings, RawSettings), Failure> {
    let file = match config {
        Some(path) => read_config(path)?,
        None => RawSettings::default(),
    };
    let mut merged = flags.over(file.clone());
    merged.make_inputs_absolute();
    merged.start_command_here();
    Ok((merged, file))
}

/// The same, checked.
fn settings(flags: RawSettings, config: Option<&Path>) -> Result<Settings, Failure> {
    let (merged, file) = merged(flags.clone(), config)?;
    Settings::check(&merged, &|key| match config {
        _ if flags.names(key) => Origin::Flag(format!("--{key}")),
        Some(path) if file.names(key) => Origin::File {
            path: path.to_owned(),
            key: key.to_owned(),
        },
        _ => Origin::Default,
    })
}
