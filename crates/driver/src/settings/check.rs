//! From what was written to what can run: every rule on settings stands here, once.

use bo_vision::edge::Precision;
use bo_vision::line::{Detectors, UnknownDetectors};
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{
    Acquisition, CommandMode, Device, Environment, HighDimension, ImageEnvironment, ImagePair,
    Keep, Kernel, KernelStructure, Look, Means, ObjectiveSettings, Origin, RawSettings, Risk,
    Settings, Study, Surrogate,
};
use crate::exit::Failure;

/// Longest time limit, seconds: thirty years.
const LONGEST: f64 = 1e9;

impl Settings {
    /// Checks raw settings and fills in defaults; `origin` says where a key was set.
    ///
    /// # Errors
    /// [`Failure::Setting`]: the first setting that cannot be, where it was set and what to type.
    pub fn check(raw: &RawSettings, origin: &dyn Fn(&str) -> Origin) -> Result<Self, Failure> {
        let refuse = |key: &str, reason: String, remedy: &str| Failure::Setting {
            key: key.to_owned(),
            origin: origin(key),
            reason,
            remedy: remedy.to_owned(),
        };
        let at_least_one = |key: &str, value: u64| match value {
            0 => Err(refuse(
                key,
                "0 is too few".to_owned(),
                &format!("type --{key} 1 or more"),
            )),
            _ => Ok(value),
        };

        // Larger numbers are slips of the finger; memory would run out before anything was said.
        let at_most = |key: &str, value: u64, most: u64| match value {
            _ if value > most => Err(refuse(
                key,
                format!("{value} is too many; {most} is the most"),
                &format!("type --{key} {most} or fewer"),
            )),
            _ => Ok(value),
        };

        let alpha = raw.alpha.unwrap_or(0.1);
        if !(alpha > 0.0 && alpha <= 1.0) {
            return Err(refuse(
                "alpha",
                format!(
                    "{alpha} is outside (0, 1]; it is the share of worst environments that counts"
                ),
                "type --alpha 0.1 for the worst 10 %, --alpha 1 for the mean (BoTorch's alpha is 1 - ours)",
            ));
        }
        let k = raw.k.unwrap_or(1.0);
        if !(k.is_finite() && k >= 0.0) {
            return Err(refuse(
                "k",
                format!("{k} is not a number from 0 up"),
                "type --k 1",
            ));
        }
        let look = |key: &str, look: Option<Look>, default: Look| match look.unwrap_or(default) {
            Look::Count(0) => Err(refuse(
                key,
                "0 environments are too few to decide by".to_owned(),
                &format!("type --{key} 3, or --{key} all"),
            )),
            Look::Count(count) => at_most(key, count as u64, 20_000).map(|_| Look::Count(count)),
            all => Ok(all),
        };
        let n_w = look("n-w", raw.n_w, Look::Count(3))?;
        let initial_w = look("initial-w", raw.initial_w, n_w)?;
        if let Some(seconds) = raw.timeout
            && !(seconds > 0.0 && seconds <= LONGEST)
        {
            return Err(refuse(
                "timeout",
                format!("{seconds} is not a time above 0 (and up to {LONGEST})"),
                "type --timeout 60 (seconds)",
            ));
        }
        if let Some(threads) = raw.threads {
            at_least_one("threads", threads as u64)?;
            at_most("threads", threads as u64, 1024)?;
        }
        let device = parse_device(raw.device.as_deref().unwrap_or("auto")).ok_or_else(|| {
            refuse(
                "device",
                format!(
                    "{:?} is no device",
                    raw.device.as_deref().unwrap_or_default()
                ),
                "type --device auto, --device cpu or --device cuda:0",
            )
        })?;
        let keep_checkpoints = match raw.keep_checkpoints.as_deref() {
            None | Some("all") => Keep::All,
            Some(text) => match text.parse() {
                Ok(count) if count > 0 => Keep::Newest(count),
                _ => {
                    return Err(refuse(
                        "keep-checkpoints",
                        format!("{text:?} is neither all nor a number from 1 up"),
                        "type --keep-checkpoints all, or --keep-checkpoints 3",
                    ));
                }
            },
        };
        let batch = at_most(
            "batch",
            at_least_one("batch", raw.batch.unwrap_or(1) as u64)?,
            1000,
        )?;
        let jobs = at_least_one("jobs", raw.jobs.unwrap_or(1) as u64)?;
        if jobs > batch {
            return Err(refuse(
                "jobs",
                format!(
                    "{jobs} evaluations at once, but only {batch} are decided together (going on before a \
                     batch is complete is not built)"
                ),
                &format!("type --jobs {batch} or fewer, or begin a run with --batch {jobs}"),
            ));
        }
        let study = Study {
            objective: objective(raw, &refuse)?,
            iterations: at_most("iterations", raw.iterations.unwrap_or(30), 20_000)?,
            n_initial: at_most(
                "n-initial",
                at_least_one("n-initial", raw.n_initial.unwrap_or(5) as u64)?,
                20_000,
            )? as usize,
            n_w,
            initial_w,
            alpha,
            risk: raw.risk.unwrap_or(Risk::Cvar),
            k,
            acquisition: raw.acquisition.unwrap_or(Acquisition::Auto),
            surrogate: Surrogate {
                kernel: raw.kernel.unwrap_or(Kernel::Matern52),
                structure: raw.kernel_structure.unwrap_or(KernelStructure::Joint),
                warp: raw.input_warping.unwrap_or(false),
                noise_per_status: raw.noise_per_status.unwrap_or(false),
            },
            high_dimension: raw.high_dimension.unwrap_or(HighDimension::Plain),
            batch: batch as usize,
            seed: raw.seed.unwrap_or(0),
            environment: environment(raw, &refuse)?,
            edge_model: raw.edge_model.clone(),
            weights: raw.weights.clone(),
            voters: match &raw.voters {
                Some(name) => name.parse().map_err(|error: UnknownDetectors| {
                    refuse("voters", error.to_string(), "type --voters hough")
                })?,
                None => Detectors::default(),
            },
            adapter: raw.adapter.clone(),
            precision: match &raw.precision {
                Some(name) => name.parse().map_err(|reason: String| {
                    refuse("precision", reason, "type --precision float32")
                })?,
                None => Precision::default(),
            },
        };
        let means = Means {
            threads: raw.threads,
            jobs: jobs as usize,
            device,
            device_origin: origin("device"),
            cache: raw.cache.clone(),
            host_memory_mb: raw
                .host_memory_mb
                .map(|mb| {
                    at_most(
                        "host-memory-mb",
                        at_least_one("host-memory-mb", mb)?,
                        1 << 40,
                    )
                })
                .transpose()?,
            edge_batch: raw
                .edge_batch
                .map(|images| {
                    let images = at_least_one("edge-batch", images as u64)?;
                    at_most("edge-batch", images, 64).map(|images| images as usize)
                })
                .transpose()?,
            gpu_memory_fraction: match raw.gpu_memory_fraction.unwrap_or(0.8) {
                share if share > 0.0 && share <= 1.0 => share,
                share => {
                    return Err(refuse(
                        "gpu-memory-fraction",
                        format!("{share} is outside (0, 1]"),
                        "type --gpu-memory-fraction 0.8",
                    ));
                }
            },
            command_folder: raw.command_folder.clone(),
            cache_mb: at_most(
                "cache-mb",
                at_least_one("cache-mb", raw.cache_mb.unwrap_or(16_384))?,
                1 << 40,
            )?,
            timeout: raw.timeout,
            checkpoint_every: at_least_one("checkpoint-every", raw.checkpoint_every.unwrap_or(5))?,
            deep_clean_every: at_least_one("deep-clean-every", raw.deep_clean_every.unwrap_or(5))?,
            keep_checkpoints,
        };
        Ok(Self {
            study,
            means,
            n_w_free: raw.n_w.is_none(),
            out: raw
                .out
                .clone()
                .unwrap_or_else(|| PathBuf::from("checkpoints")),
        })
    }
}

fn parse_device(text: &str) -> Option<Device> {
    match text {
        "auto" => Some(Device::Auto),
        "cpu" => Some(Device::Cpu),
        "cuda" => Some(Device::Cuda(0)),
        _ => text.strip_prefix("cuda:")?.parse().ok().map(Device::Cuda),
    }
}

/// What an environment of images is; numbers that would be ignored are refused.
fn environment(
    raw: &RawSettings,
    refuse: &dyn Fn(&str, String, &str) -> Failure,
) -> Result<ImageEnvironment, Failure> {
    let kind = raw.environment.unwrap_or(Environment::Features);
    if kind == Environment::Features {
        for (key, written) in [
            ("environments", raw.environments.is_some()),
            ("environment-seed", raw.environment_seed.is_some()),
        ] {
            if written {
                return Err(refuse(
                    key,
                    "has a meaning only with --environment corruptions or both".to_owned(),
                    &format!("add --environment corruptions, or leave out --{key}"),
                ));
            }
        }
        return Ok(ImageEnvironment::Features);
    }
    let count = raw.environments.unwrap_or(256);
    if !(1..=20_000).contains(&count) {
        return Err(refuse(
            "environments",
            format!("{count} is outside 1 .. 20000"),
            "type --environments 256",
        ));
    }
    let seed = raw.environment_seed.unwrap_or(0);
    Ok(match kind {
        Environment::Both => ImageEnvironment::Both { count, seed },
        _ => ImageEnvironment::Corruptions { count, seed },
    })
}

/// Exactly one kind of objective; none named = the built-in scenes.
fn objective(
    raw: &RawSettings,
    refuse: &dyn Fn(&str, String, &str) -> Failure,
) -> Result<ObjectiveSettings, Failure> {
    let named: Vec<&str> = [
        ("images", !raw.images.is_empty()),
        ("command", raw.command.is_some()),
        ("problem", raw.problem.is_some()),
        ("scenes", raw.scenes.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, written)| written.then_some(key))
    .collect();
    if let [first, second, ..] = named[..] {
        return Err(refuse(
            second,
            format!("there can be one objective, and {first} is another"),
            "leave one of them out",
        ));
    }
    // A flag that would be ignored is a misunderstanding: say so.
    let kind = named.first().copied().unwrap_or("scenes");
    for (key, written, of) in [
        ("labels", !raw.labels.is_empty(), "images"),
        ("space", raw.space.is_some(), "command"),
        ("command-mode", raw.command_mode.is_some(), "command"),
        ("timeout", raw.timeout.is_some(), "command"),
        ("scene-seed", raw.scene_seed.is_some(), "scenes"),
    ] {
        if written && of != kind {
            return Err(refuse(
                key,
                format!("has a meaning only with --{of}"),
                &format!("add --{of}, or leave out --{key}"),
            ));
        }
    }
    for (key, written) in [
        ("edge-model", raw.edge_model.is_some()),
        ("weights", raw.weights.is_some()),
        ("voters", raw.voters.is_some()),
        ("adapter", raw.adapter.is_some()),
        ("precision", raw.precision.is_some()),
        ("environment", raw.environment.is_some()),
    ] {
        if written && !matches!(kind, "scenes" | "images") {
            return Err(refuse(
                key,
                format!("has no meaning with --{kind}"),
                &format!("leave out --{key}"),
            ));
        }
    }
    match kind {
        "images" => {
            if raw.images.len() != raw.labels.len() {
                return Err(refuse(
                    if raw.labels.len() > raw.images.len() {
                        "images"
                    } else {
                        "labels"
                    },
                    format!(
                        "{} --images but {} --labels",
                        raw.images.len(),
                        raw.labels.len()
                    ),
                    "give every --images DIR its own --labels PATH, in the same order",
                ));
            }
            let pair = |(images, labels): (&PathBuf, &PathBuf)| ImagePair {
                images: images.clone(),
                labels: labels.clone(),
            };
            Ok(ObjectiveSettings::Images(
                raw.images.iter().zip(&raw.labels).map(pair).collect(),
            ))
        }
        "command" => {
            let text = raw.command.as_deref().unwrap_or_default();
            let words = shell_words::split(text).map_err(|error| {
                refuse(
                    "command",
                    format!("{text:?}: {error}"),
                    "close every quote; the program is started without a shell",
                )
            })?;
            if words.is_empty() {
                return Err(refuse(
                    "command",
                    "names no program".to_owned(),
                    "type --command 'PROG ARGS'",
                ));
            }
            let Some(space) = raw.space.clone() else {
                return Err(refuse(
                    "command",
                    "needs the parameters it is to be called with".to_owned(),
                    "add --space space.toml; `bo init` writes one to start from",
                ));
            };
            let mode = raw.command_mode.unwrap_or(CommandMode::Once);
            Ok(ObjectiveSettings::Command {
                words,
                mode,
                space,
                kept: BTreeMap::new(),
            })
        }
        "problem" => Ok(ObjectiveSettings::Problem(
            raw.problem.clone().unwrap_or_default(),
        )),
        _ => {
            let count = raw.scenes.unwrap_or(24);
            if count == 0 {
                return Err(refuse(
                    "scenes",
                    "0 is too few".to_owned(),
                    "type --scenes 24",
                ));
            }
            if count > 100_000 {
                return Err(refuse(
                    "scenes",
                    format!("{count} is too many; 100000 is the most"),
                    "type --scenes 100",
                ));
            }
            Ok(ObjectiveSettings::Scenes {
                count,
                seed: raw.scene_seed.unwrap_or(0),
            })
        }
    }
}

impl From<Settings> for RawSettings {
    /// Every default filled in, so that a later version with other defaults reads the same settings.
    fn from(settings: Settings) -> Self {
        let Settings {
            study,
            means,
            out,
            n_w_free: _,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &RawSettings) -> Result<Settings, Failure> {
        Settings::check(raw, &|key| Origin::Flag(format!("--{key}")))
    }

    #[test]
    fn settings_survive_their_own_record() {
        let raw = RawSettings {
            command: Some("sh -c 'echo \"a b\"'".into()),
            space: Some("s.toml".into()),
            n_w: Some(Look::All(super::super::All::All)),
            alpha: Some(0.1 + 0.2),
            keep_checkpoints: Some("3".into()),
            kernel_structure: Some(KernelStructure::Product),
            input_warping: Some(true),
            high_dimension: Some(HighDimension::Region),
            ..RawSettings::default()
        };
        let settings = check(&raw).unwrap();
        let text = serde_json::to_string(&settings).unwrap();
        let back: Settings = serde_json::from_str(&text).unwrap();
        assert_eq!(back.study(), settings.study());
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let cases = [
            (
                RawSettings {
                    alpha: Some(0.0),
                    ..Default::default()
                },
                "alpha",
            ),
            (
                RawSettings {
                    alpha: Some(f64::NAN),
                    ..Default::default()
                },
                "alpha",
            ),
            (
                RawSettings {
                    n_w: Some(Look::Count(0)),
                    ..Default::default()
                },
                "n-w",
            ),
            (
                RawSettings {
                    batch: Some(3),
                    jobs: Some(4),
                    ..Default::default()
                },
                "jobs",
            ),
            (
                RawSettings {
                    batch: Some(0),
                    ..Default::default()
                },
                "batch",
            ),
            (
                RawSettings {
                    device: Some("gpu".into()),
                    ..Default::default()
                },
                "device",
            ),
            (
                RawSettings {
                    labels: vec!["l".into()],
                    ..Default::default()
                },
                "labels",
            ),
            (
                RawSettings {
                    command: Some("a".into()),
                    ..Default::default()
                },
                "command",
            ),
            (
                RawSettings {
                    problem: Some("p".into()),
                    scenes: Some(3),
                    ..Default::default()
                },
                "scenes",
            ),
        ];
        for (raw, expected) in cases {
            match check(&raw) {
                Err(Failure::Setting { key, .. }) => assert_eq!(key, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_kind_of_objective_on_the_command_line_replaces_the_one_in_the_file() {
        let file = RawSettings {
            problem: Some("branin11".into()),
            alpha: Some(0.5),
            ..Default::default()
        };
        let flags = RawSettings {
            scenes: Some(7),
            ..Default::default()
        };
        let merged = check(&flags.over(file)).unwrap();
        assert_eq!(
            merged.study().objective,
            ObjectiveSettings::Scenes { count: 7, seed: 0 }
        );
        assert_eq!(merged.study().alpha, 0.5);
    }
}
