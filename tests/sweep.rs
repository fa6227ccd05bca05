//! `bo sweep`: many runs, one after the other, of which none is lost and none ends the others.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;

use crate::case::Case;

/// A program of one parameter that answers slowly enough to be killed in the middle.
fn slow() -> Case {
    let case = Case::new()
        .file(
            "program.sh",
            "#!/bin/sh\nread line\nid=$(echo \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\nsleep 0.05\n\
             echo \"$id\" >> asked.log\necho \"{\\\"id\\\":$id,\\\"value\\\":0.$id}\"\n",
        )
        .file("space.toml", "[x.a]\nlow = 0.0\nhigh = 1.0\n");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(case.path("program.sh"), executable).unwrap();
    case
}

const SWEEP: &str = "sweep --command ./program.sh --space space.toml --n-initial 3 --iterations 3 --over seed=0,1 \
                     --over acquisition=random,log-nei --out s --quiet --json";

fn lines(case: &Case, name: &str) -> usize {
    let text = std::fs::read_to_string(case.path(name)).unwrap_or_default();
    text.lines().count()
}

/// What runs recorded: x and value of each evaluation.
fn recorded(case: &Case, sweep: &str) -> Vec<Vec<Value>> {
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        serde_json::json!([line["x"], line["value"]])
    };
    let runs = [
        "seed-0_acquisition-random",
        "seed-0_acquisition-log-nei",
        "seed-1_acquisition-random",
    ];
    let runs = runs.iter().chain(&["seed-1_acquisition-log-nei"]);
    runs.map(|run| {
        let text = case.read(&format!("{sweep}/{run}/evaluations.jsonl"));
        text.lines().map(one).collect()
    })
    .collect()
}

#[test]
fn a_killed_sweep_goes_on_where_it_was_and_ends_with_a_table() {
    let case = slow();
    let mut child = case.command(SWEEP).spawn().unwrap();
    let second = "s/seed-0_acquisition-log-nei/evaluations.jsonl";
    for _ in 0..1000 {
        if lines(&case, second) >= 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = case.read("s/seed-0_acquisition-random/evaluations.jsonl");
    assert_eq!(first.lines().count(), 6);

    let swept = case.bo(SWEEP).ok().json();
    let runs = swept["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        assert_eq!(
            (run["state"].as_str(), run["evaluations"].as_u64()),
            (Some("finished"), Some(6))
        );
        assert!(run["risk"].is_f64() && run["x"]["a"].is_f64(), "{run}");
    }
    assert!(runs[0].get("code").is_none(), "{}", runs[0]);
    assert_eq!(
        case.read("s/seed-0_acquisition-random/evaluations.jsonl"),
        first
    );
    assert!(lines(&case, "asked.log") <= 4 * 6 + 1);

    // as if it had never been killed
    case.bo(&SWEEP.replace("--out s", "--out whole")).ok();
    assert_eq!(recorded(&case, "s"), recorded(&case, "whole"));

    // finished: nothing is asked again, whatever form the table takes
    let asked = lines(&case, "asked.log");
    case.bo(&SWEEP.replace("--quiet --json", "")).ok().prints(&[
        "seed=0",
        "finished",
        "risk by the model",
        "bo report s/seed-*",
    ]);
    assert_eq!(lines(&case, "asked.log"), asked);
    case.bo(&SWEEP.replace("--iterations 3", "--iterations 4"))
        .code(2)
        .says(&["begun with other settings (iterations: 3, now 4)"]);
    case.bo("show s")
        .code(3)
        .says(&["a sweep, not a run", "bo show s/RUN"]);
    case.bo("run --problem branin11 --iterations 1 --out s")
        .code(2)
        .says(&["holds a sweep"]);
}

#[test]
fn a_run_that_fails_is_told_and_the_others_are_done() {
    let case = Case::new();
    let sweep = "sweep --scenes 2 --n-initial 1 --iterations 1 --quiet --json --out s";
    // found before anything begins
    for (over, said) in [
        ("alpha=0.1,2", "alpha"),
        ("alhpa=0.1", "did you mean alpha"),
        ("alpha", "not KEY=V,V"),
        ("seed=1,x", "seed"),
        ("out=a,b", "sweep's own"),
    ] {
        case.bo(&format!("{sweep} --over {over}"))
            .code(2)
            .says(&[said]);
        assert!(!case.path("s").exists(), "{over}");
    }
    // found when the run opens its images
    let done = case.bo(&format!("{sweep} --over n-w=1,5,2")).code(2);
    let runs = done.json()["runs"].as_array().unwrap().clone();
    let states: Vec<&str> = runs
        .iter()
        .map(|run| run["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["finished", "not begun", "finished"]);
    assert_eq!(runs[1]["code"], 2);
    assert!(
        done.stderr.contains("ended with code 2; the sweep goes on"),
        "{}",
        done.stderr
    );
}

#[test]
fn the_runs_of_a_sweep_share_what_is_kept_of_images() {
    let case = Case::new();
    let sweep = "sweep --scenes 2 --n-w all --n-initial 1 --iterations 1 --out s --quiet";
    case.bo(&format!("{sweep} --over alpha=0.5,1")).ok();
    let log = |run: &str| case.read(&format!("s/{run}/log.txt"));
    let said = |run: &str| {
        let log = log(run);
        let line = log
            .lines()
            .find(|line| line.contains("images seen"))
            .unwrap();
        line.split_once("images seen").unwrap().1.to_owned()
    };
    assert!(
        said("alpha-0.5").starts_with(": 2 by the network"),
        "{}",
        said("alpha-0.5")
    );
    assert!(
        said("alpha-1").starts_with(": 0 by the network"),
        "{}",
        said("alpha-1")
    );
    assert!(case.path("s/cache").is_dir() && !case.path("s/alpha-1/cache").exists());
}
