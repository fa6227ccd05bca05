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
    for name in [
        "rho-kg",
        "rho-kg-paths",
        "cv-ucb",
        "log-nei",
        "thompson",
        "random",
    ] {
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
fn a_trust_region_is_resumed_and_verified() {
    let case = Case::new();
    let words = format!("{SMALL} --high-dimension region");
    case.bo(&format!("{words} --iterations 3")).ok();
    case.bo("resume r --iterations 8 --quiet").ok();
    case.bo("verify r")
        .ok()
        .prints(&["8 decisions computed again: all agree"]);
    let whole = words.replace("--out r", "--out whole");
    case.bo(&format!("{whole} --iterations 8")).ok();
    assert_eq!(evaluations(&case, "r"), evaluations(&case, "whole"));
    // replayed from a checkpoint, every decision computed anew
    case.bo("resume r/iter_005.json --out replayed --quiet")
        .ok();
    assert_eq!(evaluations(&case, "r"), evaluations(&case, "replayed"));
    let plain = SMALL.replace("--out r", "--out plain");
    case.bo(&format!("{plain} --iterations 8")).ok();
    assert_ne!(evaluations(&case, "r"), evaluations(&case, "plain"));
    let manifest: serde_json::Value = serde_json::from_str(&case.read("r/run.json")).unwrap();
    assert_eq!(manifest["fixed"]["high-dimension"], "region");
}

#[test]
fn the_acquisition_unless_named_follows_the_problem() {
    for (problem, taken, other) in [
        ("hartmann6", "log-nei", "rho-kg"),
        ("branin11", "rho-kg", "log-nei"),
    ] {
        let case = Case::new();
        let words = format!("run --problem {problem} --iterations 1 --n-initial 4 --quiet --out");
        case.bo(&format!("{words} r")).ok();
        case.bo(&format!("{words} s --acquisition {taken}")).ok();
        case.bo(&format!("{words} t --acquisition {other}")).ok();
        // Two rules may well choose the same pair, but not for the same worth.
        let worths = |run: &str| -> Vec<String> {
            let text = case.read(&format!("{run}/decisions.jsonl"));
            let after = text.split("\"acquisition\":").skip(1);
            after
                .map(|rest| rest.split([',', '}']).next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            evaluations(&case, "r"),
            evaluations(&case, "s"),
            "{problem}"
        );
        assert_eq!(worths("r"), worths("s"), "{problem}");
        assert_ne!(worths("r"), worths("t"), "{problem}");
        let record = case.read("r/run.json");
        assert!(
            record.contains(&format!(r#""acquisition":"{taken}""#)),
            "{record}"
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
    case.bo("show r")
        .ok()
        .prints(&["with nine chances in ten, by the model"]);
    let result: serde_json::Value = serde_json::from_str(&case.read("r/result.json")).unwrap();
    let incumbent = &result["incumbent"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let (low, high) = (
        number(&incumbent["interval"][0]),
        number(&incumbent["interval"][1]),
    );
    assert!(low < high && (low..=high).contains(&number(&incumbent["risk"])));
    case.bo("report r --out report.html").ok();
}

#[test]
fn more_at_once_than_are_decided_together_is_refused() {
    let done = Case::new().bo(&format!("{SMALL} --jobs 2"));
    assert_eq!(done.code, 2);
    done.says(&["jobs", "only 1 are decided together", "--batch 2"]);
}

const SPACE: &str = r#"
[x.a]
low = 0.0
high = 1.0
[x.b]
low = 0
high = 9
type = "int"
[[constraint]]
coefficients = { a = 1.0, b = 0.1 }
at_most = 0.8
[[constraint]]
program = "sh gate.sh"
"#;
const OBJECTIVE: &str = "read line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\na=${line#*\\\"a\\\":}\na=${a%%,*}\n\
                         echo \"{\\\"id\\\":$id,\\\"value\\\":$a}\"\n";
/// Says no to b = 2.
const GATE: &str =
    "while read line; do\n  case $line in *'\"b\":2}'*) echo no;; *) echo yes;; esac\ndone\n";

fn constrained(gate: &str) -> Case {
    Case::new()
        .file("space.toml", SPACE)
        .file("objective.sh", OBJECTIVE)
        .file("gate.sh", gate)
}

const CONSTRAINED: &str = "run --command 'sh objective.sh' --space space.toml --n-initial 4 --iterations 3 --out r --quiet";

#[test]
fn known_constraints_hold_everywhere_and_are_resumed_and_verified() {
    let case = constrained(GATE);
    case.bo(CONSTRAINED).ok();
    case.bo("resume r --iterations +2 --quiet").ok();
    case.bo("verify r").ok();
    let told = case.read("r/evaluations.jsonl");
    let points: Vec<(f64, f64)> = told
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["status"], "ok", "{line}");
            (
                line["x"][0].as_f64().unwrap(),
                line["x"][1].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(points.len(), 9);
    for (a, b) in &points {
        assert!(a + 0.1 * b <= 0.8 && *b != 2.0, "{a} {b}");
    }
    let result: serde_json::Value = serde_json::from_str(&case.read("r/result.json")).unwrap();
    let x = &result["incumbent"]["x"];
    let (a, b) = (x["a"].as_f64().unwrap(), x["b"].as_f64().unwrap());
    assert!(a + 0.1 * b <= 0.8 && b != 2.0, "{x}");
    assert!(a > 0.6, "the objective is a: {x}");
}

#[test]
fn constraints_that_cannot_be_are_refused() {
    let nothing = constrained("while read line; do echo no; done\n").bo(CONSTRAINED);
    nothing
        .code(2)
        .says(&["constraint", "none of 16384 points"]);
    let silent = constrained("read line\n").bo(CONSTRAINED);
    silent
        .code(2)
        .says(&["constraint program sh: ended without a line yes or no"]);
    let unsure = constrained("while read line; do echo maybe; done\n").bo(CONSTRAINED);
    unsure.code(2).says(&[
        "constraint (set in ",
        "space.toml: constraint)",
        "answered \"maybe\", wanted yes or no",
    ]);
    for (from, to, said) in [
        ("a = 1.0", "rate = 1.0", "no parameter has this name"),
        ("at_most = 0.8", "at_mots = 0.8", "did you mean at_most?"),
        ("at_most = 0.8", "", "give at_most or at_least"),
        ("sh gate.sh", "", "names no program"),
    ] {
        let case = constrained(GATE).file("space.toml", &SPACE.replace(from, to));
        case.bo(CONSTRAINED).code(2).says(&[said]);
    }
}
