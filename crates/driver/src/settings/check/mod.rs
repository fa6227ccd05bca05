//! From what was written to what can run: every rule on settings stands here, once.

mod environment;
mod limits;
mod means;
mod objective;
mod study;

use std::path::PathBuf;

pub use limits::Limits;
pub use means::device;

use super::{Origin, RawSettings, Settings};
use crate::exit::Failure;

impl Settings {
    /// Checks raw settings and fills in defaults; `origin` says where a key was set.
    ///
    /// # Errors
    /// [`Failure::Setting`]: the first setting that cannot be, where it was set and what to type.
    pub fn check(raw: &RawSettings, origin: &dyn Fn(&str) -> Origin) -> Result<Self, Failure> {
        let limits = Limits::new(origin);
        let study = study::study(raw, &limits)?;
        let means = means::means(raw, study.batch as u64, &limits)?;
        Ok(Self {
            study,
            means,
            n_w_free: raw.n_w.is_none(),
            n_initial_free: raw.n_initial.is_none(),
            out: raw
                .out
                .clone()
                .unwrap_or_else(|| PathBuf::from("checkpoints")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{All, HighDimension, KernelStructure, Look, ObjectiveSettings};

    fn check(raw: &RawSettings) -> Result<Settings, Failure> {
        Settings::check(raw, &|key| Origin::Flag(format!("--{key}")))
    }

    #[test]
    fn settings_survive_their_own_record() {
        let raw = RawSettings {
            command: Some("sh -c 'echo \"a b\"'".into()),
            space: Some("s.toml".into()),
            n_w: Some(Look::All(All::All)),
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
