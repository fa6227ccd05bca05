//! What the user wrote, and nothing else: the flags of `bo run`, and the same names as keys of `bo.toml`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Acquisition, CommandMode, Environment, HighDimension, Kernel, KernelStructure, Look, Risk,
};

/// The settings of a run as written; `None` = not written.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct RawSettings {
    /// Decisions after the initial design [default: 30]
    #[arg(long, value_name = "N", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,

    /// Points x of the initial design [default: 5]
    #[arg(long, value_name = "N", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_initial: Option<usize>,

    /// Environments a decision looks at: a number, or all [default: 3, or all if there are fewer]
    #[arg(long, value_name = "N|all", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_w: Option<Look>,

    /// Environments for each point of the initial design [default: as --n-w]
    #[arg(long, value_name = "N|all", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_w: Option<Look>,

    /// Tail mass in (0, 1]: the worst share of environments that counts [default: 0.1]
    ///
    /// 0.1 = mean of the worst 10 %, 1 = plain mean, towards 0 = the worst environment alone.
    /// BoTorch's alpha is 1 - ours: its 0.9 is 0.1 here.
    #[arg(
        long,
        value_name = "SHARE",
        help_heading = "Run",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,

    /// What is made best over the environments [default: cvar]
    #[arg(long, value_enum, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,

    /// Factor of the deviation with --risk mean-deviation [default: 1]
    #[arg(
        long,
        value_name = "K",
        help_heading = "Run",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<f64>,

    /// What chooses the next (x, w) [default: auto]
    #[arg(long, value_enum, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquisition: Option<Acquisition>,

    /// Correlation of the Gaussian process [default: matern52]
    #[arg(long, value_enum, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,

    /// One kernel over x and w, or the product of one of x and one of w [default: joint]
    #[arg(long, value_enum, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_structure: Option<KernelStructure>,

    /// Learn a bend of each input's scale, for objectives that change faster near one end [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_warping: Option<bool>,

    /// Learn a noise variance of its own for values that a program gave at a smaller scale, after it had
    /// run out of memory [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_per_status: Option<bool>,

    /// For many parameters: decide everywhere, or near the best x seen (region) [default: plain]
    #[arg(long, value_enum, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_dimension: Option<HighDimension>,

    /// Evaluations that are decided together in an iteration [default: 1]
    #[arg(long, value_name = "Q", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,

    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "N", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Directory of the run; must not hold another one [default: checkpoints]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,

    /// Number of built-in generated weld scenes [default: 24]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenes: Option<usize>,

    /// Seed of the generated scenes [default: 0]
    #[arg(
        long,
        value_name = "S",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene_seed: Option<u64>,

    /// Folder of real images; repeat together with --labels for several
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<PathBuf>,

    /// Labels (file or folder) of the --images before it: LabelMe JSON, NAME_gt.txt with x1 y1 x2 y2 a line, or others
    /// that the README names. Where they name no regions, an image's score is F (lines that nobody labelled count as
    /// false) instead of LP_r
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<PathBuf>,

    /// What an environment of scenes or images is [default: features]
    #[arg(
        long,
        value_enum,
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,

    /// Number of corrupted images with --environment corruptions or both [default: 256]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<usize>,

    /// Seed of the corrupted images [default: 0]
    #[arg(
        long,
        value_name = "S",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_seed: Option<u64>,

    /// Any program as objective, with its arguments; needs --space
    #[arg(
        long,
        value_name = "PROG ARGS",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,

    /// Folder that --command is started in: where `bo run` was typed, so that relative words hold on a resume
    /// from anywhere.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_folder: Option<PathBuf>,

    /// Space file (TOML) of --command: parameters, environments, direction
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<PathBuf>,

    /// A process for each evaluation, or one for all [default: once]
    #[arg(
        long,
        value_enum,
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_mode: Option<CommandMode>,

    /// Seconds a --command may take for one evaluation [default: no limit]
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Objective (none of these: the built-in weld scenes)",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,

    /// A test function with known optimum: branin11, branin_williams, marzat6,
    /// goldstein_price, branin_lv, hartmann6, hartmann42, gp_sample, hartmann6_50,
    /// ackley20, levy20, levy20_w, levy30, rosenbrock100
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,

    /// Edge network: compact, dexined, pidinet, pidinet-small, pidinet-tiny; or canny, at every threshold at once
    /// [default: compact]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_model: Option<String>,

    /// Weights of the edge network [default: those that ship]
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,

    /// Classical detectors whose segments vote beside the presets': hough, lsd or both [default: hough]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voters: Option<String>,
    /// Low-rank changes of the edge network, as bo adapt wrote them; they belong to one file of weights
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,

    /// Numbers in which the edge network computes: float32, or on a GPU tf32, float16 or bfloat16; changes scores a little
    /// [default: float32]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Objective (none of these: the built-in weld scenes)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,

    /// Worker threads; changes the speed, never a result [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,

    /// Evaluations done at once, up to --batch; never changes a result [default: 1]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,

    /// auto, cpu or cuda:N [default: auto = a GPU if there is one, else the CPU]
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,

    /// Folder for kept edge output; results do not depend on it [default: cache/ inside --out]
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,

    /// Host memory that the process may hold, MiB: images that do not fit are seen in tiles, and a run that cannot keep within it is
    /// refused, or stopped with everything saved [default: 80 % of the machine's memory or of the tightest cgroup limit]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_memory_mb: Option<u64>,

    /// Images that go through the edge network at once, at most; never changes a result [default: 1 on the CPU, where
    /// all cores work at one image already; on a GPU as many as fit]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_batch: Option<usize>,

    /// Share of a GPU's memory that may be taken, in (0, 1] [default: 0.8]
    #[arg(
        long,
        value_name = "SHARE",
        help_heading = "Machine",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_fraction: Option<f64>,

    /// Most disk space for kept edge output, MiB; the oldest goes first and is computed again [default: 16384]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_mb: Option<u64>,

    /// A checkpoint every so many iterations [default: 5]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,

    /// A deep clean-up of memory every so many iterations [default: 5]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_clean_every: Option<u64>,

    /// Checkpoints that stay: all, or the newest N [default: all]
    #[arg(long, value_name = "all|N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_checkpoints: Option<String>,
}

impl RawSettings {
    /// Every name that can be set, sorted.
    pub fn all_names() -> Vec<String> {
        use clap::Args as _;
        let command = Self::augment_args(clap::Command::new("bo"));
        let mut names: Vec<String> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Whether `key` was written.
    pub fn names(&self, key: &str) -> bool {
        serde_json::to_value(self).is_ok_and(|value| value.get(key).is_some())
    }

    /// What is written here wins; the rest comes from `file`. Kinds of objective do not mix: one named here
    /// replaces the file's with all that belongs to it alone.
    pub fn over(self, mut file: Self) -> Self {
        let (images, command) = (!self.images.is_empty(), self.command.is_some());
        if images || command || self.problem.is_some() || self.scenes.is_some() {
            file.scenes = None;
            file.images = Vec::new();
            file.labels = Vec::new();
            file.command = None;
            file.command_folder = None;
            file.problem = None;
            if self.scenes.is_none() {
                file.scene_seed = None;
            }
            if !command {
                file.space = None;
                file.command_mode = None;
                file.timeout = None;
            }
            if command || self.problem.is_some() {
                file.environment = None;
                file.environments = None;
                file.environment_seed = None;
                file.edge_model = None;
                file.weights = None;
                file.voters = None;
                file.adapter = None;
            }
        }
        Self {
            iterations: self.iterations.or(file.iterations),
            n_initial: self.n_initial.or(file.n_initial),
            n_w: self.n_w.or(file.n_w),
            initial_w: self.initial_w.or(file.initial_w),
            alpha: self.alpha.or(file.alpha),
            risk: self.risk.or(file.risk),
            k: self.k.or(file.k),
            acquisition: self.acquisition.or(file.acquisition),
            kernel: self.kernel.or(file.kernel),
            kernel_structure: self.kernel_structure.or(file.kernel_structure),
            input_warping: self.input_warping.or(file.input_warping),
            noise_per_status: self.noise_per_status.or(file.noise_per_status),
            high_dimension: self.high_dimension.or(file.high_dimension),
            batch: self.batch.or(file.batch),
            seed: self.seed.or(file.seed),
            out: self.out.or(file.out),
            scenes: self.scenes.or(file.scenes),
            scene_seed: self.scene_seed.or(file.scene_seed),
            images: if self.images.is_empty() {
                file.images
            } else {
                self.images
            },
            labels: if self.labels.is_empty() {
                file.labels
            } else {
                self.labels
            },
            environment: self.environment.or(file.environment),
            environments: self.environments.or(file.environments),
            environment_seed: self.environment_seed.or(file.environment_seed),
            command: self.command.or(file.command),
            command_folder: self.command_folder.or(file.command_folder),
            space: self.space.or(file.space),
            command_mode: self.command_mode.or(file.command_mode),
            timeout: self.timeout.or(file.timeout),
            problem: self.problem.or(file.problem),
            edge_model: self.edge_model.or(file.edge_model),
            weights: self.weights.or(file.weights),
            voters: self.voters.or(file.voters),
            adapter: self.adapter.or(file.adapter),
            precision: self.precision.or(file.precision),
            threads: self.threads.or(file.threads),
            jobs: self.jobs.or(file.jobs),
            device: self.device.or(file.device),
            cache: self.cache.or(file.cache),
            host_memory_mb: self.host_memory_mb.or(file.host_memory_mb),
            edge_batch: self.edge_batch.or(file.edge_batch),
            gpu_memory_fraction: self.gpu_memory_fraction.or(file.gpu_memory_fraction),
            cache_mb: self.cache_mb.or(file.cache_mb),
            checkpoint_every: self.checkpoint_every.or(file.checkpoint_every),
            deep_clean_every: self.deep_clean_every.or(file.deep_clean_every),
            keep_checkpoints: self.keep_checkpoints.or(file.keep_checkpoints),
        }
    }

    /// The paths among the settings, except the command's own words.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let lists = self.images.iter_mut().chain(self.labels.iter_mut());
        lists
            .chain(self.space.as_mut())
            .chain(self.weights.as_mut())
            .chain(self.adapter.as_mut())
            .chain(self.cache.as_mut())
            .chain(self.out.as_mut())
    }

    /// Makes input paths absolute, so that a run can be resumed from anywhere. `out` stays as typed.
    pub fn make_inputs_absolute(&mut self) {
        let out = self.out.take();
        for path in self.paths_mut() {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        self.out = out;
    }

    /// Starts the command, if there is one, in the folder of this process.
    pub fn start_command_here(&mut self) {
        self.command_folder = match self.command {
            Some(_) => std::env::current_dir().ok(),
            None => None,
        };
    }

    /// The same with its inputs where `moved` says that they are now.
    pub(super) fn with_inputs_of(self, moved: &Self) -> Self {
        let now = |here: Vec<PathBuf>, there: &[PathBuf]| match there {
            [] => here,
            there => there.to_vec(),
        };
        Self {
            images: now(self.images, &moved.images),
            labels: now(self.labels, &moved.labels),
            weights: moved.weights.clone().or(self.weights),
            adapter: moved.adapter.clone().or(self.adapter),
            ..self
        }
    }

    /// Only what may change on resume: device, threads, memory, timeout, cache, checkpoints.
    pub fn only_means(&self) -> Self {
        Self {
            command_folder: self.command_folder.clone(),
            timeout: self.timeout,
            threads: self.threads,
            jobs: self.jobs,
            device: self.device.clone(),
            cache: self.cache.clone(),
            host_memory_mb: self.host_memory_mb,
            edge_batch: self.edge_batch,
            gpu_memory_fraction: self.gpu_memory_fraction,
            cache_mb: self.cache_mb,
            checkpoint_every: self.checkpoint_every,
            deep_clean_every: self.deep_clean_every,
            keep_checkpoints: self.keep_checkpoints.clone(),
            ..Self::default()
        }
    }
}
