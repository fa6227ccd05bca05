//! Predicted memory against the ledger's measured peak: one test, because the counter is the process's.
//! `BO_FOOTPRINT_LONG=1` takes larger images and DexiNed's training as well (2 GB, minutes).
//! Training is measured at sides of 64, 128 and 192: up to some hundred pixels DexiNed's peak is AdamW at its largest weight,
//! whatever the crop, and only then its maps.

use std::collections::BTreeMap;

use bo_memory::{Counting, Ledger};
use bo_vision::contrast;
use bo_vision::edge::{
    AdapterHead, Canny, Compact, EdgeModel, EdgeNetwork, NetworkBody, Purpose, Training, View,
    Weights, Work, gradients,
};
use bo_vision::feature::Look;
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, OF_A_PIXEL, OF_A_PIXEL_DETECTED, Scratch, Seen, detect};
use bo_vision::train::{AdamW, Balance, EdgeTrainer, ShapeExamples, Subject, TrainSettings, crops};
use candle_core::{Device, Tensor, Var};
use half::f16;
use image::RgbImage;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Largest relative distance between prediction and measurement.
const ALLOWED: f64 = 0.10;

/// Bytes that `work` had at its peak beyond what was there before.
fn measured<T>(work: impl FnOnce() -> T) -> u64 {
    let ledger = Ledger::new();
    let scope = ledger.scope("measured");
    drop(work());
    let report = scope.close();
    report.peak.host - report.before.host
}

/// The weights that ship, or drawn ones.
fn weights(model: EdgeModel) -> Weights {
    match model {
        EdgeModel::Compact => Compact::weights().unwrap(),
        _ => Weights::drawn(model),
    }
}

fn network(model: EdgeModel) -> Box<dyn EdgeNetwork> {
    model.with(weights(model), &Device::Cpu).unwrap()
}

/// Small weights, as variables.
fn trained(model: EdgeModel) -> (NetworkBody, BTreeMap<String, Var>) {
    let mut variables = BTreeMap::new();
    let body = NetworkBody::new(model, |name, shape, _| {
        let variable = Var::from_tensor(&Tensor::full(1e-3f32, shape, &Device::Cpu)?)?;
        variables.insert(name.to_owned(), variable.clone());
        Ok::<_, candle_core::Error>(variable.into_inner())
    });
    (body.unwrap(), variables)
}

/// Peak of one call of the network on an image, beside the model.
fn inference(model: EdgeModel, height: u32, width: u32) -> u64 {
    let network = network(model);
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    measured(|| network.logits(&image).unwrap())
}

/// Peak of the gradients of all weights and a step of AdamW beside model and optimiser, for networks of which the
/// trainer learns low-rank changes alone as well.
fn training(model: EdgeModel, batch: usize, side: usize, checkpointed: bool) -> u64 {
    let (body, variables) = trained(model);
    let mut optimiser = AdamW::new(&variables, 0.01).unwrap();
    measured(|| {
        let area = batch * side * side;
        let input = vec![0.1f32; 3 * area];
        let input = Tensor::from_vec(input, (batch, 3, side, side), &Device::Cpu).unwrap();
        let targets = (0..area).map(|i| f32::from(u8::from(i % 7 == 0))).collect();
        let balance = Balance::new(targets, batch);
        let loss = |sides: Vec<Tensor>, fused| balance.with_sides(&sides, &fused, &[0.4; 6]);
        let whole = View::whole(side, side);
        let (found, _) = gradients(&body, &input, whole, checkpointed, loss).unwrap();
        let named = variables.iter();
        let own = named.filter_map(|(name, var)| Some((name.clone(), found.get(var)?.detach())));
        let own = own.collect();
        drop(found);
        optimiser.step(&variables, &own, 1e-3).unwrap();
    })
}

/// Peak of one step of the trainer beside model and optimiser.
fn stepping(work: &Work, how: Training) -> u64 {
    let settings = TrainSettings {
        batch: work.batch,
        accumulate: how.crops / work.batch,
        side: work.height,
        checkpoint_gradients: work.purpose == Purpose::CheckpointedTraining,
        ..TrainSettings::default()
    };
    let weights = weights(work.model);
    let subject = match how.rank {
        None => Subject::Whole(Some(&weights)),
        Some(rank) => Subject::Changes {
            head: AdapterHead {
                model: work.model,
                base: String::new(),
                weights: String::new(),
                rank,
                scale: 1.0,
            },
            weights: &weights,
        },
    };
    let shapes = ShapeExamples { count: 2, seed: 1 };
    let crops = crops(&settings, &[(1.0, &shapes)], 0).unwrap();
    let mut trainer = EdgeTrainer::new(settings, subject, &Device::Cpu).unwrap();
    measured(|| trainer.step(crops, &|| false).unwrap())
}

/// What is run: a network, images, crops.
type Case = (EdgeModel, &'static [(u32, u32)], &'static [(usize, usize)]);

const QUICK: [Case; 3] = [
    (
        EdgeModel::Compact,
        &[(64, 64), (128, 128), (192, 192), (161, 205), (320, 400)],
        &[(2, 64), (1, 128), (1, 192)],
    ),
    (
        EdgeModel::PiDiNet,
        &[(64, 64), (97, 121), (128, 192)],
        &[(1, 48), (1, 64), (2, 64)],
    ),
    (EdgeModel::DexiNed, &[(64, 64), (128, 128), (192, 192)], &[]),
];

const LONG: [Case; 3] = [
    (
        EdgeModel::Compact,
        &[(64, 64), (128, 128), (192, 192), (480, 640), (1200, 1600)],
        &[(1, 64), (1, 128), (1, 192), (8, 192), (8, 256)],
    ),
    (
        EdgeModel::PiDiNet,
        &[(64, 64), (128, 128), (192, 192), (480, 640), (601, 807)],
        &[(1, 64), (1, 128), (1, 192)],
    ),
    (
        EdgeModel::DexiNed,
        &[(64, 64), (128, 128), (192, 192), (480, 640)],
        &[(1, 64), (1, 128), (1, 192)],
    ),
];

/// In words, for the table.
fn doing(work: &Work, how: Option<Training>) -> String {
    let Some(Training { crops, rank }) = how else {
        return format!("{:?}", work.purpose);
    };
    let subject = rank.map_or("all".to_owned(), |rank| format!("rank {rank}"));
    format!(
        "{:?} of {subject}, {} added up",
        work.purpose,
        crops.div_ceil(work.batch)
    )
}

/// What is held of a whole photograph beside the network is no more than is said.
#[expect(clippy::print_stderr, reason = "the table, for --nocapture")]
fn photograph() {
    let (width, height) = (3000, 2000);
    let image = RgbImage::from_fn(width, height, |x, y| match (x + y / 3) % 700 {
        0..4 => image::Rgb([240, 240, 240]),
        _ => image::Rgb([90 + (x * 7 % 13) as u8, 80 + (y * 5 % 11) as u8, 70]),
    });
    let grey = image::imageops::grayscale(&image);
    // beside each: the image, or its grey values and its kept logits
    for (what, beside, took) in [
        ("features", 3, measured(|| Look::at(&image))),
        ("contrast", 3, measured(|| contrast::enhance(&image))),
        ("voters", 3, measured(|| Detectors::Hough.segments(&grey))),
    ] {
        let of_a_pixel = beside as f64 + took as f64 / f64::from(width * height);
        eprintln!("| {what} | {of_a_pixel:.1} bytes a pixel |");
        assert!(of_a_pixel <= OF_A_PIXEL as f64, "{what}: {of_a_pixel}");
    }
    // beside the image and its logits: grey noise, whose every ridge lies on an edge, and a ramp, whose every pixel does
    let pixels = u64::from(width * height);
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 9;
    let rough = RgbImage::from_fn(width, height, |x, y| image::Rgb([noise(x, y) as u8; 3]));
    let ramp = RgbImage::from_fn(width, height, |x, _| image::Rgb([(x % 256) as u8; 3]));
    let canny = Canny::default();
    let least = canny.least((width, height)).unwrap() + 4 * pixels;
    for (what, image) in [("canny, noise", rough), ("canny, ramp", ramp)] {
        let took = measured(|| canny.logits(&image).unwrap());
        eprintln!(
            "| {what} | {:.1} bytes a pixel |",
            took as f64 / pixels as f64
        );
        assert!(
            took <= least && 2 * took > least,
            "{what}: {took} of {least}"
        );
    }
    // the least of thresholds: every pixel takes part; the kept logits are 2 bytes of each
    let seen = Seen {
        width,
        height,
        logits: (0..width * height)
            .map(|i| f16::from_f32((i % 97) as f32 / 50.0))
            .collect(),
        voters: Vec::new(),
    };
    let all = LineParameters {
        edge_threshold: [-23.0; 2],
        ..LineParameters::default()
    };
    for (what, parameters) in [
        ("detection", LineParameters::default()),
        ("detection, all pixels", all),
    ] {
        let took = measured(|| detect(&seen, &[], &parameters, &mut Scratch::default()));
        let of_a_pixel = 2.0 + took as f64 / f64::from(width * height);
        eprintln!("| {what} | {of_a_pixel:.1} bytes a pixel |");
        assert!(
            of_a_pixel <= OF_A_PIXEL_DETECTED as f64,
            "{what}: {of_a_pixel}"
        );
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the table, for --nocapture")]
fn predictions_lie_within_a_tenth_of_the_measured_peak() {
    // what threads make once and keep is not the network's; after this it is there
    inference(EdgeModel::Compact, 64, 64);
    training(EdgeModel::Compact, 1, 64, false);
    let small = Work {
        model: EdgeModel::Compact,
        purpose: Purpose::Training,
        batch: 1,
        height: 64,
        width: 64,
    };
    let changes = Training {
        crops: 1,
        rank: Some(4),
    };
    stepping(&small, changes);
    let left = Counting::in_use();
    inference(EdgeModel::Compact, 240, 320);
    let left = Counting::in_use().saturating_sub(left);
    assert!(left < bo_memory::TOLERANCE, "{left} bytes left behind");

    let mut worst = 0.0f64;
    let mut compare = |work: Work, how: Option<Training>, predicted: u64, measured: u64| {
        let off = predicted as f64 / measured as f64 - 1.0;
        eprintln!(
            "| {} | {} | {} x {} x {} | {:.2} | {:.2} | {:+.1} % |",
            work.model,
            doing(&work, how),
            work.batch,
            work.height,
            work.width,
            predicted as f64 / 1e6,
            measured as f64 / 1e6,
            100.0 * off
        );
        worst = worst.max(off.abs());
    };
    let long = std::env::var_os("BO_FOOTPRINT_LONG").is_some();
    for (model, sizes, crops) in if long { LONG } else { QUICK } {
        for &(height, width) in sizes {
            let (rows, columns) = model.padded(height, width);
            let work = Work {
                model,
                purpose: Purpose::Inference,
                batch: 1,
                height: rows,
                width: columns,
            };
            let answer = u64::from(height) * u64::from(width) * 4;
            let predicted = work.footprint().unwrap().beside_model() + answer;
            compare(work, None, predicted, inference(model, height, width));
        }
        for &(batch, side) in crops {
            for purpose in [Purpose::Training, Purpose::CheckpointedTraining] {
                let work = Work {
                    model,
                    purpose,
                    batch,
                    height: side,
                    width: side,
                };
                let checkpointed = purpose == Purpose::CheckpointedTraining;
                let predicted = work.footprint().unwrap().beside_model();
                let measured = training(model, batch, side, checkpointed);
                compare(work, None, predicted, measured);
                // the trainer itself: of the compact network all weights, of any network low-rank changes
                let whole = (model == EdgeModel::Compact).then_some(None);
                for rank in whole.into_iter().chain([Some(4)]) {
                    for micro_batches in [1, 4] {
                        let how = Training {
                            crops: batch * micro_batches,
                            rank,
                        };
                        let predicted = work.step(how).unwrap().beside_model();
                        compare(work, Some(how), predicted, stepping(&work, how));
                    }
                }
            }
        }
    }
    assert!(worst < ALLOWED, "off by {:.1} %", 100.0 * worst);
    photograph();
}
