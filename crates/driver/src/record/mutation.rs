//! Every prefix and thousands of mutations of a run's files against the readers: what they give is what was written,
//! or an error. `BO_TORTURE=1` takes every byte and 20,000 mutations.
#![expect(clippy::print_stderr, reason = "says what was held, for --nocapture")]

use std::fs;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{Checkpoint, History, RecordError, RunDirectory, RunResult, memory_lines, read_sealed};

const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/v1/problem"
);
const CHECKPOINT: &str = "iter_005.json";

fn long() -> bool {
    std::env::var_os("BO_TORTURE").is_some_and(|set| !set.is_empty())
}

/// The fixture in a folder of its own, and what it holds.
struct Subject {
    folder: tempfile::TempDir,
    whole: History,
    checkpoint: Checkpoint,
    result: RunResult,
    recovered: u32,
    refused: u32,
}

impl Subject {
    fn new() -> Self {
        let fixture = Path::new(FIXTURE);
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        Self {
            folder,
            whole: History::read(fixture).unwrap(),
            checkpoint: read_sealed(&fixture.join(CHECKPOINT)).unwrap(),
            result: read_sealed(&fixture.join("result.json")).unwrap(),
            recovered: 0,
            refused: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Tries the readers on `bytes` in place of a file.
    fn try_on(&mut self, name: &str, bytes: &[u8]) {
        let good = fs::read(self.path(name)).unwrap();
        fs::write(self.path(name), bytes).unwrap();
        match History::read(self.folder.path()) {
            Ok(history) => {
                self.recovered += 1;
                self.is_true(&history, name);
            }
            Err(error) => {
                self.refused += 1;
                assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
            }
        }
        if let Ok(checkpoint) = read_sealed::<Checkpoint>(&self.path(CHECKPOINT)) {
            assert_eq!(checkpoint, self.checkpoint);
        }
        for line in memory_lines(self.folder.path()) {
            assert!(line.iteration <= 5, "{name}");
        }
        fs::write(self.path(name), good).unwrap();
    }

    /// Nothing that was read is other than what was written.
    fn is_true(&self, history: &History, name: &str) {
        assert_eq!(history.manifest, self.whole.manifest, "{name}");
        assert!(history.evaluations.len() <= self.whole.evaluations.len());
        for (now, then) in history.evaluations.iter().zip(&self.whole.evaluations) {
            assert_eq!(now, then, "{name}");
        }
        for (now, then) in history.decisions.iter().zip(&self.whole.decisions) {
            assert_eq!(now, then, "{name}");
        }
        for (id, attempts) in &history.attempts {
            assert!(
                attempts.started <= self.whole.attempts[id].started,
                "{name}"
            );
        }
        assert!(
            history
                .result
                .as_ref()
                .is_none_or(|result| *result == self.result)
        );
    }
}

/// The last line of a file as a newer program would write it.
fn newer(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap().trim_end();
    let start = text.rfind('\n').map_or(0, |at| at + 1);
    let (before, line) = text.split_at(start);
    let line = line.replacen("\"version\":1", "\"version\":9", 1);
    let body = line.rsplit_once(",\"crc\":").unwrap().0;
    let crc = crc32fast::hash(body.as_bytes());
    format!("{before}{body},\"crc\":\"{crc:08x}\"}}\n").into_bytes()
}

#[test]
fn what_is_not_damaged_is_never_replaced() {
    let subject = Subject::new();
    let names = [
        "run.json",
        "evaluations.jsonl",
        "decisions.jsonl",
        "attempts.jsonl",
        CHECKPOINT,
    ];
    for name in names {
        let path = subject.path(name);
        let good = fs::read(&path).unwrap();
        let changed = newer(&good);
        fs::write(&path, &changed).unwrap();
        match RunDirectory::reopen(subject.folder.path()) {
            Err(error @ RecordError::Unknown { .. }) => {
                assert!(error.to_string().contains("use the newer bo"), "{error}");
            }
            other => panic!("{name}: {:?}", other.map(|(_, history)| history.notices)),
        }
        assert_eq!(fs::read(&path).unwrap(), changed, "{name}");
        fs::write(&path, good).unwrap();
    }
    // the system gives no bytes: that says nothing of what was written
    for name in ["run.json", CHECKPOINT] {
        let path = subject.path(name);
        let aside = subject.path("aside");
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let found = RunDirectory::reopen(subject.folder.path());
        assert!(matches!(found, Err(RecordError::Io { .. })), "{name}");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    RunDirectory::reopen(subject.folder.path()).unwrap();
}

#[test]
fn every_prefix_is_recovered_or_refused() {
    let mut subject = Subject::new();
    let step = if long() { 1 } else { 37 };
    for name in [
        "evaluations.jsonl",
        "decisions.jsonl",
        CHECKPOINT,
        "run.json",
        "attempts.jsonl",
    ] {
        let whole = fs::read(subject.path(name)).unwrap();
        for length in (0..=whole.len()).step_by(step) {
            subject.try_on(name, &whole[..length]);
        }
    }
    eprintln!(
        "prefixes: {} recovered, {} refused",
        subject.recovered, subject.refused
    );
    assert!(subject.recovered > 0);
}

#[test]
fn mutations_never_give_a_wrong_value() {
    let mut subject = Subject::new();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let names = [
        "evaluations.jsonl",
        "decisions.jsonl",
        CHECKPOINT,
        "run.json",
        "attempts.jsonl",
        "memory.jsonl",
        "result.json",
    ];
    let count = if long() { 20_000 } else { 400 };
    for number in 0..count {
        let name = names[below(&mut random, names.len())];
        let mut bytes = fs::read(subject.path(name)).unwrap();
        for _ in 0..=below(&mut random, 3) {
            mutate(&mut bytes, &mut random);
        }
        // half of them without a checkpoint that could complete them
        let alone = number % 2 == 0 && name != CHECKPOINT;
        let saved = fs::read(subject.path(CHECKPOINT)).unwrap();
        let first = fs::read(subject.path("iter_000.json")).unwrap();
        if alone {
            fs::write(subject.path(CHECKPOINT), "").unwrap();
            fs::write(subject.path("iter_000.json"), "").unwrap();
        }
        subject.try_on(name, &bytes);
        fs::write(subject.path(CHECKPOINT), saved).unwrap();
        fs::write(subject.path("iter_000.json"), first).unwrap();
    }
    eprintln!(
        "{count} mutations: {} recovered, {} refused",
        subject.recovered, subject.refused
    );
    assert!(subject.recovered > 0 && subject.refused > 0);
}

/// From 0 up to, not including, `end`.
fn below(random: &mut ChaCha8Rng, end: usize) -> usize {
    random.next_u64() as usize % end.max(1)
}

/// One change such as disks, editors and crossed wires make.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let length = bytes.len();
    if length < 2 {
        bytes.push(random.next_u32() as u8);
        return;
    }
    let at = below(random, length);
    let end = (at + 1 + below(random, 200)).min(length);
    match below(random, 8) {
        0 => bytes[at] ^= 1 << below(random, 8),
        1 => bytes[at] = random.next_u32() as u8,
        2 => drop(bytes.drain(at..end)),
        3 => bytes[at..end].fill(0),
        4 => {
            let piece = bytes[at..end].to_vec();
            let place = below(random, length + 1);
            bytes.splice(place..place, piece);
        }
        5 => bytes.truncate(at),
        6 => {
            // a digit of a number
            if let Some(digit) = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
                *digit = b'0' + below(random, 10) as u8;
            }
        }
        _ => {
            let piece: Vec<u8> = (0..end - at).map(|_| random.next_u32() as u8).collect();
            bytes.splice(at..at, piece);
        }
    }
}
