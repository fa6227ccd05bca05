//! What was written is read as it was: the other half of reading, beside what is refused ([`super::hostile`]).

use bo_bayes::environment::Environments;
use bo_vision::decode;
use bo_vision::geometry::Rect;
use proptest::prelude::*;

use super::{file, folder};
use crate::detect::Rois;
use crate::objective::answer_in;
use crate::settings::{RawSettings, read_config, read_space};
use crate::training::{Ledger, Plan};

/// Any number of the real line.
fn number() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settings(alpha in number(), seed in 0..i64::MAX as u64, command in ".{0,20}", jobs in 0..i64::MAX as usize) {
        let written = RawSettings {
            alpha: Some(alpha),
            seed: Some(seed),
            command: Some(command),
            jobs: Some(jobs),
            ..RawSettings::default()
        };
        let text = toml::to_string(&written).unwrap();
        prop_assert_eq!(read_config(&file("bo.toml", text.as_bytes())).unwrap(), written);
    }

    #[test]
    fn space_and_table(
        rows in prop::collection::btree_set(("[a-z]{1,5}", -1000..1000_i32, 1..100_u32), 1..20),
        low in -1e6..1e6_f64, width in 1e-3..1e6_f64,
    ) {
        let mut table = "name,a,b,weight\n".to_owned();
        for (number, (name, a, weight)) in rows.iter().enumerate() {
            table += &format!("{name}{number}, {a}, {number}.5, {weight}\n");
        }
        file("env.csv", table.as_bytes());
        let high = low + width;
        let text = format!("[x.p]\nlow = {low:?}\nhigh = {high:?}\n[environments]\nfile = \"env.csv\"\n");
        let read = read_space(&file("space.toml", text.as_bytes())).unwrap();
        let range = format!("{:?}", read.problem.space.parameters()[0].domain);
        prop_assert!(range.contains(&format!("low: {low:?}, high: {high:?}")), "{range}");
        let Environments::Finite(finite) = &read.problem.environments else {
            panic!("no table")
        };
        let total: u32 = rows.iter().map(|(.., weight)| weight).sum();
        for (number, (_, a, weight)) in rows.iter().enumerate() {
            prop_assert_eq!(&finite.points()[number], &vec![f64::from(*a), number as f64 + 0.5]);
            prop_assert!((finite.weights()[number] - f64::from(*weight) / f64::from(total)).abs() < 1e-12);
        }
    }

    #[test]
    fn reply(value in number(), id in any::<u64>(), before in "[a-z ]{0,20}") {
        let output = format!("{before}\n{}\n", serde_json::json!({"id": id, "value": value}));
        let answer = format!("{:?}", answer_in(output.as_bytes(), id));
        prop_assert_eq!(answer, format!("Some(Value({value:?}))"));
    }

    #[test]
    fn regions(corners in prop::collection::vec(any::<[u16; 4]>(), 0..10), name in "[a-z]{1,8}") {
        let written: Vec<Rect> = corners
            .into_iter()
            .map(|[left, top, width, height]| {
                let [left, top, width, height] = [left, top, width, height].map(u32::from);
                Rect { left, top, right: left + width + 1, bottom: top + height + 1 }
            })
            .collect();
        let list: Vec<[u32; 4]> = written.iter().map(|r| [r.left, r.top, r.right, r.bottom]).collect();
        let text = serde_json::json!({ name.clone(): list }).to_string();
        let rois = Rois::read(&file("roi.json", text.as_bytes())).unwrap();
        let read: Vec<Rect> = rois.of(&name).iter().map(|roi| roi.bounds).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn image(width in 1..40_u32, height in 1..40_u32, seed in any::<u32>()) {
        let of = |x: u32, y: u32, c: u32| (seed ^ x.wrapping_mul(31) ^ y.wrapping_mul(57) ^ c) as u8;
        let written = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| of(x, y, c))));
        let path = folder().join("a.png");
        written.save(&path).unwrap();
        prop_assert_eq!(decode::decode(&path).unwrap(), written);
    }

    #[test]
    fn losses(losses in prop::collection::vec((any::<f32>(), number()), 0..20)) {
        let finite = |loss: f32| if loss.is_finite() { loss } else { 0.5 };
        let line = |step: usize, (loss, rate): (f32, f64)| {
            serde_json::json!({"step": step, "loss": finite(loss), "learning_rate": rate, "judged": finite(loss)}).to_string()
        };
        let lines: Vec<String> = losses.iter().copied().enumerate().map(|(step, one)| line(step, one)).collect();
        file("losses.jsonl", (lines.join("\n") + "\n").as_bytes());
        let ledger = Ledger::open(&folder(), losses.len()).unwrap();
        let least = losses.iter().map(|&(loss, _)| finite(loss)).reduce(f32::min);
        prop_assert_eq!(ledger.best().0, least);
    }
}

#[test]
fn plan() {
    let text = fuzz_plan();
    let read = Plan::read(file("train.json", &text).parent().unwrap()).unwrap();
    let again: serde_json::Value = serde_json::to_value(&read).unwrap();
    assert_eq!(
        again,
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()
    );
}

/// The plan that the fuzzer starts from, as a training wrote it.
fn fuzz_plan() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/training/edge"
    );
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.iter().position(|&byte| byte == super::files::BETWEEN);
    bytes.truncate(end.unwrap());
    bytes
}
