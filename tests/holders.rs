//! Who holds a run: leases where locks cannot be trusted, and readers that hold nothing.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use crate::case::Case;

const SPACE: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n";
const SLOW: &str = "read line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\nsleep 0.2\necho \"{\\\"id\\\":$id,\\\"value\\\":0.5$id}\"\n";
const RUN: &str = "run --command 'sh o.sh' --space t.toml --n-initial 2 --iterations 4 --quiet";

fn case() -> Case {
    Case::new().file("t.toml", SPACE).file("o.sh", SLOW)
}

/// `bo` that holds runs by leases of two seconds.
fn leased(case: &Case, words: &str) -> Command {
    let mut command = case.command(words);
    command.env("BO_LOCK", "lease").env("BO_LEASE_SECONDS", "2");
    command.stdout(std::process::Stdio::null());
    command
}

fn wait_for(case: &Case, evaluations: usize) {
    for _ in 0..1000 {
        let text = fs::read_to_string(case.path("r/evaluations.jsonl")).unwrap_or_default();
        if text.lines().count() >= evaluations {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no {evaluations} evaluations");
}

/// A signal to the parent and its worker.
fn signal(child: &Child, name: &str) {
    let parent = child.id();
    let path = format!("/proc/{parent}/task/{parent}/children");
    let workers = fs::read_to_string(path).unwrap_or_default();
    let pids = workers.split_whitespace().map(str::to_owned);
    for pid in pids.chain([parent.to_string()]) {
        let _ = Command::new("kill").args(["-s", name, &pid]).output();
    }
}

#[test]
fn a_lease_keeps_others_out_and_an_overtaken_holder_writes_no_more() {
    let case = case();
    let mut first = leased(&case, &format!("{RUN} --out r")).spawn().unwrap();
    wait_for(&case, 1);
    let output = leased(&case, "resume r").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&first.id().to_string()), "{said}");

    // silent for longer than its lease: another takes over and finishes
    signal(&first, "STOP");
    std::thread::sleep(Duration::from_millis(2300));
    let output = leased(&case, "resume r --quiet").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let whole = case.read("r/evaluations.jsonl");
    let result = case.read("r/result.json");
    signal(&first, "CONT");
    assert_eq!(first.wait().unwrap().code(), Some(4));
    assert_eq!(case.read("r/evaluations.jsonl"), whole);
    assert_eq!(case.read("r/result.json"), result);
    case.bo("verify r").ok();
}

#[test]
fn a_killed_holder_of_a_lease_is_followed_at_once() {
    let case = case();
    let mut first = leased(&case, &format!("{RUN} --out r")).spawn().unwrap();
    wait_for(&case, 1);
    signal(&first, "KILL");
    first.wait().unwrap();
    let output = leased(&case, "resume r --quiet").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    case.bo("verify r").ok();
}

#[test]
fn readers_never_disturb_a_run() {
    let case = case();
    case.bo(&format!("{RUN} --out whole")).ok();
    let mut run = case.command(&format!("{RUN} --out r")).spawn().unwrap();
    wait_for(&case, 1);
    let (mut looks, mut running) = (0, 0);
    while run.try_wait().unwrap().is_none() {
        let shown = case.bo("show r").ok();
        if shown.stdout.contains("r: running") {
            let shown = shown.prints(&["bo stop r", "bo watch r"]);
            assert!(!shown.stdout.contains("bo resume"), "{}", shown.stdout);
            running += 1;
        }
        let shown = case.bo("show r --json").ok().json();
        assert_eq!(shown["notices"].as_array().unwrap().len(), 0, "{shown}");
        case.bo("report r --out report.html").ok();
        looks += 1;
    }
    assert!(run.wait().unwrap().success() && looks > 0 && running > 0);
    let values = |name: &str| -> Vec<String> {
        let text = case.read(&format!("{name}/evaluations.jsonl"));
        let lines = text
            .lines()
            .map(|line| line.split("\"attempt\"").next().unwrap().to_owned());
        lines.collect()
    };
    assert_eq!(values("r"), values("whole"));
    for entry in fs::read_dir(case.path("r")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".torn") && !name.starts_with("postmortem"),
            "{name}"
        );
    }
}
