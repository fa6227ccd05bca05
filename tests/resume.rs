//! `bo resume`: extending, replaying from a checkpoint, forking, mending, refusing.

mod runs;

use std::collections::BTreeMap;
use std::fs;

use runs::{Bench, Objective, fail, kill, lines, record, succeed};

const SHORT: [&str; 4] = ["--iterations", "6", "--alpha", "0.4"];
const LONG: [&str; 4] = ["--iterations", "12", "--alpha", "0.4"];

#[test]
fn extended_equals_long_from_the_start_and_threads_change_nothing() {
    let bench = Bench::new();
    let problem = Objective::Problem;
    let mut long = LONG.to_vec();
    long.extend(["--threads", "1"]);
    succeed(&mut bench.run(problem, "long", &long));
    let mut short = SHORT.to_vec();
    short.extend(["--threads", "2"]);
    succeed(&mut bench.run(problem, "short", &short));
    let whole = record(&bench.path("long"));
    assert_ne!(record(&bench.path("short")), whole);
    let before = seconds(&bench, "short");
    succeed(&mut bench.bo(&["resume", "short", "--iterations", "+6"]));
    assert_eq!(record(&bench.path("short")), whole);
    for (name, time) in seconds(&bench, "short") {
        assert!(time > before[&name], "{name}: {time} after {before:?}");
    }
    for threads in ["2", "3", "8"] {
        let mut again = LONG.to_vec();
        again.extend(["--threads", threads]);
        succeed(&mut bench.run(problem, threads, &again));
        assert_eq!(record(&bench.path(threads)), whole, "{threads} threads");
    }
    // a finished run prints its result
    let output = succeed(&mut bench.bo(&["resume", "short", "--json"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("incumbent"), "{text}");
}

/// Where the time of a finished run went.
fn seconds(bench: &Bench, out: &str) -> BTreeMap<String, f64> {
    let result = fs::read(bench.path(out).join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    serde_json::from_value(result["seconds"].clone()).unwrap()
}

#[test]
fn a_checkpoint_replays_what_the_directory_holds_without_the_objective() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Command, "run", &LONG));
    let whole = record(&bench.path("run"));
    let starts = bench.starts().len();
    fs::remove_file(bench.path("run/result.json")).unwrap();
    succeed(&mut bench.bo(&["resume", "run/iter_005.json"]));
    assert_eq!(bench.starts().len(), starts, "the objective was called");
    assert_eq!(record(&bench.path("run")), whole);

    // in a directory of its own the rest is restored beside it
    fs::create_dir(bench.path("alone")).unwrap();
    fs::copy(
        bench.path("run/iter_010.json"),
        bench.path("alone/iter_010.json"),
    )
    .unwrap();
    succeed(&mut bench.bo(&["resume", "alone/iter_010.json"]));
    assert_eq!(record(&bench.path("alone")), whole);
    assert_eq!(bench.starts().len(), starts + 2);

    // a fork goes on elsewhere
    succeed(&mut bench.bo(&[
        "resume",
        "run/iter_005.json",
        "--out",
        "fork",
        "--iterations",
        "7",
    ]));
    assert_eq!(lines(&bench.path("fork/decisions.jsonl")).len(), 7);
    assert_eq!(record(&bench.path("run")), whole);
    fail(
        &mut bench.bo(&["resume", "run/iter_005.json", "--out", "fork"]),
        2,
    );
}

#[test]
fn a_decision_that_differs_is_named_and_nothing_is_changed() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &LONG));
    let path = bench.path("run/evaluations.jsonl");
    // iteration 7 gets another value, its checksum redone
    let text = fs::read_to_string(&path).unwrap();
    let altered: String = text
        .lines()
        .map(|line| match line.contains("\"iteration\":7,") {
            true => resealed(&line.replace("\"value\":-", "\"value\":-1")) + "\n",
            false => line.to_owned() + "\n",
        })
        .collect();
    assert_ne!(altered, text);
    fs::write(&path, &altered).unwrap();
    for newer in ["run/iter_010.json", "run/iter_012.json"] {
        fs::remove_file(bench.path(newer)).unwrap();
    }
    let before = contents(&bench, "run");
    let message = fail(&mut bench.bo(&["resume", "run/iter_005.json"]), 3);
    assert!(message.contains("iteration 8"), "{message}");
    assert_eq!(contents(&bench, "run"), before);
}

#[test]
fn damaged_files_are_mended_from_checkpoints_or_refused_by_name() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &LONG));
    let whole = record(&bench.path("run"));
    let evaluations = bench.path("run/evaluations.jsonl");
    let good = fs::read(&evaluations).unwrap();
    fs::remove_file(bench.path("run/result.json")).unwrap();

    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    fs::write(&evaluations, &flipped).unwrap();
    succeed(&mut bench.bo(&["resume", "run"]));
    assert_eq!(record(&bench.path("run")), whole);

    fs::write(&evaluations, &good[..good.len() / 3]).unwrap();
    fs::remove_file(bench.path("run/decisions.jsonl")).unwrap();
    fs::remove_file(bench.path("run/run.json")).unwrap();
    succeed(&mut bench.bo(&["resume", "run"]));
    assert_eq!(record(&bench.path("run")), whole);

    for name in ["iter_000", "iter_005", "iter_010", "iter_012"] {
        let path = bench.path(&format!("run/{name}.json"));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let message = fail(&mut bench.bo(&["resume", "run/iter_010.json"]), 3);
    assert!(message.contains("bo resume run"), "{message}");
    fs::write(&evaluations, &flipped).unwrap();
    fs::remove_file(bench.path("run/result.json")).unwrap();
    let message = fail(&mut bench.bo(&["resume", "run"]), 3);
    assert!(
        message.contains("evaluations.jsonl") && message.contains("line"),
        "{message}"
    );
}

#[test]
fn a_damaged_checkpoint_is_moved_aside_and_written_again() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let whole = record(&bench.path("run"));
    for name in ["iter_000.json", "iter_006.json"] {
        let path = bench.path("run").join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..300]).unwrap();
        let message = fail(&mut bench.bo(&["verify", "run"]), 3);
        assert!(
            message.contains(name) && message.contains("bo resume run\n"),
            "{message}"
        );
        succeed(&mut bench.bo(&["resume", "run"]));
        succeed(&mut bench.bo(&["verify", "run"]));
        assert_eq!(fs::read(&path).unwrap(), good);
        let torn = bench.path("run").join(format!("{name}.damaged.torn"));
        assert_eq!(fs::read(torn).unwrap().len(), 300);
    }
    assert_eq!(record(&bench.path("run")), whole);
    let output = succeed(&mut bench.bo(&["resume", "run", "--iterations", "6"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("all 6 iterations are complete") && said.contains("--iterations +30"),
        "{said}"
    );

    // alone and damaged: nothing to go on from, and said so
    fs::create_dir(bench.path("alone")).unwrap();
    fs::write(bench.path("alone/iter_005.json"), "{\"format\":").unwrap();
    let message = fail(&mut bench.bo(&["resume", "alone"]), 3);
    assert!(
        message.contains("iter_005.json") && message.contains("bo run --out alone_2"),
        "{message}"
    );
}

#[test]
fn a_fork_that_was_killed_at_its_birth_goes_on() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let whole = record(&bench.path("run"));
    // it is one checkpoint first, and everything else is made from that
    succeed(&mut bench.bo(&[
        "resume",
        "run/iter_005.json",
        "--out",
        "fork",
        "--iterations",
        "5",
    ]));
    let born = fs::read(bench.path("run/iter_005.json")).unwrap();
    fs::create_dir(bench.path("born")).unwrap();
    fs::write(bench.path("born/interrupted.json"), born).unwrap();
    fail(&mut bench.bo(&["resume", "run", "--out", "born"]), 2);
    succeed(&mut bench.bo(&["resume", "born"]));
    assert_eq!(record(&bench.path("born")), whole);
    assert!(!bench.path("born/interrupted.json").exists());
    assert!(bench.path("born/run.json").exists());
}

#[test]
fn relative_words_of_a_command_hold_wherever_the_run_is_resumed() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Command, "run", &["--iterations", "1"]));
    let run = bench.path("run");
    let elsewhere = tempfile::tempdir().unwrap();
    let resume = ["resume", run.to_str().unwrap(), "--iterations", "+1"];
    succeed(bench.bo(&resume).current_dir(elsewhere.path()));
    // the command repeated belongs to the folder where it is typed
    let mut repeated = resume.to_vec();
    repeated.extend(["--command", "./objective.sh"]);
    let message = fail(bench.bo(&repeated).current_dir(elsewhere.path()), 2);
    let folder = elsewhere.path().file_name().unwrap().to_str().unwrap();
    assert!(message.contains(folder), "{message}");
    succeed(&mut bench.bo(&repeated));
}

#[test]
fn what_is_missing_is_named_with_a_way_out() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let said = fail(&mut bench.bo(&["resume", "run/iter_007.json"]), 3);
    assert!(said.contains("bo resume run/iter_006.json"), "{said}");
    for name in [
        "run.json",
        "iter_000.json",
        "iter_005.json",
        "iter_006.json",
    ] {
        fs::remove_file(bench.path("run").join(name)).unwrap();
    }
    // evaluations are there still: no run can begin in their place
    for verb in ["resume", "show"] {
        let said = fail(&mut bench.bo(&[verb, "run"]), 3);
        assert!(
            said.contains("put run.json") && said.contains("--out run_2"),
            "{said}"
        );
    }
}

#[test]
fn a_torn_line_is_moved_aside_and_the_run_goes_on() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let whole = record(&bench.path("run"));
    let path = bench.path("run/evaluations.jsonl");
    let good = fs::read(&path).unwrap();
    let last = good[..good.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap();
    fs::write(&path, &good[..last + 40]).unwrap();
    for name in ["result.json", "iter_006.json"] {
        fs::remove_file(bench.path("run").join(name)).unwrap();
    }
    succeed(&mut bench.bo(&["resume", "run"]));
    assert_eq!(record(&bench.path("run")), whole);
    assert_eq!(
        fs::read(bench.path("run/evaluations.jsonl.torn"))
            .unwrap()
            .len(),
        39
    );
}

#[test]
fn time_of_an_iteration_that_two_processes_share_counts_once_and_stays() {
    let bench = Bench::new();
    let more = ["--iterations", "1", "--no-supervise"];
    let mut child = bench.run(Objective::Command, "run", &more).spawn().unwrap();
    for _ in 0..500 {
        if lines(&bench.path("run/evaluations.jsonl")).len() > 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    kill(&mut child);
    succeed(&mut bench.bo(&["resume", "run"]));
    let before = seconds(&bench, "run");
    succeed(&mut bench.bo(&["resume", "run", "--iterations", "+1"]));
    for (name, time) in seconds(&bench, "run") {
        assert!(time >= before[&name], "{name}: {time} after {before:?}");
    }
    let evaluated: f64 = lines(&bench.path("run/evaluations.jsonl"))
        .iter()
        .map(|line| line["seconds"].as_f64().unwrap())
        .sum();
    // the rest is what the record itself takes
    let all = seconds(&bench, "run")["evaluate"];
    assert!(all >= evaluated, "{all} for {evaluated}");
}

#[test]
fn a_second_process_is_refused_and_a_stopped_run_is_saved() {
    let bench = Bench::new();
    let more = ["--iterations", "400"];
    let mut child = bench.run(Objective::Command, "run", &more).spawn().unwrap();
    for _ in 0..500 {
        if lines(&bench.path("run/evaluations.jsonl")).len() > 12 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let message = fail(&mut bench.bo(&["resume", "run"]), 4);
    assert!(message.contains(&child.id().to_string()), "{message}");
    fail(&mut bench.run(Objective::Problem, "run", &more), 4);
    // SIGTERM through the shell: no unsafe call in a test
    std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert!(bench.path("run/interrupted.json").exists());
    fail(&mut bench.run(Objective::Problem, "run", &more), 2);
    let mut child = bench.bo(&["resume", "run"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none());
    kill(&mut child);
    fail(&mut bench.bo(&["resume", "nowhere"]), 3);
    fail(&mut bench.bo(&["resume", "run", "--iterations", "1"]), 2);
}

/// The line with another first coordinate of x.
fn first_x(line: &str, value: &str) -> String {
    let (before, after) = line.split_once("\"x\":[").unwrap();
    let (_, rest) = after.split_once(',').unwrap();
    format!("{before}\"x\":[{value},{rest}")
}

/// The checksum of a line redone.
fn resealed(line: &str) -> String {
    let (body, _) = line.rsplit_once(",\"crc\":").unwrap();
    format!(
        "{body},\"crc\":\"{:08x}\"}}",
        crc32fast::hash(body.as_bytes())
    )
}

/// Every file of a run apart from the lock and the log.
fn contents(bench: &Bench, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(bench.path(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .filter(|(name, _)| name != "lock" && name != "log.txt")
        .collect();
    files.sort();
    files
}

#[test]
fn verify_names_the_iteration_of_an_altered_x() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &LONG));
    let output = succeed(&mut bench.bo(&["verify", "run"]));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("12 decisions computed again: all agree"),
        "{said}"
    );
    for name in ["decisions.jsonl", "evaluations.jsonl"] {
        let path = bench.path("run").join(name);
        let good = fs::read_to_string(&path).unwrap();
        let altered: String = good
            .lines()
            .map(|line| match line.contains("\"iteration\":8,") {
                true => resealed(&first_x(line, "0.515")) + "\n",
                false => line.to_owned() + "\n",
            })
            .collect();
        assert!(altered != good);
        fs::write(&path, altered).unwrap();
        let message = fail(&mut bench.bo(&["verify", "run"]), 3);
        assert!(message.contains("iteration 8"), "{message}");
        fs::write(&path, good).unwrap();
    }
    succeed(&mut bench.bo(&["verify", "run"]));
}

/// A sealed file with the first decimal of the number after these words changed, each looked for behind the one before.
fn decimal_changed(text: &str, words: &[&str]) -> String {
    let mut at = 0;
    for word in words {
        at += text[at..]
            .find(word)
            .unwrap_or_else(|| panic!("no {word} in {text}"));
    }
    let place = at + text[at..].find('.').unwrap() + 1;
    let digit = (text.as_bytes()[place] - b'0' + 1) % 10;
    resealed(&format!("{}{digit}{}", &text[..place], &text[place + 1..]))
}

#[test]
fn verify_compares_everything_that_can_be_computed_again() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let refused = |name: &str, bytes: &[u8], says: &str| {
        let path = bench.path("run").join(name);
        let good = fs::read(&path).ok();
        fs::write(&path, bytes).unwrap();
        let message = fail(&mut bench.bo(&["verify", "run"]), 3);
        assert!(
            message.contains(name) && message.contains(says),
            "{message}"
        );
        match good {
            Some(good) => fs::write(&path, good).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    };
    let text = |name: &str| fs::read_to_string(bench.path("run").join(name)).unwrap();
    let result = text("result.json");
    let result = result.trim_end();
    for words in [
        &["\"risk\":"][..],
        &["\"mean\":"],
        &["\"interval\":"],
        &["\"per_environment\":"],
        &["\"history\":", "\"risk\":"],
        &["\"history\":", "\"iteration\":6", "\"x\":"],
        &["\"truth\":", "\"cvar\":"],
    ] {
        let altered = decimal_changed(result, words);
        refused("result.json", altered.as_bytes(), "iteration 6");
    }
    let saved = text("iter_005.json");
    let saved = saved.trim_end();
    // of the last decision's line, and then of the checkpoint itself
    let last = &["\"iteration\":5,\"id\"", "\"seconds\":"];
    for word in ["\"outputscale\":", "\"risk\":", "\"per_environment\":"] {
        let words = [&last[..], &[word]].concat();
        let altered = decimal_changed(saved, &words);
        refused("iter_005.json", altered.as_bytes(), "iteration 5");
        refused("interrupted.json", altered.as_bytes(), "iteration 5");
    }
    let altered = decimal_changed(saved, &["\"evaluations\":", "\"value\":"]);
    refused("interrupted.json", altered.as_bytes(), "evaluation 0");
    refused("result.json", &result.as_bytes()[..100], "cut short");
    let memory = text("memory.jsonl");
    refused(
        "memory.jsonl",
        memory.replacen("iteration", "Iteration", 1).as_bytes(),
        "line 1",
    );
    succeed(&mut bench.bo(&["verify", "run"]));
}

#[test]
fn a_damaged_result_is_moved_aside_and_written_again() {
    let bench = Bench::new();
    succeed(&mut bench.run(Objective::Problem, "run", &SHORT));
    let whole = record(&bench.path("run"));
    for (name, from, to) in [
        ("result.json", "\"risk\"", "\"Risk\""),
        ("memory.jsonl", "iteration", "Iteration"),
    ] {
        let path = bench.path("run").join(name);
        let damaged = fs::read_to_string(&path).unwrap().replacen(from, to, 1);
        fs::write(&path, &damaged).unwrap();
        let output = succeed(&mut bench.bo(&["resume", "run"]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(name) && said.contains("damaged"), "{said}");
        let torn = bench.path("run").join(format!("{name}.damaged.torn"));
        assert_eq!(fs::read_to_string(torn).unwrap(), damaged);
        succeed(&mut bench.bo(&["verify", "run"]));
        assert_eq!(record(&bench.path("run")), whole);
    }
}

#[test]
fn stop_ends_a_run_from_outside() {
    let bench = Bench::new();
    let more = ["--iterations", "400"];
    let child = bench.run(Objective::Command, "run", &more).spawn().unwrap();
    for _ in 0..500 {
        if lines(&bench.path("run/evaluations.jsonl")).len() > 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    succeed(&mut bench.bo(&["stop", "run"]));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert!(bench.path("run/interrupted.json").exists());
    let output = succeed(&mut bench.bo(&["stop", "run"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nobody"));
    fail(&mut bench.bo(&["stop", "nowhere"]), 3);
}

#[test]
fn a_journal_that_may_not_grow_is_cut_where_its_second_writer_ended() {
    let bench = Bench::new();
    // five notes of a started program an evaluation, from inside the objective, to one line of the loop itself
    let greedy = "case $line in *'\"scale\":0.3'*) ;; *) echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"no room\\\",\\\"kind\\\":\\\"oom\\\"}\"; exit;; esac";
    let path = bench.path("objective.sh");
    let program = fs::read_to_string(&path).unwrap();
    fs::write(&path, program.replace("sleep 0.02", greedy)).unwrap();
    let run = bench.run(Objective::Command, "run", &["--iterations", "2"]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(bench.path(""));
    let message = fail(&mut limited, 3);
    assert!(message.contains("attempts.jsonl"), "{message}");
    // all but the line that did not fit stands, whoever wrote it
    let left = fs::read(bench.path("run/attempts.jsonl")).unwrap();
    assert!((3700..=4096).contains(&left.len()), "{}", left.len());
    succeed(&mut bench.bo(&["resume", "run"]));
    succeed(&mut bench.run(Objective::Command, "whole", &["--iterations", "2"]));
    assert_eq!(record(&bench.path("run")), record(&bench.path("whole")));
}
