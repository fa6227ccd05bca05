//! Run files of other users: they start no program and write nowhere but in their own folder unless asked to again.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;

use super::setup::records;
use crate::exit::Failure;
use crate::record::{Checkpoint, Hashes, History, Manifest, read_sealed, sources};
use crate::settings::{ObjectiveSettings, Origin, RawSettings, Settings, read_space_or};

/// Whether a run or a checkpoint, or anything beside it of which a run may be made again, belongs to another user: where
/// `run.json` is missing or damaged, the newest checkpoint says which program is started.
pub fn foreign(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let folder = match path.parent() {
        _ if path.is_dir() => path,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::iter::once(path.to_owned())
        .chain(sources(folder))
        .filter_map(|path| std::fs::metadata(path).ok())
        .any(|data| data.uid() != own)
}

/// The manifest of a run or of a checkpoint, if it can be read; nothing is written.
pub fn manifest_of(path: &Path) -> Option<Manifest> {
    match path.is_dir() {
        true => History::read(path).ok().map(|history| history.manifest),
        false => read_sealed::<Checkpoint>(path)
            .ok()
            .map(|checkpoint| checkpoint.run),
    }
}

/// The settings of a run whose programs may all be started, read before any of them is. What belongs to another user
/// keeps its files in its own folder, wherever it would have them.
///
/// # Errors
/// [`Failure::Setting`]: the command must be repeated, or the constraint programs are not to be trusted.
pub fn trusted_settings(
    manifest: &Manifest,
    foreign: bool,
    repeated: Option<&str>,
    accept_changed: bool,
) -> Result<Settings, Failure> {
    trusted(manifest, foreign, repeated)?;
    let mut manifest = manifest.clone();
    if foreign {
        manifest.free.remove("cache");
    }
    let settings = recorded_settings(&manifest)?.with_kept(&manifest.texts);
    constraints(&manifest, &settings, foreign, accept_changed)?;
    Ok(settings)
}

/// The settings that `run.json` holds.
///
/// # Errors
/// Settings of another version.
pub fn recorded_settings(manifest: &Manifest) -> Result<Settings, Failure> {
    let mut fields: serde_json::Map<String, Value> = manifest
        .fixed
        .clone()
        .into_iter()
        .chain(manifest.free.clone())
        .collect();
    fields.insert("iterations".to_owned(), Value::from(manifest.iterations));
    let raw: RawSettings = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Failure::unexpected("reading the settings of run.json", error))?;
    Settings::check(&raw, &|_| Origin::Record)
}

/// What is said where no flag can help, also not --accept-changed.
pub fn keeps(accept_changed: bool) -> String {
    let refused = match accept_changed {
        true => "--accept-changed takes no other problem: ",
        false => "",
    };
    format!("{refused}a run keeps its problem: put it back, or begin a new run with bo run")
}

/// Whether the constraint programs of a run may be started: a repeated command does not name them.
fn constraints(
    manifest: &Manifest,
    settings: &Settings,
    foreign: bool,
    accept_changed: bool,
) -> Result<(), Failure> {
    let ObjectiveSettings::Command { space, kept, .. } = &settings.study().objective else {
        return Ok(());
    };
    let (file, _) = read_space_or(space, kept)?;
    let programs = &file.constraints.programs;
    if programs.is_empty() {
        return Ok(());
    }
    let refuse = |key: &str, reason: String, remedy: &str| {
        Err(Failure::Setting {
            key: key.into(),
            origin: Origin::Record,
            reason,
            remedy: remedy.into(),
        })
    };
    if foreign {
        let all: Vec<String> = programs.iter().map(shell_words::join).collect();
        return refuse(
            "constraint",
            format!(
                "this run file belongs to another user and would start constraint programs: {}",
                all.join(", ")
            ),
            "look at them, copy the run and its space file as your own and take up the copy",
        );
    }
    let same_problem = records(&file.problem) == (manifest.x.clone(), manifest.w.clone());
    if Hashes::from(file.hashes.clone()) != manifest.hashes && !(accept_changed && same_problem) {
        return refuse(
            "space",
            "not what it was when the run began, and it would start constraint programs".into(),
            &if same_problem {
                "put it back, or go on with what is there now: --accept-changed".to_owned()
            } else {
                keeps(accept_changed)
            },
        );
    }
    Ok(())
}

/// Whether the program of a run may be started: the files are our own, or its command was `repeated`.
///
/// # Errors
/// [`Failure::Setting`] with the command to be looked at and repeated.
pub fn trusted(manifest: &Manifest, foreign: bool, repeated: Option<&str>) -> Result<(), Failure> {
    let Some(command) = manifest.fixed.get("command").and_then(Value::as_str) else {
        return Ok(());
    };
    let refuse = |reason: String, remedy: String| {
        Err(Failure::Setting {
            key: "command".into(),
            origin: Origin::Flag("--command".into()),
            reason,
            remedy,
        })
    };
    match repeated {
        Some(repeated) if shell_words::split(repeated).ok() == shell_words::split(command).ok() => {
            Ok(())
        }
        Some(_) => refuse(
            format!("the run was begun with another command: {command}"),
            "repeat that one, or begin a new run".into(),
        ),
        None if foreign => refuse(
            "this run file belongs to another user and would start a program".into(),
            format!(
                "look at it, then repeat it: --command {}",
                shell_words::quote(command)
            ),
        ),
        None => Ok(()),
    }
}
