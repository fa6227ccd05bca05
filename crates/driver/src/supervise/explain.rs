//! From a dead worker to its post-mortem: collects what can be known, has it judged, writes it down, and counts the death
//! against the evaluation that is to blame.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bo_memory::{cgroup, host};

use super::death::{Signs, judge};
use super::kernel;
use super::watch::Ended;
use crate::exit::Failure;
use crate::record::{AttemptLine, Heartbeat, History, Lock, Postmortem, StartedJournal, now};

/// What the system and the watch over the worker say of its death.
///
/// # Errors
/// A post-mortem that cannot be written; [`Failure::Held`] where another holds the run by now.
pub fn explain(
    folder: &Path,
    lock: &Lock,
    ended: &Ended,
) -> Result<(Postmortem, PathBuf), Failure> {
    use std::os::unix::process::ExitStatusExt as _;
    let last = Heartbeat::read(folder).filter(|beat| beat.pid == ended.pid);
    let mut memory = ended.curve.before_now();
    if let Some(beat) = &last {
        // a death within the first second has no other
        memory.push((silence(beat), beat.resident));
        memory.sort_by_key(|&(before, _)| std::cmp::Reverse(before));
    }
    let signs = Signs {
        watched: true,
        signal: ended.status.signal(),
        code: ended.status.code(),
        hung: ended.hung,
        kills: ended.kills,
        resident: memory.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0),
        limit: host::limit(),
        kernel: kernel::lines_about(ended.pid),
        words: ended.words.clone(),
        restarted: false,
        told: ended.told.clone(),
        last,
        log: log_tail(folder),
    };
    bury(folder, lock, ended.pid, signs, memory)
}

/// A run whose parent died with its worker, or that had none, left only its heartbeat: that is explained when it is next
/// taken up.
///
/// # Errors
/// A post-mortem that cannot be written.
pub fn explain_earlier(
    folder: &Path,
    lock: &Lock,
) -> Result<Option<(Postmortem, PathBuf)>, Failure> {
    let Some(last) = Heartbeat::read(folder).filter(|beat| !beat.ended) else {
        return Ok(None);
    };
    let restarted = boot_time().is_some_and(|boot| boot > last.time);
    let signs = Signs {
        resident: last.resident,
        limit: host::limit(),
        // after a restart the number is another process's
        kernel: (!restarted)
            .then(|| kernel::lines_about(last.pid))
            .flatten(),
        restarted,
        log: log_tail(folder),
        last: Some(last.clone()),
        kills: cgroup::kills(),
        ..Signs::default()
    };
    let memory = vec![(silence(&last), last.resident)];
    bury(folder, lock, last.pid, signs, memory).map(Some)
}

/// Judges, writes it down, and counts the death against the evaluation where it is to blame; where one of several
/// may be, against each so that it is tried alone next.
fn bury(
    folder: &Path,
    lock: &Lock,
    pid: u32,
    signs: Signs,
    memory: Vec<(u64, u64)>,
) -> Result<(Postmortem, PathBuf), Failure> {
    let fence = lock.fence();
    if let Some(fence) = &fence {
        fence.check()?;
    }
    let verdict = judge(&signs);
    let last = signs.last;
    let under_way = match &last {
        _ if verdict.shared => unfinished(folder, pid),
        Some(Heartbeat {
            id: Some(id),
            attempt,
            ..
        }) => vec![(*id, *attempt)],
        _ => Vec::new(),
    };
    let mut journal = StartedJournal::open(folder, fence)?;
    for (id, attempt) in under_way {
        journal.note(&AttemptLine {
            id,
            attempt,
            iteration: None,
            pid,
            process_group: None,
            birth: None,
            death: Some(verdict.sentence.clone()),
            own: verdict.own,
            shared: verdict.shared,
            started: now(),
        });
    }
    let postmortem = Postmortem {
        time: now(),
        pid,
        signal: signs.signal,
        code: signs.code,
        silent: last.as_ref().map_or(0, silence),
        last,
        memory,
        limit: signs.limit,
        kills: signs.kills,
        own: verdict.own,
        verdict: verdict.sentence,
        evidence: verdict.evidence,
        log: signs.log,
    };
    let path = postmortem.write(folder)?;
    if let Some(last) = postmortem.last.clone() {
        // explained once
        let ended = Heartbeat {
            ended: true,
            ..last
        };
        ended.write(folder);
    }
    Ok((postmortem, path))
}

/// Evaluations that process `pid` had started and not finished, with the number of the attempt.
fn unfinished(folder: &Path, pid: u32) -> Vec<(u64, u32)> {
    let Ok(history) = History::read(folder) else {
        // what cannot be read is refused when the run is taken up
        return Vec::new();
    };
    let finished: BTreeSet<u64> = history.evaluations.iter().map(|line| line.id).collect();
    let open = history.attempts.into_iter().filter(|(id, attempts)| {
        attempts.worker.is_some_and(|(worker, _)| worker == pid) && !finished.contains(id)
    });
    open.map(|(id, attempts)| (id, attempts.started.saturating_sub(1)))
        .collect()
}

/// Seconds since a beat.
fn silence(beat: &Heartbeat) -> u64 {
    now().saturating_sub(beat.time)
}

/// When this machine was started, in seconds since 1970.
pub fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Last lines of the log.
fn log_tail(folder: &Path) -> Vec<String> {
    const MOST: u64 = 4096;
    let mut text = Vec::new();
    if let Ok(mut log) = File::open(folder.join("log.txt")) {
        let length = log.metadata().map_or(0, |data| data.len());
        let _ = log
            .seek(SeekFrom::Start(length.saturating_sub(MOST)))
            .and_then(|_| log.take(MOST).read_to_end(&mut text));
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(20);
    lines[last..].iter().map(|&line| line.to_owned()).collect()
}
