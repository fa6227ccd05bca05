//! What must hold on every device: run on the CPU always, and on the one that `BO_TEST_DEVICE` names (`cuda:0`), which is
//! how `make gpu-check` has the same program test a GPU. Expected values are the CPU's in float32.
//!
//! Tolerances are shares of the largest value: 1e-4 for float32, as sums are taken in another order and the GPU's products
//! are fused; for 16 bits eight units of their last place, as in the tests of `precision`.
#![expect(clippy::print_stderr, reason = "says what was skipped")]

use bo_memory::device::{Capability, DevicePool, probe};
use bo_vision::edge::convolution::{Convolution, Transposed};
use bo_vision::edge::pool::halving_maximum;
use bo_vision::edge::resize::bilinear;
use bo_vision::edge::{AdapterHead, EdgeModel, EdgeNetwork, Ladder, Precision, Step};
use bo_vision::train::{EdgeTrainer, ShapeExamples, Subject, TrainSettings, crops};
use candle_core::{DType, Device, Result, Tensor};
use image::RgbImage;

/// The number of the GPU to test.
fn number() -> Option<usize> {
    let name = std::env::var("BO_TEST_DEVICE").ok()?;
    name.strip_prefix("cuda:")
        .map(|number| number.parse().expect("cuda:N"))
}

/// The CPU, and the GPU if one is named.
fn devices() -> Vec<Device> {
    let gpu = number().map(|number| Device::new_cuda(number).expect("the GPU to test"));
    [Device::Cpu].into_iter().chain(gpu).collect()
}

/// The GPU's number and device; says so where none is named.
fn gpu() -> Option<(usize, Device)> {
    let found = number();
    if found.is_none() {
        eprintln!("SKIPPED: no GPU is named (BO_TEST_DEVICE=cuda:0; make gpu-check)");
    }
    found.map(|number| (number, Device::new_cuda(number).expect("the GPU to test")))
}

/// candle multiplies no bfloat16 on the CPU; on a GPU this needs a card, and kernels, for compute capability 8.0.
fn takes_bfloat16(device: &Device) -> bool {
    let least = Capability { major: 8, minor: 0 };
    let card = || probe(number()?).ok();
    let able = card().is_some_and(|card| card.capability >= least)
        && Capability::built().is_some_and(|built| built >= least);
    if !able && !device.is_cpu() {
        eprintln!("SKIPPED: bfloat16 (make cuda CAP=80, and a card of 8.0)");
    }
    able && !device.is_cpu()
}

/// The GPU's memory belongs to one test at a time.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn values(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>() as u32;
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5;
    Tensor::from_vec(
        (0..count).map(value).collect::<Vec<_>>(),
        shape,
        &Device::Cpu,
    )
    .unwrap()
}

/// Largest difference, as a share of the largest value.
fn off(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let pairs = got.iter().zip(expected);
    pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// Whether `layer` gives on every device and in every kind of number what it gives on the CPU in float32.
fn agrees(name: &str, inputs: &[Tensor], layer: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let flat = |tensor: Tensor| {
        let plain = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        plain.to_vec1::<f32>().unwrap()
    };
    let expected = flat(layer(inputs).unwrap());
    for device in devices() {
        for (dtype, tolerance) in [
            (DType::F32, 1e-4),
            (DType::F16, 8.0 / 1024.0),
            (DType::BF16, 8.0 / 128.0),
        ] {
            if dtype == DType::BF16 && !takes_bfloat16(&device) {
                continue;
            }
            let moved: Vec<Tensor> = inputs
                .iter()
                .map(|input| input.to_device(&device).unwrap().to_dtype(dtype).unwrap())
                .collect();
            let got = flat(layer(&moved).unwrap());
            let off = off(&got, &expected);
            assert!(off < tolerance, "{name} in {dtype:?} on {device:?}: {off}");
        }
    }
}

#[test]
fn layers_agree_with_the_cpu() {
    let _turn = alone();
    let convolutions = [
        // outputs, inputs, side, how
        (
            8,
            3,
            3,
            Convolution {
                padding: 1,
                relu: true,
                ..Convolution::default()
            },
        ),
        (
            48,
            32,
            3,
            Convolution {
                padding: 1,
                ..Convolution::default()
            },
        ),
        (
            16,
            8,
            3,
            Convolution {
                padding: 1,
                stride: 2,
                relu: true,
                ..Convolution::default()
            },
        ),
        (
            8,
            8,
            3,
            Convolution {
                padding: 4,
                dilation: 4,
                ..Convolution::default()
            },
        ),
        (
            8,
            1,
            3,
            Convolution {
                padding: 1,
                groups: 8,
                ..Convolution::default()
            },
        ),
        (5, 7, 1, Convolution::default()),
    ];
    for (o, c, side, how) in convolutions {
        let x = values(&[2, c * how.groups, 21, 19]);
        let inputs = [x, values(&[o, c, side, side]), values(&[o])];
        agrees(&format!("{how:?}"), &inputs, |t| {
            how.apply(&t[0], &t[1], &t[2])
        });
    }
    for side in [2, 4, 8] {
        let how = Transposed {
            stride: 2,
            padding: side / 2 - 1,
        };
        let inputs = [
            values(&[2, 4, 9, 7]),
            values(&[4, 3, side, side]),
            values(&[3]),
        ];
        agrees(&format!("{how:?}"), &inputs, |t| {
            how.apply(&t[0], &t[1], &t[2])
        });
    }
    agrees("halving maximum", &[values(&[2, 3, 13, 8])], |t| {
        halving_maximum(&t[0])
    });
    for (height, width) in [(26, 16), (7, 5), (40, 31)] {
        agrees("bilinear", &[values(&[2, 3, 13, 8])], |t| {
            bilinear(&t[0], height, width)
        });
    }
    agrees("sigmoid", &[values(&[2, 3, 13, 8])], |t| {
        candle_nn::ops::sigmoid(&t[0])
    });
}

fn photograph(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            (x * 7 + y * 3) as u8,
            (x * y / 5) as u8,
            (x * x / 64 + y * 11) as u8,
        ])
    })
}

fn load(precision: Precision, device: &Device) -> Box<dyn EdgeNetwork> {
    EdgeModel::Compact
        .load_in(precision, None, None, device)
        .unwrap()
}

#[test]
fn the_network_agrees_with_the_cpu() {
    let _turn = alone();
    let image = photograph(123, 77);
    let expected = load(Precision::Float32, &Device::Cpu)
        .logits(&image)
        .unwrap()
        .logits;
    for device in devices() {
        for (precision, tolerance) in [
            (Precision::Float32, 1e-4),
            (Precision::Float16, 8.0 / 1024.0),
            (Precision::BFloat16, 8.0 / 128.0),
        ] {
            if precision == Precision::BFloat16 && !takes_bfloat16(&device) {
                continue;
            }
            let got = load(precision, &device).logits(&image).unwrap().logits;
            let off = off(&got, &expected);
            assert!(off < tolerance, "{precision} on {device:?}: {off}");
        }
    }
}

/// Losses of four steps of training.
fn losses(adapts: bool, precision: Precision, checkpointed: bool, device: &Device) -> Vec<f32> {
    let settings = TrainSettings {
        steps: 20,
        batch: 2,
        side: 32,
        precision,
        checkpoint_gradients: checkpointed,
        ..TrainSettings::default()
    };
    let model = EdgeModel::Compact;
    let weights = model.weights(None).unwrap();
    let subject = match adapts {
        false => Subject::Whole(None),
        true => Subject::Changes {
            head: AdapterHead {
                model,
                base: String::new(),
                weights: String::new(),
                rank: 2,
                scale: 1.0,
            },
            weights: &weights,
        },
    };
    let mut trainer = EdgeTrainer::new(settings.clone(), subject, device).unwrap();
    let shapes = ShapeExamples { count: 4, seed: 1 };
    let step = |step| {
        let crops = crops(&settings, &[(1.0, &shapes)], step).unwrap();
        let report = trainer.step(crops, &|| false).unwrap().unwrap();
        assert!(!report.skipped, "step {step} in {precision}");
        report.loss
    };
    (0..4).map(step).collect()
}

/// Steps amplify what gradients differ by, so that losses agree less well than layers: within a hundredth in float32, five
/// in 16 bits.
#[test]
fn training_agrees_with_the_cpu() {
    let _turn = alone();
    for adapts in [false, true] {
        let expected = losses(adapts, Precision::Float32, false, &Device::Cpu);
        for device in devices() {
            for (precision, tolerance) in [
                (Precision::Float32, 0.01),
                (Precision::Float16, 0.05),
                (Precision::BFloat16, 0.05),
            ] {
                if precision == Precision::BFloat16 && !takes_bfloat16(&device) {
                    continue;
                }
                for checkpointed in [false, true] {
                    let got = losses(adapts, precision, checkpointed, &device);
                    for (got, expected) in got.iter().zip(&expected) {
                        let off = (got - expected).abs() / expected;
                        assert!(off < tolerance, "{precision} on {device:?}: {off}");
                    }
                }
            }
        }
    }
}

#[test]
fn device_bytes_come_back_to_the_byte_and_a_trim_gives_the_pool_back() {
    let _turn = alone();
    let Some((number, device)) = gpu() else {
        return;
    };
    let pool = DevicePool::open(number, u64::MAX).unwrap();
    let network = load(Precision::Float32, &device);
    let image = photograph(640, 480);
    network.logits(&image).unwrap();
    let before = pool.bytes().unwrap();
    assert!(
        before.used > 0 && before.reserved >= before.used,
        "{before:?}"
    );
    for _ in 0..5 {
        network.logits(&image).unwrap();
        assert_eq!(pool.bytes().unwrap().used, before.used);
    }
    let after = pool.bytes().unwrap();
    assert!(
        after.used_peak > after.used && after.reserved == before.reserved,
        "{after:?}"
    );
    let returned = pool.trim().unwrap();
    let trimmed = pool.bytes().unwrap();
    assert!(
        returned > 0 && trimmed.reserved < after.reserved,
        "{trimmed:?}"
    );
    assert_eq!(trimmed.used, before.used);
    drop(network);
    assert!(pool.bytes().unwrap().used < before.used);
}

#[test]
fn a_full_card_goes_down_the_ladder_to_the_same_logits() {
    let _turn = alone();
    let Some((number, device)) = gpu() else {
        return;
    };
    let pool = DevicePool::open(number, u64::MAX).unwrap();
    let image = photograph(1024, 1024);
    let images = vec![&image; 16];
    let alone = load(Precision::Float32, &device).logits(&image).unwrap();
    pool.trim().unwrap();
    // all but less than 700 MB, in pieces of 256 MB
    let mut hog = Vec::new();
    while pool.bytes().unwrap().free > 700 << 20 {
        hog.push(Tensor::zeros((256, 1 << 20), DType::U8, &device).expect("room for a piece"));
    }
    let steps = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&steps);
    // no budget stands before the card: the driver itself must refuse
    let ladder = Ladder::new(
        load(Precision::Float32, &device),
        |_| u64::MAX,
        move |step| {
            told.lock().unwrap().push(step.clone());
        },
    )
    .at_most(16);
    let maps = ladder.all(&images).unwrap();
    let steps = steps.lock().unwrap();
    assert!(
        steps
            .iter()
            .any(|step| matches!(step, Step::SmallerBatch { .. })),
        "{steps:?}"
    );
    for map in &maps {
        assert!(off(&map.logits, &alone.logits) < 1e-4);
    }
    drop(hog);
    pool.trim().unwrap();
}
