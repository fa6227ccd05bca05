//! Images as environments: corrupted ones, what is kept of them, pictures, detection without labels, training.

use crate::case::Case;

const SMALL: &str =
    "run --scenes 2 --environment both --environments 3 --n-w 2 --n-initial 1 --quiet --json";

/// Two photographs of a dark line in `photos`, labelled in `labels`.
fn photographs() -> Case {
    let case = Case::new()
        .file("photos/readme.txt", "")
        .file("labels/a_gt.txt", "10 20 80 21\n")
        .file("labels/b_gt.txt", "10 50 80 52\n");
    for (name, row) in [("a", 20), ("b", 51)] {
        let image = image::RgbImage::from_fn(96, 80, |x, y| match y.abs_diff(row) {
            0 | 1 => image::Rgb([20, 20, 25]),
            _ => image::Rgb([180, 170, (x + y) as u8]),
        });
        image
            .save(case.path(&format!("photos/{name}.png")))
            .unwrap();
    }
    case
}

#[test]
fn images_that_have_moved_are_found_again_by_their_content() {
    let case = photographs();
    case.bo(
        "run --images photos --labels labels --n-initial 1 --n-w 2 --iterations 1 --out r --quiet",
    )
    .ok();
    for name in ["photos", "labels"] {
        std::fs::rename(case.path(name), case.path(&format!("moved-{name}"))).unwrap();
    }
    let there = "--images moved-photos --labels moved-labels";
    for words in ["resume r --iterations 2", "verify r"] {
        case.bo(words).code(2).says(&[
            "set in the record of the run",
            "say where it is now: bo resume r --images DIR --labels PATH",
        ]);
    }
    let other = std::fs::read(case.path("moved-photos/a.png")).unwrap();
    std::fs::copy(
        case.path("moved-photos/b.png"),
        case.path("moved-photos/a.png"),
    )
    .unwrap();
    case.bo(&format!("resume r --iterations 2 {there}"))
        .code(2)
        .says(&["image a.png", "not what it was when the run began"]);
    std::fs::write(case.path("moved-photos/a.png"), other).unwrap();
    case.bo(&format!("resume r --iterations 2 {there} --quiet"))
        .ok();
    // from now on the record knows the place
    case.bo("resume r --iterations 3 --quiet").ok();
    case.bo("verify r").ok();
    assert_eq!(case.read("r/decisions.jsonl").lines().count(), 3);
}

#[test]
fn where_labels_name_no_regions_false_lines_cost_and_it_is_said() {
    let case = photographs();
    case.bo("run --images photos --labels labels --n-initial 1 --n-w 2 --iterations 1 --out r")
        .ok()
        .says(&["2 of 2 images have labels without regions: their score is F"]);
    // thresholds at which next to everything is grown
    let loose = "edgeThresh1=-23,edgeThresh2=-23,pixelRatio1=0.01,pixelRatio2=0.01";
    let measured = case
        .bo(&format!("evaluate r --json --x {loose}"))
        .ok()
        .json();
    for image in measured["images"].as_array().unwrap() {
        assert_eq!(image["score"], image["f"], "{image}");
        assert!(image["f"].as_f64() <= image["lp"].as_f64(), "{image}");
    }
    let run: serde_json::Value = serde_json::from_str(&case.read("r/run.json")).unwrap();
    assert_eq!(run["hashes"]["score of images without regions"], "F");
    case.bo("evaluate r")
        .ok()
        .prints(&["coverage", "they replace 2 of an earlier evaluation"]);

    // what was changed is measured as it is, and said; what is missing is asked for
    let b = std::fs::read(case.path("photos/b.png")).unwrap();
    std::fs::copy(case.path("photos/a.png"), case.path("photos/b.png")).unwrap();
    case.bo("evaluate r")
        .ok()
        .says(&["image b.png: not what it was when the run began; measured as it is now"]);
    std::fs::remove_file(case.path("photos/b.png")).unwrap();
    let refused = case.bo("resume r --iterations +1").code(2);
    refused.says(&[
        "environments",
        "fewer than when the run began",
        "--images DIR",
    ]);
    std::fs::write(case.path("photos/b.png"), b).unwrap();

    // pictures never go among the photographs
    let photos = || std::fs::read_dir(case.path("photos")).unwrap().count();
    let before = photos();
    case.bo("detect r --images photos --out photos.json")
        .ok()
        .says(&["pictures in photos.pictures"]);
    assert_eq!(photos(), before);

    // an image that cannot be read: the others are done, and the code says that it was not
    std::fs::write(case.path("photos/c.png"), "broken").unwrap();
    case.bo("detect r --images photos --out found.json")
        .code(2)
        .prints(&["of 3 images"])
        .says(&["c.png: ", "1 of 3 images gave no lines"]);
    assert!(case.path("found.json").is_file());
}

#[test]
fn what_is_amiss_with_images_labels_and_regions_is_said_once_with_its_name() {
    let case = photographs();
    // a photograph whose copy was broken off: it decodes, its lower part made up
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let photograph = image::open(case.path("photos/b.png")).unwrap();
    photograph
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    std::fs::remove_file(case.path("photos/b.png")).unwrap();
    std::fs::write(case.path("photos/b.jpg"), &jpeg[..jpeg.len() - 200]).unwrap();
    std::fs::write(case.path("labels/a_gt.txt"), "-500 20 9000 30\n").unwrap();
    let broken = "b.jpg: the file breaks off before its end";
    let outside = "a.png: labelled lines reach beyond the image";
    let once = |said: &str, words: &str| assert_eq!(said.matches(words).count(), 1, "{said}");
    let run = "run --images photos --labels labels --n-initial 1 --n-w 2 --iterations 0 --out r";
    for words in [run, "evaluate r", "resume r --iterations 1"] {
        let said = case.bo(words).ok().stderr;
        once(&said, broken);
        once(&said, outside);
    }
    let case = case.file(
        "roi.json",
        r#"{"*": [[10, 10, 99999, 60], [500, 10, 600, 60]], "a.png": [[0, 0, 96, 80]]}"#,
    );
    let detected = case.bo("detect r --images photos --roi roi.json --out d.json");
    let said = detected.ok().stderr;
    once(&said, broken);
    once(
        &said,
        "b.jpg: region [10, 10, 99999, 60] reaches beyond the image",
    );
    once(
        &said,
        "b.jpg: region [500, 10, 600, 60] lies outside of the image",
    );
    assert!(!said.contains("a.png: region"), "{said}");
    // something behind the end harms nobody
    std::fs::write(case.path("photos/b.jpg"), [&jpeg[..], b"behind"].concat()).unwrap();
    let said = case.bo("detect r --images photos --out d.json").ok().stderr;
    assert!(!said.contains("breaks off"), "{said}");
    // the labels of this run name no regions either
    assert!(!said.contains("--roi"), "{said}");
}

#[test]
fn corrupted_images_are_environments_and_a_deleted_cache_changes_nothing() {
    let case = Case::new();
    let whole = case
        .bo(&format!("{SMALL} --iterations 2 --out a"))
        .ok()
        .json();
    case.bo(&format!("{SMALL} --iterations 1 --out b")).ok();
    std::fs::remove_dir_all(case.path("b/cache")).unwrap();
    let resumed = case
        .bo("resume b --iterations 2 --quiet --json")
        .ok()
        .json();
    assert_eq!(whole["incumbent"], resumed["incumbent"]);
    assert_eq!(whole["history"], resumed["history"]);
    let values = |run: &str| -> Vec<serde_json::Value> {
        let text = case.read(&format!("{run}/evaluations.jsonl"));
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines()
            .map(|text| serde_json::json!([line(text)["w"], line(text)["value"]]))
            .collect()
    };
    assert_eq!(values("a"), values("b"));
    // what was done to the worst ones is said
    case.bo("show a")
        .ok()
        .prints(&["worst scenes there", "    brightness ", ", rotation "]);
    let run: serde_json::Value = serde_json::from_str(&case.read("a/run.json")).unwrap();
    assert_eq!(run["w"].as_array().unwrap().len(), 11);
    assert_eq!(run["environments"].as_array().unwrap().len(), 3);
    case.bo("run --scenes 2 --environments 9 --out c")
        .code(2)
        .says(&["--environment corruptions"]);

    let measured = case
        .bo("evaluate a --environment features --json")
        .ok()
        .json();
    assert_eq!(measured["images"].as_array().unwrap().len(), 2);
    assert!(measured["images"][0]["corner_error"].is_f64(), "{measured}");
    assert_eq!(measured["pictures"].as_array().unwrap().len(), 2);

    let case = case.file(
        "roi.json",
        r#"{"*": [{"bounds": [0, 0, 640, 90], "kind": "fillet"}, [700, 0, 1280, 480]]}"#,
    );
    let without = "the run looked for one line in each region that its labels name";
    case.bo("detect a --images a/worst --out whole.json")
        .ok()
        .says(&[without, "give --roi FILE"]);
    let detected = case
        .bo("detect a --images a/worst --roi roi.json --out found.json")
        .ok()
        .prints(&["of 2 images"]);
    assert!(!detected.stderr.contains(without), "{}", detected.stderr);
    let found: serde_json::Value = serde_json::from_str(&case.read("found.json")).unwrap();
    for image in found["images"].as_array().unwrap() {
        assert_eq!(
            (image["width"].as_u64(), image["height"].as_u64()),
            (Some(1280), Some(480))
        );
        assert!(image["lines"].as_array().unwrap().len() <= 2);
        assert!(case.path(image["overlay"].as_str().unwrap()).is_file());
    }
    let slip = case.file("slip.json", r#"{"nobody.png": [[0, 0, 9, 9]]}"#);
    slip.bo("detect a --images a/worst --out roi.json")
        .code(2)
        .says(&["not written by bo detect"]);
    slip.bo("detect a --images a/worst --roi slip.json --out bare")
        .ok()
        .says(&["slip.json: no image is named nobody.png"]);
    assert!(slip.path("bare").is_file() && slip.path("bare.pictures").is_dir());
    let case = slip;
    for threads in [
        "detect a --images a/worst --threads 0",
        "evaluate a --threads 100000",
    ] {
        case.bo(threads).code(2).says(&["threads"]);
    }
    case.bo("detect a --images a --out none.json")
        .code(2)
        .says(&["no jpg, png or bmp"]);
}

/// The values that a run recorded, all of them numbers.
#[test]
fn out_of_memory_the_batch_falls_and_the_next_process_begins_with_what_was_safe() {
    let case = Case::new();
    let run = "run --scenes 4 --n-w all --n-initial 1 --iterations 1 --seed 3";
    let scarce = |words: &str| {
        let mut command = case.command(words);
        command.env("BO_FAULT", "oom batch 2").output().unwrap()
    };
    let done = scarce(&format!("{run} --edge-batch 4 --out a"));
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let steps = [
        "memory: out of memory with a batch of 4: going on with 3",
        "memory: out of memory with a batch of 3: going on with 2",
        "memory: batches of 2 images, planned to take",
    ];
    case.bo("show a").ok().prints(&steps.map(|step| &step[8..]));
    for step in steps {
        assert!(said.contains(step), "{step}: {said}");
        assert!(case.read("a/log.txt").contains(step), "{step}");
    }
    // one by one gives the same bits
    case.bo(&format!("{run} --quiet --out b")).ok();
    assert_eq!(case.values("a"), case.values("b"));
    // other images, the same size: nothing is tried again that failed
    case.bo("evaluate a --scenes 4 --scene-seed 7 --json")
        .ok()
        .says(&["beginning with batches of 2 images, which went well before"]);
}

#[test]
fn out_of_memory_below_the_budget_an_image_is_seen_in_tiles_with_the_same_bits() {
    let case = Case::new();
    let run = "run --scenes 2 --n-w all --n-initial 1 --iterations 1 --seed 3 --quiet";
    let mut command = case.command(&format!("{run} --out a"));
    let done = command
        .env("BO_FAULT", "oom window 250000")
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let log = case.read("a/log.txt");
    assert!(log.contains("memory: the image is seen in"), "{log}");
    case.bo(&format!("{run} --out b")).ok();
    assert!(!case.read("b/log.txt").contains("the image is seen in"));
    assert_eq!(case.values("a"), case.values("b"));
}

#[test]
fn a_budget_without_room_for_a_sensible_tile_is_refused_with_the_least_that_is() {
    let case = Case::new();
    let run = "run --scenes 2 --n-w all --n-initial 1 --iterations 1 --quiet --out";
    let refused = case
        .bo(&format!("{run} a --host-memory-mb 1"))
        .code(2)
        .says(&["the least that compact takes"]);
    assert!(!case.path("a/run.json").exists());
    let enough = refused.named("--host-memory-mb");
    case.bo(&format!("{run} a --host-memory-mb {}", enough - 3))
        .code(2);
    case.bo(&format!("{run} a --host-memory-mb {enough}")).ok();
}

#[test]
fn verify_leaves_the_cache_as_it_is_and_pictures_of_two_evaluations_are_not_mixed() {
    let case = Case::new();
    case.bo(&format!("{SMALL} --iterations 1 --out a")).ok();
    std::fs::remove_dir_all(case.path("a/cache")).unwrap();
    case.bo("verify a").ok();
    assert!(!case.path("a/cache").exists());
    let pictures = || {
        let files = std::fs::read_dir(case.path("a/worst")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "png"))
            .count()
    };
    case.bo("evaluate a --environment features").ok();
    std::fs::write(case.path("a/worst/mine.png"), "x").unwrap();
    case.bo("evaluate a --scenes 2 --scene-seed 5 --environment features")
        .ok();
    assert_eq!(
        pictures(),
        3,
        "two of this evaluation, and what is not ours"
    );
}

#[test]
fn training_leaves_weights_that_a_run_takes_and_is_never_overwritten() {
    let case = Case::new();
    let train = "train edge --scenes 20 --steps 2 --batch 1 --accumulate 2 --side 32 --out t";
    case.bo(train)
        .ok()
        .says(&["step 2 of 2", "held out", "weights.safetensors"]);
    assert_eq!(case.read("t/losses.jsonl").lines().count(), 2);
    assert!(case.read("t/losses.svg").starts_with("<svg xmlns"));
    let state = std::fs::read(case.path("t/state.safetensors")).unwrap();
    case.bo(train)
        .code(2)
        .says(&["holds a training", "--resume"]);
    case.bo("train edge --out t --resume --steps 9")
        .code(2)
        .says(&["--resume", "--steps"]);
    case.bo("train edge --out t --resume").ok();
    assert_eq!(
        std::fs::read(case.path("t/state.safetensors"))
            .unwrap()
            .len(),
        state.len()
    );
    assert_eq!(case.read("t/losses.jsonl").lines().count(), 2);
    case.bo("run --scenes 1 --weights t/weights.safetensors --dry-run")
        .ok();

    let from = |out: &str| train.replace("--out t", &format!("--out u --start {out}"));
    case.bo(&from("t/losses.svg")).code(2).says(&["--start"]);
    assert!(!case.path("u").exists());
    case.bo(&from("t/weights.safetensors")).ok();
    let losses = case.read("u/losses.jsonl");
    assert_ne!(losses, case.read("t/losses.jsonl"));
    // killed before its first checkpoint, it still begins with the weights that were named
    std::fs::remove_file(case.path("u/state.safetensors")).unwrap();
    case.bo("train edge --out u --resume").ok();
    assert_eq!(losses, case.read("u/losses.jsonl"));
    std::fs::write(case.path("u/state.safetensors"), "no tensors").unwrap();
    case.bo("train edge --out u --resume")
        .code(3)
        .says(&["state.safetensors"]);
}

#[test]
fn a_lost_device_is_explained_and_a_new_process_goes_on_with_the_same_numbers() {
    let case = Case::new();
    let run = "run --scenes 2 --n-w all --n-initial 1 --iterations 1 --seed 3";
    let lost = |words: &str| {
        let mut command = case.command(words);
        command.env("BO_FAULT", "lost attempt 2").output().unwrap()
    };
    let done = lost(&format!("{run} --out a"));
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let evidence = case.read("a/postmortem-001.json");
    let verdict = "a GPU fault: CUDA_ERROR_ECC_UNCORRECTABLE, its memory has an error that ECC cannot correct";
    assert!(evidence.contains(verdict), "{evidence}");
    assert!(
        said.contains(verdict) && !case.path("a/postmortem-002.json").exists(),
        "{said}"
    );
    // with nobody watching it ends, resumable
    let done = lost(&format!("{run} --no-supervise --out b"));
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(7), "{said}");
    assert!(said.contains("bo resume b"), "{said}");
    case.bo("resume b").ok();
    case.bo(&format!("{run} --quiet --out whole")).ok();
    let whole = recorded(&case, "whole");
    assert!(whole.len() > 2 && recorded(&case, "a") == whole && recorded(&case, "b") == whole);
}

/// Recorded values, in the order of ids.
fn recorded(case: &Case, run: &str) -> Vec<serde_json::Value> {
    let text = case.read(&format!("{run}/evaluations.jsonl"));
    let value =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].clone();
    text.lines().map(value).collect()
}

#[test]
fn a_refused_fork_of_a_run_on_images_leaves_nothing_behind() {
    let case = Case::new().file("in/a_gt.txt", "5 24 60 24\n");
    let picture =
        image::GrayImage::from_fn(64, 48, |_, y| image::Luma([if y < 24 { 40 } else { 200 }]));
    picture.save(case.path("in/a.png")).unwrap();
    case.bo("run --images in --labels in --n-w 1 --n-initial 2 --iterations 1 --out r --quiet")
        .ok();
    std::fs::write(case.path("in/a_gt.txt"), "5 30 60 30\n").unwrap();
    for more in ["", "--no-supervise"] {
        case.bo(&format!("resume r --iterations 2 --out fork {more}"))
            .code(2)
            .says(&["not what it was when the run began"]);
        assert_eq!(case.names(), ["in", "r"]);
    }
    // a folder that was there stays, with what was in it
    std::fs::create_dir(case.path("fork")).unwrap();
    case.bo("resume r --iterations 2 --out fork --no-supervise")
        .code(2);
    assert!(case.path("fork").is_dir() && !case.path("fork/cache").exists());
}
