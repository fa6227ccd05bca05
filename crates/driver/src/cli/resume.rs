//! `bo resume`.

use std::path::PathBuf;

use clap::Args;

use super::session::finish;
use crate::exit::Failure;
use crate::run::{ResumeRequest, Total};
use crate::settings::RawSettings;

/// Flags of `bo resume`.
#[derive(Args)]
pub struct ResumeArgs {
    /// A run's directory, or one of its checkpoints (iter_015.json)
    path: PathBuf,

    /// Decisions in all, or +N for N more
    #[arg(long, value_name = "N|+N", allow_hyphen_values = true)]
    iterations: Option<Total>,

    /// Go on in a new directory and leave this one as it is
    #[arg(long, value_name = "NEW")]
    out: Option<PathBuf>,

    /// Record inputs that have changed since the run began instead of refusing them
    #[arg(long)]
    accept_changed: bool,

    /// The command of the run, repeated (needed for a run of another user)
    #[arg(long, value_name = "PROG ARGS")]
    command: Option<String>,

    /// Seconds a command may take for one evaluation
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,

    /// Worker threads; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// auto, cpu or cuda:N
    #[arg(long)]
    device: Option<String>,

    /// Folder for kept edge output
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Host memory for kept edge output, in MiB
    #[arg(long, value_name = "N")]
    host_memory_mb: Option<u64>,

    /// A checkpoint every N iterations
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,

    /// A deep clean-up every N iterations
    #[arg(long, value_name = "N")]
    deep_clean_every: Option<u64>,

    /// Checkpoints that stay: all, or the newest N
    #[arg(long, value_name = "all|N")]
    keep_checkpoints: Option<String>,

    /// The result as one JSON object
    #[arg(long)]
    json: bool,

    /// No progress on stderr
    #[arg(long)]
    quiet: bool,
}

/// Goes on with a run.
///
/// # Errors
/// Any [`Failure`].
pub fn main(args: ResumeArgs) -> Result<(), Failure> {
    let request = ResumeRequest {
        iterations: args.iterations,
        out: args.out,
        means: RawSettings {
            timeout: args.timeout,
            threads: args.threads,
            device: args.device,
            cache: args.cache,
            host_memory_mb: args.host_memory_mb,
            checkpoint_every: args.checkpoint_every,
            deep_clean_every: args.deep_clean_every,
            keep_checkpoints: args.keep_checkpoints,
            ..RawSettings::default()
        },
        command: args.command,
        accept_changed: args.accept_changed,
        path: args.path,
    };
    let out = request.out.clone().unwrap_or_else(|| request.path.clone());
    finish(&out, args.json, args.quiet, |world, reporter| {
        crate::run::resume(&request, world, reporter)
    })
}
