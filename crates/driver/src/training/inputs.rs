//! What a training reads, written as `inputs.json`: its files with the hashes of their content, as they were when it began.
//!
//! Central type [`Inputs`]. Examples are drawn by their number, so one more or less makes every later step another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Plan;
use super::plan::Weighted;
use crate::bounded;
use crate::exit::Failure;
use crate::record::replace;

/// Files named in a message; the others are counted.
const NAMED: usize = 3;

/// Files of examples, and weights that are adapted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    format: String,
    version: u32,
    /// Hexadecimal BLAKE3 by path; that of a labelled image is over its labels too.
    files: BTreeMap<PathBuf, String>,
}

impl Inputs {
    /// As they are now.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(plan: &Plan, sources: &[Weighted]) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for (_, source) in sources {
            let read = source.files().map_err(|error| {
                Failure::unexpected("reading the examples to know them again", error)
            })?;
            files.extend(
                read.into_iter()
                    .map(|(path, hash)| (path, hash.to_hex().to_string())),
            );
        }
        if let Some(weights) = plan.adapt.as_ref().and_then(|adapt| adapt.weights.as_ref()) {
            let mut hasher = blake3::Hasher::new();
            let read = std::fs::File::open(weights).and_then(|file| {
                hasher.update_reader(file)?;
                Ok(hasher.finalize().to_hex().to_string())
            });
            let hash = read.map_err(|error| {
                Failure::input(weights, error, "give --weights a readable file")
            })?;
            files.insert(weights.clone(), hash);
        }
        Ok(Self {
            format: "bo/train-inputs".to_owned(),
            version: 1,
            files,
        })
    }

    /// Those of the training in a folder; none where it was begun by a program that did not write them.
    ///
    /// # Errors
    /// A file that cannot be read or is something else.
    pub fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = Self::path(folder);
        let unusable = |reason: String| {
            let remedy = "move it away to go on with the data that are there now";
            Failure::unusable(&path, reason, remedy)
        };
        let bytes = match bounded::read(&path, bounded::LEDGER) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let inputs: Self =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        match (inputs.format.as_str(), inputs.version) {
            ("bo/train-inputs", 1) => Ok(Some(inputs)),
            (format, version) => Err(unusable(format!("is {format} version {version}"))),
        }
    }

    /// Writes them into a folder whose lock is held.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::unexpected("writing the inputs as JSON", error))?;
        Ok(replace(&Self::path(folder), &text)?)
    }

    /// How those of `now` differ, in words; nothing where they do not.
    pub fn differences(&self, now: &Self) -> Option<String> {
        let of = |those: &Self, wanted: &dyn Fn(Option<&String>, &String) -> bool, other: &Self| {
            let all = those.files.iter();
            let found = all.filter(|(path, hash)| wanted(other.files.get(*path), hash));
            found.map(|(path, _)| path.clone()).collect::<Vec<_>>()
        };
        let absent = |other: Option<&String>, _: &String| other.is_none();
        let changed = |other: Option<&String>, hash: &String| other.is_some_and(|o| o != hash);
        // half of a pair may still lie there
        let (lost, gone): (Vec<PathBuf>, _) = of(self, &absent, now)
            .into_iter()
            .partition(|path| path.exists());
        let parts = [
            ("changed", of(self, &changed, now)),
            ("gone", gone),
            ("there, and not read any more", lost),
            ("new", of(now, &absent, self)),
        ];
        let parts = parts.iter().filter(|(_, files)| !files.is_empty());
        let words: Vec<String> = parts.map(|(what, files)| some(files, what)).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("inputs.json")
    }
}

/// What became of some files, the first ones by name.
fn some(files: &[PathBuf], what: &str) -> String {
    let names = files
        .iter()
        .take(NAMED)
        .map(|file| file.display().to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    match files.len() {
        more if more > NAMED => format!("{what}: {names} and {} more", more - NAMED),
        _ => format!("{what}: {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_by_what_became_of_it() {
        let inputs = |files: &[(&str, &str)]| Inputs {
            format: "bo/train-inputs".to_owned(),
            version: 1,
            files: files
                .iter()
                .map(|(path, hash)| (PathBuf::from(path), (*hash).to_owned()))
                .collect(),
        };
        let before = inputs(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        assert_eq!(before.differences(&before), None);
        let now = inputs(&[
            ("a", "1"),
            ("b", "7"),
            ("d", "4"),
            ("w", ""),
            ("x", ""),
            ("y", ""),
            ("z", ""),
        ]);
        assert_eq!(
            before.differences(&now).unwrap(),
            "changed: b; gone: c; new: w, x, y and 1 more"
        );
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Inputs::read(folder.path()).unwrap(), None);
        before.write(folder.path()).unwrap();
        assert_eq!(Inputs::read(folder.path()).unwrap(), Some(before));
        std::fs::write(folder.path().join("inputs.json"), "{}").unwrap();
        assert!(Inputs::read(folder.path()).is_err());
    }
}
