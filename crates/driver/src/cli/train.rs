//! `bo train edge`: trains the compact edge network.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use bo_vision::train::{StepReport, TrainSettings};
use clap::{Args, Subcommand};

use super::result::notify;
use crate::exit::Failure;
use crate::quantity::{bytes, clock, typed};
use crate::run::{StopFlag, watch_signals};
use crate::settings::Origin;
use crate::training::{Course, Ended, Pair, Plan};

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

    /// Folder of images; repeat together with --edges for several
    #[arg(long, value_name = "DIR")]
    images: Vec<PathBuf>,

    /// Folder of edge maps, named like the --images before it
    #[arg(long, value_name = "DIR")]
    edges: Vec<PathBuf>,

    /// Number of generated scenes, and of drawn shapes; 0 = photographs alone
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    scenes: usize,

    /// Only images whose name begins with an odd number; the even ones are left to be judged by
    #[arg(long)]
    odd_only: bool,

    /// Weights to begin with
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,

    /// Steps in all
    #[arg(long, value_name = "N", default_value_t = 1000)]
    steps: usize,

    /// Crops at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,

    /// Batches whose mean gradient makes a step
    #[arg(long, value_name = "N", default_value_t = 1)]
    accumulate: usize,

    /// Side of a crop in pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS", default_value_t = 192)]
    side: usize,

    /// Largest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 2e-3)]
    learning_rate: f64,

    /// From 0 (flips and quarter turns) to 1 (all augmentation)
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    augmentation: f32,

    /// Seed of first weights and crops
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Progress on held-out examples is judged every so many steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    judge_every: usize,

    /// Judgements in a row that may be no better before training ends; 0 = never ends early
    #[arg(long, value_name = "N", default_value_t = 0)]
    patience: usize,

    /// The state is saved every so many steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    checkpoint_every: usize,

    /// Go on with the training in --out, by its own settings
    #[arg(long, conflicts_with_all = [
        "images", "edges", "scenes", "odd_only", "start", "steps", "batch", "accumulate",
        "side", "learning_rate", "augmentation", "seed", "judge_every", "patience", "checkpoint_every",
    ])]
    resume: bool,
}

/// Trains.
///
/// # Errors
/// Settings or data that cannot be, or a training that fails.
pub fn main(args: &TrainArgs) -> Result<(), Failure> {
    let What::Edge(args) = &args.what;
    let plan = match args.resume {
        true => Plan::read(&args.out)?,
        false => plan(args)?,
    };
    let sources = plan.sources()?;
    let stop = StopFlag::default();
    watch_signals(&stop)?;
    let course = Course::open(&plan, &args.out, args.resume, &candle_core::Device::Cpu)?;
    notify(&[format!(
        "{} parameters, {} examples",
        course.parameters(),
        sources
            .iter()
            .map(|(_, source)| source.len())
            .sum::<usize>()
    )]);
    let mut line = LossLine::new(plan.settings.steps);
    let ended = course.run(&sources, &stop, &mut |report, judged| {
        line.step(report, judged)
    })?;
    line.end();
    let out = typed(&args.out);
    let peak = bo_memory::host::resident().map_or(0, |resident| resident.peak);
    let mut words = vec![
        format!(
            "weights of the best judgement: {}",
            args.out.join("weights.safetensors").display()
        ),
        format!(
            "losses: {}; peak memory {}",
            args.out.join("losses.svg").display(),
            bytes(peak)
        ),
    ];
    match ended {
        Ended::Done => {}
        Ended::NoBetter => words.push(format!(
            "ended early: {} judgements were no better",
            plan.patience
        )),
        Ended::Stopped(_) => words.push(format!(
            "stopped; go on: bo train edge --out {out} --resume"
        )),
    }
    notify(&words);
    match ended {
        Ended::Stopped(signal) => Err(Failure::Said {
            code: 128_u8.wrapping_add(signal as u8),
        }),
        _ => Ok(()),
    }
}

/// The flags, checked.
fn plan(args: &EdgeArgs) -> Result<Plan, Failure> {
    let refuse = |key: &str, reason: String, remedy: &str| Failure::Setting {
        key: key.to_owned(),
        origin: Origin::Flag(format!("--{key}")),
        reason,
        remedy: remedy.to_owned(),
    };
    if args.images.len() != args.edges.len() {
        return Err(refuse(
            "edges",
            format!(
                "{} --images but {} --edges",
                args.images.len(),
                args.edges.len()
            ),
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
    let counts = [
        ("steps", args.steps),
        ("batch", args.batch),
        ("accumulate", args.accumulate),
        ("judge-every", args.judge_every),
        ("checkpoint-every", args.checkpoint_every),
    ];
    if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return Err(refuse(
            key,
            "0 is too few".to_owned(),
            &format!("type --{key} 1 or more"),
        ));
    }
    if !args.side.is_multiple_of(8) || !(32..=1024).contains(&args.side) {
        return Err(refuse(
            "side",
            format!("{} is no multiple of 8 from 32 to 1024", args.side),
            "type --side 192",
        ));
    }
    if !(args.learning_rate > 0.0 && args.learning_rate <= 1.0) {
        return Err(refuse(
            "learning-rate",
            format!("{} is outside (0, 1]", args.learning_rate),
            "type --learning-rate 0.002",
        ));
    }
    if !(0.0..=1.0).contains(&args.augmentation) {
        return Err(refuse(
            "augmentation",
            format!("{} is outside 0 .. 1", args.augmentation),
            "type --augmentation 1",
        ));
    }
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let pairs = args.images.iter().zip(&args.edges);
    Ok(Plan {
        format: "bo/train".to_owned(),
        version: 1,
        settings: TrainSettings {
            seed: args.seed,
            steps: args.steps,
            batch: args.batch,
            accumulate: args.accumulate,
            side: args.side,
            learning_rate: args.learning_rate,
            augmentation: args.augmentation,
            ..TrainSettings::default()
        },
        pairs: pairs
            .map(|(images, edges)| Pair {
                images: absolute(images),
                edges: absolute(edges),
            })
            .collect(),
        scenes: args.scenes,
        odd_only: args.odd_only,
        start: args.start.as_ref().map(absolute),
        judge_every: args.judge_every,
        patience: args.patience,
        checkpoint_every: args.checkpoint_every,
    })
}

/// The live line: on a terminal it is written over, elsewhere a line comes every twenty steps.
struct LossLine {
    steps: usize,
    begun: Instant,
    smooth: Option<f32>,
    judged: Option<f32>,
    live: bool,
}

impl LossLine {
    fn new(steps: usize) -> Self {
        Self {
            steps,
            begun: Instant::now(),
            smooth: None,
            judged: None,
            live: std::io::stderr().is_terminal(),
        }
    }

    fn step(&mut self, report: &StepReport, judged: Option<f32>) {
        let smooth = self
            .smooth
            .map_or(report.loss, |s| 0.97 * s + 0.03 * report.loss);
        self.smooth = Some(smooth);
        self.judged = judged.or(self.judged);
        let done = report.step + 1;
        if !self.live && !done.is_multiple_of(20) && done != self.steps {
            return;
        }
        let held = self
            .judged
            .map_or(String::new(), |judged| format!(", held out {judged:.4}"));
        let text = format!(
            "step {done} of {}: loss {:.4}, smoothed {smooth:.4}{held}; {}",
            self.steps,
            report.loss,
            clock(self.begun.elapsed().as_secs_f64())
        );
        let mut stderr = std::io::stderr();
        let _ = match self.live {
            true => write!(stderr, "\r{text}\x1b[K"),
            false => writeln!(stderr, "{text}"),
        };
    }

    fn end(&self) {
        if self.live {
            let _ = writeln!(std::io::stderr());
        }
    }
}
