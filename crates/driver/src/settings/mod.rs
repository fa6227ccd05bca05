//! Settings: what the user wrote ([`RawSettings`]: flags and `bo.toml`) becomes what can run ([`Settings`]) once.
//!
//! A [`Settings`] can only be made by [`Settings::check`], so its invariants hold: 0 < alpha <= 1,
//! counts above zero, exactly one objective. It is what `run.json` stores, in the raw form with
//! every default filled in, and reading it back checks it again.

mod check;
mod config;
mod nearest;
mod raw;
mod recorded;
mod space;

pub use check::{Limits, device};
pub use config::read_config;
pub use nearest::nearest;
pub use raw::RawSettings;
#[cfg(any(test, fuzzing))]
pub use space::read_space;
pub use space::{Earlier, SpaceFile, read_space_or};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bo_bayes::environment::Environments;
use bo_vision::edge::Precision;
use bo_vision::line::Detectors;
use serde::{Deserialize, Serialize};

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag(String),
    /// In a configuration file, under a key.
    File {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// In the record of a run.
    Record,
    /// Nowhere: the default.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "set by {flag}"),
            Self::File { path, key } => write!(f, "set in {}: {key}", path.display()),
            Self::Record => f.write_str("set in the record of the run"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A number of environments, or the whole set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Look {
    /// So many (at least 1).
    Count(usize),
    /// `"all"`.
    All(All),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// The word.
    All,
}

impl std::str::FromStr for Look {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All(All::All)),
            _ => text
                .parse()
                .map(Self::Count)
                .map_err(|_| "give a whole number, or all".to_owned()),
        }
    }
}

impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::All(_) => f.write_str("all"),
        }
    }
}

/// Which risk measure is optimised, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Mean of the worst share alpha.
    Cvar,
    /// Quantile at the worst share alpha.
    Var,
    /// The worst environment.
    Worst,
    /// The mean (alpha is not used).
    Mean,
    /// Mean minus k standard deviations over the environments.
    MeanDeviation,
}

/// Which acquisition decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Acquisition {
    /// rho-kg; log-nei where there are no environments.
    Auto,
    /// Knowledge gradient of the risk measure, exact.
    RhoKg,
    /// Knowledge gradient of the expected risk over sample paths.
    RhoKgPaths,
    /// Risk of upper confidence bounds: cheap.
    CvUcb,
    /// Logarithm of the noisy expected improvement of the risk.
    LogNei,
    /// Risk of one sample path of the model.
    Thompson,
    /// Uniformly random (x, w): the baseline.
    Random,
}

impl Acquisition {
    /// What `auto` stands for. Without environments both end at the same x, but only log-nei has evaluated it by then
    /// (experiments/ordinary).
    pub fn fitted(self, environments: bool) -> Self {
        match self {
            Self::Auto if environments => Self::RhoKg,
            Self::Auto => Self::LogNei,
            named => named,
        }
    }
}

/// What an environment of labelled images is, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// An image, known by six features.
    Features,
    /// An image and what is done to it: brightness, contrast, blur, noise, rotation.
    Corruptions,
    /// The features of the image and what is done to it.
    Both,
}

/// The environments of labelled images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageEnvironment {
    /// Each image as it is.
    Features,
    /// A fixed set of (image, corruption); w = number of the image and values of the corruption.
    Corruptions {
        /// How many; at least 1.
        count: usize,
        /// Seed of the set.
        seed: u64,
    },
    /// The same set; w = features of the image and values of the corruption.
    Both {
        /// How many; at least 1.
        count: usize,
        /// Seed of the set.
        seed: u64,
    },
}

/// Correlation of the Gaussian process, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// Matern 5/2: twice differentiable.
    Matern52,
    /// Matern 3/2: once differentiable.
    Matern32,
    /// Infinitely smooth.
    SquaredExponential,
}

/// How x and w come together in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KernelStructure {
    /// One correlation of both.
    Joint,
    /// A correlation of x times one of w.
    Product,
}

/// What is done for many parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HighDimension {
    /// Nothing beyond lengthscale priors that grow with the dimension.
    Plain,
    /// A trust region around the best x seen.
    Region,
}

/// The Gaussian process that stands for the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surrogate {
    /// Correlation.
    pub kernel: Kernel,
    /// How x and w come together.
    pub structure: KernelStructure,
    /// Whether the scale of each input is bent as the data ask for.
    pub warp: bool,
    /// Whether values of lesser status have a noise variance of their own.
    pub noise_per_status: bool,
}

/// How a `--command` objective is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CommandMode {
    /// A process for each evaluation.
    Once,
    /// One process, a line for each evaluation; restarted when it dies.
    Server,
}

/// Where network and image work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A GPU if there is one that can be used, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// GPU number N; an error if it cannot be used.
    Cuda(usize),
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// How many checkpoints stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every one.
    All,
    /// The newest N (and `iter_000.json`).
    Newest(usize),
}

/// A folder of images and where their labels are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePair {
    /// Folder of images.
    pub images: PathBuf,
    /// File or folder of labels.
    pub labels: PathBuf,
}

/// What is optimised.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectiveSettings {
    /// The built-in generated weld scenes.
    Scenes {
        /// How many; at least 1.
        count: usize,
        /// Seed of the generator.
        seed: u64,
    },
    /// Folders of labelled images; at least one.
    Images(Vec<ImagePair>),
    /// Any program.
    Command {
        /// Program and arguments, split; at least one word.
        words: Vec<String>,
        /// How it is run.
        mode: CommandMode,
        /// The space file.
        space: PathBuf,
        /// Its texts as a run has recorded them, for where it is gone.
        kept: BTreeMap<String, String>,
    },
    /// A test function with known optimum.
    Problem(String),
}

/// What decides the course of a run; none of it may change on resume, except that `iterations` may grow.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What is optimised.
    pub objective: ObjectiveSettings,
    /// Total number of decisions.
    pub iterations: u64,
    /// Points x of the initial design, beside what was evaluated elsewhere; 0 for a program alone.
    pub n_initial: usize,
    /// Environments a decision looks at; count at least 1 (at most all: checked when they are known).
    pub n_w: Look,
    /// Environments for each point of the initial design; count at least 1.
    pub initial_w: Look,
    /// Tail mass in (0, 1].
    pub alpha: f64,
    /// Risk measure.
    pub risk: Risk,
    /// Factor of the deviation; finite, at least 0.
    pub k: f64,
    /// Acquisition.
    pub acquisition: Acquisition,
    /// Gaussian process.
    pub surrogate: Surrogate,
    /// What is done for many parameters.
    pub high_dimension: HighDimension,
    /// Queries of a decision; at least 1.
    pub batch: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// What an environment of labelled images is.
    pub environment: ImageEnvironment,
    /// Edge network by name; `None` = the one that ships.
    pub edge_model: Option<String>,
    /// Weights of the edge network, if not the built-in ones.
    pub weights: Option<PathBuf>,
    /// Classical detectors that vote beside the presets.
    pub voters: Detectors,
    /// Low-rank changes of the edge network.
    pub adapter: Option<PathBuf>,
    /// Numbers in which the edge network computes.
    pub precision: Precision,
}

/// How the work is done; may change on resume and never changes a recorded number.
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// Worker threads; `None` = all cores. At least 1.
    pub threads: Option<usize>,
    /// Evaluations at once; at least 1, at most the batch.
    pub jobs: usize,
    /// Device.
    pub device: Device,
    /// Where `device` was set, for messages.
    pub device_origin: Origin,
    /// Folder for kept edge output; `None` = `cache` inside the run.
    pub cache: Option<PathBuf>,
    /// Host memory this process may take, in MiB; at least 1. `None` = what the machine allows.
    pub host_memory_mb: Option<u64>,
    /// Images through the edge network at once, at most; at least 1. `None` = 1 on the CPU, what fits on a GPU.
    pub edge_batch: Option<usize>,
    /// Share of a GPU's memory that may be taken; in (0, 1].
    pub gpu_memory_fraction: f64,
    /// Folder that a command is started in; `None` = that of this process.
    pub command_folder: Option<PathBuf>,
    /// Most bytes of files for kept edge output, in MiB; at least 1.
    pub cache_mb: u64,
    /// Seconds a command may take for one evaluation; `None` = no limit. Above 0.
    pub timeout: Option<f64>,
    /// A checkpoint every so many iterations; at least 1.
    pub checkpoint_every: u64,
    /// A deep clean-up every so many iterations; at least 1.
    pub deep_clean_every: u64,
    /// Checkpoints that stay.
    pub keep_checkpoints: Keep,
}

/// Checked settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "RawSettings", try_from = "RawSettings")]
pub struct Settings {
    study: Study,
    means: Means,
    out: PathBuf,
    /// n_w was not written.
    n_w_free: bool,
    /// n_initial was not written.
    n_initial_free: bool,
}

impl Settings {
    /// What decides the course of the run.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// How the work is done.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// The run's directory.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The same run in another directory (`bo resume --out`, or a run directory that was moved).
    pub fn at(mut self, out: &Path) -> Self {
        self.out = out.to_owned();
        self
    }

    /// With the texts of its space file as a run has recorded them.
    pub fn with_kept(mut self, texts: &BTreeMap<String, String>) -> Self {
        if let ObjectiveSettings::Command { kept, .. } = &mut self.study.objective {
            kept.clone_from(texts);
        }
        self
    }

    /// With the acquisition that `auto` stands for here, and with a number of environments to look at that there are:
    /// an n_w that was not written falls to all of a smaller set. One that was written stays, to be refused where it is
    /// too large. An n_initial that was not written falls by the x whose values are known from elsewhere.
    pub fn fitted(mut self, environments: &Environments, earlier: &[Earlier]) -> Self {
        if self.n_initial_free {
            let known = earlier.iter().filter(|one| one.value.is_some());
            let bits = |one: &Earlier| one.query.x.iter().map(|x| x.to_bits()).collect();
            let x: BTreeSet<Vec<u64>> = known.map(bits).collect();
            self.study.n_initial = self.study.n_initial.saturating_sub(x.len());
        }
        self.study.acquisition = self
            .study
            .acquisition
            .fitted(*environments != Environments::None);
        if let (Environments::Finite(finite), Look::Count(default)) = (environments, self.study.n_w)
            && self.n_w_free
            && finite.len() < default
        {
            if self.study.initial_w == self.study.n_w {
                self.study.initial_w = Look::All(All::All);
            }
            self.study.n_w = Look::All(All::All);
        }
        self
    }

    /// The same run with another total number of decisions.
    pub fn with_iterations(mut self, iterations: u64) -> Self {
        self.study.iterations = iterations;
        self
    }

    /// The same run done by other means (`bo resume --threads ..`), its inputs elsewhere (`--images ..`): those that
    /// `raw` names.
    ///
    /// # Errors
    /// As [`Settings::check`].
    pub fn with_means(self, raw: &RawSettings) -> Result<Self, crate::exit::Failure> {
        let kept = match &self.study.objective {
            ObjectiveSettings::Command { kept, .. } => kept.clone(),
            _ => BTreeMap::new(),
        };
        let merged = raw.only_means().over(self.into()).with_inputs_of(raw);
        let checked = Self::check(&merged, &|key| {
            if raw.names(key) {
                Origin::Flag(format!("--{key}"))
            } else {
                Origin::Record
            }
        })?;
        Ok(checked.with_kept(&kept))
    }
}
