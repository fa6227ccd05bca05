//! What a run holds from iteration to iteration: all of it is named, and nothing else stays resident. The long form
//! (10,000 iterations, and 500 of `rho-kg`) is `experiments/torture/memory.py`.

use serde_json::Value;

use crate::case::Case;

/// What the ledger names for observations and factors, in bytes.
fn named(line: &Value) -> i64 {
    let held = |name: &str| line["held"][name].as_i64().unwrap_or(0);
    held("observations") + held("factor")
}

fn clean_lines(case: &Case) -> Vec<Value> {
    let text = case.read("r/memory.jsonl");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("freed").is_some()).collect()
}

/// After every deep clean-up the resident size is within 5 % of that after the first one plus what is named since.
#[expect(clippy::print_stderr, reason = "says what was skipped")]
fn assert_level(lines: &[Value]) {
    let resident = |line: &Value| line["resident"].as_i64().unwrap();
    let first = &lines[0];
    if resident(first) == 0 {
        eprintln!("SKIPPED: this system does not tell what is resident");
        return;
    }
    for line in lines {
        let rule = resident(first) + named(line) - named(first);
        assert!(
            resident(line) * 100 <= rule * 105,
            "iteration {}: {} resident where {rule} are explained",
            line["iteration"],
            resident(line)
        );
    }
}

#[test]
fn what_an_iteration_keeps_is_named_to_the_byte() {
    let case = Case::new();
    case.bo("run --problem branin_williams --acquisition random --n-initial 2 --iterations 400 --checkpoint-every 400 --out r --quiet --no-supervise")
        .ok();
    let lines = clean_lines(&case);
    assert_eq!(lines.len(), 80);
    let unnamed = |line: &Value| line["after"]["host"].as_i64().unwrap() - named(line);
    // the first hundred fill tables that are built once
    let (first, last) = (&lines[30], &lines[79]);
    let grown = unnamed(last) - unnamed(first);
    // the model's vectors grow by doubling
    assert!(
        grown < 100 * 250,
        "{grown} bytes in 250 iterations that nothing names"
    );
    assert_level(&lines);
}

#[test]
fn the_main_job_stays_level() {
    let case = Case::new();
    case.bo("run --iterations 60 --n-w 2 --n-initial 2 --checkpoint-every 60 --out r --quiet --no-supervise")
        .ok();
    let lines = clean_lines(&case);
    assert_eq!(lines.len(), 12);
    assert_level(&lines);
}
