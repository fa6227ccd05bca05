//! Runs on what finds edges beside the network that ships: networks with random weights of the right form, files that are wrong,
//! and Canny.

use std::collections::HashMap;

use bo_vision::edge::{EdgeModel, Weights};
use candle_core::{Device, Tensor};

use crate::case::Case;

/// Two images of 64 x 64 with a labelled line each.
fn images() -> Case {
    let case = Case::new()
        .file("imgs/a_gt.txt", "5 20 60 20\n")
        .file("imgs/b_gt.txt", "5 40 60 44\n");
    for (name, row) in [("a", 20u32), ("b", 42)] {
        let image = image::RgbImage::from_fn(64, 64, |x, y| match y.abs_diff(row) {
            0..2 => image::Rgb([230, 230, 230]),
            _ => image::Rgb([(x + 2 * y) as u8, 80, 90]),
        });
        image.save(case.path(&format!("imgs/{name}.png"))).unwrap();
    }
    case
}

/// Random weights, as tensors of a file.
fn drawn(model: EdgeModel) -> HashMap<String, Tensor> {
    let weights = Weights::drawn(model);
    let tensor = |name: &str| {
        let shape = weights.shape(name).unwrap();
        let tensor = weights.take(name, shape, &Device::Cpu).unwrap();
        (name.to_owned(), tensor)
    };
    weights.names().map(tensor).collect()
}

/// A run with random weights goes to its end, and each way of spoiling `victim` is refused by its name.
fn check(model: EdgeModel, victim: &str) {
    let tensors = drawn(model);
    let case = images();
    let weights = case.path("w.safetensors");
    let run = format!(
        "run --images imgs --labels imgs --edge-model {model} --weights w.safetensors --n-w all --n-initial 1 \
         --iterations 2 --quiet --json --no-supervise"
    );
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    let result = case.bo(&format!("{run} --out r")).ok().json();
    assert_eq!(
        (result["evaluations"].as_u64(), result["failures"].as_u64()),
        (Some(4), Some(0))
    );
    let record = case.read("r/run.json");
    assert!(record.contains(&format!("weights of {model}")), "{record}");

    let good = tensors[victim].clone();
    let turned = good.flatten_all().unwrap().unsqueeze(0).unwrap();
    let bad = (good.ones_like().unwrap() * f64::NAN).unwrap();
    for (spoiled, said) in [
        (None, "missing"),
        (Some(turned), "shape"),
        (Some(bad), "not finite"),
    ] {
        let mut tensors = tensors.clone();
        tensors.remove(victim);
        tensors.extend(spoiled.map(|tensor| (victim.to_owned(), tensor)));
        candle_core::safetensors::save(&tensors, &weights).unwrap();
        case.bo(&format!("{run} --out other"))
            .code(2)
            .says(&[victim, said, "w.safetensors"]);
        assert!(!case.path("other").exists());
    }
}

#[test]
fn dexined_runs_on_a_file_of_weights_and_names_the_tensor_that_is_wrong() {
    check(EdgeModel::DexiNed, "block_1.conv1.weight");
}

#[test]
fn pidinets_run_on_a_file_of_weights_and_name_the_tensor_that_is_wrong() {
    for model in [EdgeModel::PiDiNetTiny, EdgeModel::PiDiNet] {
        check(model, "block1_1.conv1.weight");
    }
}

#[test]
fn a_file_of_other_weights_is_met_with_what_it_holds() {
    let case = images();
    let save = |name: &str, model: EdgeModel| {
        candle_core::safetensors::save(&drawn(model), case.path(name)).unwrap();
    };
    save("tiny.safetensors", EdgeModel::PiDiNetTiny);
    let whole = std::fs::read(case.path("tiny.safetensors")).unwrap();
    std::fs::write(case.path("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(case.path("cut.pth"), b"PK\x03\x04 and no more").unwrap();
    case.bo("adapt --images imgs --labels imgs --steps 1 --batch 1 --side 64 --out learned")
        .ok();
    let adapter = "learned/adapter.safetensors";
    let run = "run --images imgs --labels imgs --n-w all --n-initial 1 --iterations 1 --out r";
    let start = "train edge --scenes 2 --steps 1 --out t --start";
    let adapt = "adapt --images imgs --labels imgs --out a";
    for (words, said) in [
        (
            format!("{run} --weights tiny.safetensors"),
            "the file holds weights of pidinet-tiny: type --edge-model pidinet-tiny",
        ),
        (
            format!("{run} --weights tiny.safetensors --edge-model pidinet"),
            "the file holds weights of pidinet-tiny: type --edge-model pidinet-tiny",
        ),
        (
            format!("{run} --weights tiny.safetensors --edge-model Pidinet-tiny"),
            "type --edge-model pidinet-tiny, if that is what was meant",
        ),
        (
            format!("{run} --edge-model pidinet-tiny"),
            "add --weights FILE",
        ),
        (
            format!("{run} --weights {adapter}"),
            "adapter.safetensors in place of --weights",
        ),
        (
            format!("{run} --weights tinny.safetensors --edge-model pidinet-tiny"),
            "type --weights with the path of a file that can be read",
        ),
        (
            format!("{run} --weights cut.safetensors --edge-model pidinet-tiny"),
            "copy or download the file again",
        ),
        (
            format!("{run} --weights cut.pth"),
            "copy or download the file again",
        ),
        (
            format!("{run} --weights imgs/a_gt.txt"),
            "the file holds no network that is known",
        ),
        (
            format!("{start} tiny.safetensors"),
            "type bo adapt --edge-model pidinet-tiny --weights ",
        ),
        (
            format!("{start} imgs/a_gt.txt"),
            "a_gt.txt: neither a safetensors file nor a zip container",
        ),
        (format!("{start} {adapter}"), "bo run --adapter"),
        (
            format!("{adapt} --weights tiny.safetensors"),
            "type --edge-model pidinet-tiny",
        ),
        (
            format!("{adapt} --edge-model compct"),
            "type --edge-model compact",
        ),
    ] {
        let refused = case.bo(&words).code(2).says(&[said]);
        // a path that is named is named once
        assert!(!words.starts_with("train") || !refused.stderr.contains(": weights /"));
    }
    for folder in ["r", "t", "a"] {
        assert!(!case.path(folder).exists(), "{folder}");
    }
}

#[test]
fn canny_runs_without_weights_and_refuses_them() {
    let case = images();
    let run = "run --images imgs --labels imgs --edge-model canny --n-w all --n-initial 2 --iterations 2 --quiet --json";
    let result = case.bo(&format!("{run} --out r")).ok().json();
    assert_eq!(result["failures"].as_u64(), Some(0));
    assert!(case.read("r/run.json").contains("version of canny"));
    // thresholds have something to choose from, and what is kept has all of it
    let values = case.values("r");
    assert!(values.iter().any(|value| *value != values[0]), "{values:?}");
    std::fs::remove_dir_all(case.path("r/cache")).unwrap();
    case.bo("verify r").ok();
    case.bo("evaluate r").ok();
    for (flags, key) in [
        ("--weights w.pth", "weights"),
        ("--adapter a.safetensors", "adapter"),
    ] {
        let said = format!("leave out --{key}");
        case.bo(&format!("{run} --out other {flags}"))
            .code(2)
            .says(&["canny is no network", &said, "--edge-model"]);
    }
    case.bo("run --images imgs --labels imgs --edge-model canny --device cuda:0 --out other")
        .code(2)
        .says(&["canny computes on the CPU alone", "leave out --device"]);
    case.bo("adapt --edge-model canny --images imgs --labels imgs --out other")
        .code(2)
        .says(&["canny is no network", "or name another network"]);
    assert!(!case.path("other").exists());
}

/// The least budget that a plan names, for images of 800 x 600.
fn planned(case: &Case, flags: &str) -> u64 {
    let refused = case.bo(&format!(
        "plan --width 800 --height 600 {flags} --host-memory-mb 16"
    ));
    let said = refused.code(2).stderr;
    let (_, rest) = said.split_once("type --host-memory-mb ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn plan_and_run_agree_on_what_memory_an_image_needs() {
    let case = Case::new()
        .file("whole/a_gt.txt", "50 200 700 220\n")
        .file(
            "regions/a.json",
            r#"{"image":"a.png","lines":[{"p0":[50,200],"p1":[700,220]}],"polylines":[]}"#,
        )
        .file("imgs/readme.txt", "");
    let image = image::RgbImage::from_fn(800, 600, |x, y| match y.abs_diff(200 + x / 35) {
        0..3 => image::Rgb([230, 230, 230]),
        _ => image::Rgb([(x + 2 * y) as u8, 80, 90]),
    });
    image.save(case.path("imgs/a.png")).unwrap();
    for model in ["compact", "canny"] {
        for (labels, flag) in [("regions", ""), ("whole", " --without-regions")] {
            let flags = format!("--edge-model {model}{flag}");
            let least = planned(&case, &flags);
            let plan = |mb: u64| {
                case.bo(&format!(
                    "plan --width 800 --height 600 {flags} --host-memory-mb {mb}"
                ))
            };
            let run = |mb: u64| {
                case.bo(&format!(
                    "run --images imgs --labels {labels} --edge-model {model} --n-initial 1 --iterations 1 \
                     --host-memory-mb {mb} --out {model}-{labels}-{mb} --quiet"
                ))
            };
            plan(least).ok();
            run(least).ok();
            // of what is named 2 MiB are room for a process that begins with more, and a plan has as much on its own
            plan(least - 6).code(2);
            run(least - 6).code(2).says(&["type --host-memory-mb"]);
        }
    }
}
