//! `bo adapt`: low-rank changes of an edge network, learned from a handful of labelled images.

use std::path::PathBuf;

use bo_vision::edge::{EdgeError, EdgeModel};
use bo_vision::train::TrainSettings;
use clap::Args;

use super::schedule::{Schedule, absolute, refuse};
use crate::exit::Failure;
use crate::training::{Adaptation, Labelled, Pair, Plan};
use crate::weights;

/// Flags of `bo adapt`.
#[derive(Args)]
pub struct AdaptArgs {
    /// Folder for the adapter, state and losses
    #[arg(long, value_name = "DIR", default_value = "adapted")]
    out: PathBuf,

    /// Folder of a handful of images; repeat for several, each with its --edges or --labels
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "resume",
        required_unless_present = "resume"
    )]
    images: Vec<PathBuf>,

    /// Folder of edge maps (255 on an edge, 0 off it), named like the --images before it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["resume", "labels"])]
    edges: Vec<PathBuf>,

    /// Labels of lines instead, as for bo run: each line is drawn as an edge, and nothing else counts as one
    #[arg(long, value_name = "PATH", conflicts_with = "resume")]
    labels: Vec<PathBuf>,

    /// Edge network: compact, dexined, pidinet, pidinet-small, pidinet-tiny
    #[arg(
        long,
        value_name = "NAME",
        default_value = "compact",
        conflicts_with = "resume"
    )]
    edge_model: String,

    /// Its weights, which stay as they are [default: those that ship]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    weights: Option<PathBuf>,

    /// Rank of the changes; more learns more and forgets more
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "resume")]
    rank: usize,

    /// Factor on the changes
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        default_value_t = 1.0,
        conflicts_with = "resume"
    )]
    scale: f64,

    #[command(flatten)]
    schedule: Schedule,
}

/// Adapts.
///
/// # Errors
/// Settings or data that cannot be, or a training that fails.
pub fn main(args: &AdaptArgs) -> Result<(), Failure> {
    let plan = match args.schedule.resume {
        true => None,
        false => Some(plan(args)?),
    };
    args.schedule.go(&args.out, plan)
}

/// The flags, checked.
fn plan(args: &AdaptArgs) -> Result<Plan, Failure> {
    let (key, given) = match args.labels.is_empty() {
        true => ("edges", &args.edges),
        false => ("labels", &args.labels),
    };
    if args.images.len() != given.len() {
        let (images, given) = (args.images.len(), given.len());
        return Err(refuse(
            key,
            format!("{images} --images but {given} --{key}"),
            "give every --images DIR its own --edges DIR or --labels PATH, in the same order",
        ));
    }
    let model: EdgeModel = args.edge_model.parse().map_err(|error: EdgeError| {
        let remedy = match &error {
            EdgeError::UnknownModel { name, .. } => weights::meant(name),
            _ => "leave out --edge-model to adapt the network that ships, or name another network"
                .to_owned(),
        };
        refuse("edge-model", error.to_string(), &remedy)
    })?;
    let pairs = args.images.iter().zip(given);
    let (mut edges, mut labelled) = (Vec::new(), Vec::new());
    for (images, given) in pairs.map(|(images, given)| (absolute(images), absolute(given))) {
        match args.labels.is_empty() {
            true => edges.push(Pair {
                images,
                edges: given,
            }),
            false => labelled.push(Labelled {
                images,
                labels: given,
            }),
        }
    }
    let [judge_every, patience, checkpoint_every] = args.schedule.rhythm();
    Ok(Plan {
        format: "bo/train".to_owned(),
        version: 1,
        settings: args.schedule.settings(TrainSettings {
            steps: 200,
            batch: 4,
            augmentation: 0.5,
            ..TrainSettings::default()
        })?,
        pairs: edges,
        labelled,
        adapt: Some(Adaptation {
            model,
            weights: args.weights.as_ref().map(absolute),
            rank: args.rank,
            scale: args.scale,
        }),
        scenes: 0,
        odd_only: false,
        start: None,
        judge_every,
        patience,
        checkpoint_every,
    })
}
