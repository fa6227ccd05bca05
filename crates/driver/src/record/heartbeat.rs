//! `heartbeat.json`: where a run is and what it holds, for whoever watches it or finds it dead.
//!
//! Written by the loop itself at every step, so that a loop that hangs shows; never synced. A process replaces the file
//! at its first beat, so that it is its own, and writes the later ones over it: a rename onto a file that is there has
//! ext4 bring the new one to the disk at once, which cost a run more than the syncs of its evaluations.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::replace::read_limited;
use super::seal::{Sealed, open, seal};
use crate::event::Phase;

/// One beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Process of the loop.
    pub pid: u32,
    /// Beats so far.
    pub beat: u64,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Iteration; 0 = initial design.
    pub iteration: u64,
    /// What began.
    pub phase: Phase,
    /// The evaluation, in that phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Which attempt at it.
    #[serde(default)]
    pub attempt: u32,
    /// Its decision parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x: Vec<f64>,
    /// Its environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub w: Vec<f64>,
    /// Its environment's name, of a finite set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The phase waits for a program that may take as long as it likes.
    #[serde(default)]
    pub waits: bool,
    /// Resident bytes.
    pub resident: u64,
    /// Evaluations under way, in that phase: more than one with `--jobs`.
    #[serde(default)]
    pub under_way: u32,
    /// The run came to an end of its own.
    #[serde(default)]
    pub ended: bool,
}

impl Sealed for Heartbeat {
    const FORMAT: &'static str = "bo/heartbeat";
    const VERSION: u32 = 1;
}

impl Heartbeat {
    /// Replaces the file. Best effort: a beat that is missed harms nothing.
    pub fn write(&self, folder: &Path) {
        let (path, temporary) = (folder.join(NAME), folder.join("heartbeat.json.tmp"));
        if let Ok(text) = seal(self)
            && fs::write(&temporary, text + "\n").is_ok()
        {
            let _ = fs::rename(&temporary, &path);
        }
    }

    /// What begins the lines of `log.txt` that process `pid` of the loop says of its own end.
    pub fn mark(pid: u32) -> String {
        format!("bo[{pid}]")
    }

    /// The last beat of a run.
    pub fn read(folder: &Path) -> Option<Self> {
        // one that is being written over is whole a moment later
        (0..READS).find_map(|read| {
            if read > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let bytes = read_limited(&folder.join(NAME), 1 << 20).ok()?;
            // who was killed in a shorter beat left the end of a longer one behind it
            open(bytes.split(|&byte| byte == b'\n').next()?).ok()
        })
    }
}

const NAME: &str = "heartbeat.json";

/// How often a beat that is not whole is read again.
const READS: usize = 3;

/// Writes the beats of one process.
#[derive(Debug)]
pub struct Heart {
    folder: PathBuf,
    /// The process's own file, from its first beat on.
    file: Option<File>,
}

impl Heart {
    /// The heart of a process that has not beaten yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
        }
    }

    /// Writes a beat. Best effort, as [`Heartbeat::write`] is.
    pub fn beat(&mut self, beat: &Heartbeat) {
        let Some(file) = &self.file else {
            beat.write(&self.folder);
            self.file = OpenOptions::new()
                .write(true)
                .open(self.folder.join(NAME))
                .ok();
            return;
        };
        if let Ok(text) = seal(beat) {
            let text = text + "\n";
            let _ = file
                .write_all_at(text.as_bytes(), 0)
                .and_then(|()| file.set_len(text.len() as u64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(number: u64, x: usize) -> Heartbeat {
        Heartbeat {
            pid: 1,
            beat: number,
            time: 0,
            iteration: 0,
            phase: Phase::Evaluate,
            id: Some(number),
            attempt: 0,
            x: vec![0.5; x],
            w: Vec::new(),
            environment: None,
            waits: false,
            resident: 0,
            under_way: 1,
            ended: false,
        }
    }

    #[test]
    fn beats_of_any_length_follow_each_other_in_a_file_of_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        // what lies there under the name, another's file perhaps, is not written into
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let mut heart = Heart::new(folder.path());
        for (number, x) in [(1, 4), (2, 400), (3, 0), (4, 7)] {
            heart.beat(&beat(number, x));
            assert_eq!(Heartbeat::read(folder.path()), Some(beat(number, x)));
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), 1);
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        // killed before the end of the longer one was cut off
        let rest = fs::read_to_string(&path).unwrap() + "0.5]}\n";
        fs::write(&path, rest).unwrap();
        assert_eq!(Heartbeat::read(folder.path()), Some(beat(4, 7)));
        // overtaken: the next process's beats stay
        beat(9, 1).write(folder.path());
        heart.beat(&beat(5, 1));
        assert_eq!(Heartbeat::read(folder.path()), Some(beat(9, 1)));
    }
}
