//! SIGKILL before every single system call with which a run writes what counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::long;
use super::runs::{Bench, fail, record, succeed};
use super::strace::{CHANGING, available, calls, traced};

const SHORT: [&str; 4] = ["--iterations", "2", "--n-initial", "2"];
const LONG: [&str; 4] = ["--iterations", "12", "--n-initial", "3"];

fn run(bench: &Bench, out: &str, seed: u64) -> Command {
    let path = bench.path(out);
    let mut command = bench.bo(&["run", "--problem", "branin_williams", "--n-w", "2"]);
    command.args(if long() { LONG } else { SHORT });
    command.args([
        "--checkpoint-every",
        "1",
        "--no-supervise",
        "--threads",
        "1",
    ]);
    command.args(["--seed", &seed.to_string(), "--quiet", "--out"]);
    command.arg(path);
    command
}

/// Files of the run that count, each written through `-P`, and how often each call comes.
fn counted(bench: &Bench, seed: u64) -> (Vec<PathBuf>, BTreeMap<String, usize>) {
    let trace = bench.path("trace");
    let out = bench.path("traced");
    let words = ["-y", "-xx", "-s", "4000000", "-e", CHANGING, "-o"].map(OsString::from);
    let mut words: Vec<&std::ffi::OsStr> = words.iter().map(OsString::as_os_str).collect();
    words.push(trace.as_os_str());
    succeed(&mut traced(&run(bench, "traced", seed), &words));
    let idle =
        ["lock", "log.txt", "heartbeat.json", "heartbeat.json.tmp"].map(|name| out.join(name));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for call in calls(&trace, &bench.path("")) {
        let ours = |path: &&PathBuf| path.starts_with(&out) && !idle.contains(path);
        if call.paths.iter().find(ours).is_none() {
            continue;
        }
        *counts.entry(call.name).or_default() += 1;
        for path in call.paths {
            if !files.contains(&path) && path.starts_with(&out) && !idle.contains(&path) {
                files.push(path);
            }
        }
    }
    (files, counts)
}

#[test]
fn runs_killed_before_any_system_call_are_the_same_runs() {
    if !available() {
        return;
    }
    let step = if long() { 1 } else { 8 };
    let mut killed: BTreeMap<String, usize> = BTreeMap::new();
    let mut injected = 0;
    for seed in 0..if long() { 4 } else { 1 } {
        let bench = Bench::new();
        succeed(&mut run(&bench, "whole", seed));
        let whole = record(&bench.path("whole"));
        let (files, counts) = counted(&bench, seed);
        for (name, count) in counts {
            for number in (1..=count).step_by(step) {
                let out = format!("killed_{name}_{number}");
                let path = bench.path(&out);
                let mut words: Vec<OsString> = Vec::new();
                for file in &files {
                    let inside = file.strip_prefix(bench.path("traced")).unwrap();
                    words.extend(["-P".into(), path.join(inside).into_os_string()]);
                }
                // without its slash the folder itself is another path
                words.extend(["-P".into(), path.clone().into_os_string()]);
                words.extend(["-e".into(), format!("trace={name}").into()]);
                let inject = format!("inject={name}:signal=SIGKILL:when={number}");
                words.extend(["-e".into(), inject.into(), "-o".into(), "/dev/null".into()]);
                let words: Vec<&std::ffi::OsStr> = words.iter().map(OsString::as_os_str).collect();
                let output = traced(&run(&bench, &out, seed), &words).output().unwrap();
                injected += 1;
                *killed.entry(name.clone()).or_default() += usize::from(!output.status.success());
                if path.join("run.json").exists() {
                    succeed(&mut bench.bo(&["resume", &out]));
                } else {
                    fail(&mut bench.bo(&["resume", &out]), 3);
                    succeed(&mut run(&bench, &out, seed));
                }
                assert_eq!(record(&path), whole, "killed before {name} number {number}");
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
    eprintln!("killed before the call, promise held each time: {killed:?}");
    // a run may end a call or two earlier than the one that was traced
    let done = killed.values().sum::<usize>();
    assert!(
        done > 10 && done * 10 >= injected * 9,
        "{done} of {injected}: {killed:?}"
    );
}
