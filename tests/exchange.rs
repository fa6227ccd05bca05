//! Results in from other programs and out to them: `bo import`, `[observations]` of a space file, `bo export`.

use serde_json::Value;

use crate::case::Case;

/// A program that says where it was asked, and gives a smooth value.
const PROGRAM: &str = "import json\nq = json.loads(input())\nopen('asked', 'a').write(f\"{q['id']}\\n\")\n\
                       print(json.dumps({'id': q['id'], 'value': -(q['x']['a'] - 0.3) ** 2 - q['w'].get('light', 0)}))\n";

#[test]
fn a_run_goes_on_from_what_optuna_evaluated() {
    let mut table = "number,value,params_a,params_b,user_attrs_light,state\n".to_owned();
    for n in 0..12_u8 {
        let (a, light) = (f64::from(n) / 12.0, f64::from(n % 3) / 4.0);
        let value = -(a - 0.3_f64).powi(2) - light;
        let b = ["adam", "sgd"][usize::from(n) % 2];
        match n {
            // unlike what the program gives there
            0 => table += &format!("{n},0.125,{a},{b},{light},COMPLETE\n"),
            5 => table += &format!("{n},,{a},{b},{light},FAIL\n"),
            _ => table += &format!("{n},{value},{a},{b},{light},COMPLETE\n"),
        }
    }
    let case = Case::new().file("trials.csv", &table).file("p.py", PROGRAM);
    case.bo("import trials.csv --w light").ok().prints(&[
        "12 evaluations of 2 parameters in 3 environments",
        "1 of which failed",
        "bo run --command",
    ]);
    let run = "run --command 'python3 p.py' --space imported/space.toml --iterations 2 --n-initial 0 --n-w 2 --out r";
    case.bo(run)
        .ok()
        .says(&["12 evaluations done elsewhere, 1 of which failed"]);
    // what was evaluated is not asked for again
    assert_eq!(case.read("asked"), "12\n13\n");
    let lines = case.read("r/evaluations.jsonl");
    let first: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(first["x"][0].as_f64(), Some(1.0 / 12.0));
    assert_eq!(first["environment"], 1);
    let failed: Value = serde_json::from_str(lines.lines().nth(5).unwrap()).unwrap();
    assert_eq!(
        (&failed["value"], &failed["status"]),
        (&Value::Null, &Value::from("elsewhere"))
    );
    case.bo("verify r").ok();
    // another table is another run
    let table = case.read("imported/observations.csv");
    std::fs::write(
        case.path("imported/observations.csv"),
        format!("{table}0.5,sgd,0,1,\n"),
    )
    .unwrap();
    for accept in ["", "--accept-changed"] {
        case.bo(&format!("resume r --iterations +1 {accept}"))
            .code(2)
            .says(&["observations", "not what it was", "moved away"]);
    }
    // the tables may be gone by then
    std::fs::remove_dir_all(case.path("imported")).unwrap();
    case.bo("resume r --iterations +1").ok();
    assert_eq!(case.read("asked"), "12\n13\n14\n");
    // and all of it is what another run may begin with
    case.bo("export r --out observations.csv").ok();
    case.bo("import observations.csv --out again")
        .ok()
        .prints(&["15 evaluations", "parameters"]);
    // what it measures is asked of the program, whatever was evaluated elsewhere
    let measured = case.bo("evaluate r --x a=0,b=adam --json").ok().json();
    assert_eq!(
        measured["images"][0]["score"].as_f64(),
        Some(-(0.3_f64).powi(2))
    );
    case.bo("export r --out observations.csv")
        .code(2)
        .says(&["is there already"]);
    let json = case.bo("export r --format jsonl").ok().stdout;
    let last: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(last["id"], 14);
    assert!(last["x"]["b"].is_string());
}

#[test]
fn the_originals_checkpoints_go_in_and_out() {
    let row =
        |a: f64, light: f64| format!("[{a},0.6,0.05,1,0.7,0.05,5,5,{light},0.2,0.3,0.4,0.5,0.6]");
    let rows: Vec<String> = (0..6)
        .map(|n| row(f64::from(n), f64::from(n % 2)))
        .collect();
    let text = format!(
        r#"{{"iteration":1,"train_X_full":[{}],"train_Y":[[0.5],[0.6],[0.0],[0.7],[0.8],[0.4]],"best_cvar_history":[0.5]}}"#,
        rows.join(",")
    );
    let case = Case::new()
        .file("iter_001.json", &text)
        .file("p.py", "import json\nq = json.loads(input())\nprint(json.dumps({'id': q['id'], 'value': q['x']['simThresh1']}))\n");
    case.bo("import iter_001.json").ok().prints(&[
        "6 evaluations of 8 parameters in 2 environments of 6 variables",
        "1 values are exactly 0",
        "--failed-value 0",
    ]);
    case.bo("import iter_001.json")
        .code(2)
        .says(&["is there already", "--out"]);
    case.bo("import iter_001.json --failed-value 0 --out f")
        .ok()
        .prints(&["1 of which failed"]);
    case.bo("run --command 'python3 p.py' --space f/space.toml --iterations 1 --out r")
        .ok();
    case.bo("export r --format original --out o.json").ok();
    let out: Value = serde_json::from_str(&case.read("o.json")).unwrap();
    let given: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        out["train_X_full"][1][0].as_f64(),
        given["train_X_full"][1][0].as_f64()
    );
    // the failed one has no place there
    assert_eq!(out["train_Y"][2][0].as_f64(), Some(0.7));
}

#[test]
fn a_run_that_begins_with_nothing_is_refused_and_so_are_tables_of_something_else() {
    let space = "[x.a]\nlow = 0\nhigh = 1\n";
    let told = format!("{space}[observations]\nfile = \"o.csv\"\n");
    let case = Case::new()
        .file("space.toml", space)
        .file("told.toml", &told)
        .file("o.csv", "a,value\n0.5,1\n2,1\n");
    case.bo("run --command true --space space.toml --n-initial 0")
        .code(2)
        .says(&["nothing to begin with", "--n-initial 5"]);
    case.bo("run --n-initial 0").code(2).says(&["n-initial"]);
    case.bo("run --command true --space told.toml")
        .code(2)
        .says(&["o.csv", "line 3"]);
    case.bo("import space.toml")
        .code(2)
        .says(&["value is missing", "bo import --help"]);
    case.bo("export nowhere").code(3);
}
