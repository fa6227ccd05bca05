//! Checked settings as a run records them, and back: what is written is what a user could have written.

use bo_vision::edge::Precision;
use bo_vision::line::Detectors;

use super::{
    Environment, ImageEnvironment, Keep, ObjectiveSettings, Origin, RawSettings, Settings,
};
use crate::exit::Failure;

impl From<Settings> for RawSettings {
    /// Every default filled in, so that a later version with other defaults reads the same settings.
    fn from(settings: Settings) -> Self {
        let Settings {
            study,
            means,
            out,
            n_w_free: _,
            n_initial_free: _,
        } = settings;
        let mut raw = Self {
            iterations: Some(study.iterations),
            n_initial: Some(study.n_initial),
            n_w: Some(study.n_w),
            initial_w: Some(study.initial_w),
            alpha: Some(study.alpha),
            risk: Some(study.risk),
            k: Some(study.k),
            acquisition: Some(study.acquisition),
            kernel: Some(study.surrogate.kernel),
            kernel_structure: Some(study.surrogate.structure),
            input_warping: Some(study.surrogate.warp),
            noise_per_status: Some(study.surrogate.noise_per_status),
            high_dimension: Some(study.high_dimension),
            // a run from before there were batches says nothing, which is 1
            batch: (study.batch > 1).then_some(study.batch),
            seed: Some(study.seed),
            out: Some(out),
            edge_model: study.edge_model,
            weights: study.weights,
            // a run from before there was a choice says nothing, which is the default
            voters: (study.voters != Detectors::default()).then(|| study.voters.to_string()),
            adapter: study.adapter,
            // likewise
            precision: (study.precision != Precision::default())
                .then(|| study.precision.to_string()),
            command_folder: means.command_folder,
            timeout: means.timeout,
            threads: means.threads,
            jobs: Some(means.jobs),
            device: Some(means.device.to_string()),
            cache: means.cache,
            host_memory_mb: means.host_memory_mb,
            edge_batch: means.edge_batch,
            gpu_memory_fraction: Some(means.gpu_memory_fraction),
            cache_mb: Some(means.cache_mb),
            checkpoint_every: Some(means.checkpoint_every),
            deep_clean_every: Some(means.deep_clean_every),
            keep_checkpoints: Some(match means.keep_checkpoints {
                Keep::All => "all".to_owned(),
                Keep::Newest(count) => count.to_string(),
            }),
            ..Self::default()
        };
        // Features are not written: runs of versions that knew nothing else stay the same runs.
        let corrupted = match study.environment {
            ImageEnvironment::Features => None,
            ImageEnvironment::Corruptions { count, seed } => {
                Some((Environment::Corruptions, count, seed))
            }
            ImageEnvironment::Both { count, seed } => Some((Environment::Both, count, seed)),
        };
        if let Some((kind, count, seed)) = corrupted {
            raw.environment = Some(kind);
            raw.environments = Some(count);
            raw.environment_seed = Some(seed);
        }
        match study.objective {
            ObjectiveSettings::Scenes { count, seed } => {
                raw.scenes = Some(count);
                raw.scene_seed = Some(seed);
            }
            ObjectiveSettings::Images(pairs) => {
                (raw.images, raw.labels) = pairs
                    .into_iter()
                    .map(|pair| (pair.images, pair.labels))
                    .unzip();
            }
            ObjectiveSettings::Command {
                words, mode, space, ..
            } => {
                raw.command = Some(shell_words::join(words));
                raw.command_mode = Some(mode);
                raw.space = Some(space);
            }
            ObjectiveSettings::Problem(name) => raw.problem = Some(name),
        }
        raw
    }
}

impl TryFrom<RawSettings> for Settings {
    type Error = Failure;

    fn try_from(raw: RawSettings) -> Result<Self, Failure> {
        Self::check(&raw, &|_| Origin::Record)
    }
}
