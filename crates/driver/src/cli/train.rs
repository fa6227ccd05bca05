//! `bo train edge`: trains the compact edge network.

use std::path::PathBuf;

use bo_vision::train::TrainSettings;
use clap::{Args, Subcommand};

use super::schedule::{Schedule, absolute, refuse};
use crate::exit::Failure;
use crate::training::{Pair, Plan};

/// What is trained.
#[derive(Args)]
pub struct TrainArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The compact edge network, on generated scenes, on folders of images and edge maps, or on both
    Edge(Box<EdgeArgs>),
}

/// Flags of `bo train edge`.
#[derive(Args)]
struct EdgeArgs {
    /// Folder for weights, state and losses
    #[arg(long, value_name = "DIR", default_value = "trained")]
    out: PathBuf,

    /// Folder of images; repeat together with --edges for several. Half of the crops come from images, however few they
    /// are beside the scenes
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    images: Vec<PathBuf>,

    /// Folder of edge maps, named like the --images before it
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    edges: Vec<PathBuf>,

    /// Number of generated scenes, and of drawn shapes; 0 = photographs alone
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        conflicts_with = "resume"
    )]
    scenes: usize,

    /// Only images whose name begins with an odd number; the even ones are left to be judged by
    #[arg(long, conflicts_with = "resume")]
    odd_only: bool,

    /// Weights to begin with
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    start: Option<PathBuf>,

    #[command(flatten)]
    schedule: Schedule,
}

/// Trains.
///
/// # Errors
/// Settings or data that cannot be, or a training that fails.
pub fn main(args: &TrainArgs) -> Result<(), Failure> {
    let What::Edge(args) = &args.what;
    let plan = match args.schedule.resume {
        true => None,
        false => Some(plan(args)?),
    };
    args.schedule.go(&args.out, plan)
}

/// The flags, checked.
fn plan(args: &EdgeArgs) -> Result<Plan, Failure> {
    if args.images.len() != args.edges.len() {
        let (images, edges) = (args.images.len(), args.edges.len());
        return Err(refuse(
            "edges",
            format!("{images} --images but {edges} --edges"),
            "give every --images DIR its own --edges DIR, in the same order",
        ));
    }
    if args.images.is_empty() && args.scenes == 0 {
        return Err(refuse(
            "scenes",
            "0 leaves nothing to train on".to_owned(),
            "give --images DIR --edges DIR, or --scenes 1000",
        ));
    }
    let pairs = args.images.iter().zip(&args.edges);
    let [judge_every, patience, checkpoint_every] = args.schedule.rhythm();
    Ok(Plan {
        format: "bo/train".to_owned(),
        version: 1,
        settings: args.schedule.settings(TrainSettings::default())?,
        pairs: pairs
            .map(|(images, edges)| Pair {
                images: absolute(images),
                edges: absolute(edges),
            })
            .collect(),
        labelled: Vec::new(),
        adapt: None,
        scenes: args.scenes,
        odd_only: args.odd_only,
        start: args.start.as_ref().map(absolute),
        judge_every,
        patience,
        checkpoint_every,
    })
}
