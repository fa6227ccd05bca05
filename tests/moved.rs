//! What a run does where its space file has moved or changed, where a fork is refused, where a record has a gap.

use std::fs;

use crate::case::Case;

const SPACE: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n[x.b]\nchoices = [3, \"c\"]\n[environments]\nfile = \"env.csv\"\n";
const TABLE: &str = "t,weight\n0.5,1\n1.5,2\n2.5,3\n";
const PROGRAM: &str = "read line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\necho \"{\\\"id\\\":$id,\\\"value\\\":0.5$id}\"\n";
const RUN: &str = "run --command 'sh o.sh' --space in/s.toml --n-initial 2 --n-w 2 --quiet --out";

fn case() -> Case {
    Case::new()
        .file("in/s.toml", SPACE)
        .file("in/env.csv", TABLE)
        .file("o.sh", PROGRAM)
}

/// The decisions of a run by their x, w and ids.
fn decided(case: &Case, run: &str) -> Vec<String> {
    let text = case.read(&format!("{run}/decisions.jsonl"));
    let decisions = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {} {}", line["id"], line["x"], line["w"])
    });
    decisions.collect()
}

#[test]
fn a_run_whose_space_file_and_table_are_gone_goes_on_from_its_record() {
    let case = case();
    case.bo(&format!("{RUN} long --iterations 4")).ok();
    case.bo(&format!("{RUN} r --iterations 2")).ok();
    fs::remove_dir_all(case.path("in")).unwrap();
    case.bo("verify r").ok();
    case.bo("resume r --iterations 4").ok().says(&[
        "s.toml is gone: it is taken from the record of the run",
        "env.csv is gone",
    ]);
    assert_eq!(decided(&case, "r"), decided(&case, "long"));
    // a checkpoint on its own holds it too
    fs::create_dir(case.path("alone")).unwrap();
    fs::copy(
        case.path("r/iter_002.json"),
        case.path("alone/iter_002.json"),
    )
    .unwrap();
    case.bo("resume alone/iter_002.json --iterations 4 --quiet")
        .ok();
    assert_eq!(decided(&case, "alone"), decided(&case, "long"));
    // with constraints the program is asked as before
    let constrained = format!("constraint = \"sh gate.sh\"\n{SPACE}");
    let case = case
        .file("in/s.toml", &constrained)
        .file("in/env.csv", TABLE)
        .file("gate.sh", "while read line; do echo yes; done\n");
    case.bo(&format!("{RUN} gated --iterations 1")).ok();
    fs::remove_dir_all(case.path("in")).unwrap();
    case.bo("resume gated --iterations 2 --quiet").ok();
    assert_eq!(decided(&case, "gated").len(), 2);
}

#[test]
fn a_change_is_accepted_where_it_can_be_and_refused_with_a_way_out_where_not() {
    let case = case();
    case.bo(&format!("{RUN} r --iterations 1")).ok();
    let commented = format!("# looked at\n{SPACE}");
    fs::write(case.path("in/s.toml"), &commented).unwrap();
    case.bo("resume r --iterations 2 --quiet")
        .code(2)
        .says(&["bo: space (", "--accept-changed"]);
    case.bo("resume r --iterations 2 --quiet --accept-changed")
        .ok();
    for (name, text) in [
        ("s.toml", commented.replace("1.0", "0.9")),
        ("env.csv", TABLE.replace("2.5", "2.6")),
    ] {
        let path = case.path("in").join(name);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        for words in [
            "resume r --iterations 3",
            "resume r --iterations 3 --accept-changed",
            // refused before the fork is made
            "resume r --iterations 3 --out fork",
            "resume r/iter_001.json --iterations 3 --out fork --no-supervise",
        ] {
            let done = case.bo(words).code(2).says(&["a run keeps its problem"]);
            let flag = words.contains("--accept-changed");
            let told = done
                .stderr
                .contains("--accept-changed takes no other problem");
            assert_eq!(flag, told, "{}", done.stderr);
            assert!(!case.path("fork").exists(), "{words}");
        }
        fs::write(&path, before).unwrap();
    }
    // it is the table that changed, not the run
    fs::write(case.path("in/env.csv"), TABLE.replace(",2", ",4")).unwrap();
    let done = case.bo("verify r").code(2).says(&[
        "bo: environments (",
        "not what it was when the run began",
        "put it back",
    ]);
    assert!(!done.stderr.contains("bo resume"), "{}", done.stderr);
    fs::write(case.path("in/env.csv"), TABLE).unwrap();
    case.bo("verify r").ok();
    // the way out: what the run has recorded of it
    fs::remove_file(case.path("in/s.toml")).unwrap();
    case.bo("resume r --iterations 3 --quiet").ok();
}

#[test]
fn a_fork_says_where_it_goes_on_and_nothing_of_restored_files() {
    let case = case();
    case.bo(&format!("{RUN} r --iterations 2 --checkpoint-every 1"))
        .ok();
    case.bo("resume r/result.json").code(3).says(&[
        "is no checkpoint",
        "name the run or one of its iter_NNN.json",
    ]);
    for (from, out) in [("r/iter_001.json", "fork"), ("r", "copy")] {
        let words = format!("resume {from} --iterations 3 --out {out}");
        let done = case.bo(&words).ok().says(&["going on in"]);
        for word in ["restored", "missing", "warning"] {
            assert!(!done.stderr.contains(word), "{}", done.stderr);
        }
        assert_eq!(decided(&case, out)[..2], decided(&case, "r")[..]);
        let again = format!("to run somewhere else: bo resume {from} --out {out}_2");
        case.bo(&words).code(2).says(&[&again]);
    }
}

#[test]
fn a_gap_in_the_record_is_refused_and_work_under_way_is_none() {
    let case = case();
    case.bo(&format!("{RUN} r --iterations 3 --batch 2")).ok();
    for entry in fs::read_dir(case.path("r")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("iter_") || name == "result.json" {
            fs::remove_file(path).unwrap();
        }
    }
    let whole = case.read("r/evaluations.jsonl");
    let without = |id: u64| -> String {
        let key = format!("\"id\":{id},");
        let kept = whole.lines().filter(|line| !line.contains(&key));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let journal = case.path("r/evaluations.jsonl");
    // of an iteration before the last, whether or not it could have been under way with those after it
    for id in [1, 4, 5, 7] {
        fs::write(&journal, without(id)).unwrap();
        let missing = format!("evaluation {id} is missing and no checkpoint holds it");
        case.bo("resume r").code(3).says(&[&missing]);
    }
    // of the last: its other member ended first
    fs::write(&journal, without(8)).unwrap();
    case.bo("resume r --quiet").ok();
    assert_eq!(case.read("r/evaluations.jsonl").lines().count(), 10);
}
