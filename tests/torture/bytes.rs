//! Damaged files through the whole program: it goes on with every evaluation as it was, or refuses with a reason.
//! The readers themselves are tried on far more in `record::mutation`.

use std::fs;

use super::runs::{Bench, lines, succeed};
use super::{Chance, long};

const FILES: [&str; 7] = [
    "evaluations.jsonl",
    "decisions.jsonl",
    "attempts.jsonl",
    "memory.jsonl",
    "iter_005.json",
    "run.json",
    "result.json",
];

/// Whether a check of the run has to name that damage. Nothing else holds starts and memory: a last line of those that was
/// cut, or lines that are missing altogether, look like a run that was killed.
fn must_be_noticed(file: &str, whole: &[u8], damaged: &[u8]) -> bool {
    let known: Vec<&[u8]> = whole.trim_ascii().split(|&byte| byte == b'\n').collect();
    let lines: Vec<&[u8]> = damaged.trim_ascii().split(|&byte| byte == b'\n').collect();
    let before_the_last = &lines[..lines.len() - 1];
    match file {
        "attempts.jsonl" | "memory.jsonl" => {
            before_the_last.iter().any(|line| !known.contains(line))
        }
        _ => lines != known,
    }
}

#[test]
fn damaged_runs_go_on_or_are_refused_with_a_reason() {
    let bench = Bench::new();
    let mut run = bench.bo(&["run", "--problem", "branin_williams", "--n-initial", "2"]);
    run.args(["--iterations", "5", "--out", "whole", "--quiet"]);
    succeed(&mut run);
    let whole = lines(&bench.path("whole/evaluations.jsonl"));
    let mut chance = Chance(3);
    let (mut went_on, mut refused) = (0, 0);
    for number in 0..if long() { 300 } else { 8 } {
        let out = bench.path(&format!("damaged_{number}"));
        fs::create_dir(&out).unwrap();
        let file = FILES[chance.below(FILES.len())];
        let mut noticed = false;
        for entry in fs::read_dir(bench.path("whole")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut bytes = fs::read(&path).unwrap();
            // half the time nothing else holds what is damaged
            if name.starts_with("iter_") && name != file && number % 2 == 0 {
                continue;
            }
            if name == file {
                let at = chance.below(bytes.len());
                match chance.below(3) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] ^= 1 << chance.below(8),
                    _ => drop(bytes.drain(at..bytes.len().min(at + 1 + chance.below(400)))),
                }
                noticed = must_be_noticed(file, &fs::read(&path).unwrap(), &bytes);
            }
            fs::write(out.join(&name), bytes).unwrap();
        }
        for words in [
            vec!["show"],
            vec!["verify"],
            vec!["resume", "--iterations", "6", "--quiet"],
        ] {
            let output = bench.bo(&words).arg(&out).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            if words[0] == "verify" && noticed {
                assert_eq!(code, Some(3), "verify found nothing wrong with {file}");
            }
            assert!(
                matches!(code, Some(0 | 3)),
                "{words:?} {file}: {code:?} {said}"
            );
            assert!(!said.contains("panicked"), "{said}");
            if words[0] != "resume" {
                continue;
            }
            if code == Some(3) {
                refused += 1;
                assert!(said.lines().count() >= 2, "{said}");
                continue;
            }
            went_on += 1;
            let now = lines(&out.join("evaluations.jsonl"));
            let known = |line: &&serde_json::Value| whole.iter().any(|old| old["id"] == line["id"]);
            for line in now.iter().filter(known) {
                let old = whole.iter().find(|old| old["id"] == line["id"]).unwrap();
                for part in ["x", "w", "value", "status", "iteration"] {
                    assert_eq!(line[part], old[part], "{file}");
                }
            }
        }
        fs::remove_dir_all(&out).unwrap();
    }
    eprintln!(
        "damaged files through the program: {went_on} went on unchanged, {refused} refused with a reason"
    );
}
