//! The directory of a run: the names of its files, how it begins, and how it is checkpointed.
//!
//! [`RunDirectory`] is the only writer; it exists only while the lock is held. Readers use
//! [`super::History`], which neither locks nor writes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::attempt::AttemptLine;
use super::checkpoint::{Checkpoint, INTERRUPTED, checkpoint_files, checkpoint_name};
use super::decision::DecisionLine;
use super::error::RecordError;
use super::evaluation::EvaluationLine;
use super::history::History;
use super::journal::Journal;
use super::lease::Fence;
use super::lock::Lock;
use super::manifest::Manifest;
use super::memory::MemoryLine;
use super::replace::{read_limited, replace_with, sync_folder};
use super::result::RunResult;
use super::seal::{Sealed, open, seal_into};

/// By this file the folder of a training is known.
pub const TRAINING: &str = "train.json";

/// By this file the folder of a sweep is known: the settings that all its runs have in common.
pub const SWEEP: &str = "sweep.toml";

/// Largest whole file read.
pub(super) const LARGEST: u64 = 2 << 30;

/// A run's directory, held for writing.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    lock: Lock,
    evaluations: Journal<EvaluationLine>,
    decisions: Journal<DecisionLine>,
    attempts: Journal<AttemptLine>,
    /// Memory of iterations.
    pub memory: Journal<MemoryLine>,
}

impl RunDirectory {
    /// Begins a run in `path`, which is created if need be.
    ///
    /// # Errors
    /// [`RecordError::Held`] before [`RecordError::HoldsRun`]; [`RecordError::Io`].
    pub fn begin(path: &Path, manifest: &Manifest) -> Result<Self, RecordError> {
        create_folder(path)?;
        let lock = Lock::take(path)?;
        if holds_run(path) {
            return Err(RecordError::HoldsRun {
                path: path.to_owned(),
            });
        }
        // the journals before run.json: a directory with run.json is whole
        let directory = Self::with_lock(path, lock)?.0;
        write_sealed(&manifest_path(path), manifest)?;
        Ok(directory)
    }

    /// Takes a directory that holds a run, mends what a crash left behind, and reads it.
    ///
    /// # Errors
    /// [`RecordError::Held`], [`RecordError::NoRun`], [`RecordError::Damaged`] naming file and line
    /// where neither the file nor a checkpoint holds what was written.
    pub fn reopen(path: &Path) -> Result<(Self, History), RecordError> {
        if !path.is_dir() {
            return Err(RecordError::NoRun {
                path: path.to_owned(),
                missing: "run.json",
                damaged: Vec::new(),
            });
        }
        let lock = Lock::take(path)?;
        if !holds_run(path) {
            return Err(RecordError::NoRun {
                path: path.to_owned(),
                missing: "run.json",
                damaged: Vec::new(),
            });
        }
        let mut history = History::read(path)?;
        history.mend(path)?;
        let (directory, notices) = Self::with_lock(path, lock)?;
        history.notices.extend(notices);
        Ok((directory, history))
    }

    /// Makes a directory that holds a history. It is first one checkpoint, which appears whole or not at all;
    /// what else belongs there is made from it, now or when the work is taken up after a crash.
    ///
    /// # Errors
    /// As [`RunDirectory::reopen`].
    pub fn restore(path: &Path, history: History) -> Result<(Self, History), RecordError> {
        let notices = history.notices.clone();
        create_folder(path)?;
        {
            let _lock = Lock::take(path)?;
            write_sealed(&path.join(INTERRUPTED), &history.into_checkpoint())?;
        }
        let (directory, mut history) = Self::reopen(path)?;
        // that the files are made from the checkpoint is no news here
        history.notices = notices;
        Ok((directory, history))
    }

    fn with_lock(path: &Path, lock: Lock) -> Result<(Self, Vec<String>), RecordError> {
        let mut notices = Vec::new();
        let (evaluations, _, torn) = Journal::open(&path.join("evaluations.jsonl"))?;
        notices.extend(torn.map(|torn| torn.to_string()));
        let (decisions, _, torn) = Journal::open(&path.join("decisions.jsonl"))?;
        notices.extend(torn.map(|torn| torn.to_string()));
        let (attempts, _, torn) = Journal::open(&path.join("attempts.jsonl"))?;
        notices.extend(torn.map(|torn| torn.to_string()));
        let (memory, _, torn) = Journal::open(&path.join("memory.jsonl"))?;
        notices.extend(torn.map(|torn| torn.to_string()));
        let fence = lock.fence();
        let directory = Self {
            path: path.to_owned(),
            lock,
            evaluations: evaluations.behind(fence.as_ref()).with_aside(),
            decisions: decisions.behind(fence.as_ref()),
            attempts: attempts.behind(fence.as_ref()),
            memory: memory.behind(fence.as_ref()),
        };
        Ok((directory, notices))
    }

    /// Appends a decision; it counts with the first start that it asks for ([`Self::start`]), before which nothing depends
    /// on it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decide(&mut self, line: &DecisionLine) -> Result<(), RecordError> {
        self.decisions.append(line)
    }

    /// Appends the start of an evaluation and waits until it is on disk, after the decision that asks for it and the evaluations
    /// that were finished before.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn start(&mut self, line: &AttemptLine) -> Result<(), RecordError> {
        self.attempts.append(line)?;
        if self.evaluations.is_unsynced() || self.decisions.is_unsynced() {
            self.attempts.begin_sync();
        }
        self.evaluations.sync()?;
        self.decisions.sync()?;
        self.attempts.sync()
    }

    /// Appends a finished evaluation; it counts once [`Self::start`] or [`Self::settle`] has returned, before which nobody is
    /// told of it and nothing that follows from it is written.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn finish(&mut self, line: &EvaluationLine) -> Result<(), RecordError> {
        self.evaluations.append(line)
    }

    /// Begins to bring finished evaluations to the disk, while the caller computes.
    pub fn begin_to_settle(&mut self) {
        self.evaluations.sync_aside();
    }

    /// Waits until finished evaluations are on disk.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn settle(&mut self) -> Result<(), RecordError> {
        self.evaluations.sync()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no other process has taken the run over.
    pub fn is_held(&self) -> bool {
        self.lock.fence().is_none_or(|fence| fence.check().is_ok())
    }

    /// What asks before each write whether the run is still held; `None` where the system's lock says so.
    pub fn fence(&self) -> Option<Fence> {
        self.lock.fence()
    }

    /// Replaces `run.json`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), RecordError> {
        self.write(&manifest_path(&self.path), manifest).map(|_| ())
    }

    fn write<T: Sealed>(&self, path: &Path, value: &T) -> Result<u64, RecordError> {
        if let Some(fence) = self.lock.fence() {
            fence.check()?;
        }
        write_sealed(path, value)
    }

    /// Writes `iter_NNN.json` (or `interrupted.json` with `inside` an iteration); returns the file and
    /// its bytes. `interrupted.json` goes once a whole iteration covers it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn write_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        inside: bool,
    ) -> Result<(PathBuf, u64), RecordError> {
        let interrupted = self.path.join(INTERRUPTED);
        let file = match checkpoint.iteration {
            Some(iteration) if !inside => self.path.join(checkpoint_name(iteration)),
            _ => interrupted.clone(),
        };
        let bytes = self.write(&file, checkpoint)?;
        if !inside && interrupted.exists() {
            fs::remove_file(&interrupted).map_err(RecordError::io(&interrupted, "remove"))?;
        }
        Ok((file, bytes))
    }

    /// Removes the oldest checkpoints so that `keep` remain.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn keep_checkpoints(&self, keep: usize) -> Result<(), RecordError> {
        let files = checkpoint_files(&self.path);
        for (_, file) in files.iter().take(files.len().saturating_sub(keep.max(1))) {
            fs::remove_file(file).map_err(RecordError::io(file, "remove"))?;
        }
        Ok(())
    }

    /// Writes `result.json`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn write_result(&self, result: &RunResult) -> Result<(), RecordError> {
        self.write(&self.path.join("result.json"), result)
            .map(|_| ())
    }
}

/// Whether a directory holds a run or parts of one.
pub fn holds_run(path: &Path) -> bool {
    manifest_path(path).exists()
        || path.join(INTERRUPTED).exists()
        || !checkpoint_files(path).is_empty()
        || fs::metadata(path.join("evaluations.jsonl")).is_ok_and(|data| data.len() > 0)
}

/// Whether a directory is that of a training, which is no run.
pub fn holds_training(path: &Path) -> bool {
    path.join(TRAINING).exists()
}

/// Whether a directory is that of a sweep: its runs are the folders in it.
pub fn holds_sweep(path: &Path) -> bool {
    path.join(SWEEP).exists()
}

/// The files of a directory that each say what its run is: `run.json` and every checkpoint.
pub fn sources(path: &Path) -> Vec<PathBuf> {
    let complete = checkpoint_files(path).into_iter().map(|(_, file)| file);
    let single = [manifest_path(path), path.join(INTERRUPTED)];
    let all = single.into_iter().chain(complete);
    all.filter(|file| file.exists()).collect()
}

/// `run.json` of a directory.
pub fn manifest_path(path: &Path) -> PathBuf {
    path.join("run.json")
}

/// Reads a whole sealed file.
///
/// # Errors
/// [`RecordError`].
pub fn read_sealed<T: Sealed>(path: &Path) -> Result<T, RecordError> {
    let bytes = read_limited(path, LARGEST)?;
    open(&bytes).map_err(|error| RecordError::seal(path, "", &error))
}

/// Makes a folder and all above it, and waits until their names are on disk. Those above are synced also
/// where they were there before: whoever made them may not have waited.
fn create_folder(path: &Path) -> Result<(), RecordError> {
    fs::create_dir_all(path).map_err(RecordError::io(path, "create"))?;
    let whole = path.canonicalize().map_err(RecordError::io(path, "find"))?;
    for above in whole.ancestors().skip(1) {
        // what this user may not even open was not made for this run
        if fs::File::open(above).is_ok() {
            sync_folder(above)?;
        }
    }
    Ok(())
}

/// Writes a whole file of one sealed object; its bytes.
pub(super) fn write_sealed<T: Sealed>(path: &Path, value: &T) -> Result<u64, RecordError> {
    replace_with(path, |file| {
        seal_into(value, &mut *file)?;
        file.write_all(b"\n")
    })
}
