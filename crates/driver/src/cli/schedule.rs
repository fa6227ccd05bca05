//! What `bo train edge` and `bo adapt` have in common: the flags of a schedule, the budget, the course.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bo_memory::{Ledger, budget, host};
use bo_vision::edge::Precision;
use bo_vision::train::{Pace, TrainSettings};
use clap::Args;

use super::loss_line::LossLine;
use super::result::notify;
use crate::exit::Failure;
use crate::forecast::Demand;
use crate::objective::{Chosen, Reserve, Wish, open_device, skipped};
use crate::quantity::{bytes, typed};
use crate::run::{StopFlag, watch_signals_within};
use crate::settings::{Limits, Origin, device};
use crate::training::{Course, Ended, Inputs, JUDGING, Opening, Plan, unlikely};

/// Longest that a micro-batch may take once a training was asked to stop; a second signal ends it at once.
const PATIENCE: Duration = Duration::from_secs(600);

/// Flags of a schedule.
#[derive(Args)]
pub struct Schedule {
    /// Steps in all [default: 1000; to adapt 200]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// Crops at once [default: 8; to adapt 4]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// Batches whose mean gradient makes a step
    #[arg(long, value_name = "N", default_value_t = 1)]
    accumulate: usize,

    /// Side of a crop in pixels, a multiple of 16
    #[arg(long, value_name = "PIXELS", default_value_t = 192)]
    side: usize,

    /// Largest learning rate [default: 0.002]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    learning_rate: Option<f64>,

    /// From 0 (flips and quarter turns) to 1 (all augmentation) [default: 1; to adapt 0.5]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    augmentation: Option<f32>,

    /// Seed of first weights and crops
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Progress on held-out examples (every tenth) is judged every so many steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    judge_every: usize,

    /// Judgements in a row that may be no better before training ends; 0 = never ends early
    #[arg(long, value_name = "N", default_value_t = 0)]
    patience: usize,

    /// The state is saved every so many steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    checkpoint_every: usize,

    /// Keep only the maps between stages and compute the others again on the way back: half the memory, a third more time
    #[arg(long)]
    checkpoint_gradients: bool,

    /// Numbers of maps and their gradients: float32; on a GPU also tf32, float16, bfloat16 (weights, their gradients and the
    /// loss stay float32)
    #[arg(long, value_name = "NAME", default_value = "float32")]
    precision: String,

    /// auto, cpu or cuda:N; with --resume it may be another one, whose numbers have other last bits
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,

    /// Share of the GPU's memory that may be taken, with what others hold there
    #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
    gpu_memory_fraction: f64,

    /// Host memory that may be taken, MiB; what does not fit is held to it: fewer loaders, fewer crops at once with their
    /// gradients added up, gradient checkpointing [default: 80 % of the machine's memory or of the tightest cgroup limit]
    #[arg(long, value_name = "N")]
    host_memory_mb: Option<u64>,

    /// Threads that load and crop examples; speed only [default: a third of the cores]
    #[arg(long, value_name = "N")]
    loaders: Option<usize>,

    /// Go on with the training in --out, by its own settings
    #[arg(long, conflicts_with_all = [
        "batch", "accumulate", "side", "learning_rate", "augmentation", "seed", "judge_every", "patience",
        "checkpoint_every", "checkpoint_gradients", "precision",
    ])]
    pub resume: bool,

    /// With --resume: what the training reads may be other than when it began, and is noted as it is now
    #[arg(long, requires = "resume")]
    accept_changed: bool,
}

/// A flag that cannot be.
pub fn refuse(key: &str, reason: String, remedy: &str) -> Failure {
    Failure::Setting {
        key: key.to_owned(),
        origin: Origin::Flag(format!("--{key}")),
        reason,
        remedy: remedy.to_owned(),
    }
}

/// Paths as they are read from anywhere.
pub fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

impl Schedule {
    /// The settings of the flags, with these where a flag is left out.
    ///
    /// # Errors
    /// One that cannot be.
    pub fn settings(&self, defaults: TrainSettings) -> Result<TrainSettings, Failure> {
        let precision = self
            .precision
            .parse()
            .map_err(|reason| refuse("precision", reason, "type --precision float32"))?;
        let settings = TrainSettings {
            precision,
            seed: self.seed,
            steps: self.steps.unwrap_or(defaults.steps),
            batch: self.batch.unwrap_or(defaults.batch),
            accumulate: self.accumulate,
            side: self.side,
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            augmentation: self.augmentation.unwrap_or(defaults.augmentation),
            checkpoint_gradients: self.checkpoint_gradients,
            ..defaults
        };
        if !(1..=64).contains(&self.loaders.unwrap_or(1)) {
            let reason = format!("{} is outside 1 .. 64", self.loaders.unwrap_or(1));
            return Err(refuse("loaders", reason, "type --loaders 2"));
        }
        Ok(settings)
    }

    /// The device, which must compute in `precision`.
    fn device(&self, precision: Precision) -> Result<Chosen, Failure> {
        let limits = Limits::typed();
        open_device(&Wish {
            device: device(&self.device, &limits)?,
            origin: &limits.origin("device"),
            share: limits.share("gpu-memory-fraction", self.gpu_memory_fraction)?,
            precision,
            instead: "leave it out; for half the memory type --checkpoint-gradients",
        })
    }

    /// The steps of judging, ending early and saving.
    pub fn rhythm(&self) -> [usize; 3] {
        [self.judge_every, self.patience, self.checkpoint_every]
    }

    /// Trains in `out` by a new plan, or where none is given by the one that is there.
    ///
    /// # Errors
    /// Settings or data that cannot be, or a training that fails.
    pub fn go(&self, out: &Path, plan: Option<Plan>) -> Result<(), Failure> {
        let stop = StopFlag::default();
        watch_signals_within(&stop, PATIENCE)?;
        let plan = match plan {
            Some(plan) => {
                let checked = plan.check();
                checked.map_err(|outside| refuse(outside.key, outside.reason, &outside.remedy))?;
                plan
            }
            None => {
                let plan = Plan::read(out)?;
                if self.steps.is_some() {
                    let steps = plan.settings.steps;
                    return Err(refuse(
                        "steps",
                        format!(
                            "the training in {} has {steps}, along which its learning rate falls",
                            out.display()
                        ),
                        &format!("type --resume alone; to go on longer {}", plan.longer(out)),
                    ));
                }
                plan
            }
        };
        let chosen = self.device(plan.settings.precision)?;
        let (sources, passed_over) = plan.sources()?;
        let examples: usize = sources.iter().map(|(_, source)| source.len()).sum();
        let held_out = Plan::held_out(&sources);
        if held_out == 0 && plan.patience > 0 && !self.resume {
            return Err(refuse(
                "patience",
                format!(
                    "of {examples} examples none is held out to judge progress by; every tenth is"
                ),
                "leave out --patience, or give 10 examples or more",
            ));
        }
        let inputs = Inputs::of(&plan, &sources)?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let budget = budget::host(self.host_memory_mb.map(|mb| mb.saturating_mul(1 << 20)));
        let mut demand = Demand {
            model: plan.model(),
            rank: plan.adapt.as_ref().map(|adapt| adapt.rank),
            settings: plan.settings.clone(),
            pace: Pace::asked(&plan.settings),
            loaders: self.loaders.unwrap_or(cores.div_ceil(3)).clamp(1, 64),
            judging: JUDGING,
            pixels: sources
                .iter()
                .map(|(_, source)| source.pixels())
                .max()
                .unwrap_or(0),
            base: host::resident().map_or(0, |resident| resident.now),
            card: chosen.card.as_ref().map(Reserve::room),
        };
        let how = match self.resume {
            true => Opening::Again {
                accept_changed: self.accept_changed,
            },
            false => Opening::Anew,
        };
        let open = || Course::open(&plan, &inputs, out, how, &chosen.device);
        // what is there goes on at its own pace; a new one is not begun before it fits
        let begun = self.resume.then(open).transpose()?;
        if let Some(course) = &begun {
            demand.pace = course.pace();
        }
        let asked = demand.bytes()?;
        let (demand, changes) = demand.held_to(budget.bytes)?;
        let mut course = match begun {
            Some(course) => course,
            None => open()?,
        };
        course.keep_to(demand.pace)?;
        let mut words = vec![format!(
            "{} trained values of {}, {examples} examples, on {}",
            course.parameters(),
            plan.model(),
            chosen.name
        )];
        // that there is no GPU is no news to whoever did not ask for one
        words.extend(
            chosen
                .notices
                .iter()
                .filter(|_| chosen.card.is_some())
                .cloned(),
        );
        words.extend(plan.shares(&sources));
        words.extend(skipped(&passed_over));
        words.extend(plan.pairs.iter().filter_map(|pair| unlikely(&pair.edges)));
        words.extend((held_out == 0).then(|| {
            "too few examples to hold one out (every tenth is): progress is not judged; whether it helps is measured on other \
             images, by bo evaluate"
                .to_owned()
        }));
        words.extend(course.is_done().then(|| plan.done(out)));
        if !changes.is_empty() {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            words.push(format!(
                "memory: {} would be taken, {} are allowed; held to it by {}: {}",
                bytes(asked),
                bytes(budget.bytes),
                changes.join(", "),
                bytes(demand.bytes()?)
            ));
        }
        notify(&words);
        let mut line = LossLine::after(course.entries(), plan.settings.steps);
        let ledger = Ledger::new();
        let (ended, took) = ledger.during("training", || {
            let mut pace = demand.pace;
            course.run(&sources, demand.loaders, &stop, &mut |report, judged| {
                if std::mem::replace(&mut pace, report.pace) != report.pace {
                    line.slower(report, plan.settings.batch * plan.settings.accumulate);
                }
                line.step(report, judged);
            })
        });
        let ended = ended?;
        line.end();
        let learned = out.join(plan.learned());
        let peak = host::resident().map_or(0, |resident| resident.peak);
        let mut words = vec![
            match learned.exists() {
                true if held_out == 0 => format!("learned: {}", learned.display()),
                true => format!("best so far: {}", learned.display()),
                false => format!("nothing was judged yet: no {} so far", learned.display()),
            },
            format!("losses: {}", out.join("losses.svg").display()),
            format!(
                "memory: training took {} at its peak, {} stayed; this process {} at its peak, predicted {}",
                bytes(took.took().host),
                bytes(took.after.host.saturating_sub(took.before.host)),
                bytes(peak),
                bytes(demand.bytes()?)
            ),
        ];
        if learned.exists() && !matches!(ended, Ended::Stopped(_)) {
            words.push(format!("use it: {}", plan.use_of(out)));
        }
        match ended {
            Ended::Done => {}
            Ended::NoBetter => words.push(format!(
                "ended early: {} judgements were no better",
                plan.patience
            )),
            Ended::Stopped(_) => words.push(format!(
                "stopped, everything saved; go on: {} --out {} --resume",
                plan.command(),
                typed(out)
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
}
