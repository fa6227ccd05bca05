//! Loss of power: the writes, syncs and renames of a run are recorded, and replayed up to any moment with what was not
//! synced lost, torn or out of order. Every disk that may be found afterwards must lead to the same answer.
//!
//! What may happen to a file: bytes that were synced stay; each write after that may be there, be missing, be there in
//! part, or be zeros. To a folder: names that were synced stay; each later creation, rename and removal may be there or
//! not, each for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::runs::{Bench, fail, lines, record, succeed};
use super::strace::{CHANGING, Call, available, calls, traced};
use super::{Chance, long};

/// A change of the bytes of a file.
#[derive(Clone, Debug)]
enum Change {
    /// At the place, these bytes.
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
    now: Vec<u8>,
    /// A sync failed: the system shows what it holds no more, and a later sync saves nothing of it.
    dropped: bool,
}

/// A change of the names of the folder.
#[derive(Clone, Debug)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

/// A folder as the system knows it, and as the disk may.
#[derive(Clone, Debug, Default)]
struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    since: Vec<Naming>,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Truncate(length) => bytes.resize(*length, 0),
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Disk {
    /// What lies in a folder, all of it safe.
    fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            disk.names.insert(name, disk.files.len());
            disk.files.push(File {
                now: bytes.clone(),
                synced: bytes,
                ..File::default()
            });
        }
        disk.synced = disk.names.clone();
        disk
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.since.push(naming);
    }

    fn change(&mut self, file: usize, change: Change) {
        change.apply(&mut self.files[file].now);
        self.files[file].since.push(change);
    }

    /// A call on the folder; false if it changes nothing of it.
    fn call(&mut self, call: &Call, folder: &Path) -> bool {
        let inside = |path: &PathBuf| {
            let rest = path.strip_prefix(folder).ok()?;
            Some(rest.to_string_lossy().into_owned())
        };
        let names: Vec<String> = call.paths.iter().filter_map(inside).collect();
        let Some(name) = names.first().cloned() else {
            return false;
        };
        let known = self.names.get(&name).copied();
        match (call.name.as_str(), known) {
            ("openat", None) if call.text.contains("O_CREAT") => {
                self.files.push(File::default());
                self.name(Naming::Create(name, self.files.len() - 1));
            }
            ("openat", Some(file)) if call.text.contains("O_TRUNC") => {
                self.change(file, Change::Truncate(0));
            }
            ("write", Some(file)) => {
                // every file but the heartbeat is written from its start or appended to
                let end = self.files[file].now.len();
                self.change(file, Change::Write(end, call.data.clone()));
            }
            ("pwrite64", Some(file)) => {
                let at = call.text.rsplit(", ").next().unwrap().parse().unwrap();
                self.change(file, Change::Write(at, call.data.clone()));
            }
            ("ftruncate", Some(file)) => {
                let length = call.text.rsplit(", ").next().unwrap().parse().unwrap();
                self.change(file, Change::Truncate(length));
            }
            ("fsync" | "fdatasync", Some(file)) => {
                let file = &mut self.files[file];
                if !file.dropped {
                    file.synced = file.now.clone();
                    file.since.clear();
                }
            }
            ("fsync", None) if name.is_empty() => {
                self.synced = self.names.clone();
                self.since.clear();
            }
            ("rename" | "renameat" | "renameat2", Some(_)) => {
                self.name(Naming::Rename(name, names[1].clone()));
            }
            ("unlink" | "unlinkat", Some(_)) => self.name(Naming::Remove(name)),
            ("openat", _) | ("mkdir" | "mkdirat", _) => return false,
            (other, known) => panic!("{other} of {name} ({known:?}) is not understood"),
        }
        true
    }

    /// A state that may be found after a loss of power now; all kept or all lost for the first two.
    fn found(&self, variant: usize, chance: &mut Chance) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.synced.clone();
        for naming in &self.since {
            if variant == 1 || variant > 1 && chance.below(2) == 0 {
                naming.apply(&mut names);
            }
        }
        let mut content = |file: &File| {
            let mut bytes = file.synced.clone();
            for change in &file.since {
                let kind = if variant < 2 {
                    variant
                } else {
                    chance.below(4)
                };
                match (kind, change) {
                    (0, _) => {}
                    (2, Change::Write(at, data)) => {
                        let part = data[..chance.below(data.len())].to_vec();
                        Change::Write(*at, part).apply(&mut bytes);
                    }
                    (3, Change::Write(at, data)) => {
                        Change::Write(*at, vec![0; data.len()]).apply(&mut bytes);
                    }
                    (_, change) => change.apply(&mut bytes),
                }
            }
            bytes
        };
        let found = names.into_iter();
        found
            .map(|(name, file)| (name, content(&self.files[file])))
            .collect()
    }
}

fn run(bench: &Bench, out: &Path) -> Command {
    let mut command = bench.bo(&["run", "--problem", "branin_williams", "--n-initial", "2"]);
    command.args(["--n-w", "2", "--iterations", "4", "--checkpoint-every", "2"]);
    command.args(["--no-supervise", "--threads", "1", "--quiet", "--out"]);
    command.arg(out);
    command
}

fn resume(bench: &Bench, out: &Path) -> Command {
    let mut command = bench.bo(&["resume", "--no-supervise", "--threads", "1", "--quiet"]);
    command.arg(out);
    command
}

/// Traces `command`, which works in `folder`; returns its calls.
fn recorded(bench: &Bench, command: &Command) -> Vec<Call> {
    let trace = bench.path("trace");
    let words = ["-y", "-xx", "-s", "4000000", "-e", CHANGING, "-o"].map(OsString::from);
    let mut words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    words.push(trace.as_os_str());
    succeed(&mut traced(command, &words));
    calls(&trace, &bench.path(""))
}

/// Every evaluation line of a file that is whole.
fn evaluations(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let whole = text.lines().filter(|line| line.ends_with("\"}"));
    whole.map(str::to_owned).collect()
}

/// The work of `command` in `folder`, which began as `disk`: any loss of power in it is survived. Returns how many
/// different states were tried.
fn survives(
    bench: &Bench,
    calls: &[Call],
    folder: &Path,
    mut disk: Disk,
    variants: usize,
) -> usize {
    let whole = record(&bench.path("whole"));
    let mut seen: BTreeSet<BTreeMap<String, Vec<u8>>> = BTreeSet::new();
    let mut chance = Chance(1);
    for (number, call) in calls.iter().enumerate() {
        if !disk.call(call, folder) {
            continue;
        }
        if !long() && number % 5 > 0 {
            continue;
        }
        // what was safe then must be there afterwards, as it was
        let safe = disk.synced.get("evaluations.jsonl");
        let safe = safe.map_or_else(Vec::new, |&file| evaluations(&disk.files[file].synced));
        for variant in 0..variants {
            let mut found = disk.found(variant, &mut chance);
            for idle in ["lock", "log.txt"] {
                found.remove(idle);
            }
            if !seen.insert(found.clone()) {
                continue;
            }
            let out = bench.path(&format!("found_{number}_{variant}"));
            fs::create_dir(&out).unwrap();
            for (name, bytes) in &found {
                fs::write(out.join(name), bytes).unwrap();
            }
            let begun = found.contains_key("run.json") || found.contains_key("interrupted.json");
            if begun {
                succeed(&mut resume(bench, &out));
            } else {
                assert!(safe.is_empty(), "call {number}: evaluations without a run");
                fail(&mut resume(bench, &out), 3);
                succeed(&mut run(bench, &out));
            }
            assert_eq!(
                record(&out),
                whole,
                "call {number}, variant {variant}, {}",
                out.display()
            );
            let now = fs::read(out.join("evaluations.jsonl")).unwrap();
            let now = evaluations(&now);
            for line in &safe {
                assert!(
                    now.contains(line),
                    "call {number}: lost or done again: {line}"
                );
            }
            assert_eq!(lines(&out.join("evaluations.jsonl")).len(), now.len());
            fs::remove_dir_all(&out).unwrap();
        }
    }
    seen.len()
}

/// A worker is killed between the write of an evaluation and its sync, or that sync fails; then it is resumed, and the
/// power goes.
fn lost_after_a_resume(bench: &Bench, trace: &[Call], variants: usize) {
    let syncs = |call: &Call| {
        call.name == "fsync"
            && call
                .paths
                .iter()
                .any(|path| path.ends_with("evaluations.jsonl"))
    };
    let synced: Vec<usize> = (0..trace.len()).filter(|&at| syncs(&trace[at])).collect();
    for (failed, &at) in [false, true].iter().zip(synced.iter().rev().skip(3)) {
        let mut disk = Disk::default();
        for call in &trace[..at] {
            disk.call(call, &bench.path("run"));
        }
        let folder = bench.path(&format!("stopped_{failed}"));
        fs::create_dir(&folder).unwrap();
        for (name, &file) in &disk.names {
            fs::write(folder.join(name), &disk.files[file].now).unwrap();
        }
        let unsynced = disk.names["evaluations.jsonl"];
        assert!(!disk.files[unsynced].since.is_empty());
        disk.files[unsynced].dropped = *failed;
        let trace = recorded(bench, &resume(bench, &folder));
        let states = survives(bench, &trace, &folder, disk, variants);
        eprintln!(
            "loss of power after {}: {states} different disks, all recovered",
            ["a kill and a resume", "a failed sync and a resume"][usize::from(*failed)]
        );
    }
}

#[test]
fn every_disk_that_a_loss_of_power_may_leave_leads_to_the_same_answer() {
    if !available() {
        return;
    }
    let bench = Bench::new();
    let variants = if long() { 14 } else { 3 };
    succeed(&mut run(&bench, &bench.path("whole")));
    let folder = bench.path("run");
    let trace = recorded(&bench, &run(&bench, &folder));
    let states = survives(&bench, &trace, &folder, Disk::default(), variants);
    eprintln!("loss of power in a run: {states} different disks, all recovered");
    lost_after_a_resume(&bench, &trace, variants);
    if !long() {
        return;
    }

    // the work of mending is itself interrupted
    let torn = bench.path("torn");
    fs::create_dir(&torn).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let cut = match name.as_str() {
            "evaluations.jsonl" => bytes.len() / 2,
            "decisions.jsonl" => bytes.len() - 40,
            "run.json" | "iter_000.json" => 100,
            "result.json" => continue,
            _ => bytes.len(),
        };
        fs::write(torn.join(&name), &bytes[..cut]).unwrap();
    }
    let disk = Disk::of(&torn);
    let trace = recorded(&bench, &resume(&bench, &torn));
    let mended = record(&torn);
    assert_eq!(mended, record(&bench.path("whole")));
    let states = survives(&bench, &trace, &torn, disk, variants);
    eprintln!("loss of power in a resume that mends: {states} different disks, all recovered");

    let fork = bench.path("fork");
    let mut command = resume(&bench, &folder.join("iter_002.json"));
    command.arg("--out").arg(&fork);
    let trace = recorded(&bench, &command);
    let states = survives(&bench, &trace, &fork, Disk::default(), variants);
    eprintln!("loss of power in a fork: {states} different disks, all recovered");
}
