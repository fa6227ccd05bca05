//! Runs of every earlier format version can be read and go on, for ever. Decisions of another version of the program are
//! another matter: only what was recorded is compared.

#[expect(
    dead_code,
    reason = "shared by test programs that each use a part of it"
)]
mod case;

use std::fs;

use case::Case;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

/// A fixture in a folder of its own, as `r`.
fn with(fixture: &str) -> Case {
    let case = Case::new();
    fs::create_dir(case.path("r")).unwrap();
    for entry in fs::read_dir(format!("{FIXTURES}/{fixture}")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, case.path("r").join(path.file_name().unwrap())).unwrap();
    }
    case
}

/// The recorded lines are still there, first and as they were.
fn keeps(case: &Case, fixture: &str, file: &str) {
    let then = fs::read_to_string(format!("{FIXTURES}/{fixture}/{file}")).unwrap();
    assert!(case.read(&format!("r/{file}")).starts_with(&then), "{file}");
}

#[test]
fn a_finished_run_of_version_1_is_read_extended_and_mended() {
    let case = with("v1/problem");
    case.bo("show r")
        .ok()
        .prints(&["iteration 5 of 5 complete"]);
    case.bo("report r --out report.html").ok();
    // another version of the optimiser decided them
    let not_comparable = "decisions not comparable: made by version 1";
    case.bo("verify r").ok().prints(&[not_comparable]);
    let replayed = case.bo("resume r/iter_000.json --iterations 6");
    assert_eq!(replayed.code, 3, "{}", replayed.stderr);
    replayed.says(&["made by version 1"]);
    case.bo("resume r --iterations +2")
        .ok()
        .says(&["begun by version 1 of the optimiser"]);
    let now = bo_bayes::optimizer::VERSION;
    let mixed = format!("decisions not comparable: made by version 1, then {now} of the optimiser");
    case.bo("verify r").ok().prints(&[&mixed]);
    for file in ["evaluations.jsonl", "decisions.jsonl"] {
        keeps(&case, "v1/problem", file);
    }

    // its checkpoint alone brings everything back
    let case = with("v1/problem");
    for file in [
        "run.json",
        "evaluations.jsonl",
        "decisions.jsonl",
        "result.json",
    ] {
        fs::remove_file(case.path("r").join(file)).unwrap();
    }
    case.bo("resume r --iterations 6 --quiet").ok();
    for file in ["evaluations.jsonl", "decisions.jsonl"] {
        keeps(&case, "v1/problem", file);
    }
}

#[test]
fn a_stopped_run_of_version_1_with_a_program_is_read() {
    let case = with("v1/command");
    let shown = case.bo("show r --json").ok().json();
    assert_eq!(shown["state"], "interrupted");
    assert_eq!(shown["evaluations"], 9);
    assert_eq!(shown["failures"], 1);
    // its journals lost: the checkpoint of the stop holds them
    for file in ["run.json", "evaluations.jsonl", "decisions.jsonl"] {
        fs::remove_file(case.path("r").join(file)).unwrap();
    }
    let again = case.bo("show r --json").ok().json();
    assert_eq!(again["evaluations"], 9);
    assert_eq!(again["incumbent"], shown["incumbent"]);
}
