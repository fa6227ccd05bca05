//! `bo watch` follows a run to its end and never disturbs it; `bo doctor` says whether runs would finish here.

use std::time::{Duration, Instant};

use crate::case::Case;

const SLOW: &str = "read line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\nsleep 0.3\necho \"{\\\"id\\\":$id,\\\"value\\\":0.$id}\"\n";

#[test]
fn watch_tells_each_change_and_ends_with_the_run() {
    let case = Case::new()
        .file("s.toml", "[x.a]\nlow = 0.0\nhigh = 1.0\n")
        .file("o.sh", SLOW);
    case.bo("watch r").code(3).says(&["no run here"]);
    let run = "run --command 'sh o.sh' --space s.toml --n-initial 2 --iterations 4 --out r --quiet";
    let mut child = case.command(run).spawn().unwrap();
    let begun = Instant::now();
    while !case.path("r/evaluations.jsonl").exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = case.bo("watch r").ok();
    assert!(child.wait().unwrap().success());
    done.prints(&[
        "r: running",
        "r: finished, iteration 4 of 4 complete",
        "recommended after 4 iterations",
    ]);
}

/// All of it takes half a minute in a release build: `BO_DOCTOR=1` (`make doctor`).
#[test]
fn the_doctor_finds_this_machine_fit() {
    if std::env::var_os("BO_DOCTOR").is_none() {
        return;
    }
    let case = Case::new();
    let done = case.bo("doctor --json --host-memory-mb 256").ok();
    let json = done.json();
    assert_eq!(json["will_finish"], true);
    assert_eq!(json["findings"].as_array().unwrap().len(), 11);
    assert!(case.names().is_empty(), "it leaves nothing behind");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_by_the_doctor() {
    if std::env::var_os("BO_DOCTOR").is_none() {
        return;
    }
    let case = Case::new();
    case.bo("doctor --out /proc/nowhere").code(1).prints(&[
        "BAD   disk",
        "this would stop your run",
        "--out DIR",
    ]);
}
