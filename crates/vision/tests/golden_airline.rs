//! Orientation and region growing against what the original program returns.

use std::path::PathBuf;

use bo_vision::geometry::Rect;
use bo_vision::orientation::{BANK_AIRLINE, BANK_WELD, LogitCrop, Orientation};
use bo_vision::region::{Growth, GrowthSettings};
use safetensors::SafeTensors;

struct Golden {
    bytes: Vec<u8>,
    cases: serde_json::Value,
}

impl Golden {
    fn open() -> Option<Self> {
        let folder = std::env::var_os("BO_GOLDEN").map_or_else(
            || {
                PathBuf::from(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../../../shared/golden"
                ))
            },
            PathBuf::from,
        );
        let (json, tensors) = (
            folder.join("airline.json"),
            folder.join("airline.safetensors"),
        );
        if !json.exists() || !tensors.exists() {
            #[expect(clippy::print_stderr, reason = "says that it was skipped")]
            {
                eprintln!("skipped: {} absent", json.display());
            }
            return None;
        }
        let cases = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        Some(Self {
            bytes: std::fs::read(tensors).unwrap(),
            cases,
        })
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (view.shape().to_vec(), values.collect())
    }

    fn maps(&self) -> Vec<String> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let mut maps: Vec<String> = tensors
            .names()
            .iter()
            .filter_map(|n| n.strip_suffix("_edge_logit"))
            .map(String::from)
            .collect();
        maps.sort();
        maps
    }

    fn crop(&self, map: &str) -> LogitCrop {
        let (shape, logits) = self.tensor(&format!("{map}_edge_logit"));
        let (height, width) = (shape[0] as u32, shape[1] as u32);
        let mut crop = LogitCrop::default();
        crop.read_f32(&logits, width, Rect::whole(width, height));
        crop
    }
}

#[test]
fn golden_kernels_are_the_original_ones() {
    let Some(golden) = Golden::open() else { return };
    assert_eq!(BANK_AIRLINE.dense(), golden.tensor("bank_airline_9x9x6").1);
    assert_eq!(BANK_WELD.dense(), golden.tensor("bank_weld_9x9x6").1);
}

#[test]
fn golden_orientation_agrees() {
    let Some(golden) = Golden::open() else { return };
    for map in golden.maps() {
        let crop = golden.crop(&map);
        let mut orientation = Orientation::default();
        orientation.compute(&crop, &BANK_AIRLINE);
        let (_, expected) = golden.tensor(&format!("{map}_orientation"));
        let pixels = crop.width() * crop.height();
        let largest = expected.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        let mut worst = 0.0_f32;
        for pixel in 0..pixels {
            for (direction, value) in orientation.feature(pixel).iter().enumerate() {
                worst = worst.max((value - expected[direction * pixels + pixel]).abs());
            }
        }
        assert!(worst <= 2e-3 * largest, "{map}: off by {worst}");
    }
}

#[test]
fn golden_segments_agree() {
    let Some(golden) = Golden::open() else { return };
    let mut growth = Growth::default();
    for case in golden.cases["cases"].as_array().unwrap() {
        let crop = golden.crop(case["map"].as_str().unwrap());
        let mut orientation = Orientation::default();
        orientation.compute(&crop, &BANK_AIRLINE);
        let settings = GrowthSettings {
            threshold: case["edgeThresh"].as_f64().unwrap() as f32,
            similarity: case["simThresh"].as_f64().unwrap() as f32,
            least_pixels: case["pixelNumThresh"].as_f64().unwrap() as usize,
        };
        let segments = growth.segments(&crop, &orientation, &settings);
        let (_, expected) = golden.tensor(case["tensor"].as_str().unwrap());
        assert_eq!(segments.len(), expected.len() / 6, "{case}");
        for (index, (got, want)) in segments.iter().zip(expected.chunks_exact(6)).enumerate() {
            let ends = got.segment;
            let got = [
                ends.p0.y,
                ends.p0.x,
                got.straightness,
                ends.p1.y,
                ends.p1.x,
                got.straightness,
            ];
            for (got, want) in got.iter().zip(want) {
                assert!(
                    want.is_nan() || (got - want).abs() < 1e-3,
                    "{case}, line {index}: {got} for {want}"
                );
            }
        }
    }
}
