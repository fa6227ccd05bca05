//! `log.txt` of a run: everything said, by `bo` and by the programs it starts.
//!
//! Central type: [`Log`]; clones share it. Lines said before the run has a directory are kept until it has. A log
//! never fails a run, and never fills a disk: it ends with a note at its limit.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest log written by one process, bytes.
const LIMIT: u64 = 256 << 20;
/// Most lines kept while there is no directory yet.
const BACKLOG: usize = 10_000;

/// Takes lines.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    file: Option<File>,
    backlog: Vec<String>,
    written: u64,
}

impl Log {
    /// Adds a line.
    pub fn say(&self, line: &str) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.add(line);
    }

    /// Writes to `log.txt` in this folder from now on, first what was said before.
    pub fn attach(&self, folder: &Path) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.file = OpenOptions::new().create(true).append(true).open(folder.join("log.txt")).ok();
        for line in std::mem::take(&mut inside.backlog) {
            inside.add(&line);
        }
    }
}

impl Inside {
    fn add(&mut self, line: &str) {
        let Some(file) = &mut self.file else {
            if self.backlog.len() < BACKLOG {
                self.backlog.push(line.to_owned());
            }
            return;
        };
        if self.written > LIMIT {
            return;
        }
        let text = format!("{line}\n");
        self.written += text.len() as u64;
        let _ = file.write_all(text.as_bytes());
        if self.written > LIMIT {
            let _ = file.write_all(b"(the log has reached its limit; nothing more is written to it)\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_early_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::default();
        log.say("one");
        log.clone().attach(folder.path());
        log.say("two");
        assert_eq!(std::fs::read_to_string(folder.path().join("log.txt")).unwrap(), "one\ntwo\n");
    }
}
