//! Each command does what it says, in words and as JSON.

use std::io::Read as _;
use std::process::Stdio;

use crate::case::Case;

const SMALL: &str = "run --problem branin_williams --iterations 3 --n-initial 3 --out r";

#[test]
fn a_run_ends_with_a_summary_on_stdout_and_progress_on_stderr() {
    let case = Case::new();
    let done = case.bo(SMALL).ok();
    let done = done.prints(&[
        "recommended after 3 iterations",
        "CVaR (mean of the worst 10 %) over all 12",
        "mean over all 12",
    ]);
    let done = done.prints(&[
        "worst environments",
        "12 evaluations, none failed",
        "fit",
        "acquire",
        "evaluate",
        "peak memory",
    ]);
    done.prints(&["bo resume r --iterations 6", "bo show r", "bo evaluate r"])
        .says(&[
            "alpha 0.1 over 3 environments",
            "judged at alpha 0.1 over all 12",
            "iteration 3/3",
            "by the model: CVaR",
            "left",
            "memory",
        ]);
    for name in [
        "run.json",
        "result.json",
        "evaluations.jsonl",
        "decisions.jsonl",
        "iter_000.json",
        "log.txt",
    ] {
        assert!(case.path("r").join(name).exists(), "{name}");
    }
    assert!(case.read("r/log.txt").contains("iteration 3/3"));
}

#[test]
fn quiet_says_nothing_and_json_is_one_object() {
    let done = Case::new().bo(&format!("{SMALL} --quiet --json")).ok();
    assert_eq!(done.stderr, "");
    let json = done.json();
    assert_eq!(json["evaluations"], 12);
    assert_eq!(json["history"].as_array().unwrap().len(), 3);
    assert!(json["incumbent"]["x"]["x1"].is_f64(), "{json}");
    assert!(json["incumbent"]["risk"].is_f64());
    assert_eq!(json["worst"].as_array().unwrap().len(), 5);
}

#[test]
fn the_summary_agrees_with_result_json() {
    let case = Case::new();
    let said = case.bo(&format!("{SMALL} --quiet --json")).ok().json();
    let file: serde_json::Value = serde_json::from_str(&case.read("r/result.json")).unwrap();
    assert_eq!(said["incumbent"]["x"], file["incumbent"]["x"]);
    assert_eq!(said["incumbent"]["risk"], file["incumbent"]["risk"]);
    assert_eq!(said["history"], file["history"]);
}

#[test]
fn a_file_of_settings_is_read_and_flags_win_over_it() {
    let case = Case::new().file(
        "bo.toml",
        "problem = \"branin11\"\niterations = 1\nn-initial = 3\nalpha = 0.5\nout = \"a\"\n",
    );
    let done = case
        .bo("run --config bo.toml --alpha 0.25 --quiet --json")
        .ok();
    assert_eq!(done.json()["risk_measure"], "CVaR (mean of the worst 25 %)");
    assert!(case.path("a/result.json").exists());
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let case = Case::new();
    let done = case.bo(&format!("{SMALL} --dry-run")).ok();
    done.prints(&[
        "12 environments",
        "9 evaluations, then 3 decisions",
        "nothing was run",
    ]);
    assert!(case.names().is_empty());
    case.bo("run --problem branin_williams --n-w 13 --dry-run")
        .code(2);
}

#[test]
fn show_reads_a_finished_run_in_words_and_as_json() {
    let case = Case::new();
    case.bo(&format!("{SMALL} --quiet")).ok();
    case.bo("show r").ok().prints(&[
        "r: finished, iteration 3 of 3",
        "of the recommendation",
        "bo resume r --iterations 6",
    ]);
    let json = case.bo("show r --json").ok().json();
    assert_eq!(
        (json["state"].as_str(), json["iteration"].as_u64()),
        (Some("finished"), Some(3))
    );
    case.bo("show nowhere").code(3).says(&["nowhere", "no run"]);
}

#[test]
fn a_longer_run_goes_on_and_a_finished_one_prints_its_result() {
    let case = Case::new();
    case.bo(&format!("{SMALL} --quiet")).ok();
    case.bo("resume r")
        .ok()
        .prints(&["recommended after 3 iterations"]);
    case.bo("resume r --iterations +2")
        .ok()
        .prints(&["recommended after 5 iterations", "14 evaluations"]);
    case.bo("run --problem branin_williams --iterations 5 --n-initial 3 --out whole --quiet")
        .ok();
    let result = |name: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&case.read(name)).unwrap();
        json.as_object_mut()
            .unwrap()
            .retain(|key, _| key != "seconds" && key != "crc");
        json
    };
    assert_eq!(result("r/result.json"), result("whole/result.json"));
    case.bo("resume r --iterations 2")
        .ok()
        .prints(&["recommended after 5 iterations"]);
}

#[test]
fn a_test_function_ends_with_the_truth_beside_its_optimum() {
    let case = Case::new();
    case.bo(
        "run --problem goldstein_price --iterations 1 --n-initial 3 --alpha 0.5 --out r --quiet",
    )
    .ok()
    .prints(&[
        "worst 50 %) over all 50 environments, in truth: ",
        "tail mass 0.1, in truth: ",
        "best known -2.394",
    ]);
    let result: serde_json::Value = serde_json::from_str(&case.read("r/result.json")).unwrap();
    let truth = &result["truth"];
    let number = |name: &str| truth[name].as_f64().unwrap();
    assert_eq!((number("tail"), number("best")), (0.1, -2.394390671));
    // A smaller tail is worse, and nothing is better than the best.
    assert!(number("cvar") < number("risk") && number("cvar") <= number("best"));
    // Seen again later, without the objective.
    case.bo("show r").ok().prints(&["in truth: "]);
}

#[test]
fn threads_change_no_number() {
    let case = Case::new();
    for threads in ["1", "3"] {
        case.bo(&format!("run --problem branin11 --iterations 3 --n-initial 3 --threads {threads} --out t{threads} --quiet")).ok();
    }
    let history = |name: &str| {
        let json: serde_json::Value = serde_json::from_str(&case.read(name)).unwrap();
        json["history"].to_string()
    };
    assert_eq!(history("t1/result.json"), history("t3/result.json"));
}

#[test]
fn evaluate_measures_the_recommendation_or_another_x() {
    let case = Case::new();
    case.bo(&format!("{SMALL} --quiet")).ok();
    case.bo("evaluate r")
        .ok()
        .prints(&["over 12, measured", "worst first"]);
    let json = case.bo("evaluate r --x x1=0.5,x2=0.25 --json").ok().json();
    assert_eq!(json["x"]["x2"], 0.25);
    assert_eq!(json["images"].as_array().unwrap().len(), 12);
    case.bo("evaluate r --x x3=0.5")
        .code(2)
        .says(&["x3", "did you mean", "known are x1, x2"]);
    case.bo("evaluate r --x x1=7")
        .code(2)
        .says(&["x1 cannot be", "from 0 to 1"]);
    case.bo("evaluate r --scenes 3")
        .code(2)
        .says(&["--scenes", "not of images"]);
}

#[test]
fn init_writes_examples_that_run_and_overwrites_nothing() {
    let case = Case::new();
    case.bo("init")
        .ok()
        .prints(&["bo.toml", "space.toml", "bo run --config"]);
    case.bo("run --config bo.toml --problem branin11 --iterations 1 --quiet --out r")
        .ok();
    case.bo("init")
        .code(2)
        .says(&["bo.toml", "nothing was changed"]);
}

#[test]
fn help_says_what_alpha_is() {
    Case::new()
        .bo("run --help")
        .ok()
        .prints(&["Tail mass", "BoTorch's alpha is 1 - ours"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let case = Case::new();
    case.bo(&format!("{SMALL} --quiet")).ok();
    for words in ["show r", "evaluate r --json", "run --help"] {
        let mut child = case
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(child.wait().unwrap().success(), "{words}: {said}");
        assert_eq!(said, "", "{words}");
    }
}

#[test]
fn generated_scenes_run_and_are_measured_on_others() {
    let case = Case::new();
    let done = case
        .bo("run --scenes 4 --iterations 1 --n-initial 2 --n-w 2 --out r")
        .ok();
    done.prints(&["edgeThresh1", "default", "worst scenes"])
        .says(&["no GPU: CPU", "over all 4"]);
    let json = case
        .bo("evaluate r --scenes 2 --scene-seed 5 --json")
        .ok()
        .json();
    assert_eq!(json["images"].as_array().unwrap().len(), 2);
    assert!(
        json["images"][0]["precision"].is_f64() && json["defaults"]["risk"].is_f64(),
        "{json}"
    );
    let defaults = case.bo("evaluate r --x defaults --json").ok().json();
    assert_eq!(defaults["x"]["simThresh1"], 0.98);
    // the one x that this seed draws is far worse than the defaults
    let advice = "the defaults measured better than what is recommended: to search on, bo resume d --iterations +30";
    case.bo("run --scenes 4 --iterations 0 --n-initial 1 --n-w 4 --seed 9 --out d --quiet")
        .ok();
    case.bo("evaluate d").ok().prints(&[advice]);
    let named = case.bo("evaluate d --x edgeThresh1=7").ok();
    assert!(
        !named.stdout.contains("measured better"),
        "{}",
        named.stdout
    );
}

#[test]
fn a_report_is_one_file_that_needs_nothing_else() {
    let case = Case::new().file("mine.html", "precious");
    case.bo(&format!("{SMALL} --quiet")).ok();
    case.bo("report r --out out.html")
        .ok()
        .prints(&["wrote out.html"]);
    let text = case.read("out.html");
    assert!(text.starts_with("<!doctype html>") && text.matches("<svg").count() >= 4);
    assert!(!text.contains("http") && !text.contains("<script") && !text.contains("NaN"));
    case.bo("report r --out out.html").ok();
    case.bo("report r --out mine.html")
        .code(2)
        .says(&["mine.html"]);
    case.bo("report r nowhere").code(3).says(&["nowhere"]);
    assert_eq!(case.read("mine.html"), "precious");
}

#[test]
fn plan_says_what_a_network_takes_and_what_fits() {
    let case = Case::new();
    case.bo("plan --width 12000 --height 8400 --host-memory-mb 3000")
        .ok()
        .prints(&["activations", "does not fit", "tiles of at most"]);
    let plan = case
        .bo("plan --edge-model dexined --train --batch 16 --width 192 --height 192 --host-memory-mb 1000 --json")
        .code(2)
        .says(&["this does not fit", "type --batch"])
        .json();
    assert_eq!(plan["format"], "bo/memory-plan");
    assert_eq!(plan["fits"], false);
    let needs = |key: &str| plan["needs"][key].as_u64().unwrap();
    // as bo adapt takes it: two numbers for each changed value, not for each weight
    assert!(needs("optimiser") < needs("model") / 10);
    assert!(!plan["remedies"].as_array().unwrap().is_empty());
    case.bo("plan --probe --host-memory-mb 1000")
        .ok()
        .prints(&["probe: a batch of"]);
    // what voters look at in a whole photograph fits, and tiles beside it do; then neither
    case.bo("plan --width 4000 --height 3000 --host-memory-mb 350")
        .ok()
        .prints(&["does not fit", "tiles of at most"]);
    case.bo("plan --width 4000 --height 3000 --host-memory-mb 150")
        .code(2)
        .says(&["are needed at least (decoding", "type --host-memory-mb"]);
    // networks that come without weights are tried with random ones
    for words in [
        "--edge-model pidinet-tiny --width 96 --height 64",
        "--edge-model dexined --width 64 --height 64",
        "--edge-model pidinet --train --batch 2 --width 64 --height 64",
    ] {
        let words = format!("plan {words} --probe --host-memory-mb 700 --json");
        let probe = &case.bo(&words).ok().json()["probe"];
        let number = |key: &str| probe[key].as_f64().unwrap();
        let off = number("predicted") / number("measured") - 1.0;
        assert!(off.abs() < 0.1, "{words}: {probe}");
    }
    // what has no layers has nothing to train and nothing to try
    case.bo("plan --edge-model canny --host-memory-mb 60")
        .ok()
        .prints(&["canny, looking at 640 x 480", "fits"]);
    for (flag, said) in [
        ("--train", "canny has no weights to train"),
        ("--probe", "there is nothing to try"),
        ("--batch 2", "one image at a time"),
    ] {
        case.bo(&format!("plan --edge-model canny {flag}"))
            .code(2)
            .says(&[said, "leave out", "--edge-model"]);
    }
    let step = case
        .bo("plan --train --probe --batch 2 --width 64 --height 64 --host-memory-mb 60 --json")
        .ok()
        .json();
    let probe = |key: &str| step["probe"][key].as_f64().unwrap();
    let off = probe("predicted") / probe("measured") - 1.0;
    assert!(off.abs() < 0.1 && probe("batch") >= 2.0, "{step}");
    let cards = case.bo("plan --cards --json").ok().json();
    let rows = cards["rows"].as_array().unwrap();
    // what bo run --edge-batch takes, and what bo train edge and bo adapt train
    assert!(rows.iter().all(|row| row["images"].as_u64().unwrap() <= 64));
    assert!(
        rows.iter()
            .all(|row| row["rank"].is_null() == (row["model"] == "compact"))
    );
    case.bo("plan --edge-model compcat")
        .code(2)
        .says(&["known are compact"]);
}

#[test]
fn gpu_without_one_says_so() {
    let case = Case::new();
    let mut command = case.command("gpu");
    let output = command.env("PATH", case.path("empty")).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no GPU: nvidia-smi"));
}
