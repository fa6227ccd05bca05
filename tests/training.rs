//! Training and adapting: held to a budget, one process a folder, stopped and resumed, and an adapter in a run.

use std::process::Stdio;
use std::time::{Duration, Instant};

use image::{GrayImage, Luma, Rgb, RgbImage};

use crate::case::Case;

const TRAIN: &str = "train edge --scenes 20 --steps 1 --batch 4 --side 96 --loaders 2 --seed 1";

/// With a folder of images of a bright square and their edge maps.
fn squares(count: u32) -> Case {
    let case = Case::new();
    for folder in ["imgs", "gt"] {
        std::fs::create_dir(case.path(folder)).unwrap();
    }
    for i in 0..count {
        let inside = |x: u32, y: u32| (20 + i..60).contains(&x) && (15..50 + i).contains(&y);
        let image = RgbImage::from_fn(96, 80, |x, y| match inside(x, y) {
            true => Rgb([200, 180, 90]),
            false => Rgb([60, 70, (x + y) as u8]),
        });
        let edges = GrayImage::from_fn(96, 80, |x, y| {
            let near = |x: u32, y: u32| inside(x, y);
            let edge = near(x, y)
                && !(near(x + 1, y) && near(x - 1, y) && near(x, y + 1) && near(x, y - 1));
            Luma([if edge { 255 } else { 0 }])
        });
        image.save(case.path(&format!("imgs/{i}.png"))).unwrap();
        edges.save(case.path(&format!("gt/{i}.png"))).unwrap();
    }
    case
}

/// A number of MB that follows some words on stderr.
fn megabytes(said: &str, words: &str) -> f64 {
    let after = said.split(words).nth(1).expect(words);
    let number = after.split(" MB").next().expect("in MB");
    number.parse().expect("a number")
}

#[test]
fn a_budget_is_kept_by_named_remedies_and_the_steps_stay() {
    let case = Case::new();
    let free = case.bo(&format!("{TRAIN} --out free")).ok();
    assert!(!free.stderr.contains("held to it"), "{}", free.stderr);
    let losses = |out: &str| -> Vec<f64> {
        let loss =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64();
        let text = case.read(&format!("{out}/losses.jsonl"));
        text.lines().map(|line| loss(line).unwrap()).collect()
    };
    // ever tighter, until nothing that leaves the training as it is makes it fit
    let mut allowed = (megabytes(&free.stderr, "predicted ") * 1e6 / 1048576.0) as u32 - 2;
    let mut said = String::new();
    let refused = loop {
        let words = format!("{TRAIN} --out b{allowed} --host-memory-mb {allowed}");
        let held = case.bo(&words);
        if held.code != 0 {
            break held;
        }
        let took = megabytes(&held.stderr, "this process ") * 1e6;
        let most = f64::from(allowed) * 1048576.0;
        assert!(took < most, "{took} of {most}\n{}", held.stderr);
        for (a, b) in losses("free").iter().zip(losses(&format!("b{allowed}"))) {
            assert!((a - b).abs() < 1e-4, "{allowed}: {a} {b}");
        }
        said += &held.says(&["held to it"]).stderr;
        allowed -= if allowed > 50 { 5 } else { 1 };
    };
    for remedy in [
        "loader threads 1",
        "gradients of 2 added up",
        "gradients of 4 added up",
        "gradient checkpointing",
    ] {
        assert!(said.contains(remedy), "no {remedy} in\n{said}");
    }
    refused.code(2).says(&[
        "one crop at a time",
        "--side",
        "half precision would need a GPU",
    ]);
    assert!(!case.path(&format!("b{allowed}")).exists());
    for (more, code, said) in [
        (
            "--precision float16",
            2,
            "float16 needs a GPU, and this runs on the CPU",
        ),
        (
            "--device cpu --precision bfloat16",
            2,
            "--checkpoint-gradients",
        ),
        ("--precision double", 2, "none of float32, tf32"),
        ("--device gpu", 2, "\"gpu\" is no device"),
        ("--device cuda:99", 6, "type --device cpu"),
    ] {
        case.bo(&format!("{TRAIN} --out no {more}"))
            .code(code)
            .says(&[said]);
        assert!(!case.path("no").exists());
    }
    // less, since what is resident before differs a little from process to process
    let less = allowed - 4;
    case.bo(&format!(
        "train edge --out free --resume --host-memory-mb {less}"
    ))
    .code(2)
    .says(&["one crop at a time"]);
    // what is smaller by the remedy that was named fits
    let smaller = TRAIN.replace("--side 96", "--side 32");
    case.bo(&format!("{smaller} --out small --host-memory-mb {allowed}"))
        .ok();
}

#[test]
fn out_of_memory_in_a_step_goes_down_and_who_does_it_again_gets_the_same_bits() {
    let case = Case::new();
    let words = "train edge --scenes 20 --batch 4 --side 64 --loaders 1 --seed 1 --steps 12 \
                 --checkpoint-every 100 --judge-every 6";
    let falls = "oom crops 2 3";
    let whole = case.faulty(falls, &format!("{words} --out whole"));
    let said = whole.ok().stderr;
    let told = "memory: from step 4 on 2 crops at once; a step stays one of 4 crops";
    assert_eq!(said.matches("memory: from step").count(), 1, "{said}");
    assert!(said.contains(told), "{said}");
    assert!(case.read("whole/pace.json").contains("\"step\": 3"));
    // the steps are those of a training with room
    let free = case.bo(&format!("{words} --out free")).ok();
    assert!(!case.path("free/pace.json").exists());
    let losses = |out: &str| -> Vec<f64> {
        let loss =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64();
        let text = case.read(&format!("{out}/losses.jsonl"));
        text.lines().map(|line| loss(line).unwrap()).collect()
    };
    let pairs: Vec<(f64, f64)> = losses("free").into_iter().zip(losses("whole")).collect();
    assert_eq!(pairs.len(), 12);
    assert!(pairs[..3].iter().all(|(a, b)| a == b), "{pairs:?}");
    assert!(
        pairs.iter().all(|(a, b)| (a - b).abs() < 1e-3 * a),
        "{pairs:?}"
    );
    // killed after it went down, before any checkpoint: all steps are done again, with room for any pace
    let mut cut = case.command(&format!("{words} --out cut"));
    let mut cut = cut
        .env("BO_FAULT", falls)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let steps =
        || std::fs::read_to_string(case.path("cut/losses.jsonl")).map_or(0, |t| t.lines().count());
    let begun = Instant::now();
    while steps() < 5 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no step was done"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    cut.kill().unwrap();
    cut.wait().unwrap();
    assert!(!case.path("cut/state.safetensors").exists(), "too late");
    case.bo("train edge --out cut --resume").ok();
    assert_eq!(
        case.read("cut/losses.jsonl"),
        case.read("whole/losses.jsonl")
    );
    // below the last rung it says what to change, and nothing is lost
    let refused = case.faulty("oom all 2", &format!("{words} --out none"));
    refused
        .code(2)
        .says(&["one crop of 64 x 64 pixels at once", "--side", "--resume"]);
    let resumed = case.bo("train edge --out none --resume").ok();
    assert!(
        !resumed.stderr.contains("memory: from"),
        "{}",
        resumed.stderr
    );
    assert_eq!(
        case.read("none/losses.jsonl"),
        case.read("free/losses.jsonl")
    );
    // nor does what is shown depend on the stop
    let last = |said: &str| {
        let line = said.lines().find(|line| line.contains("step 12 of 12"));
        line.unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(last(&resumed.stderr), last(&free.stderr));
}

#[test]
fn a_training_goes_on_with_the_data_that_it_began_with() {
    let case = squares(4);
    let words = "adapt --images imgs --edges gt --side 64 --batch 1 --steps 4 --out t";
    case.bo(&format!("{words} --patience 1")).code(2).says(&[
        "patience",
        "of 4 examples none is held out",
        "10 examples or more",
    ]);
    assert!(!case.path("t").exists());
    case.faulty("oom all 2", words)
        .code(2)
        .says(&["too few examples to hold one out", "progress is not judged"]);
    let state = || std::fs::read(case.path("t/state.safetensors")).unwrap();
    let before = (
        state(),
        case.read("t/losses.jsonl"),
        case.read("t/inputs.json"),
    );
    std::fs::copy(case.path("imgs/0.png"), case.path("imgs/1.png")).unwrap();
    std::fs::remove_file(case.path("imgs/2.png")).unwrap();
    std::fs::copy(case.path("imgs/3.png"), case.path("imgs/9.png")).unwrap();
    std::fs::copy(case.path("gt/3.png"), case.path("gt/9.png")).unwrap();
    let refused = case.bo("adapt --out t --resume").code(2);
    refused.says(&[
        "what it reads is not what it was when it began",
        "imgs/1.png; gone:",
        "imgs/2.png; there, and not read any more:",
        "gt/2.png; new:",
        "bo adapt --out t --resume --accept-changed",
    ]);
    let after = (
        state(),
        case.read("t/losses.jsonl"),
        case.read("t/inputs.json"),
    );
    assert!(before == after, "refused, and changed all the same");
    case.bo("adapt --out t --resume --steps 9").code(2).says(&[
        "--steps",
        "the training in t has 4",
        "begin anew with more --steps",
    ]);
    case.bo("adapt --out t --resume --accept-changed")
        .ok()
        .says(&["step 4 of 4", "learned: t/adapter.safetensors"]);
    // noted, so that it is the rule from now on
    case.bo("adapt --out t --resume").ok();
    // one begun by a program that did not note its data
    std::fs::remove_file(case.path("t/inputs.json")).unwrap();
    case.bo("adapt --out t --resume").ok();
    assert!(case.path("t/inputs.json").exists());
    case.bo("adapt --images imgs --edges gt --learning-rate -1 --out u")
        .code(2)
        .says(&["learning-rate", "-1 is outside (0, 1]"]);
}

#[test]
fn one_process_trains_in_a_folder_and_a_stop_saves_at_once() {
    let case = Case::new();
    let words =
        "train edge --scenes 20 --steps 500 --batch 2 --side 64 --checkpoint-every 400 --out t";
    let begin = |words: &str| {
        case.command(words)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let first = begin(words);
    let begun = Instant::now();
    let steps =
        || std::fs::read_to_string(case.path("t/losses.jsonl")).map_or(0, |t| t.lines().count());
    while steps() < 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no step was done"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    case.bo(words)
        .code(4)
        .says(&["t: held by process", "another --out"]);
    case.bo("train edge --out t --resume")
        .code(4)
        .says(&["held by process"]);
    let pid = rustix::process::Pid::from_child(&first);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(
        said.contains("everything saved; go on: bo train edge --out t --resume"),
        "{said}"
    );
    // no step that was told is done again
    let done = steps();
    let second = begin("train edge --out t --resume");
    while steps() <= done {
        assert!(
            begun.elapsed() < Duration::from_secs(240),
            "no step was done"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    case.bo("stop t")
        .ok()
        .prints(&["t is saved; to go on: bo train edge --out t --resume"]);
    case.bo("resume t")
        .code(3)
        .says(&["a training, not a run", "bo train edge --out t --resume"]);
    assert_eq!(second.wait_with_output().unwrap().status.code(), Some(143));
    let numbers: Vec<usize> = case
        .read("t/losses.jsonl")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"]
                .as_u64()
                .unwrap() as usize
        })
        .collect();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
}

#[test]
fn an_adapter_is_learned_taken_by_a_run_and_refused_beside_other_weights() {
    let case = squares(4);
    let adapt = "adapt --images imgs --edges gt --side 64 --batch 1 --seed 3";
    case.bo(&format!(
        "{adapt} --steps 4 --checkpoint-every 2 --out whole"
    ))
    .ok()
    .says(&[
        "trained values of compact, 4 examples",
        "use it: bo run --adapter whole/adapter.safetensors",
    ]);
    // whoever may read the other files may read what was learned
    let mode = |name: &str| {
        let data = std::fs::metadata(case.path(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&data.permissions())
    };
    for name in ["adapter", "state"] {
        let name = format!("whole/{name}.safetensors");
        assert_eq!(mode(&name), mode("whole/losses.jsonl"), "{name}");
    }
    // the same seed learns the same values
    case.bo(&format!(
        "{adapt} --steps 4 --checkpoint-every 2 --out again"
    ))
    .ok();
    // the order of the header's entries is not fixed, that of the values is
    let state = |out: &str| {
        let bytes = std::fs::read(case.path(&format!("{out}/adapter.safetensors"))).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(state("whole") == state("again"));
    assert!(state("whole").len() < 250_000);
    case.bo("adapt --out again --resume --rank 2")
        .code(2)
        .says(&["--resume", "--rank"]);
    case.bo("adapt --out again --resume")
        .ok()
        .says(&["all 4 steps are done: nothing to do"]);

    let run = "run --scenes 1 --n-w 1 --n-initial 2 --iterations 0 --quiet --json";
    let plain = case.bo(&format!("{run} --out plain")).ok().json();
    let adapter = "--adapter whole/adapter.safetensors";
    let adapted = case
        .bo(&format!("{run} {adapter} --out adapted"))
        .ok()
        .json();
    assert_ne!(plain["incumbent"]["risk"], adapted["incumbent"]["risk"]);
    assert!(
        case.read("adapted/run.json")
            .contains("adapter.safetensors")
    );
    case.bo("resume adapted --iterations 1 --quiet").ok();
    case.bo("verify adapted").ok();
    case.bo("evaluate adapted").ok();
    // another adapter in its place is noticed
    let other = adapt.replace("--seed 3", "--seed 4");
    case.bo(&format!("{other} --steps 2 --out other")).ok();
    std::fs::copy(
        case.path("other/adapter.safetensors"),
        case.path("whole/adapter.safetensors"),
    )
    .unwrap();
    case.bo("resume adapted --iterations 2 --quiet")
        .code(2)
        .says(&["weights of compact"]);
    // one learned beside other weights
    let train = "train edge --images imgs --edges gt --steps 1 --batch 1 --side 64";
    case.bo(&format!("{train} --scenes 0 --out t"))
        .ok()
        .says(&["use it: bo run --weights t/weights.safetensors"]);
    case.bo(&format!("{train} --scenes 30 --out mixed"))
        .ok()
        .says(&[
            "64 examples",
            "50 % of the crops from 4 photographs, 30 % of the crops from 30 scenes",
        ]);
    case.bo(&format!(
        "{run} {adapter} --weights t/weights.safetensors --out wrong"
    ))
    .code(2)
    .says(&[
        "learned beside the weights of compact that ship",
        "these weights",
    ]);
    case.bo(&format!("{run} --adapter imgs/0.png --out wrong"))
        .code(2)
        .says(&["--adapter", "0.png"]);
    case.bo("run --problem branin11 --adapter whole/adapter.safetensors --out wrong")
        .code(2)
        .says(&["adapter", "no meaning"]);
    // lines instead of edge maps
    std::fs::create_dir(case.path("lines")).unwrap();
    for i in 0..4 {
        std::fs::write(case.path(&format!("lines/{i}.txt")), "5 5 80 70\n").unwrap();
    }
    case.bo("adapt --images imgs --labels lines --side 64 --steps 1 --out drawn")
        .ok()
        .says(&["4 examples"]);
    case.bo("adapt --out never").code(2).says(&["--images"]);
    case.bo("adapt --images imgs --out never")
        .code(2)
        .says(&["--edges"]);
}
