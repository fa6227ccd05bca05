//! What can be wrong with a run's files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checkpoint::newest_good;
use super::directory::holds_run;
use super::lock::Holder;
use super::seal::SealError;
use crate::quantity::typed;

/// A run's files cannot be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that are not what was written.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the line or the byte.
        reason: String,
    },
    /// A whole file of another kind than was to be read.
    #[error("{}: {reason}", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// Which kind it is, and which was to be read.
        reason: String,
    },
    /// Bytes that are what was written, by another program than this.
    #[error("{}: {reason}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it holds, naming the line.
        reason: String,
    },
    /// There is no run here.
    #[error("{}: no run here ({missing} is missing{})", path.display(), others(damaged))]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
        /// What lies there and cannot be used.
        damaged: Vec<String>,
    },
    /// A run is here already.
    #[error("{}: already holds a run", path.display())]
    HoldsRun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process holds the run.
    #[error("{}: held by {holder}", path.display())]
    Held {
        /// The run.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// The record contradicts itself, or what is computed from it.
    #[error("{}: iteration {iteration}: {reason}", path.display())]
    Differs {
        /// The run.
        path: PathBuf,
        /// Where it was noticed.
        iteration: u64,
        /// What differs.
        reason: String,
    },
}

impl RecordError {
    /// [`RecordError::Io`] as a closure for `map_err`.
    pub fn io<'p>(
        path: &'p Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + use<'p> {
        move |source| Self::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// [`RecordError::Damaged`].
    pub fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// What is wrong with a seal: [`RecordError::Damaged`], [`RecordError::OtherKind`] or [`RecordError::Unknown`];
    /// `place` begins the reason.
    pub fn seal(path: &Path, place: &str, error: &SealError) -> Self {
        let (path, reason) = (path.to_owned(), format!("{place}{error}"));
        match error {
            SealError::Format { .. } => Self::OtherKind { path, reason },
            _ if error.is_damage() => Self::Damaged { path, reason },
            _ => Self::Unknown { path, reason },
        }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// What to type next.
    pub fn remedy(&self) -> String {
        match self {
            Self::Io { path, source, .. } => {
                let (folder, first) = (folder_of(path), mend(source));
                if folder.join("run.json").exists() {
                    format!(
                        "what was finished before is on disk; {first}, then: bo resume {}",
                        typed(folder)
                    )
                } else {
                    format!("{first}, then type the same again; or name another folder")
                }
            }
            Self::Damaged { path, .. } => {
                elsewhere(folder_of(path), u64::MAX).unwrap_or_else(|| {
                    "no checkpoint beside it is whole: put the file back from a copy of yours"
                        .to_owned()
                })
            }
            Self::Unknown { path, .. } | Self::OtherKind { path, .. } => format!(
                "nothing was changed; go on with the bo that wrote it: bo resume {}",
                typed(folder_of(path))
            ),
            Self::NoRun { path, damaged, .. } if damaged.is_empty() && !holds_run(path) => {
                format!("to begin one: bo run --out {}", typed(path))
            }
            Self::NoRun { path, .. } => format!(
                "put run.json or a whole checkpoint (iter_NNN.json) back there from a copy of yours, or begin a run: bo run --out {}",
                typed(&free_beside(path))
            ),
            Self::HoldsRun { path } => format!("to go on with it: bo resume {}", typed(path)),
            Self::Held { path, .. } => {
                format!("wait for it, or look at it with: bo show {}", typed(path))
            }
            Self::Differs {
                path, iteration, ..
            } => elsewhere(path, iteration.saturating_sub(1)).unwrap_or_else(|| {
                format!(
                    "no checkpoint before it is there; to begin anew: bo run --out {}",
                    typed(&free_beside(path))
                )
            }),
        }
    }
}

/// The command that goes on from the newest good checkpoint of an iteration up to `last`, in a new folder.
fn elsewhere(folder: &Path, last: u64) -> Option<String> {
    let good = newest_good(folder, last)?;
    Some(format!(
        "to go on elsewhere from the newest good checkpoint before it: bo resume {} --out {}",
        typed(&good),
        typed(&free_beside(folder))
    ))
}

/// The folder that a file of a run lies in, or the run itself.
fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// What the user has to do about an answer of the system.
fn mend(source: &io::Error) -> &'static str {
    use io::ErrorKind;
    match (source.kind(), source.raw_os_error()) {
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => "make room on the disk",
        (ErrorKind::ReadOnlyFilesystem, _) => "make the disk writable",
        (ErrorKind::PermissionDenied, _) => "give yourself the right to write there",
        (_, Some(23 | 24)) => "allow more open files (ulimit -n 1024)",
        _ => "see to the disk",
    }
}

fn others(damaged: &[String]) -> String {
    damaged.iter().map(|one| format!("; {one}")).collect()
}

/// A directory beside `path` that does not exist: its name with the first free number.
pub fn free_beside(path: &Path) -> PathBuf {
    let whole = path.canonicalize();
    let name = path
        .file_name()
        .or_else(|| whole.as_ref().ok()?.file_name())
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let beside = |number: u32| match path.file_name() {
        Some(_) => path.with_file_name(format!("{name}_{number}")),
        // the folder one stands in, or one that ends in `..`
        None => path.join("..").join(format!("{name}_{number}")),
    };
    (2..)
        .map(beside)
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| beside(0))
}
