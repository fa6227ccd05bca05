//! Every reader of foreign bytes as a function of bytes, for fuzz targets (`fuzz/`) and for the quick tests beside this
//! file. Not part of the program.
//!
//! A reader here ends well whatever it is given: it takes the bytes or refuses them with a reason. Files of
//! a run carry checksums, which no mutation survives; [`files`] puts the right one on every line first, so
//! that what lies behind the checksum is reached.

#[cfg(test)]
mod faithful;
mod files;
#[cfg(test)]
mod hostile;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bo_vision::decode;
use bo_vision::edge::Weights;
use bo_vision::geometry::Rect;
use bo_vision::labels::LabelSet;
use bo_vision::pipeline::{self, LineParameters, PARAMETERS, Scratch, Seen};
use bo_vision::train::Pace;
use image::GrayImage;
use tempfile::TempDir;

use crate::detect::Rois;
use crate::exchange::{Foreign, Reading, space_files};
use crate::objective::{SafeBatches, answer_in};
use crate::settings::{Origin, RawSettings, Settings, read_config, read_space};
use crate::training::{Inputs, Ledger, Paces, Plan};

pub use files::{checkpoint, resume, run_files};

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder for temporary files");
}

/// Bytes as a file of that name; the same file each time.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| folder.path().join(name));
    std::fs::write(&path, bytes).expect("a temporary file that can be written");
    path
}

/// `bo.toml`, and the check of what it says.
pub fn settings(bytes: &[u8]) {
    if let Ok(raw) = read_config(&file("bo.toml", bytes)) {
        let _ = Settings::check(&raw.over(RawSettings::default()), &|_| Origin::Default);
    }
}

/// `space.toml`.
pub fn space(bytes: &[u8]) {
    // an environments' table that it may name
    file("env.csv", b"a,weight\n0.5,1\n1.5,3\n");
    let _ = read_space(&file("space.toml", bytes));
}

/// A table of environments.
pub fn csv(bytes: &[u8]) {
    file("env.csv", bytes);
    let space = b"[x.a]\nlow = 0.0\nhigh = 1.0\n[environments]\nfile = \"env.csv\"\n";
    let _ = read_space(&file("space.toml", space));
}

/// A table of evaluations done elsewhere, for a space file and for `bo import`; and its checkpoints.
pub fn observations(bytes: &[u8]) {
    let table = file("observations.csv", bytes);
    let space = b"[x.a]\nlow = 0.0\nhigh = 1.0\n[x.b]\nchoices = [\"c\", \"d\"]\n[w.e]\nlow = 0.0\nhigh = 1.0\n\
                  [observations]\nfile = \"observations.csv\"\n";
    if let Ok(read) = read_space(&file("space.toml", space)) {
        assert!(!read.earlier.is_empty());
    }
    let reading = Reading {
        w: vec!["e".into()],
        failed_value: Some(0.0),
    };
    for reading in [Reading::default(), reading] {
        let Ok(foreign) = Foreign::read(&table, &reading) else {
            continue;
        };
        let _ = foreign.to_string();
        for (name, text) in space_files(&foreign, &table, false).expect("rows are texts") {
            file(name, text.as_bytes());
        }
        // names that a space file does not take are refused there; all else is read as it was written
        if let Ok(read) = read_space(&folder().join("space.toml")) {
            assert_eq!(read.earlier.len(), foreign.rows.len());
        }
    }
}

/// Labels of any format.
pub fn labels(bytes: &[u8]) {
    for name in ["a.json", "a_gt.txt"] {
        let Ok((set, _)) = LabelSet::open(&file(name, bytes)) else {
            continue;
        };
        let names: Vec<String> = set.names().map(str::to_owned).collect();
        for labels in names.iter().filter_map(|name| set.find(name)) {
            let _ = (labels.truth(640, 480), labels.truth(1, 1));
            let _ = labels.reaches_out(640, 480);
        }
    }
}

/// A weight file: a zip container is a `.pth`, anything else safetensors.
pub fn weights(bytes: &[u8]) {
    let _ = Weights::open(&file("weights", bytes));
}

/// An image file.
pub fn image(bytes: &[u8]) {
    let image = file("image", bytes);
    let _ = (decode::decode(&image), decode::broken_off(&image));
}

/// The file behind `--roi`.
pub fn regions(bytes: &[u8]) {
    if let Ok(rois) = Rois::read(&file("roi.json", bytes)) {
        for name in ["a.png", "b", ""] {
            for roi in rois.of(name) {
                assert!(roi.bounds.left < roi.bounds.right && roi.bounds.top < roi.bounds.bottom);
            }
        }
        let _ = rois.unused([&"a.png".to_owned()]);
    }
}

/// What an earlier process found to fit into memory, beside what is kept.
pub fn batches(bytes: &[u8]) {
    let safe = SafeBatches::new(&folder(), "network", "cpu", 1_000_000_000);
    file(&safe.name(), bytes);
    for safe in safe.read().values() {
        assert!(safe.batch <= 4096 && safe.cuts <= 64, "{safe:?}");
    }
}

/// The folder of a training: its plan, its losses, its paces and its inputs, between them a byte that no text holds.
pub fn training(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |&byte| byte == files::BETWEEN);
    let place = file("train.json", parts.next().unwrap_or_default());
    let place = place.parent().expect("a file in a folder");
    if let Ok(plan) = Plan::read(place) {
        assert_eq!(plan.check(), Ok(()));
    }
    file("losses.jsonl", parts.next().unwrap_or_default());
    if let Ok(ledger) = Ledger::open(place, 2) {
        let _ = ledger.best();
        let _ = ledger.draw();
    }
    file("pace.json", parts.next().unwrap_or_default());
    let asked = Pace {
        at_once: 8,
        checkpoint_gradients: false,
    };
    if let Ok(paces) = Paces::open(place, asked) {
        assert!((1..=4096).contains(&paces.of(3).at_once));
    }
    file("inputs.json", parts.next().unwrap_or_default());
    if let Ok(Some(inputs)) = Inputs::read(place) {
        assert_eq!(inputs.differences(&inputs), None);
    }
}

/// What a program printed, as lines.
pub fn reply(bytes: &[u8]) {
    answer_in(bytes, 3);
}

/// Region growing and line fit on a small map. Bytes: width, height, eight parameters, one region, then logits.
pub fn lines(bytes: &[u8]) {
    let Some((&[width, height, ref more @ ..], rest)) = bytes.split_first_chunk::<14>() else {
        return;
    };
    let (width, height) = (u32::from(width % 64) + 1, u32::from(height % 64) + 1);
    let value = |at: usize| {
        let range = &PARAMETERS[at];
        range.low + (range.high - range.low) * f64::from(more[at]) / 255.0
    };
    let parameters = LineParameters::from_values(&std::array::from_fn(value));
    let logit = |at: usize| match rest.get(at).map_or(0, |&byte| byte as i8) {
        i8::MAX => f32::INFINITY,
        i8::MIN => f32::NAN,
        number => f32::from(number) / 4.0,
    };
    let logits: Vec<f32> = (0..(width * height) as usize).map(logit).collect();
    let grey = GrayImage::from_fn(width, height, |x, y| {
        let at = (y * width + x) as usize;
        image::Luma([rest.get(at).copied().unwrap_or_default()])
    });
    let seen = Seen::new(&logits, &grey, bo_vision::line::Detectors::Both);
    let region = Rect {
        left: u32::from(more[8]),
        top: u32::from(more[9]),
        right: u32::from(more[10]),
        bottom: u32::from(more[11]),
    };
    let mut scratch = Scratch::default();
    for regions in [&[region][..], &[]] {
        for line in pipeline::detect(&seen, regions, &parameters, &mut scratch) {
            let ends = [line.segment.p0, line.segment.p1];
            let finite = ends
                .iter()
                .all(|end| end.x.is_finite() && end.y.is_finite());
            assert!(finite, "{line:?}");
        }
    }
}

/// A value as text and as JSON, which is where indices into foreign lists are followed.
fn written(value: &(impl std::fmt::Display + serde::Serialize)) {
    let mut text = String::new();
    let _ = write!(text, "{value}");
    let _ = serde_json::to_string(value);
}

/// The folder of this thread.
fn folder() -> PathBuf {
    FOLDER.with(|folder| Path::to_owned(folder.path()))
}
