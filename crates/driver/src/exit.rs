//! How `bo` ends: every failure we expect, its documented exit code and its message.
//!
//! Central type: [`Failure`]. A message says what was wrong, where, and what to type next; it reads
//! after "bo: ". Failures nobody expected end with code 1.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::quantity::typed;
use crate::record::{RecordError, free_beside, holds_run, holds_sweep, holds_training};
use crate::settings::Origin;

/// An expected end of `bo` that is not success.
#[derive(Debug, Error)]
pub enum Failure {
    /// A setting that cannot be: exit 2.
    #[error("{key} ({origin}): {reason}\n  {remedy}")]
    Setting {
        /// Name of the setting, as in the flag without its dashes.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
        /// What to type instead.
        remedy: String,
    },
    /// A file given as input that cannot be used: exit 2.
    #[error("{}: {reason}\n  {remedy}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, with the key where there is one.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The output directory already holds a run: exit 2.
    #[error(
        "{} already holds a run; nothing was changed\n  to go on with it:      bo resume {}\n  to run somewhere else: {again} --out {}",
        out.display(), typed(out), typed(elsewhere)
    )]
    HoldsRun {
        /// The directory.
        out: PathBuf,
        /// What was to be done there: `bo run`, or `bo resume PATH`.
        again: String,
        /// A directory beside it that is free.
        elsewhere: PathBuf,
    },
    /// A run directory or a checkpoint that cannot be used: exit 3.
    #[error("{}: {reason}\n  {remedy}", path.display())]
    Unusable {
        /// The run or the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Another process works on this run: exit 4.
    #[error("{}: held by {holder}\n  wait for it, or look at it with: bo show {}", out.display(), typed(out))]
    Held {
        /// The run.
        out: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
    /// A run that is to be stopped is held where its process cannot be reached: exit 4.
    #[error("{}: held by {holder}, which cannot be reached from here\n  type there: bo stop {}", out.display(), typed(out))]
    Elsewhere {
        /// The run.
        out: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
    /// Another process trains in this folder: exit 4.
    #[error("{}: held by {holder}\n  wait for it, or give another --out", out.display())]
    Trained {
        /// The folder.
        out: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
    /// The objective failed too often in a row: exit 5.
    #[error(
        "the objective failed {count} times in a row, {reason}\n  what it printed is in {}\n  mend it; then, where x was not to blame: bo resume {} --retry-failed --out {}\n  where it was: bo resume {}, which keeps away from what failed, for good",
        out.join("log.txt").display(),
        typed(out),
        typed(&free_beside(out)),
        typed(out)
    )]
    KeepsFailing {
        /// Failures in a row.
        count: usize,
        /// What they said, after "each time:" or "the last time:".
        reason: String,
        /// The run.
        out: PathBuf,
    },
    /// The run is complete and no evaluation succeeded: exit 5.
    #[error(
        "none of {count} evaluations succeeded, {reason}\n  what was said is in {}\n  mend it, then begin anew: bo run --out {}",
        out.join("log.txt").display(),
        typed(&free_beside(out))
    )]
    NothingSucceeded {
        /// Evaluations.
        count: usize,
        /// As in [`Failure::KeepsFailing`].
        reason: String,
        /// The run.
        out: PathBuf,
    },
    /// The device asked for cannot be used: exit 6.
    #[error("device {device} ({origin}): {reason}\n  {remedy}")]
    Device {
        /// As written by the user.
        device: String,
        /// Where it was set.
        origin: Origin,
        /// Why it cannot be used.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Stopped by a signal with everything saved: exit 128 + signal (130 or 143).
    #[error("stopped by {}; {}", stopped_by(*.signal, *.asked), kept(.out))]
    Stopped {
        /// Number of the signal.
        signal: i32,
        /// It came from `bo stop`.
        asked: bool,
        /// The run.
        out: PathBuf,
    },
    /// The worker keeps dying: exit 7, resumable.
    #[error("the worker died {deaths} times without finishing an evaluation, the last time: {verdict}\n  evidence: {}\n  to try again: {}", postmortem.display(), again(out))]
    KeepsDying {
        /// How often since the last finished evaluation.
        deaths: u32,
        /// What the last post-mortem says.
        verdict: String,
        /// The last post-mortem.
        postmortem: PathBuf,
        /// The run.
        out: PathBuf,
    },
    /// The device is gone, and with it what this process held there: exit 7, resumable; a parent that watches starts the
    /// next process.
    #[error("device {device} was lost: {meaning}\n  {said}\n  everything finished is saved; to go on: bo resume {}", out.display())]
    DeviceLost {
        /// `cpu` or `cuda:N`.
        device: String,
        /// What its status means.
        meaning: &'static str,
        /// In its driver's words.
        said: String,
        /// The run.
        out: PathBuf,
    },
    /// The worker ended with this code and has said why.
    #[error("the worker ended with code {code}")]
    Said {
        /// Its exit code.
        code: u8,
    },
    /// A failure without a code of its own: exit 1.
    #[error("{what}: {reason}")]
    Unexpected {
        /// What was being done.
        what: String,
        /// What happened.
        reason: String,
    },
}

/// Exit code of a process that a new one should follow.
pub const DIED: u8 = 7;

impl Failure {
    /// The documented exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Setting { .. } | Self::Input { .. } | Self::HoldsRun { .. } => 2,
            Self::Unusable { .. } => 3,
            Self::Held { .. } | Self::Elsewhere { .. } | Self::Trained { .. } => 4,
            Self::KeepsFailing { .. } | Self::NothingSucceeded { .. } => 5,
            Self::Device { .. } => 6,
            Self::KeepsDying { .. } | Self::DeviceLost { .. } => DIED,
            Self::Said { code } => *code,
            Self::Stopped { signal, .. } => 128_u8.wrapping_add(*signal as u8),
            Self::Unexpected { .. } => 1,
        }
    }

    /// [`Failure::Input`] in one line.
    pub fn input(path: &Path, reason: impl ToString, remedy: impl ToString) -> Self {
        Self::Input {
            path: path.to_owned(),
            reason: reason.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// [`Failure::Unusable`] in one line.
    pub fn unusable(path: &Path, reason: impl ToString, remedy: impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// [`Failure::HoldsRun`] of what was to be done in `out`.
    pub fn holds_run(out: PathBuf, again: String) -> Self {
        Self::HoldsRun {
            elsewhere: free_beside(&out),
            again,
            out,
        }
    }

    /// [`Failure::Unexpected`] in one line.
    pub fn unexpected(what: impl ToString, reason: impl ToString) -> Self {
        Self::Unexpected {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let remedy = error.remedy();
        match error {
            RecordError::Io {
                path,
                action,
                source,
            } => Self::unusable(&path, format!("{action}: {source}"), remedy),
            RecordError::Damaged { path, reason }
            | RecordError::Unknown { path, reason }
            | RecordError::OtherKind { path, reason } => Self::unusable(&path, reason, remedy),
            RecordError::NoRun {
                path,
                missing,
                damaged,
            } => {
                if holds_training(&path) {
                    let remedy = format!(
                        "to go on with it: bo train edge --out {} --resume",
                        typed(&path)
                    );
                    return Self::unusable(&path, "a training, not a run", remedy);
                }
                if holds_sweep(&path) {
                    let remedy = format!(
                        "name one of the folders in it; bo show {}/RUN",
                        typed(&path)
                    );
                    return Self::unusable(&path, "a sweep, not a run", remedy);
                }
                let also: String = damaged.iter().map(|one| format!("; {one}")).collect();
                let reason = format!("no run here ({missing} is missing{also})");
                Self::unusable(&path, reason, remedy)
            }
            RecordError::HoldsRun { path } => Self::holds_run(path, "bo run".to_owned()),
            RecordError::Held { path, holder } => Self::Held {
                out: path,
                holder: holder.to_string(),
            },
            RecordError::Differs {
                path,
                iteration,
                reason,
            } => Self::unusable(
                &path,
                format!("iteration {iteration}: {reason}; nothing was changed"),
                remedy,
            ),
        }
    }
}

/// What to type where a worker keeps dying.
fn again(out: &Path) -> String {
    match holds_run(out) {
        true => format!("bo resume {}", typed(out)),
        false => "type the same again; nothing had begun".to_owned(),
    }
}

/// What is there after a stop, and how to go on.
fn kept(out: &Path) -> String {
    if holds_run(out) {
        format!(
            "everything is saved\n  to go on: bo resume {}",
            out.display()
        )
    } else {
        "nothing had begun\n  to begin: type the same again".to_owned()
    }
}

fn stopped_by(signal: i32, asked: bool) -> String {
    match signal {
        15 if asked => "bo stop".into(),
        2 => "SIGINT (Ctrl-C)".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}
