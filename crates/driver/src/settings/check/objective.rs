//! The rules on what is optimised: one objective, and no flag that it would ignore.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Limits;
use crate::exit::Failure;
use crate::settings::{CommandMode, ImagePair, ObjectiveSettings, RawSettings};

/// Exactly one kind of objective; none named = the built-in scenes.
pub fn objective(raw: &RawSettings, limits: &Limits<'_>) -> Result<ObjectiveSettings, Failure> {
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
        return Err(limits.refuse(
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
            return Err(limits.refuse(
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
            return Err(limits.refuse(
                key,
                format!("has no meaning with --{kind}"),
                &format!("leave out --{key}"),
            ));
        }
    }
    match kind {
        "images" => {
            if raw.images.len() != raw.labels.len() {
                return Err(limits.refuse(
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
                limits.refuse(
                    "command",
                    format!("{text:?}: {error}"),
                    "close every quote; the program is started without a shell",
                )
            })?;
            if words.is_empty() {
                return Err(limits.refuse(
                    "command",
                    "names no program".to_owned(),
                    "type --command 'PROG ARGS'",
                ));
            }
            let Some(space) = raw.space.clone() else {
                return Err(limits.refuse(
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
                return Err(limits.refuse("scenes", "0 is too few".to_owned(), "type --scenes 24"));
            }
            if count > 100_000 {
                return Err(limits.refuse(
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
