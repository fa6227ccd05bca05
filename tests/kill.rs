//! A run killed with SIGKILL at moments spread over it and resumed each time is the run that was not.
//!
//! `BO_KILLS=30` kills at 30 moments (`make kill`); 6 by default.
#![expect(clippy::print_stderr, reason = "says what was held, for --nocapture")]

mod runs;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use runs::{Bench, Objective, Record, fail, kill, lines, record, succeed};

fn kills() -> u32 {
    std::env::var("BO_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(6)
}

/// Evaluations done at once.
fn jobs(more: &[&str]) -> usize {
    let given = more.iter().position(|word| *word == "--jobs");
    given.map_or(1, |at| more[at + 1].parse().unwrap())
}

/// One run, killed once after `moment`, then resumed; returns whether the kill found it alive.
fn killed_once(
    bench: &Bench,
    objective: Objective,
    more: &[&str],
    name: &str,
    moment: Duration,
) -> bool {
    let _ = fs::remove_file(bench.path("started.log"));
    let mut child = bench.run(objective, name, more).spawn().unwrap();
    std::thread::sleep(moment);
    let alive = child.try_wait().unwrap().is_none();
    kill(&mut child);
    let out = bench.path(name);
    let finished: Vec<u64> = lines(&out.join("evaluations.jsonl"))
        .iter()
        .map(|line| line["id"].as_u64().unwrap())
        .collect();
    if out.join("run.json").exists() {
        succeed(&mut bench.bo(&["resume", name]));
    } else {
        // nothing had begun
        fail(&mut bench.bo(&["resume", name]), 3);
        succeed(&mut bench.run(objective, name, more));
    }
    let mut starts: BTreeMap<u64, usize> = BTreeMap::new();
    for line in lines(&out.join("attempts.jsonl")) {
        if line["iteration"].is_u64() {
            *starts.entry(line["id"].as_u64().unwrap()).or_default() += 1;
        }
    }
    for id in &finished {
        assert_eq!(starts[id], 1, "finished evaluation {id} was started again");
    }
    let again = starts.values().filter(|&&count| count > 1).count();
    let at_once = jobs(more);
    assert!(again <= at_once, "{again} evaluations were started again");
    if objective == Objective::Command {
        let programs = bench.starts();
        for id in &finished {
            assert_eq!(
                programs.iter().filter(|started| *started == id).count(),
                1,
                "program for {id}"
            );
        }
        assert!(
            programs.len() <= starts.len() + at_once,
            "at most one extra start of each that was under way"
        );
    }
    alive
}

fn promise_holds(objective: Objective, more: &[&str]) {
    let bench = Bench::new();
    let begun = Instant::now();
    succeed(&mut bench.run(objective, "whole", more));
    let length = begun.elapsed();
    let whole: Record = record(&bench.path("whole"));
    let kills = kills();
    let mut alive = 0;
    for number in 0..kills {
        let name = format!("killed_{number}");
        let moment = length.mul_f64(f64::from(number + 1) / f64::from(kills + 1));
        alive += u32::from(killed_once(&bench, objective, more, &name, moment));
        assert_eq!(
            record(&bench.path(&name)),
            whole,
            "killed after {moment:?} of {length:?}"
        );
    }
    eprintln!(
        "{objective:?}: {kills} of {kills} kills over {length:?}: promise held; {alive} found it alive"
    );
}

#[test]
fn a_killed_run_of_a_problem_is_the_same_run() {
    promise_holds(
        Objective::Problem,
        &["--iterations", "12", "--alpha", "0.3"],
    );
}

#[test]
fn a_killed_run_of_a_program_is_the_same_run() {
    promise_holds(Objective::Command, &["--iterations", "8"]);
}

#[test]
fn a_killed_run_of_batches_is_the_same_run() {
    let more = ["--iterations", "4", "--batch", "3", "--jobs", "3"];
    promise_holds(Objective::Command, &more);
}

#[test]
fn a_run_killed_again_and_again_is_the_same_run() {
    let bench = Bench::new();
    let more = ["--iterations", "8", "--alpha", "0.5"];
    succeed(&mut bench.run(Objective::Command, "whole", &more));
    let mut child = bench
        .run(Objective::Command, "killed", &more)
        .spawn()
        .unwrap();
    let mut rounds = 0;
    loop {
        rounds += 1;
        std::thread::sleep(Duration::from_millis(120 + 10 * (rounds % 7)));
        match child.try_wait().unwrap() {
            Some(status) if status.success() => break,
            Some(status) => panic!("resume ended with {status}"),
            None => kill(&mut child),
        }
        assert!(rounds < 300, "the run does not get on");
        child = match bench.path("killed/run.json").exists() {
            true => bench.bo(&["resume", "killed"]).spawn().unwrap(),
            false => bench
                .run(Objective::Command, "killed", &more)
                .spawn()
                .unwrap(),
        };
    }
    eprintln!("killed {} times in one run", rounds - 1);
    assert_eq!(record(&bench.path("killed")), record(&bench.path("whole")));
}
