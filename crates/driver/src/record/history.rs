//! What has happened in a run so far, read from its files without touching them.
//!
//! The journals are the truth. Where they are damaged or shorter than a checkpoint, the checkpoint
//! completes them ([`History::mend`] writes that back); where nothing holds a line that once counted, the
//! run is refused, naming the file and the line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::attempt::AttemptLine;
use super::birth::Birth;
use super::checkpoint::{Checkpoint, INTERRUPTED, checkpoint_files, damaged_checkpoints};
use super::decision::DecisionLine;
use super::directory::{holds_run, manifest_path, read_sealed, write_sealed};
use super::error::RecordError;
use super::evaluation::EvaluationLine;
use super::journal::{self, Contents, Journal};
use super::manifest::Manifest;
use super::memory::MemoryLine;
use super::result::RunResult;
use super::seal::Sealed;

/// What became of the starts of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub started: u32,
    /// Deaths of workers that were its own.
    pub deaths: Vec<String>,
    /// A worker died of one of several evaluations under way, this among them: it is started beside no other.
    pub suspect: bool,
    /// Worker that last started it, and since when that has started anything, in seconds since 1970: a server of its may
    /// be older than this evaluation.
    pub worker: Option<(u32, u64)>,
    /// The program last asked for it.
    pub program: Option<Program>,
}

/// A program that was asked for an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its process group, which has the number of its first process.
    pub group: u32,
    /// When that process was started; absent in older records.
    pub birth: Option<Birth>,
    /// When it was asked, in seconds since 1970.
    pub asked: u64,
}

/// A run so far.
#[derive(Clone, Debug)]
pub struct History {
    /// What was asked for.
    pub manifest: Manifest,
    /// Finished evaluations, by id; without gaps but in the last iteration, whose evaluations may have been
    /// under way together.
    pub evaluations: Vec<EvaluationLine>,
    /// Decisions, by iteration from 1, without gaps.
    pub decisions: Vec<DecisionLine>,
    /// How evaluations were started and how that ended, by id.
    pub attempts: BTreeMap<u64, Attempts>,
    /// The result, if the run was finished.
    pub result: Option<RunResult>,
    /// What had to be mended, in words.
    pub notices: Vec<String>,
    restored_evaluations: bool,
    restored_decisions: bool,
    restored_manifest: bool,
}

impl History {
    /// Reads a run. Needs no lock and changes nothing; a line that is being written is not seen.
    ///
    /// # Errors
    /// [`RecordError::NoRun`]; [`RecordError::Damaged`]; [`RecordError::Unknown`]; [`RecordError::Io`].
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        if !holds_run(path) {
            return Err(RecordError::NoRun {
                path: path.to_owned(),
                missing: "run.json",
                damaged: Vec::new(),
            });
        }
        let mut notices = Vec::new();
        // a checkpoint is never ahead of journals that are read after it, whatever a run writes meanwhile
        let saved = newest_checkpoint(path, &mut notices)?;
        let evaluations = journal::read(&path.join("evaluations.jsonl"))?;
        let decisions = journal::read(&path.join("decisions.jsonl"))?;
        let manifest_file = manifest_path(path);
        let (manifest, restored_manifest) = match (read_sealed(&manifest_file), &saved) {
            (Ok(manifest), _) => (manifest, false),
            // a file that the system does not give, or of a newer program, is not lost
            (Err(error), _) if !error.is_missing() && !is_damage(&error) => return Err(error),
            (Err(error), Some((name, checkpoint))) => {
                let reason = if error.is_missing() {
                    "is missing".to_owned()
                } else {
                    error.to_string()
                };
                notices.push(format!("run.json {reason}: restored from {name}"));
                (checkpoint.run.clone(), true)
            }
            (Err(error), None) if error.is_missing() => {
                return Err(RecordError::NoRun {
                    path: path.to_owned(),
                    missing: "run.json",
                    damaged: notices,
                });
            }
            (Err(error), None) => return Err(error),
        };
        let (decisions, restored_decisions) = Restoration {
            file: &path.join("decisions.jsonl"),
            key: |line: &DecisionLine| line.iteration,
            first: 1,
            what: "decision of iteration",
        }
        .complete(
            decisions,
            saved
                .as_ref()
                .map(|(name, saved)| (name.as_str(), saved.decisions.as_slice())),
            |a, b| a.difference(b).is_none(),
            |_, _| false,
            &mut notices,
        )?;
        let (evaluations, restored_evaluations) = Restoration {
            file: &path.join("evaluations.jsonl"),
            key: |line: &EvaluationLine| line.id,
            first: 0,
            what: "evaluation",
        }
        .complete(
            evaluations,
            saved
                .as_ref()
                .map(|(name, saved)| (name.as_str(), saved.evaluations.as_slice())),
            EvaluationLine::agrees,
            // those of one round may come in any order
            |missing, after| {
                let round = after[0].iteration;
                let decided = decisions.iter().find(|line| line.iteration == round);
                after.iter().all(|line| line.iteration == round)
                    && (round == 0
                        || decided.is_some_and(|line| line.members().any(|one| one.id == missing)))
            },
            &mut notices,
        )?;
        let attempts = attempts(&journal::read(&path.join("attempts.jsonl"))?, &mut notices);
        let result = match read_sealed(&path.join(RESULT)) {
            Ok(result) => Some(result),
            Err(error) if error.is_missing() => None,
            Err(error) if is_damage(&error) => {
                notices.push(format!("{NO_RESULT}: {error}"));
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            manifest,
            evaluations,
            decisions,
            attempts,
            result,
            notices,
            restored_evaluations,
            restored_decisions,
            restored_manifest,
        })
    }

    /// The history that a checkpoint holds.
    pub fn of_checkpoint(checkpoint: Checkpoint) -> Self {
        Self {
            manifest: checkpoint.run,
            evaluations: checkpoint.evaluations,
            decisions: checkpoint.decisions,
            attempts: BTreeMap::new(),
            result: None,
            notices: Vec::new(),
            restored_evaluations: true,
            restored_decisions: true,
            restored_manifest: true,
        }
    }

    /// What there was before the failures at its end: without the evaluations since the last one that returned a value, and
    /// without the decisions that followed the first of them. How many evaluations these are; none where the last returned one.
    pub fn before_failures(mut self) -> (Self, usize) {
        let kept = self
            .evaluations
            .iter()
            .rposition(|line| line.value.is_some() || line.failed_elsewhere());
        let failed = self.evaluations.split_off(kept.map_or(0, |last| last + 1));
        if let Some(first) = failed.first() {
            self.decisions
                .retain(|line| line.iteration <= first.iteration);
            self.attempts.retain(|&id, _| id < first.id);
            self.result = None;
        }
        (self, failed.len())
    }

    /// All of it in one file.
    pub(super) fn into_checkpoint(self) -> Checkpoint {
        Checkpoint {
            iteration: None,
            run: self.manifest,
            evaluations: self.evaluations,
            decisions: self.decisions,
            model: None,
            incumbent: None,
        }
    }

    /// Last iteration whose evaluations are all there, 0 = the initial design; `None` while that is not known
    /// to be complete.
    pub fn complete(&self) -> Option<u64> {
        let there = |id: u64| {
            self.evaluations
                .binary_search_by_key(&id, |line| line.id)
                .is_ok()
        };
        let missing = |line: &&DecisionLine| line.members().any(|member| !there(member.id));
        let open = self.decisions.iter().find(missing);
        match (open, self.decisions.last()) {
            (Some(open), _) => Some(open.iteration.saturating_sub(1)),
            (None, last) => last.map(|last| last.iteration),
        }
    }

    /// The checkpoint of an iteration, made again from the journals; `None` where the next decision, which holds
    /// that iteration's model, is not recorded.
    fn checkpoint(&self, iteration: u64) -> Option<Checkpoint> {
        let next = self
            .decisions
            .iter()
            .find(|line| line.iteration == iteration + 1)?;
        let within = |line: &&EvaluationLine| line.iteration <= iteration;
        let decided = |line: &&DecisionLine| line.iteration <= iteration;
        Some(Checkpoint {
            iteration: Some(iteration),
            run: self.manifest.clone(),
            evaluations: self.evaluations.iter().filter(within).cloned().collect(),
            decisions: self.decisions.iter().filter(decided).cloned().collect(),
            model: next.model.clone(),
            incumbent: next.incumbent.clone(),
        })
    }

    /// Writes back what came from a checkpoint, makes damaged checkpoints again, and sets aside what else is damaged. The
    /// caller holds the lock.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) fn mend(&mut self, path: &Path) -> Result<(), RecordError> {
        if self.restored_evaluations {
            set_aside(&path.join("evaluations.jsonl"))?;
            Journal::rewrite(&path.join("evaluations.jsonl"), self.evaluations.iter())?;
        }
        if self.restored_decisions {
            set_aside(&path.join("decisions.jsonl"))?;
            Journal::rewrite(&path.join("decisions.jsonl"), self.decisions.iter())?;
        }
        if self.restored_manifest {
            set_aside(&manifest_path(path))?;
            write(&manifest_path(path), &self.manifest)?;
        }
        // those found while reading are named with what became of them instead
        self.notices.retain(|notice| {
            ![PASSED_OVER, NO_RESULT]
                .iter()
                .any(|begin| notice.starts_with(begin))
        });
        self.drop_damaged::<AttemptLine>(&path.join("attempts.jsonl"))?;
        self.drop_damaged::<MemoryLine>(&path.join("memory.jsonl"))?;
        let result = path.join(RESULT);
        match read_sealed::<RunResult>(&result) {
            Err(error) if is_damage(&error) => {
                let torn = aside(&result);
                std::fs::rename(&result, &torn).map_err(RecordError::io(&result, "move aside"))?;
                let then = "and written again once the run is complete";
                self.notices
                    .push(format!("{error}: moved to {}, {then}", torn.display()));
            }
            _ => {}
        }
        for (iteration, file, error) in damaged_checkpoints(path) {
            let torn = aside(&file);
            std::fs::rename(&file, &torn).map_err(RecordError::io(&file, "move aside"))?;
            let again = iteration.and_then(|iteration| self.checkpoint(iteration));
            if let Some(checkpoint) = &again {
                write(&file, checkpoint)?;
            }
            let then = if again.is_some() {
                ", and written again from the journals"
            } else {
                ""
            };
            self.notices
                .push(format!("{error}: moved to {}{then}", torn.display()));
        }
        Ok(())
    }
}

impl History {
    /// Leaves damaged lines out of a journal that nothing else holds; the file as it was stays beside it.
    fn drop_damaged<T: Sealed>(&mut self, path: &Path) -> Result<(), RecordError> {
        let contents = journal::read::<T>(path)?;
        if contents.damaged.is_empty() {
            return Ok(());
        }
        set_aside(path)?;
        Journal::rewrite(path, contents.lines.iter().map(|(_, line)| line))?;
        self.notices.push(format!(
            "{}: {} damaged lines left out; the file as it was is beside it, as *.damaged.torn",
            path.display(),
            contents.damaged.len()
        ));
        Ok(())
    }
}

fn write<T: Sealed>(path: &Path, value: &T) -> Result<(), RecordError> {
    write_sealed(path, value).map(|_| ())
}

/// What a run came to.
const RESULT: &str = "result.json";

/// How a damaged result is named.
const NO_RESULT: &str = "damaged result passed over";

/// How a damaged checkpoint that was not needed is named.
const PASSED_OVER: &str = "damaged checkpoint passed over";

/// Copies a damaged file beside itself before it is rewritten: nothing is dropped.
fn set_aside(path: &Path) -> Result<(), RecordError> {
    match std::fs::metadata(path) {
        Ok(data) if data.len() > 0 => {
            let copied = std::fs::read(path).and_then(|bytes| {
                let mut file = std::fs::File::create(aside(path))?;
                std::io::Write::write_all(&mut file, &bytes)?;
                file.sync_all()
            });
            copied.map_err(RecordError::io(path, "copy aside"))
        }
        _ => Ok(()),
    }
}

/// A free name for damaged bytes of a file: `NAME.damaged.torn`, `NAME.damaged.2.torn`, ...
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = path.with_file_name(format!("{name}.damaged.torn"));
    let others =
        (2_u32..).map(|number| path.with_file_name(format!("{name}.damaged.{number}.torn")));
    std::iter::once(first)
        .chain(others)
        .find(|free| !free.exists())
        .unwrap_or_else(|| path.with_file_name(format!("{name}.torn")))
}

/// Whether bytes are not what was written: only such a file may be replaced.
fn is_damage(error: &RecordError) -> bool {
    matches!(error, RecordError::Damaged { .. })
}

/// The newest whole checkpoint, complete iterations or not, with its name; damaged ones are named.
///
/// # Errors
/// One that the system does not give, or of a newer program: what it holds is not known.
fn newest_checkpoint(
    path: &Path,
    notices: &mut Vec<String>,
) -> Result<Option<(String, Checkpoint)>, RecordError> {
    let mut files = checkpoint_files(path);
    let interrupted = path.join(INTERRUPTED);
    if interrupted.exists() {
        files.push((u64::MAX, interrupted));
    }
    for (_, file) in files.into_iter().rev() {
        match read_sealed::<Checkpoint>(&file) {
            Ok(checkpoint) => {
                let name = file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                return Ok(Some((name, checkpoint)));
            }
            Err(error) if is_damage(&error) => notices.push(format!("{PASSED_OVER}: {error}")),
            // a run may remove its older ones meanwhile
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn attempts(
    contents: &Contents<AttemptLine>,
    notices: &mut Vec<String>,
) -> BTreeMap<u64, Attempts> {
    for (line, reason) in &contents.damaged {
        notices.push(format!("attempts.jsonl line {line}: {reason}; passed over"));
    }
    let mut all: BTreeMap<u64, Attempts> = BTreeMap::new();
    // first line of each worker: its number may have been that of an earlier one, which only widens the search
    let mut begun: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, line) in &contents.lines {
        let attempts = all.entry(line.id).or_default();
        if line.death.is_none() {
            // a worker may have died just before the start that it had announced
            attempts.started = attempts.started.max(line.attempt.saturating_add(1));
        }
        attempts.suspect |= line.shared;
        if line.iteration.is_some() {
            let since = *begun.entry(line.pid).or_insert(line.started);
            attempts.worker = Some((line.pid, since));
        }
        if let Some(group) = line.process_group {
            attempts.program = Some(Program {
                group,
                birth: line.birth.clone(),
                asked: line.started,
            });
        }
        if let (Some(death), true) = (&line.death, line.own) {
            attempts.deaths.push(death.clone());
        }
    }
    all
}

/// Completes a journal from a checkpoint.
struct Restoration<'f, T> {
    file: &'f Path,
    key: fn(&T) -> u64,
    first: u64,
    what: &'static str,
}

impl<T: Sealed + Clone> Restoration<'_, T> {
    fn complete(
        &self,
        contents: Contents<T>,
        saved: Option<(&str, &[T])>,
        agree: impl Fn(&T, &T) -> bool,
        // whether the first line missing may still come, given those after it
        under_way: impl Fn(u64, &[&T]) -> bool,
        notices: &mut Vec<String>,
    ) -> Result<(Vec<T>, bool), RecordError> {
        let mut lines: BTreeMap<u64, T> = BTreeMap::new();
        for (number, line) in contents.lines {
            match lines.get(&(self.key)(&line)) {
                Some(first) if !agree(first, &line) => {
                    let reason = format!(
                        "line {number}: {} {} stands twice and differs",
                        self.what,
                        (self.key)(&line)
                    );
                    return Err(RecordError::damaged(self.file, reason));
                }
                Some(_) => {}
                None => {
                    lines.insert((self.key)(&line), line);
                }
            }
        }
        let found = lines.len();
        if let Some((name, saved)) = saved {
            for line in saved {
                lines
                    .entry((self.key)(line))
                    .or_insert_with(|| line.clone());
            }
            if lines.len() > found {
                notices.push(format!(
                    "{}: {} of {} lines restored from {name}",
                    self.file.display(),
                    lines.len() - found,
                    lines.len()
                ));
            }
        }
        let restored = lines.len() > found || !contents.damaged.is_empty();
        let gap = (self.first..)
            .zip(lines.keys())
            .find(|(expected, key)| *key != expected);
        if let Some((missing, next)) = gap {
            let after: Vec<&T> = lines.range(next..).map(|(_, line)| line).collect();
            if !contents.damaged.is_empty() || !under_way(missing, &after) {
                let cause = contents
                    .damaged
                    .first()
                    .map_or_else(String::new, |(line, reason)| {
                        format!("line {line} is damaged ({reason}); ")
                    });
                let reason = format!(
                    "{cause}{} {missing} is missing and no checkpoint holds it",
                    self.what
                );
                return Err(RecordError::damaged(self.file, reason));
            }
        }
        Ok((lines.into_values().collect(), restored))
    }
}
