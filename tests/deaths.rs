//! Every kind of death, in the phases of an iteration: named in the post-mortem, and the run finished all the same.
//!
//! `BO_DEATHS=all` tries every kind in every phase (`make deaths`); by default each kind in one. The deaths are asked for
//! with `BO_FAULT`, which only builds with debug assertions know.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::runs::{Bench, Objective, Record, lines, record, succeed};
use serde_json::Value;

const MORE: [&str; 8] = [
    "--iterations",
    "2",
    "--n-initial",
    "2",
    "--n-w",
    "2",
    "--checkpoint-every",
    "1",
];

/// Kind, words of its verdict, whether it is an evaluation's own.
const KINDS: [(&str, &str, bool); 8] = [
    ("kill", "killed from outside (SIGKILL)", false),
    ("segv", "a segmentation fault (SIGSEGV)", true),
    ("abort", "it gave up (SIGABRT)", true),
    ("panic", "a panic", true),
    ("overflow", "a stack overflow (SIGABRT)", true),
    ("hang", "it hung", true),
    ("allocate", "out of memory: memory allocation of", true),
    ("gpu", "a GPU fault: CUDA_ERROR_ILLEGAL_ADDRESS", true),
];

/// Phase, the number of the iteration in it, words of its place.
const PHASES: [(&str, u64, &str); 4] = [
    ("evaluate", 0, "while evaluating 0"),
    (
        "acquire",
        1,
        "while choosing what to evaluate in iteration 1",
    ),
    ("fit", 1, "while fitting the model in iteration 1"),
    ("checkpoint", 2, "while recording in iteration 2"),
];

/// `bo run` with a death in it, under limits that a shell sets first.
fn dying(bench: &Bench, out: &str, fault: &str, limits: &str) -> Command {
    let run = bench.run(Objective::Problem, out, &[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
        .arg(run.get_program())
        .args(run.get_args().take(3));
    shell
        .args(["--problem", "branin_williams", "--seed", "7"])
        .args(MORE)
        .current_dir(bench.path(""));
    shell.env("BO_FAULT", fault);
    if fault.starts_with("hang") {
        // long enough for a step on a machine that is busy with other things
        shell.env("BO_HANG_SECONDS", "5");
    }
    shell
}

fn whole(bench: &Bench) -> Record {
    succeed(&mut dying(bench, "whole", "", ""));
    record(&bench.path("whole"))
}

/// The one post-mortem of a run.
fn postmortem(out: &Path) -> Value {
    assert!(
        !out.join("postmortem-002.json").exists(),
        "a second death in {}",
        out.display()
    );
    lines(&out.join("postmortem-001.json")).remove(0)
}

#[test]
fn every_death_is_named_and_survived() {
    let all = std::env::var("BO_DEATHS").is_ok_and(|which| which == "all");
    let bench = Bench::new();
    let whole = whole(&bench);
    for (number, (kind, words, own)) in KINDS.into_iter().enumerate() {
        for (order, (phase, iteration, place)) in PHASES.into_iter().enumerate() {
            if !all && number % PHASES.len() != order {
                continue;
            }
            let out = format!("{kind}-{phase}");
            // what is asked of RLIMIT_AS is an allocation that fails
            let limits = if kind == "allocate" {
                "ulimit -v 8000000;"
            } else {
                ""
            };
            succeed(&mut dying(
                &bench,
                &out,
                &format!("{kind} {phase} {iteration}"),
                limits,
            ));
            let found = postmortem(&bench.path(&out));
            let verdict = found["verdict"].as_str().unwrap();
            assert!(
                verdict.contains(words) && verdict.contains(place),
                "{kind} in {phase}: {verdict}"
            );
            assert_eq!(
                found["own"],
                own && phase == "evaluate",
                "{kind} in {phase}"
            );
            assert_eq!(found["last"]["iteration"], iteration);
            assert!(
                !found["evidence"].as_array().unwrap().is_empty()
                    && !found["memory"].as_array().unwrap().is_empty()
            );
            assert_eq!(record(&bench.path(&out)), whole, "{kind} in {phase}");
        }
    }
    if all {
        eprintln!(
            "{} deaths, each named and survived",
            KINDS.len() * PHASES.len()
        );
    }
}

#[test]
fn a_hang_before_the_loop_begins_or_in_a_replay_is_seen_too() {
    let bench = Bench::new();
    let whole = whole(&bench);
    succeed(&mut dying(&bench, "opening", "hang open 0", ""));
    let verdict = |out: &str| postmortem(&bench.path(out))["verdict"].to_string();
    let found = verdict("opening");
    assert!(
        found.contains("it hung, while opening what it works with"),
        "{found}"
    );
    assert_eq!(record(&bench.path("opening")), whole);

    succeed(&mut dying(&bench, "replayed", "", ""));
    let mut replay = bench.bo(&["resume", "replayed/iter_000.json", "--iterations", "3"]);
    replay.env("BO_FAULT", "hang replay 2");
    succeed(replay.env("BO_HANG_SECONDS", "5"));
    let found = verdict("replayed");
    assert!(
        found.contains("it hung, while replaying iteration 2"),
        "{found}"
    );
    succeed(&mut bench.bo(&["resume", "whole", "--iterations", "3"]));
    assert_eq!(
        record(&bench.path("replayed")),
        record(&bench.path("whole"))
    );

    let mut looking = bench.bo(&[
        "run",
        "--scenes",
        "6",
        "--iterations",
        "0",
        "--n-initial",
        "1",
        "--out",
        "looking",
    ]);
    looking.env("BO_FAULT", "hang look 3");
    succeed(looking.env("BO_HANG_SECONDS", "5"));
    let found = verdict("looking");
    assert!(
        found.contains("it hung, while looking at images, "),
        "{found}"
    );
}

/// A memory cgroup of our own with a limit, removed at the end.
struct Group(PathBuf);

impl Group {
    fn limited(name: &str, bytes: u64) -> Option<Self> {
        let name = format!("bo-test-{name}-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        [("memory", "memory.limit_in_bytes"), ("", "memory.max")]
            .into_iter()
            .find_map(|(below, limit)| {
                let group = Self(root.join(below).join(&name));
                fs::create_dir(&group.0).ok()?;
                fs::write(group.0.join(limit), bytes.to_string()).ok()?;
                Some(group)
            })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn an_out_of_memory_kill_of_the_kernel_is_named_and_survived() {
    let Some(group) = Group::limited("worker", 400 << 20) else {
        eprintln!("SKIPPED: no memory cgroup can be made here");
        return;
    };
    let bench = Bench::new();
    let whole = whole(&bench);
    let join = format!("echo $$ > {}/cgroup.procs;", group.0.display());
    for (phase, iteration, place) in PHASES {
        succeed(&mut dying(
            &bench,
            phase,
            &format!("fill {phase} {iteration}"),
            &join,
        ));
        let found = postmortem(&bench.path(phase));
        let verdict = found["verdict"].as_str().unwrap();
        assert!(
            verdict.contains("out of memory: the kernel killed it"),
            "{verdict}"
        );
        assert!(verdict.contains(place), "{verdict}");
        assert_eq!(found["limit"], 400_u64 << 20);
        assert_eq!(found["own"], phase == "evaluate");
        assert_eq!(record(&bench.path(phase)), whole);
    }
}

/// A program that takes 600 MB at scale 1 and answers at any smaller one.
const GREEDY: &str = r#"#!/bin/sh
read line
id=${line#*\"id\":}
id=${id%%,*}
case $line in *'"scale":1}'*|*'"scale":1,'*) exec python3 -c 'b"x" * 600000000';; esac
echo "{\"id\":$id,\"value\":0.5}"
"#;

#[test]
fn a_program_that_the_kernel_kills_for_want_of_memory_is_asked_for_less() {
    let Some(group) = Group::limited("program", 400 << 20) else {
        eprintln!("SKIPPED: no memory cgroup can be made here");
        return;
    };
    let bench = Bench::new();
    fs::write(bench.path("objective.sh"), GREEDY).unwrap();
    let run = bench.run(
        Objective::Command,
        "run",
        &["--iterations", "0", "--n-w", "1"],
    );
    let join = format!(
        "echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"",
        group.0.display()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &join])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(bench.path(""));
    succeed(&mut shell);
    for line in lines(&bench.path("run/evaluations.jsonl")) {
        assert_eq!(line["value"], 0.5, "{line}");
    }
    let log = fs::read_to_string(bench.path("run/log.txt")).unwrap();
    assert!(
        log.contains("out of memory at scale 1.00 (the kernel killed it for want of memory)"),
        "{log}"
    );
}
