//! `bo resume`: a run goes on.

use std::path::{Path, PathBuf};

use clap::Args;

use super::result::{Voice, finish};
use super::supervision::Supervision;
use crate::exit::Failure;
use crate::record::holds_run;
use crate::run::{ResumeRequest, Total, resume};
use crate::settings::RawSettings;

/// Flags of `bo resume`.
#[derive(Args)]
pub struct ResumeArgs {
    /// A run's directory, or one of its checkpoints to go on from there
    #[arg(value_name = "RUN|CHECKPOINT")]
    path: PathBuf,

    /// Total number of decisions, or +N for N more than were asked for before, wherever the run stands
    #[arg(long, value_name = "N|+N")]
    iterations: Option<Total>,

    /// Go on in a new directory and leave this one as it is
    #[arg(long, value_name = "NEW")]
    out: Option<PathBuf>,

    /// The run's command, repeated: needed when the run's files are another user's, or the command's own have moved
    /// (it is then started in this folder)
    #[arg(long, value_name = "PROG ARGS")]
    command: Option<String>,

    /// Go on although the content of what is read changed and the problem did not: a moved label, other weights of the
    /// network, a comment in the space file; recorded. Not for other ranges, environments, weights of environments, or
    /// an image that looks different
    #[arg(long)]
    accept_changed: bool,

    /// Ask again what failed since the last evaluation that returned a value, once its program is mended; in a new directory, as
    /// what was recorded stays
    #[arg(long, requires = "out")]
    retry_failed: bool,

    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    means: MeansArgs,

    #[command(flatten)]
    supervision: Supervision,

    #[command(flatten)]
    voice: Voice,
}

/// Where the run's inputs are now; by their content they must be what they were.
#[derive(Args)]
struct InputArgs {
    /// The run's images, where they are now; repeat for several folders, in the order in which they were given
    #[arg(long, value_name = "DIR", help_heading = INPUTS)]
    images: Vec<PathBuf>,

    /// Their labels, where they are now
    #[arg(long, value_name = "PATH", help_heading = INPUTS)]
    labels: Vec<PathBuf>,

    /// The weights of the edge network, where they are now
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    weights: Option<PathBuf>,

    /// The adapter, where it is now
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    adapter: Option<PathBuf>,
}

const INPUTS: &str = "Inputs that have moved (checked by content)";

/// What may change on resume.
#[derive(Args)]
struct MeansArgs {
    /// Worker threads; changes the speed, never a result
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    threads: Option<usize>,

    /// Evaluations done at once, up to the run's --batch; never changes a result
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    jobs: Option<usize>,

    /// auto, cpu or cuda:N
    #[arg(
        long,
        value_name = "DEVICE",
        help_heading = "Machine (may differ from before)"
    )]
    device: Option<String>,

    /// Seconds a command may take for one evaluation
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Machine (may differ from before)",
        allow_negative_numbers = true
    )]
    timeout: Option<f64>,

    /// Folder for kept edge output
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Machine (may differ from before)"
    )]
    cache: Option<PathBuf>,

    /// Share of a GPU's memory that may be taken
    #[arg(
        long,
        value_name = "SHARE",
        help_heading = "Machine (may differ from before)"
    )]
    gpu_memory_fraction: Option<f64>,

    /// Host memory that the process may hold, MiB
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    host_memory_mb: Option<u64>,

    /// Images through the edge network at once, at most
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    edge_batch: Option<usize>,

    /// A checkpoint every so many iterations
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    checkpoint_every: Option<u64>,

    /// A deep clean-up of memory every so many iterations
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine (may differ from before)"
    )]
    deep_clean_every: Option<u64>,

    /// Checkpoints that stay: all, or the newest N
    #[arg(
        long,
        value_name = "all|N",
        help_heading = "Machine (may differ from before)"
    )]
    keep_checkpoints: Option<String>,
}

impl From<MeansArgs> for RawSettings {
    fn from(means: MeansArgs) -> Self {
        Self {
            threads: means.threads,
            jobs: means.jobs,
            device: means.device,
            timeout: means.timeout,
            cache: means.cache,
            host_memory_mb: means.host_memory_mb,
            edge_batch: means.edge_batch,
            gpu_memory_fraction: means.gpu_memory_fraction,
            checkpoint_every: means.checkpoint_every,
            deep_clean_every: means.deep_clean_every,
            keep_checkpoints: means.keep_checkpoints,
            ..Self::default()
        }
    }
}

/// Goes on with a run.
///
/// # Errors
/// Any [`Failure`].
pub fn main(args: ResumeArgs) -> Result<(), Failure> {
    let mut means = RawSettings {
        images: args.inputs.images,
        labels: args.inputs.labels,
        weights: args.inputs.weights,
        adapter: args.inputs.adapter,
        ..RawSettings::from(args.means)
    };
    means.make_inputs_absolute();
    if args.command.is_some() {
        // repeated here: its relative words hold here
        means.command_folder = std::env::current_dir().ok();
    }
    let out = args.out.clone().unwrap_or_else(|| run_folder(&args.path));
    let named = args.out.is_some() || args.path.is_file() || holds_run(&args.path);
    if named && args.supervision.watches() {
        return args
            .supervision
            .watch(&out, &args.voice, args.command.as_deref());
    }
    let request = ResumeRequest {
        path: args.path,
        iterations: args.iterations,
        out: args.out,
        means,
        command: args.command,
        accept_changed: args.accept_changed,
        retry_failed: args.retry_failed,
    };
    finish(&out, &args.voice, |world, reporter| {
        resume(&request, world, reporter)
    })
}

/// The run that a directory or a checkpoint in it belongs to.
fn run_folder(path: &Path) -> PathBuf {
    match path.parent() {
        _ if path.is_dir() => path.to_owned(),
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
