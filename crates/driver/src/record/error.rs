//! What can be wrong with a run's files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::lock::Holder;

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
    /// There is no run here.
    #[error("{}: no run here ({missing} is missing)", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
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
}
