//! Bad input ends with the documented exit code and a message that says what, where and what to do. Nothing is
//! overwritten, nothing panics.

use crate::case::Case;

const SPACE: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n";

#[test]
fn unknown_flags_and_values_are_refused() {
    let case = Case::new();
    case.bo("run --iteratoins 3")
        .code(2)
        .says(&["--iteratoins", "--iterations"]);
    case.bo("run --iterations many")
        .code(2)
        .says(&["many", "--iterations"]);
    case.bo("run --problem branin11 --n-initial 99999999999")
        .code(2)
        .says(&["n-initial", "too many"]);
    case.bo("run --problem branin_williams --n-initial 9999 --n-w all")
        .code(2)
        .says(&["n-initial", "119988 evaluations"]);
    case.bo("run --command x --space s --timeout 1e300")
        .code(2)
        .says(&["timeout"]);
    case.bo("run --acquisition best")
        .code(2)
        .says(&["best", "rho-kg"]);
    case.bo("frobnicate").code(2);
    case.bo("run --problem branin12")
        .code(2)
        .says(&["branin12", "did you mean branin11?"]);
    assert!(case.names().is_empty());
}

#[test]
fn alpha_outside_its_range_is_refused_wherever_it_was_set() {
    let case = Case::new().file("bo.toml", "alpha = 1.5\n");
    for alpha in ["0", "-0.1", "1.0001", "nan", "inf"] {
        let done = case
            .bo(&format!("run --problem branin11 --alpha {alpha}"))
            .code(2);
        done.says(&[
            "alpha (set by --alpha)",
            "outside (0, 1]",
            "type --alpha 0.1",
            "BoTorch",
        ]);
    }
    case.bo("run --config bo.toml")
        .code(2)
        .says(&["alpha (set in bo.toml: alpha)", "1.5"]);
    case.bo("run --config bo.toml --alpha 1 --problem branin11 --iterations 0 --quiet --out r")
        .ok();
}

#[test]
fn n_w_must_be_between_one_and_the_number_of_environments() {
    let case = Case::new();
    case.bo("run --problem branin_williams --n-w 0")
        .code(2)
        .says(&["n-w (set by --n-w)", "0 environments", "--n-w 3"]);
    case.bo("run --problem branin_williams --n-w 13")
        .code(2)
        .says(&["n-w", "13 is above", "12", "--n-w all"]);
    case.bo("run --scenes 2 --n-w 3")
        .code(2)
        .says(&["3 is above", "2"]);
    case.bo("run --problem branin_williams --initial-w 13")
        .code(2)
        .says(&["initial-w", "12"]);
    case.bo("run --problem branin11 --n-initial 0")
        .code(2)
        .says(&["n-initial", "0 is too few"]);
    assert!(case.names().is_empty());
}

#[test]
fn an_unknown_key_of_the_settings_file_names_the_nearest() {
    let case = Case::new()
        .file("bo.toml", "iterations = 3\nalhpa = 0.1\n")
        .file("b.toml", "iterations = \"x\"\n");
    case.bo("run --config bo.toml")
        .code(2)
        .says(&["bo.toml", "\"alhpa\"", "did you mean alpha?"]);
    case.bo("run --config b.toml")
        .code(2)
        .says(&["b.toml", "line 1"]);
    case.bo("run --config none.toml")
        .code(2)
        .says(&["none.toml", "bo init"]);
}

#[test]
fn a_file_without_end_is_refused_before_it_fills_the_memory() {
    let case = Case::new();
    case.bo("run --config /dev/zero").code(2).says(&[
        "/dev/zero",
        "larger than the 1 MB",
        "--config",
    ]);
    case.bo("run --command x --space /dev/zero").code(2).says(&[
        "/dev/zero",
        "larger than the 67 MB",
        "--space",
    ]);
    std::fs::create_dir(case.path("t")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", case.path("t/train.json")).unwrap();
    case.bo("train edge --out t --resume")
        .code(3)
        .says(&["train.json", "larger than the 1 MB"]);
}

#[test]
fn a_plan_of_training_with_a_number_that_cannot_be_is_refused() {
    let case = Case::new();
    let plan = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/training/edge"
    );
    let bytes = std::fs::read(plan).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let plan = text.split('\u{fffd}').next().unwrap();
    std::fs::create_dir(case.path("t")).unwrap();
    let large = plan.replace("\"batch\": 2", "\"batch\": 999999999999");
    std::fs::write(case.path("t/train.json"), large).unwrap();
    case.bo("train edge --out t --resume").code(3).says(&[
        "train.json",
        "batch: 999999999999 is too many; 4096 is the most",
    ]);
}

#[test]
fn a_flag_that_cannot_be_is_refused_also_where_nothing_is_left_to_do() {
    let case = Case::new()
        .file("s.toml", SPACE)
        .file("o.sh", "read line; echo '{\"id\":0,\"value\":1}'\n");
    let run = "run --command 'sh o.sh' --space s.toml --n-initial 1 --iterations 0 --out r --quiet";
    case.bo(run).ok();
    case.bo("resume r --timeout nan").code(2).says(&[
        "timeout (set by --timeout)",
        "NaN",
        "--timeout 60",
    ]);
    case.bo("resume r --timeout 5").ok();
}

#[test]
fn folders_without_usable_images_are_refused() {
    let case = Case::new()
        .file("labels.txt", "0 0 5 5\n")
        .file("empty/readme.txt", "no image");
    std::fs::create_dir(case.path("none")).unwrap();
    case.bo("run --images empty --labels labels.txt")
        .code(2)
        .says(&["empty", "jpg, png or bmp"]);
    let done = case.bo("run --images none --labels labels.txt").code(2);
    assert!(!done.stderr.contains("looking at"), "{}", done.stderr);
    case.bo("run --images nowhere --labels labels.txt")
        .code(2)
        .says(&["nowhere"]);
    case.bo("run --images empty")
        .code(2)
        .says(&["1 --images but 0 --labels"]);
    case.bo("run --labels labels.txt")
        .code(2)
        .says(&["labels", "only with --images"]);
}

#[test]
fn labels_that_match_no_image_are_refused() {
    let png: Vec<u8> = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    let case = Case::new()
        .file("photos/readme.txt", "")
        .file("labels/other_gt.txt", "0 0 5 5\n");
    std::fs::write(case.path("photos/one.png"), png).unwrap();
    let done = case.bo("run --images photos --labels labels").code(2);
    done.says(&["match no image", "one.png", "other", "--labels"]);
    let case = case.file(
        "odd.json",
        r#"{"one.png": {"coordinates": {"x1": 1, "y1": 2}}}"#,
    );
    let odd = case.bo("run --images photos --labels odd.json").code(2);
    let odd = odd.says(&["none of the names that are known: longi_left_lower"]);
    assert!(!odd.stderr.contains("looking at"), "{}", odd.stderr);
}

#[test]
fn an_output_that_cannot_be_is_refused() {
    let case = Case::new().file("file", "x");
    case.bo("run --problem branin11 --out file").code(2).says(&[
        "file",
        "needs a directory",
        "--out",
    ]);
    case.bo("run --problem branin11 --out /proc/nowhere/r")
        .code(2)
        .says(&["/proc/nowhere/r", "--out"]);
    case.bo("show file")
        .code(3)
        .says(&["not a run", "bo show ."]);
    assert_eq!(case.read("file"), "x");
}

#[test]
fn two_objectives_are_one_too_many() {
    let case = Case::new();
    case.bo("run --problem branin11 --scenes 3")
        .code(2)
        .says(&["one objective"]);
    case.bo("run --command 'sh x'")
        .code(2)
        .says(&["--space", "bo init"]);
    case.bo("run --problem branin11 --timeout 3")
        .code(2)
        .says(&["timeout", "only with --command"]);
}

#[test]
fn a_space_file_with_a_mistake_is_named_with_its_line() {
    let case = Case::new()
        .file("s.toml", "[x.a]\nlow = 2.0\nhigh = 1.0\n")
        .file("t.toml", SPACE);
    case.bo("run --command 'sh o.sh' --space s.toml")
        .code(2)
        .says(&["s.toml", "line 3: x.a.high", "low must be below high"]);
    case.bo("run --command 'sh o.sh' --space none.toml")
        .code(2)
        .says(&["none.toml"]);
    case.bo("run --command no-such-program --space t.toml")
        .code(2)
        .says(&["no-such-program", "PATH"]);
    case.bo("run --command 'sh \"o' --space t.toml")
        .code(2)
        .says(&["command", "quote"]);
}

#[test]
fn a_directory_with_a_run_is_left_alone() {
    let case = Case::new();
    let run = "run --problem branin11 --iterations 1 --n-initial 2 --out r --quiet";
    case.bo(run).ok();
    let before = case.read("r/evaluations.jsonl");
    case.bo(run)
        .code(2)
        .says(&["already holds a run", "bo resume r", "bo run --out r_2"]);
    case.bo("run --problem branin11 --out r --dry-run").code(2);
    // a setting that cannot be is told of before: it is as wrong elsewhere
    case.bo(&format!("{run} --alpha 7"))
        .code(2)
        .says(&["alpha (set by --alpha): 7 is outside"]);
    assert_eq!(case.read("r/evaluations.jsonl"), before);
}

#[test]
fn a_checkpoint_cut_in_half_is_named_and_the_newest_good_one_offered() {
    let case = Case::new();
    case.bo(
        "run --problem branin11 --iterations 2 --n-initial 2 --checkpoint-every 1 --out r --quiet",
    )
    .ok();
    let text = case.read("r/iter_002.json");
    std::fs::write(case.path("r/iter_002.json"), &text[..text.len() / 2]).unwrap();
    let done = case.bo("resume r/iter_002.json --iterations 3").code(3);
    done.says(&["iter_002.json", "damaged", "iter_001.json"]);
    assert_eq!(case.read("r/iter_002.json").len(), text.len() / 2);
    case.bo("resume nowhere").code(3).says(&["nowhere"]);
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_when_asked_for() {
    let case = Case::new();
    if cfg!(feature = "cuda") {
        return;
    }
    for objective in ["--problem branin11", "--scenes 2"] {
        let done = case.bo(&format!("run {objective} --device cuda:0")).code(6);
        done.says(&["cuda:0", "--device", "without CUDA", "--device cpu"]);
    }
    case.bo("run --device gpu")
        .code(2)
        .says(&["\"gpu\"", "cuda:0"]);
    assert!(case.names().is_empty());
}

#[test]
fn another_process_at_work_comes_before_everything() {
    let case = Case::new().file("t.toml", SPACE).file("o.sh", "sleep 30");
    let mut first = case
        .command("run --command 'sh o.sh' --space t.toml --out r --quiet")
        .spawn()
        .unwrap();
    while !case.path("r/attempts.jsonl").exists() || case.read("r/attempts.jsonl").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done = case.bo("run --problem branin11 --out r").code(4);
    done.says(&["held by", &first.id().to_string(), "bo show r"]);
    case.bo("resume r").code(4);
    case.bo("show r").ok().prints(&["running"]);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&first),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(143));
    case.bo("show r")
        .ok()
        .prints(&["interrupted", "bo resume r"]);
}
