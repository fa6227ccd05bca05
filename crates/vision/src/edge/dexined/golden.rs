//! DexiNed against the original's outputs, with weights made by a formula (tests only).

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use image::RgbImage;
use serde_json::Value;

use super::DexiNed;
use crate::edge::weights::Plain;
use crate::edge::{EdgeNetwork, Staged as _, View, Weights};

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn folder() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden");
    let folder = PathBuf::from(std::env::var("BO_GOLDEN").unwrap_or(default.into()));
    if !folder.is_dir() {
        eprintln!("skipped: {} absent", folder.display());
        return None;
    }
    Some(folder)
}

/// Value of element `index` in (-0.5, 0.5): a hash of the index, started by the tensor's name.
fn uniform(index: usize, start: u32) -> f64 {
    let scramble = |h: u32| h ^ (h >> 16);
    let h = (index as u32)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(start);
    let h = scramble(scramble(h).wrapping_mul(0x045D_9F3B));
    f64::from(h) / 4_294_967_296.0 - 0.5
}

/// All tensors that the list names, by the formula of `golden/README.md`.
fn formula(list: &Value) -> BTreeMap<String, Plain> {
    let mut tensors = BTreeMap::new();
    for entry in list["tensors"].as_array().unwrap() {
        let name = entry[0].as_str().unwrap();
        let shape = entry[1].as_array().unwrap();
        let shape: Vec<usize> = shape.iter().map(|s| s.as_u64().unwrap() as usize).collect();
        let width = (24.0 / entry[3].as_f64().unwrap()).sqrt();
        let (middle, width) = match entry[2].as_str().unwrap() {
            "running_var" => (1.0, 0.5),
            "norm_weight" => (1.0, 0.2),
            "bias" | "running_mean" => (0.0, 0.1),
            "conv_weight" => (0.0, width),
            other => panic!("kind {other}"),
        };
        let start = crc32(name.as_bytes());
        let values = (0..shape.iter().product())
            .map(|i| (middle + width * uniform(i, start)) as f32)
            .collect();
        tensors.insert(name.to_string(), Plain { shape, values });
    }
    tensors
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn golden_outputs_of_the_original_with_formula_weights() {
    let Some(folder) = folder() else { return };
    let list = std::fs::read(folder.join("dexined_formula.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let mut tensors = formula(&list);
    // statistics are no parameters
    let learnt = |name: &str| !name.contains(".running_");
    let learnt = tensors.iter().filter(|(name, _)| learnt(name));
    let learnt: usize = learnt.map(|(_, tensor)| tensor.values.len()).sum();
    assert_eq!(Some(learnt as u64), list["parameters"].as_u64());
    let weights = Weights::from_tensors(tensors.clone());
    let network = DexiNed::new(weights, &Device::Cpu).unwrap();
    let file = folder.join("dexined_formula.safetensors");
    let golden = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    for size in ["64x96", "80x112"] {
        let input = &golden[&format!("input_{size}")];
        let (_, _, height, width) = input.dims4().unwrap();
        let whole = View::whole(height, width);
        let (sides, fused) = network.body.pass(input, whole).unwrap();
        for (i, got) in sides.iter().chain([&fused]).enumerate() {
            let want = &golden[&format!("out{i}_{size}")];
            assert_eq!(got.dims(), want.dims());
            let (got, want) = (flat(got), flat(want));
            let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs());
            let off = off.fold(0.0, f32::max) / largest;
            assert!(off < 1e-4, "output {i} at {size}: {off}");
        }
    }
    any_size_is_answered_in_its_own(&network);
    bad_tensors_are_named(&mut tensors);
}

fn any_size_is_answered_in_its_own(network: &DexiNed) {
    let pattern = |x: u32, y: u32| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]);
    for (width, height) in [(1, 1), (17, 5)] {
        let map = network
            .logits(&RgbImage::from_fn(width, height, pattern))
            .unwrap();
        assert_eq!((map.width, map.height), (width, height));
    }
    // mirroring outwards by hand and cutting gives the same
    let small = network.logits(&RgbImage::from_fn(15, 16, pattern)).unwrap();
    let mirrored = RgbImage::from_fn(16, 16, |x, y| pattern(x.min(14), y));
    let whole = network.logits(&mirrored).unwrap();
    for y in 0..16 {
        assert_eq!(small.logits[y * 15..][..15], whole.logits[y * 16..][..15]);
    }
}

fn bad_tensors_are_named(tensors: &mut BTreeMap<String, Plain>) {
    let refusal = |tensors: &BTreeMap<String, Plain>| {
        let weights = Weights::from_tensors(tensors.clone());
        DexiNed::new(weights, &Device::Cpu)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let norm = tensors.get_mut("block_1.bn1.running_var").unwrap();
    norm.values[3] = -1.0;
    let said = refusal(tensors);
    assert!(
        said.contains("block_1.bn1.running_var") && said.contains("negative"),
        "{said}"
    );
    tensors.get_mut("block_1.bn1.running_var").unwrap().values[3] = f32::NAN;
    let said = refusal(tensors);
    assert!(
        said.contains("block_1.bn1.running_var holds a value that is not finite"),
        "{said}"
    );
    tensors.remove("block_1.conv1.weight");
    let said = refusal(tensors);
    assert!(
        said.contains("tensor block_1.conv1.weight is missing"),
        "{said}"
    );
}
