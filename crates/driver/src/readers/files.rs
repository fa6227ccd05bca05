//! Files of a run.

use std::path::Path;

use super::{folder, written};
use crate::event::{Reporter, RunEvent};
use crate::record::{Checkpoint, Heartbeat, History, read_sealed};
use crate::report::report;
use crate::run::{ResumeRequest, World, recorded_settings};
use crate::show::{State, recommended};
use crate::summary::Summary;

/// Parts of the input of [`run_files`], in this order, with this byte between them.
const NAMES: [&str; 7] = [
    "run.json",
    "evaluations.jsonl",
    "decisions.jsonl",
    "attempts.jsonl",
    "heartbeat.json",
    "result.json",
    "memory.jsonl",
];
pub(super) const BETWEEN: u8 = 0xFE;

/// Length of `,"crc":"0123abcd"}`.
const TAIL: usize = 18;

/// The bytes with a right checksum on every line that ends in one, whatever it was.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (content, end) = match line.strip_suffix(b"\n") {
            Some(content) => (content, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        match content.len().checked_sub(TAIL) {
            Some(at) if content[at..].starts_with(b",\"crc\":\"") => {
                all.extend_from_slice(&content[..at]);
                let crc = crc32fast::hash(&content[..at]);
                all.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"}}").as_bytes());
            }
            _ => all.extend_from_slice(content),
        }
        all.extend_from_slice(end);
    }
    all
}

/// An empty run directory.
fn empty() -> std::path::PathBuf {
    let run = folder().join("run");
    let _ = std::fs::remove_dir_all(&run);
    std::fs::create_dir(&run).expect("a folder that was just removed");
    run
}

/// A run directory from its files: what `bo show`, `bo report` and `bo resume` read before they do anything.
pub fn run_files(bytes: &[u8]) {
    let run = empty();
    for (name, part) in NAMES.iter().zip(bytes.split(|&byte| byte == BETWEEN)) {
        std::fs::write(run.join(name), sealed(part)).expect("a file in a temporary folder");
    }
    let _ = Heartbeat::read(&run);
    look_at(&run);
}

/// A checkpoint alone in its folder.
pub fn checkpoint(bytes: &[u8]) {
    let run = empty();
    let path = run.join("iter_005.json");
    std::fs::write(&path, sealed(bytes)).expect("a file in a temporary folder");
    if let Ok(checkpoint) = read_sealed::<Checkpoint>(&path) {
        let history = History::of_checkpoint(checkpoint);
        let _ = recorded_settings(&history.manifest);
        let incumbent = recommended(&history);
        written(&Summary::new(&run, &history, incumbent.as_ref(), 0));
    }
    look_at(&run);
}

fn look_at(run: &Path) {
    if let Ok(state) = State::read(run) {
        written(&state);
    }
    let _ = report(&[run]);
    if let Ok(history) = History::read(run) {
        let _ = recorded_settings(&history.manifest);
    }
}

/// Hears nothing.
struct Deaf;

impl Reporter for Deaf {
    fn event(&mut self, _: &RunEvent) {}
}

/// A checkpoint that is gone on with, up to the first evaluation: a stop has been asked for before. Only test functions:
/// other objectives would look for files.
pub fn resume(bytes: &[u8]) {
    let path = empty().join("iter_005.json");
    std::fs::write(&path, sealed(bytes)).expect("a file in a temporary folder");
    let Ok(checkpoint) = read_sealed::<Checkpoint>(&path) else {
        return;
    };
    if !checkpoint.run.fixed.contains_key("problem") || checkpoint.evaluations.len() > 100 {
        return;
    }
    let world = World::default();
    world.stop.ask(15);
    let request = ResumeRequest {
        path,
        ..ResumeRequest::default()
    };
    let _ = crate::run::resume(&request, &world, &mut Deaf);
}
