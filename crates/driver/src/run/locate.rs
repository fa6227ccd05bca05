//! Finds what `bo resume PATH` means: a run, one of its checkpoints, or a checkpoint on its own.

use std::path::{Path, PathBuf};

use super::verify::damage;
use crate::exit::Failure;
use crate::quantity::typed;
use crate::record::{
    Checkpoint, History, RecordError, RunDirectory, free_beside, holds_run, newest_good,
    read_sealed,
};

/// A run to go on with.
#[derive(Debug)]
pub struct Located {
    /// Where it goes on.
    pub place: Place,
    /// What it holds.
    pub history: History,
    /// From where it goes on.
    pub base: Base,
}

/// Where a run goes on.
#[derive(Debug)]
pub enum Place {
    /// In its directory, held by this process.
    Here(Box<RunDirectory>),
    /// In a new one, which is made once nothing stands against it.
    Fork(PathBuf),
}

impl Place {
    /// The directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::Here(directory) => directory.path(),
            Self::Fork(path) => path,
        }
    }
}

/// From where a run goes on.
#[derive(Debug)]
pub enum Base {
    /// The last recorded decision.
    Last,
    /// A checkpoint; decisions recorded beyond it are computed again and must agree.
    Checkpoint(Box<Checkpoint>),
}

/// Finds and holds the run that `path` names; with `fork` it is only read, to go on in a new directory.
///
/// # Errors
/// [`Failure::Held`]; [`Failure::Unusable`] with the command for the newest good checkpoint where the
/// one named is damaged; [`Failure::HoldsRun`] where `fork` holds a run.
pub fn locate(path: &Path, fork: Option<&Path>) -> Result<Located, Failure> {
    if path.is_dir() {
        return match fork {
            None => {
                let (directory, history) = RunDirectory::reopen(path)?;
                Ok(Located {
                    place: Place::Here(Box::new(directory)),
                    history,
                    base: Base::Last,
                })
            }
            Some(new) => forked(path, new, History::read(path)?),
        };
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if !path.exists() {
        let remedy = match newest_good(&folder, u64::MAX) {
            Some(good) => format!("the newest checkpoint there: bo resume {}", typed(&good)),
            None => "name a run's directory or one of its iter_NNN.json".to_owned(),
        };
        let reason = "there is no such run or checkpoint";
        return Err(Failure::unusable(path, reason, remedy));
    }
    let checkpoint: Checkpoint =
        read_sealed(path).map_err(|error| damaged(path, &folder, error))?;
    if let Some(new) = fork {
        return forked(path, new, History::of_checkpoint(checkpoint));
    }
    let (directory, history) = RunDirectory::reopen(&folder)?;
    // run.json is written by whoever took the run up last, a checkpoint stays as it was: the older of the two asks, as it
    // may lack settings that the newer one names
    let differences = checkpoint.run.differences(&history.manifest);
    if !differences.is_empty() {
        return Err(Failure::unusable(
            path,
            format!(
                "belongs to another run than {} ({} differ)",
                folder.display(),
                differences.names()
            ),
            format!(
                "to go on with it elsewhere: bo resume {} --out {}",
                typed(path),
                typed(&free_beside(&folder))
            ),
        ));
    }
    Ok(Located {
        place: Place::Here(Box::new(directory)),
        history,
        base: Base::Checkpoint(Box::new(checkpoint)),
    })
}

/// The history of `path` that goes on in a new directory.
fn forked(path: &Path, new: &Path, history: History) -> Result<Located, Failure> {
    if holds_run(new) {
        let again = format!("bo resume {}", typed(path));
        return Err(Failure::holds_run(new.to_owned(), again));
    }
    Ok(Located {
        place: Place::Fork(new.to_owned()),
        history,
        base: Base::Last,
    })
}

fn damaged(path: &Path, folder: &Path, error: RecordError) -> Failure {
    match &error {
        RecordError::Damaged { .. } => {}
        RecordError::OtherKind { reason, .. } => {
            let remedy = format!(
                "name the run or one of its iter_NNN.json: bo resume {}",
                typed(folder)
            );
            return Failure::unusable(path, format!("is no checkpoint: {reason}"), remedy);
        }
        _ => return Failure::from(error),
    }
    let remedy = match newest_good(folder, u64::MAX) {
        Some(good) => format!("the newest good one: bo resume {}", typed(&good)),
        None if folder.join("run.json").exists() => {
            format!("the run itself: bo resume {}", typed(folder))
        }
        None => error.remedy(),
    };
    Failure::unusable(path, damage(&error), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Sealed, seal};

    /// A file changed by `change`, its seal made anew.
    fn again<T: Sealed>(path: &Path, change: impl FnOnce(&mut T)) {
        let mut value: T = read_sealed(path).unwrap();
        change(&mut value);
        std::fs::write(path, seal(&value).unwrap() + "\n").unwrap();
    }

    #[test]
    fn a_checkpoint_from_before_a_setting_was_named_belongs_to_its_run_and_one_of_another_seed_does_not()
     {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/v1/problem");
        for entry in std::fs::read_dir(fixture).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let checkpoint = folder.path().join("iter_000.json");
        assert!(locate(&checkpoint, None).is_ok());
        // run.json is that of a later program, which names a setting more
        again(&checkpoint, |saved: &mut Checkpoint| {
            saved.run.fixed.remove("kernel").unwrap();
        });
        assert!(locate(&checkpoint, None).is_ok());
        again(&checkpoint, |saved: &mut Checkpoint| saved.run.seed += 1);
        let refused = locate(&checkpoint, None).unwrap_err().to_string();
        assert!(refused.contains("seed differ"), "{refused}");
    }
}
