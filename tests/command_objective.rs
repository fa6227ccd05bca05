//! Any program as objective: both modes, every kind of parameter, everything that can go wrong.

use std::time::{Duration, Instant};

use crate::case::Case;

const SPACE: &str = "direction = \"minimize\"\n[x.rate]\nlow = 1e-5\nhigh = 0.1\nscale = \"log\"\n[x.layers]\nlow = 1\nhigh = 8\n\
                     type = \"int\"\n[x.method]\nchoices = [\"adam\", \"sgd\"]\n[w.noise]\nlow = 0.0\nhigh = 1.0\n";
const ONE: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n";

/// A python objective that serves lines until its input ends: fits both modes.
const PYTHON: &str = r#"
import json, math, sys
print("loading", flush=True)
for line in sys.stdin:
    q = json.loads(line)
    x, w = q["x"], q["w"]
    assert isinstance(x["layers"], int) and x["method"] in ("adam", "sgd") and 1e-5 <= x["rate"] <= 0.1, x
    value = (math.log10(x["rate"]) + 3) ** 2 + (x["layers"] - 3) ** 2 + (x["method"] == "sgd") + w["noise"]
    print("epoch 1", file=sys.stderr, flush=True)
    print(json.dumps({"id": q["id"], "value": value}), flush=True)
"#;

/// `sh` that reads a line into `line` and its id into `id`, then does `then`.
fn sh(then: &str) -> String {
    format!("read line\nid=${{line#*\\\"id\\\":}}\nid=${{id%%,*}}\n{then}\n")
}

fn small(words: &str) -> String {
    format!(
        "run --command 'sh o.sh' --space s.toml --n-initial 2 --n-w 1 --iterations 0 --out r --quiet {words}"
    )
}

/// Status and reason of every evaluation of run `r`.
fn recorded(case: &Case) -> Vec<(String, String)> {
    let text = case.read("r/evaluations.jsonl");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| (word(&line["status"]), word(&line["reason"])))
        .collect()
}

#[test]
fn what_a_run_does_not_promise_is_told_and_recorded() {
    let case = Case::new()
        .file("s.toml", SPACE)
        .file("o.sh", &sh("echo \"{\\\"id\\\":$id,\\\"value\\\":1}\""));
    case.bo("run --command 'sh o.sh' --space s.toml --n-initial 2 --n-w 1 --iterations 0 --out r")
        .ok()
        .says(&[
            "it comes to the same answer; not promised for a resume on another type of processor",
            "nor for a program that answers the same question differently each time",
        ]);
    assert!(case.read("r/run.json").contains("outside the promise"));
}

#[test]
fn both_modes_give_the_same_run_with_every_kind_of_parameter() {
    let case = Case::new().file("s.toml", SPACE).file("o.py", PYTHON);
    let mut results = Vec::new();
    for mode in ["once", "server"] {
        let run = "run --command 'python3 o.py' --space s.toml --iterations 4 --n-initial 3 --n-w 2 --alpha 0.5 --quiet --json";
        let json = case
            .bo(&format!("{run} --command-mode {mode} --out {mode}"))
            .ok()
            .json();
        assert!(
            json["incumbent"]["x"]["layers"].is_u64()
                && json["incumbent"]["x"]["method"].is_string(),
            "{json}"
        );
        assert_eq!(
            (json["evaluations"].as_u64(), json["failures"].as_u64()),
            (Some(10), Some(0))
        );
        results.push(json["history"].clone());
        let log = case.read(&format!("{mode}/log.txt"));
        assert!(log.contains("loading") && log.contains("epoch 1"), "{log}");
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_space_without_environments_is_ordinary_optimisation() {
    let case = Case::new()
        .file("s.toml", ONE)
        .file("o.sh", &sh("echo \"{\\\"id\\\":$id,\\\"value\\\":0.5}\""));
    let done = case
        .bo("run --command 'sh o.sh' --space s.toml --iterations 2 --n-initial 2 --out r")
        .ok();
    let done = done.prints(&[
        "4 evaluations, none failed",
        "value, by the model: ",
        "mean seen at this x, 1 evaluation: 0.5000",
    ]);
    // there is no tail to speak of
    assert!(!(done.stdout + &done.stderr).contains("CVaR"));
}

#[test]
fn whatever_is_no_number_is_a_failure_with_its_reason() {
    for (script, status, reason) in [
        (
            "echo \"{\\\"id\\\":$id,\\\"value\\\":NaN}\"",
            "invalid",
            "NaN",
        ),
        (
            "echo \"{\\\"id\\\":$id,\\\"value\\\":-Infinity}\"",
            "invalid",
            "Infinity",
        ),
        (
            "echo \"{\\\"id\\\":$id,\\\"value\\\":0.5}\"; exit 3",
            "failed",
            "exit code 3",
        ),
        ("echo garbage", "failed", "garbage"),
        (
            "head -c 3000000 /dev/zero; echo \"{\\\"id\\\":99,\\\"value\\\":1}\"",
            "failed",
            "no answer",
        ),
        ("true", "failed", "printed nothing"),
        (
            "echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"bad x\\\",\\\"kind\\\":\\\"invalid\\\"}\"",
            "invalid",
            "bad x",
        ),
        ("kill -9 $$", "failed", "signal 9"),
    ] {
        let case = Case::new().file("s.toml", ONE).file("o.sh", &sh(script));
        let done = case
            .bo(&small(""))
            .code(5)
            .prints(&["nothing to recommend"]);
        assert!(!done.stdout.contains("bo evaluate"), "{}", done.stdout);
        done.says(&[
            "none of 2 evaluations succeeded",
            reason,
            "bo run --out r_2",
        ]);
        for (found, why) in recorded(&case) {
            assert_eq!(found, status, "{script}: {why}");
            assert!(why.contains(reason), "{script}: {why}");
        }
    }
}

#[test]
fn the_last_line_with_the_id_counts() {
    let answer = |value: &str| format!("echo \"{{\\\"id\\\":$id,\\\"value\\\":{value}}}\"");
    let script = format!(
        "{}; echo '{{\"id\":77,\"value\":9}}'; {}; echo bye",
        answer("1"),
        answer("2")
    );
    let case = Case::new().file("s.toml", ONE).file("o.sh", &sh(&script));
    case.bo(&small("")).ok();
    let text = case.read("r/evaluations.jsonl");
    assert!(
        text.lines().all(|line| line.contains("\"value\":2.0")),
        "{text}"
    );
}

#[test]
fn an_objective_that_keeps_failing_ends_the_run_in_one_sentence() {
    let case = Case::new()
        .file("s.toml", ONE)
        .file("o.sh", "echo no such dataset >&2; exit 1");
    let done = case
        .bo("run --command 'sh o.sh' --space s.toml --n-initial 9 --out r")
        .code(5);
    done.says(&[
        "warning: evaluation 0 failed: exit code 1; its last words: no such dataset",
        "failed 5 times in a row",
        "bo resume r",
    ]);
    assert_eq!(recorded(&case).len(), 5);
    assert!(case.read("r/log.txt").contains("no such dataset"));
}

/// Where the program is mended the run is the one that never failed; what failed before its last value stays.
#[test]
fn what_failed_last_is_asked_again_in_a_new_folder() {
    let script = sh(
        "if [ $id -lt 4 ] || [ -e mended ]; then echo \"{\\\"id\\\":$id,\\\"value\\\":0.$id}\"; else echo no disk >&2; exit 1; fi",
    );
    let case = Case::new().file("s.toml", ONE).file("o.sh", &script);
    let run = "run --command 'sh o.sh' --space s.toml --n-initial 2 --iterations 9 --batch 2 --quiet --out";
    let refused = case.bo(&format!("{run} r")).code(5);
    let refused = refused.says(&[
        "failed 5 times in a row",
        "bo resume r --retry-failed --out r_2",
    ]);
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    let before = case.read("r/evaluations.jsonl");
    // a program that is as it was gives up again, after as many
    case.bo("resume r --retry-failed --out again --quiet")
        .code(5);
    assert_eq!(case.read("again/evaluations.jsonl").lines().count(), 9);
    std::fs::write(case.path("mended"), "").unwrap();
    case.bo("resume r --retry-failed").code(2).says(&["--out"]);
    case.bo("resume r --retry-failed --out r_2").ok();
    case.bo("verify r_2").ok();
    assert_eq!(case.read("r/evaluations.jsonl"), before);
    case.bo(&format!("{run} whole")).ok();
    assert_eq!(case.values("r_2"), case.values("whole"));
    let decided = |run: &str| {
        let text = case.read(&format!("{run}/decisions.jsonl"));
        let x = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["x"].clone();
        text.lines().map(x).collect::<Vec<_>>()
    };
    assert_eq!(decided("r_2"), decided("whole"));
    case.bo("resume whole --retry-failed --out other")
        .code(2)
        .says(&["the last evaluation returned a value"]);
    assert!(!case.path("other").exists());
}

#[test]
fn a_timeout_ends_the_program_with_all_it_started() {
    let script = "sleep 300 & echo $! > child; setsid sh -c 'echo $$ > grandchild; exec sleep 300' & trap '' TERM; sleep 300";
    let case = Case::new().file("s.toml", ONE).file("o.sh", script);
    let begin = Instant::now();
    case.bo("run --command 'sh o.sh' --space s.toml --n-initial 1 --iterations 0 --timeout 0.4 --out r --quiet").code(5);
    assert!(begin.elapsed() < Duration::from_secs(20));
    let (status, reason) = recorded(&case).remove(0);
    assert_eq!(status, "timeout");
    assert!(reason.contains("0.4 s"), "{reason}");
    // one in the program's process group, one in a session of its own
    for name in ["child", "grandchild"] {
        let pid: i32 = case.read(name).trim().parse().unwrap();
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(
            state.is_empty() || state.contains(") Z"),
            "{name} is still there: {state}"
        );
    }
}

#[test]
fn out_of_memory_asks_again_at_a_smaller_scale() {
    let script = sh(
        "case $line in *'\"scale\":1,'*) echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"full\\\",\\\"kind\\\":\\\"oom\\\"}\";;\n\
                     *'\"scale\":0.75'*) echo \"{\\\"id\\\":$id,\\\"value\\\":0.75}\";; esac",
    );
    let case = Case::new().file("s.toml", ONE).file("o.sh", &script);
    case.bo(&small("")).ok();
    assert!(
        case.read("r/evaluations.jsonl")
            .lines()
            .all(|line| line.contains("\"value\":0.75") && line.contains("\"scale\":0.75"))
    );
    let never = sh("echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"full\\\",\\\"kind\\\":\\\"oom\\\"}\"");
    let case = Case::new().file("s.toml", ONE).file("o.sh", &never);
    case.bo(&small("")).code(5);
    assert!(
        recorded(&case)
            .iter()
            .all(|(status, reason)| status == "oom" && reason.contains("0.32"))
    );
}

#[test]
fn a_transient_failure_is_tried_again() {
    let script = sh(
        "if [ -e been ]; then echo \"{\\\"id\\\":$id,\\\"value\\\":1}\"; else touch been; \
                     echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"busy\\\",\\\"kind\\\":\\\"transient\\\"}\"; fi",
    );
    let case = Case::new().file("s.toml", ONE).file("o.sh", &script);
    case.bo(&small("")).ok();
    assert!(recorded(&case).iter().all(|(status, _)| status == "ok"));
    assert!(case.read("r/log.txt").contains("busy"));
}

#[test]
fn a_failure_that_stays_transient_is_given_up_after_four_pauses() {
    let script = sh(
        "echo been >> been; echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"busy\\\",\\\"kind\\\":\\\"transient\\\"}\"",
    );
    let case = Case::new().file("s.toml", ONE).file("o.sh", &script);
    let begin = Instant::now();
    case.bo("run --command 'sh o.sh' --space s.toml --n-initial 1 --iterations 0 --out r --quiet")
        .code(5);
    let (status, reason) = recorded(&case).remove(0);
    assert_eq!(
        (status.as_str(), case.read("been").lines().count()),
        ("failed", 5)
    );
    assert!(
        reason.contains("transient failure 5 times") && reason.contains("busy"),
        "{reason}"
    );
    // 0.5 + 1 + 2 + 4 seconds
    assert!(begin.elapsed() >= Duration::from_millis(7500));
}

#[test]
fn a_server_that_dies_is_started_again() {
    let twice = "for i in 1 2; do\nread line || exit\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\n\
                 echo \"{\\\"id\\\":$id,\\\"value\\\":$$}\"\ndone\n";
    let case = Case::new().file("s.toml", ONE).file("o.sh", twice);
    let run = "run --command 'sh o.sh' --space s.toml --command-mode server --n-initial 5 --iterations 0 --out r --quiet";
    case.bo(run).ok();
    let text = case.read("r/evaluations.jsonl");
    let values: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].to_string())
        .collect();
    assert_eq!(values.len(), 5);
    assert!(
        values[0] == values[1]
            && values[2] == values[3]
            && values[1] != values[2]
            && values[3] != values[4],
        "{values:?}"
    );
}

#[test]
fn a_stop_reaches_the_program_and_the_run_goes_on_afterwards() {
    let script = sh(
        "if [ -e slow ]; then trap 'echo stopped > said; exit 0' TERM; sleep 60 & wait; fi; echo \"{\\\"id\\\":$id,\\\"value\\\":1}\"",
    );
    let case = Case::new()
        .file("s.toml", ONE)
        .file("o.sh", &script)
        .file("slow", "");
    let mut child = case.command(&small("")).spawn().unwrap();
    while !case.path("r/attempts.jsonl").exists()
        || !case.read("r/attempts.jsonl").contains("process_group")
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(case.read("said"), "stopped\n");
    assert!(recorded(&case).is_empty());
    std::fs::remove_file(case.path("slow")).unwrap();
    case.bo("resume r --quiet").ok();
    assert_eq!(recorded(&case).len(), 2);
}

#[test]
fn evaluate_says_beside_its_numbers_that_an_environment_failed() {
    let answer = "case $line in *1.5*) echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"too dark\\\"}\";; *) echo \"{\\\"id\\\":$id,\\\"value\\\":1}\";; esac";
    let case = Case::new()
        .file(
            "s.toml",
            &format!("{ONE}[environments]\nfile = \"env.csv\"\n"),
        )
        .file("env.csv", "light\n0.25\n1.5\n0.75\n")
        .file("o.sh", &sh(answer));
    case.bo(&small("")).ok();
    let said = "1 of 3 gave no score, and these numbers are of the others alone";
    case.bo("evaluate r --x a=0.9").ok().prints(&[
        "too dark",
        "over 2 of 3, measured: 1.000",
        said,
    ]);
    let json = case.bo("evaluate r --x a=0.9 --json").ok().json();
    assert_eq!(json["failed"], 1);
}
