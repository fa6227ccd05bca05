//! A worker that dies is explained and replaced; one that keeps dying ends the run, resumable.
#![expect(clippy::print_stderr, reason = "says what was skipped")]

mod deaths;
mod runs;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runs::{Bench, Objective, fail, kill, lines, record, succeed};

const MORE: [&str; 2] = ["--iterations", "6"];

/// The worker under a parent.
fn worker(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path)
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn signal(pid: u32, name: &str) {
    Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .unwrap();
}

/// Waits until a run has finished some evaluations.
fn wait_for(out: &Path, evaluations: usize) {
    for _ in 0..1000 {
        if lines(&out.join("evaluations.jsonl")).len() >= evaluations {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no {evaluations} evaluations in {}", out.display());
}

fn wait_until(mut what: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain");
}

/// Ended, reaped or not.
fn gone(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z")
}

fn started(bench: &Bench, out: &str, evaluations: usize) -> Child {
    let child = bench.run(Objective::Command, out, &MORE).spawn().unwrap();
    wait_for(&bench.path(out), evaluations);
    child
}

/// Puts a line before the answer of the objective.
fn sabotage(bench: &Bench, line: &str) {
    let path = bench.path("objective.sh");
    let program = fs::read_to_string(&path).unwrap();
    fs::write(&path, program.replace("sleep 0.02", line)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_worker_whose_parent_died_before_it_began_does_nothing() {
    let bench = Bench::new();
    let mut parent = Command::new("true").spawn().unwrap();
    parent.wait().unwrap();
    let mut orphan = bench.run(Objective::Problem, "out", &MORE);
    orphan.env("BO_WATCHED_BY", parent.id().to_string());
    assert_eq!(orphan.status().unwrap().code(), Some(137));
    assert!(!bench.path("out").exists());
}

#[test]
fn a_program_may_run_bo_itself() {
    let bench = Bench::new();
    let program = bench.path("objective.sh");
    let nested = format!(
        "#!/bin/sh\nread line || exit 1\nid=$(printf %s \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\n\
         {} run --problem branin11 --iterations 1 --out inner_$id --quiet >/dev/null 2>&1 || exit 1\n\
         echo '{{\"id\":'$id',\"value\":0.5}}'\n",
        env!("CARGO_BIN_EXE_bo")
    );
    fs::write(&program, nested).unwrap();
    succeed(&mut bench.run(
        Objective::Command,
        "out",
        &["--iterations", "1", "--n-w", "1"],
    ));
    for line in lines(&bench.path("out/evaluations.jsonl")) {
        assert_eq!(line["status"], "ok", "{line}");
    }
}

#[test]
fn a_killed_worker_is_explained_and_replaced() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Command, "whole", &MORE));
    let child = started(&bench, "run", 4);
    let worker = worker(child.id()).expect("a worker");
    signal(worker, "KILL");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("killed from outside"), "{said}");
    let log = fs::read_to_string(bench.path("run/log.txt")).unwrap();
    assert!(
        log.contains("the worker died: killed from outside"),
        "{log}"
    );
    assert_eq!(record(&bench.path("run")), record(&bench.path("whole")));
    let postmortem = &lines(&bench.path("run/postmortem-001.json"))[0];
    assert_eq!(postmortem["signal"], 9);
    assert_eq!(postmortem["own"], false);
}

#[test]
fn a_stop_before_there_is_a_worker_is_kept() {
    let bench = Bench::new();
    let mut child = started(&bench, "run", 4);
    let worker = worker(child.id()).expect("a worker");
    kill(&mut child);
    wait_until(|| gone(worker));
    // the parent reads the last beat before its first worker: here it waits there until somebody writes
    let beat = bench.path("run/heartbeat.json");
    fs::remove_file(&beat).unwrap();
    let made = Command::new("mkfifo").arg(&beat).status().unwrap();
    assert!(made.success());
    let resumed = bench.bo(&["resume", "run"]).spawn().unwrap();
    let writer = fs::OpenOptions::new().write(true).open(&beat).unwrap();
    signal(resumed.id(), "TERM");
    std::thread::sleep(Duration::from_millis(200));
    fs::remove_file(&beat).unwrap();
    drop(writer);
    let output = resumed.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("bo resume run"), "{said}");
    assert!(!bench.path("run/result.json").exists());
    succeed(&mut bench.bo(&["resume", "run"]));
}

#[test]
fn an_evaluation_that_kills_its_worker_twice_is_set_aside() {
    let bench = Bench::new();
    sabotage(&bench, "[ \"$id\" = 5 ] && kill -s ABRT $PPID && sleep 1");
    succeed(&mut bench.run(Objective::Command, "run", &MORE));
    let evaluations = lines(&bench.path("run/evaluations.jsonl"));
    let five = evaluations.iter().find(|line| line["id"] == 5).unwrap();
    assert!(five["value"].is_null());
    let reason = five["reason"].as_str().unwrap();
    assert!(
        reason.contains("set aside") && reason.contains("SIGABRT"),
        "{reason}"
    );
    assert_eq!(evaluations.len(), 15);
    assert_eq!(bench.starts().iter().filter(|&&id| id == 5).count(), 2);
    assert!(bench.path("run/postmortem-002.json").exists());
    assert!(!bench.path("run/postmortem-003.json").exists());
}

#[test]
fn a_run_killed_while_its_objective_keeps_failing_gives_up_where_one_left_alone_does() {
    let failing = "echo mended? no >&2; [ \"$id\" -ge 2 ] && exit 1";
    let failures = |bench: &Bench| {
        let lines = lines(&bench.path("run/evaluations.jsonl"));
        lines.iter().filter(|line| line["value"].is_null()).count()
    };
    let alone = Bench::new();
    sabotage(&alone, failing);
    fail(&mut alone.run(Objective::Command, "run", &MORE), 5);
    assert_eq!(failures(&alone), 5);

    // its worker dies in the fourth of them, and in the sixth
    let killed = Bench::new();
    let kill = "for at in 5 7; do [ \"$id\" = $at ] && [ ! -e died_$at ] && : > died_$at && kill -s KILL $PPID && sleep 1; done";
    sabotage(&killed, &format!("{kill}; {failing}"));
    fail(&mut killed.run(Objective::Command, "run", &MORE), 5);
    assert!(killed.path("died_5").exists() && !killed.path("died_7").exists());
    assert_eq!(failures(&killed), 5);
    // who resumes has mended it, or sees the same again; also when that is killed
    fail(&mut killed.bo(&["resume", "run"]), 5);
    assert!(killed.path("died_7").exists());
    assert_eq!(failures(&killed), 10);
}

#[test]
fn a_server_that_outlived_its_worker_is_ended_before_its_evaluation_starts_again() {
    let bench = Bench::new();
    // long before the evaluation in which its worker dies; it does not end with its input
    let server = "#!/bin/sh\n\
        [ -e server ] && grep -q '^State:.[RSDT]' /proc/$(cat server)/status 2>/dev/null && echo $$ >> overlap\n\
        echo $$ > server\n\
        while :; do\n\
        read line || { sleep 20; exit; }\n\
        id=$(printf %s \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\n\
        [ $id = 1 ] && sleep 4.5\n\
        [ $id = 3 ] && [ ! -e died ] && : > died && kill -s KILL $PPID\n\
        printf '{\"id\":%d,\"value\":0.5}\\n' $id\n\
        done\n";
    fs::write(bench.path("objective.sh"), server).unwrap();
    let mut run = bench.run(
        Objective::Command,
        "run",
        &["--iterations", "0", "--n-w", "2"],
    );
    let output = succeed(run.args(["--command-mode", "server"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(bench.path("died").exists());
    assert!(!bench.path("overlap").exists(), "{said}");
    assert!(said.contains("was still running and was ended"), "{said}");
}

#[test]
fn of_several_under_way_the_one_that_kills_its_worker_is_found_out() {
    let bench = Bench::new();
    sabotage(
        &bench,
        "if [ \"$id\" = 5 ]; then sleep 0.3; kill -s ABRT $PPID; sleep 1; fi; sleep 0.6",
    );
    let more = ["--iterations", "1", "--batch", "2", "--jobs", "2"];
    succeed(&mut bench.run(Objective::Command, "run", &more));
    let failed: Vec<u64> = lines(&bench.path("run/evaluations.jsonl"))
        .iter()
        // some x fail by themselves
        .filter(|line| line["value"].is_null() && line["status"] != "invalid")
        .map(|line| line["id"].as_u64().unwrap())
        .collect();
    assert_eq!(failed, [5]);
    let postmortem = |number: u32| {
        let name = format!("run/postmortem-{number:03}.json");
        lines(&bench.path(&name)).remove(0)
    };
    assert_eq!(postmortem(1)["own"], false);
    let verdict = postmortem(1)["verdict"].to_string();
    assert!(verdict.contains("one of 2 under way"), "{verdict}");
    // alone it died twice: nothing else was under way then
    for number in [2, 3] {
        let found = postmortem(number);
        assert_eq!(
            (&found["own"], &found["last"]["id"]),
            (&true.into(), &5.into())
        );
        assert_eq!(found["last"]["under_way"], 1);
    }
    assert!(!bench.path("run/postmortem-004.json").exists());
    assert_eq!(bench.starts().iter().filter(|&&id| id == 5).count(), 3);
}

#[test]
fn a_worker_that_keeps_dying_ends_the_run_which_can_be_resumed() {
    let bench = Bench::new();
    let good = fs::read(bench.path("objective.sh")).unwrap();
    sabotage(&bench, "[ \"$id\" = 5 ] && kill -s KILL $PPID && sleep 1");
    let mut more = MORE.to_vec();
    more.extend(["--max-restarts", "1", "--quiet"]);
    let message = fail(&mut bench.run(Objective::Command, "run", &more), 7);
    assert!(
        message.contains("bo resume run") && message.contains("postmortem-002"),
        "{message}"
    );
    // each death is in the log, and said to whoever wants no progress
    let log = fs::read_to_string(bench.path("run/log.txt")).unwrap();
    assert_eq!(
        log.matches("the worker died: killed from").count(),
        2,
        "{log}"
    );
    assert!(
        message.contains("evidence in run/postmortem-001"),
        "{message}"
    );
    fs::write(bench.path("objective.sh"), good).unwrap();
    succeed(&mut bench.bo(&["resume", "run"]));
    assert!(
        !bench.path("run/postmortem-003.json").exists(),
        "a death is explained once"
    );
    // an unexplained SIGKILL is nobody's fault: nothing was set aside
    assert!(
        lines(&bench.path("run/evaluations.jsonl"))
            .iter()
            .all(|line| line["id"] != 5 || !line["value"].is_null())
    );
}

#[test]
fn signals_reach_the_worker_and_a_dead_parent_takes_it_along() {
    let bench = Bench::new();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = started(&bench, name, 3);
        signal(child.id(), "HUP");
        signal(child.id(), name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(bench.path(name).join("interrupted.json").exists());
        assert!(!bench.path(name).join("postmortem-001.json").exists());
    }
    // a whole group at once, as batch systems do: the worker gets two signals, and that is one wish
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let out = format!("{name}-group");
        let child = started(&bench, &out, 3);
        let worker = worker(child.id()).expect("a worker");
        let both = [child.id(), worker].map(|pid| pid.to_string());
        Command::new("kill")
            .args(["-s", name])
            .args(both)
            .status()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("everything is saved"), "{said}");
        assert!(bench.path(&out).join("interrupted.json").exists());
    }
    let mut child = started(&bench, "run", 3);
    let worker = worker(child.id()).expect("a worker");
    kill(&mut child);
    wait_until(|| gone(worker));
    succeed(&mut bench.bo(&["resume", "run"]));
    // nobody saw that death: it is explained from the heartbeat
    let postmortem = &lines(&bench.path("run/postmortem-001.json"))[0];
    let verdict = postmortem["verdict"].as_str().unwrap();
    assert!(
        verdict.contains("killed from outside together with whatever watched it"),
        "{verdict}"
    );
}

#[test]
fn an_unwatched_run_is_the_same_run() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "watched", &MORE));
    let mut more = MORE.to_vec();
    more.push("--no-supervise");
    succeed(&mut bench.run(Objective::Problem, "alone", &more));
    assert_eq!(record(&bench.path("alone")), record(&bench.path("watched")));
}

#[test]
fn a_second_signal_stops_at_once_with_the_program() {
    let bench = Bench::new();
    sabotage(
        &bench,
        "if [ \"$id\" = 5 ]; then echo $$ > stubborn; trap '' TERM; while :; do sleep 0.1; done; fi",
    );
    let mut child = bench.run(Objective::Command, "run", &MORE).spawn().unwrap();
    wait_until(|| bench.path("stubborn").exists());
    let begun = Instant::now();
    for _ in 0..2 {
        signal(child.id(), "INT");
        std::thread::sleep(Duration::from_millis(600));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        begun.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begun.elapsed()
    );
    let stubborn: u32 = fs::read_to_string(bench.path("stubborn"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    wait_until(|| gone(stubborn));
}

#[test]
fn a_lost_terminal_ends_nothing_and_the_log_goes_on() {
    let bench = Bench::new();
    let mut child = started(&bench, "run", 2);
    let worker = worker(child.id()).expect("a worker");
    drop((child.stderr.take(), child.stdout.take()));
    signal(child.id(), "HUP");
    signal(worker, "HUP");
    assert!(child.wait().unwrap().success());
    assert!(
        fs::read_to_string(bench.path("run/log.txt"))
            .unwrap()
            .contains("iteration 6/6")
    );
    assert!(bench.path("run/result.json").exists());
}

#[test]
fn a_run_that_bo_stop_ended_says_so() {
    let bench = Bench::new();
    let child = started(&bench, "run", 2);
    succeed(&mut bench.bo(&["stop", "run"]));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("stopped by bo stop; everything is saved"),
        "{said}"
    );
    assert!(!bench.path("run/stop").exists());
}

#[test]
fn a_run_is_the_first_process_of_a_container() {
    let bench = Bench::new();
    let inside = |out: &str| {
        let run = bench.run(Objective::Command, out, &MORE);
        let mut unshare = Command::new("unshare");
        unshare
            .args(["-pf", "--mount-proc"])
            .arg(run.get_program())
            .args(run.get_args());
        unshare.current_dir(bench.path("")).stderr(Stdio::piped());
        unshare
    };
    if !Command::new("unshare")
        .args(["-pf", "--mount-proc", "true"])
        .status()
        .is_ok_and(|s| s.success())
    {
        eprintln!("SKIPPED: unshare -pf is not allowed here");
        return;
    }
    // every evaluation leaves an orphan in a session of its own, which process 1 inherits
    sabotage(&bench, "setsid sleep 0.1 & sleep 0.02");
    succeed(&mut inside("run"));
    assert_eq!(lines(&bench.path("run/evaluations.jsonl")).len(), 15);
    let stopped = inside("stopped").spawn().unwrap();
    wait_for(&bench.path("stopped"), 3);
    signal(worker(stopped.id()).expect("process 1"), "TERM");
    assert_eq!(stopped.wait_with_output().unwrap().status.code(), Some(143));
    assert!(bench.path("stopped/interrupted.json").exists());
}
