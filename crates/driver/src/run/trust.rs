//! Run files of other users: they start no program and write nowhere but in their own folder unless asked to again.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;

use crate::exit::Failure;
use crate::record::{Checkpoint, History, Manifest, read_sealed};
use crate::settings::Origin;

/// Whether a run or a checkpoint, or the `run.json` beside it, belongs to another user.
pub fn foreign(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let folder = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let beside = folder.map(|folder| folder.join("run.json"));
    [Some(path), beside.as_deref()]
        .into_iter()
        .flatten()
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
