//! `bo watch` follows a run to its end and never disturbs it; `bo doctor` says whether runs would finish here.
#![expect(clippy::print_stderr, reason = "says what was skipped")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::case::Case;

/// Answers once there is a file `go`.
const WAITING: &str = "read line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\nwhile ! [ -e go ]; do sleep 0.05; done\necho \"{\\\"id\\\":$id,\\\"value\\\":0.$id}\"\n";

#[test]
fn watch_tells_each_change_and_ends_with_the_run() {
    let case = Case::new()
        .file("s.toml", "[x.a]\nlow = 0.0\nhigh = 1.0\n")
        .file("o.sh", WAITING);
    case.bo("watch r").code(3).says(&["no run here"]);
    let run = "run --command 'sh o.sh' --space s.toml --n-initial 2 --iterations 4 --out r --quiet";
    let mut child = case.command(run).stdout(Stdio::null()).spawn().unwrap();
    while !case.path("r/run.json").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it began"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut watch = case
        .command("watch r")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.starts_with("r: running, in its initial design"),
        "{first}"
    );
    std::fs::write(case.path("go"), "").unwrap();
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert!(
        rest.iter()
            .any(|line| line == "r: finished, iteration 4 of 4 complete"),
        "{rest:?}"
    );
    assert!(
        rest.iter()
            .any(|line| line == "recommended after 4 iterations"),
        "{rest:?}"
    );
    assert!(watch.wait().unwrap().success() && child.wait().unwrap().success());
}

/// Whether the doctor is asked, which takes half a minute in a release build; says so where not.
fn asked() -> bool {
    let asked = std::env::var_os("BO_DOCTOR").is_some();
    if !asked {
        eprintln!("SKIPPED: bo doctor takes half a minute (make doctor)");
    }
    asked
}

#[test]
fn the_doctor_finds_this_machine_fit() {
    if !asked() {
        return;
    }
    let case = Case::new();
    let done = case.bo("doctor --json --host-memory-mb 256").ok();
    let json = done.json();
    assert_eq!(json["will_finish"], true);
    let findings = json["findings"].as_array().unwrap();
    let verdicts: Vec<_> = findings.iter().map(|found| &found["verdict"]).collect();
    assert_eq!(verdicts.len(), 12);
    assert!(
        verdicts
            .iter()
            .all(|verdict| *verdict == "good" || *verdict == "note")
    );
    assert!(case.names().is_empty(), "it leaves nothing behind");
}

/// Where memory is too little the checks that take much are not made: this takes seconds.
#[test]
fn the_doctor_has_a_line_for_every_check_and_says_what_to_change() {
    let case = Case::new();
    let words = "doctor --out /proc/nowhere --host-memory-mb 1";
    let done = case.bo(words).code(1).prints(&[
        "this would stop your run",
        "--out DIR",
        "this program alone holds",
        "--host-memory-mb 300",
    ]);
    let said: Vec<&str> = done
        .stdout
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    let said: Vec<&str> = said
        .into_iter()
        .filter(|line| !line.starts_with(' '))
        .collect();
    let verdict = |line: &&str| line.split_whitespace().next().unwrap().to_owned();
    let verdicts: Vec<String> = said.iter().map(verdict).collect();
    assert_eq!(verdicts.len(), 12, "{}", done.stdout);
    assert_eq!([&verdicts[0], &verdicts[4]], ["BAD"; 2], "{}", done.stdout);
    assert_eq!(verdicts[3], "good", "{}", done.stdout);
    let heavy = [6, 7, 9, 10, 11].map(|check| verdicts[check].as_str());
    assert_eq!(heavy, ["-"; 5], "{}", done.stdout);
    let json = case.bo(&format!("{words} --json")).code(1).json();
    let checks = json["findings"].as_array().unwrap().iter();
    let checks: Vec<&str> = checks.map(|one| one["check"].as_str().unwrap()).collect();
    for (check, line) in checks.iter().zip(&said) {
        assert!(line.contains(check), "{check}: {line}");
    }
    case.bo("doctor --host-memory-mb 0")
        .code(2)
        .says(&["--host-memory-mb 1 or more"]);
}
