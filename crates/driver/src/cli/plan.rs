//! `bo plan`: the memory that a network will take here, and what fits, before anything is run.

use bo_vision::edge::{EdgeError, EdgeFinder, Purpose, Work};
use clap::Args;

use super::result::print;
use crate::exit::Failure;
use crate::forecast::{CannyForecast, Cards, Forecast, Photograph};
use crate::settings::Limits;
use crate::weights;

/// Flags of `bo plan`.
#[derive(Args)]
pub struct PlanArgs {
    /// Edge network: compact, dexined, pidinet, pidinet-small, pidinet-tiny; or canny
    #[arg(long, value_name = "NAME", default_value = "compact")]
    edge_model: String,

    /// Columns of an image (of a training crop)
    #[arg(long, value_name = "PIXELS", default_value_t = 640)]
    width: u32,

    /// Rows of an image (of a training crop)
    #[arg(long, value_name = "PIXELS", default_value_t = 480)]
    height: u32,

    /// Images at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,

    /// A step of training instead of looking at images: of the whole compact network, of others as bo adapt takes it
    #[arg(long)]
    train: bool,

    /// Labels name no regions: lines are detected in the whole of an image
    #[arg(long, conflicts_with = "train")]
    without_regions: bool,

    /// With gradient checkpointing: the maps between stages are kept alone, the others computed again
    #[arg(long, requires = "train")]
    checkpoint_gradients: bool,

    /// Host memory that may be taken, MiB [default: 80 % of the machine's memory or of the tightest cgroup limit]
    #[arg(long, value_name = "N")]
    host_memory_mb: Option<u64>,

    /// Run the largest batch that is planned to fit once, or with --train one step on it, and tell what it took; networks
    /// that need a file of weights with random ones
    #[arg(long, conflicts_with = "cards")]
    probe: bool,

    /// Recommended settings for cards of several sizes and every network instead, training among them
    #[arg(long, conflicts_with_all = ["train", "host_memory_mb"])]
    cards: bool,

    /// Share of a card's memory that may be taken, for --cards
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, requires = "cards")]
    gpu_memory_fraction: f64,

    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows the plan.
///
/// # Errors
/// A network that is not known, a size that it does not take, or, once it is shown, a plan that does not fit.
pub fn main(args: &PlanArgs) -> Result<(), Failure> {
    let limits = Limits::typed();
    let refuse = |key: &str, reason: String, remedy: &str| limits.refuse(key, reason, remedy);
    let share = limits.share("gpu-memory-fraction", args.gpu_memory_fraction)?;
    // larger ones are slips of the finger, and sums of bytes must not overflow
    for (key, value, most) in [
        ("width", u64::from(args.width), 100_000),
        ("height", u64::from(args.height), 100_000),
        ("batch", args.batch as u64, 4096),
        ("host-memory-mb", args.host_memory_mb.unwrap_or(1), 1 << 40),
    ] {
        if !(1..=most).contains(&value) {
            let reason = format!("{value} is outside 1 .. {most}");
            return Err(refuse(
                key,
                reason,
                &format!("type --{key} with a number in that range"),
            ));
        }
    }
    let finder: EdgeFinder = args.edge_model.parse().map_err(|error: EdgeError| {
        refuse(
            "edge-model",
            error.to_string(),
            &weights::meant(&args.edge_model),
        )
    })?;
    if args.cards {
        return print(&Cards::new(share)?, args.json);
    }
    let asked = args.host_memory_mb.map(|mb| mb << 20);
    let Ok(model) = finder.network() else {
        return canny(args, asked);
    };
    let (height, width) = model.padded(args.height, args.width);
    let work = Work {
        model,
        purpose: match (args.train, args.checkpoint_gradients) {
            (false, _) => Purpose::Inference,
            (true, false) => Purpose::Training,
            (true, true) => Purpose::CheckpointedTraining,
        },
        batch: args.batch,
        height,
        width,
    };
    let mut forecast = Forecast::new(work, !args.without_regions, asked)?;
    if args.probe {
        forecast.probe()?;
    }
    print(&forecast, args.json)?;
    match forecast.is_possible() {
        true => Ok(()),
        false => Err(forecast.refusal()?),
    }
}

/// The plan for Canny, which has nothing to train or to measure and sees one image at a time.
fn canny(args: &PlanArgs, asked: Option<u64>) -> Result<(), Failure> {
    for (key, is_set, reason) in [
        ("train", args.train, "canny has no weights to train"),
        (
            "probe",
            args.probe,
            "canny takes the same for every image of a size: there is nothing to try",
        ),
        ("batch", args.batch > 1, "canny sees one image at a time"),
    ] {
        if is_set {
            let remedy = format!("leave out --{key}, or name a network with --edge-model");
            return Err(Limits::typed().refuse(key, reason.to_owned(), &remedy));
        }
    }
    let image = Photograph {
        size: (args.width, args.height),
        has_regions: !args.without_regions,
    };
    let forecast = CannyForecast::new(image, asked)?;
    print(&forecast, args.json)?;
    forecast.check()
}
