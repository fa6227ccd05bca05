//! How a run decides: each acquisition, batches, several evaluations at once.

use crate::case::Case;

const SMALL: &str = "run --problem branin_williams --n-initial 3 --out r --quiet";

/// Evaluations in the order of ids, without what may differ.
fn evaluations(case: &Case, out: &str) -> Vec<String> {
    let text = case.read(&format!("{out}/evaluations.jsonl"));
    let mut lines: Vec<(u64, String)> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let parts = ["id", "iteration", "x", "w", "value", "status"];
            let text: Vec<String> = parts.iter().map(|part| line[part].to_string()).collect();
            (line["id"].as_u64().unwrap(), text.join(" "))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn every_acquisition_runs_is_resumed_and_verified() {
    for name in ["rho-kg", "cv-ucb", "log-nei", "thompson", "random"] {
        let case = Case::new();
        let words = format!("{SMALL} --acquisition {name}");
        case.bo(&format!("{words} --iterations 2")).ok();
        case.bo("resume r --iterations 4 --quiet").ok();
        case.bo("verify r").ok();
        let whole = words.replace("--out r", "--out whole");
        case.bo(&format!("{whole} --iterations 4")).ok();
        assert_eq!(
            evaluations(&case, "r"),
            evaluations(&case, "whole"),
            "{name}"
        );
    }
}

#[test]
fn batches_are_alike_however_many_are_evaluated_at_once() {
    let case = Case::new();
    let batch = format!("{SMALL} --iterations 3 --batch 3");
    case.bo(&batch).ok();
    case.bo(&format!("{} --jobs 3", batch.replace("--out r", "--out s")))
        .ok();
    let all = evaluations(&case, "r");
    assert_eq!(all.len(), 9 + 3 * 3);
    assert_eq!(all, evaluations(&case, "s"));
    for run in ["r", "s"] {
        case.bo(&format!("verify {run}")).ok();
        case.bo(&format!("resume {run} --iterations +1 --jobs 2 --quiet"))
            .ok();
    }
    assert_eq!(evaluations(&case, "r").len(), 9 + 4 * 3);
    assert_eq!(evaluations(&case, "r"), evaluations(&case, "s"));
    case.bo("show r").ok();
    case.bo("report r --out report.html").ok();
}

#[test]
fn more_at_once_than_are_decided_together_is_refused() {
    let done = Case::new().bo(&format!("{SMALL} --jobs 2"));
    assert_eq!(done.code, 2);
    done.says(&["jobs", "only 1 are decided together", "--batch 2"]);
}
