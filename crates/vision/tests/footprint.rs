//! Predicted memory against the ledger's measured peak: one test, because the counter is the process's.

use std::collections::BTreeMap;

use bo_memory::{Counting, Ledger};
use bo_vision::edge::pidinet::{PiDiNetBody, PiDiNetSize};
use bo_vision::edge::{
    Compact, EdgeModel, EdgeNetwork, PiDiNet, Purpose, View, Weights, Work, compact, convolution,
};
use bo_vision::train::Balance;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
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

/// A PiDiNet whose weights are small numbers, as candle variables, and the variables.
fn pidinet(size: PiDiNetSize) -> (PiDiNetBody, Vec<Var>) {
    let mut variables = Vec::new();
    let body = PiDiNetBody::new(size, |parameter| {
        let tensor = Tensor::full(1e-3f32, &parameter.shape[..], &Device::Cpu)?;
        let variable = Var::from_tensor(&tensor)?;
        variables.push(variable.clone());
        Ok::<_, candle_core::Error>(variable.as_tensor().clone())
    });
    (body.unwrap(), variables)
}

fn network(model: EdgeModel) -> Box<dyn EdgeNetwork> {
    let size = match model {
        EdgeModel::Compact => return Box::new(Compact::shipped(&Device::Cpu).unwrap()),
        _ => PiDiNetSize::Full,
    };
    let mut tensors = BTreeMap::new();
    PiDiNetBody::new(size, |parameter| {
        let plain = bo_vision::edge::weights::Plain {
            shape: parameter.shape.clone(),
            values: vec![1e-3; parameter.shape.iter().product()],
        };
        tensors.insert(parameter.name.clone(), plain);
        Tensor::zeros(&parameter.shape[..], candle_core::DType::F32, &Device::Cpu)
    })
    .unwrap();
    let weights = Weights::from_tensors(tensors);
    Box::new(PiDiNet::new(size, weights, &Device::Cpu).unwrap())
}

/// Peak of one call of the network on an image, beside the model.
fn inference(model: EdgeModel, height: u32, width: u32) -> u64 {
    let network = network(model);
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    measured(|| network.logits(&image).unwrap())
}

/// Peak of one training step beside model and optimiser.
fn training(model: EdgeModel, batch: usize, side: usize) -> u64 {
    let device = Device::Cpu;
    type Forward = Box<dyn Fn(&Tensor, View) -> candle_core::Result<(Vec<Tensor>, Tensor)>>;
    let (forward, variables): (Forward, Vec<Var>) = if model == EdgeModel::Compact {
        let mut variables = Vec::new();
        let body = compact::CompactBody::new(|_, shape| {
            let variable = Var::from_tensor(&Tensor::full(1e-3f32, shape, &device)?)?;
            variables.push(variable.clone());
            Ok::<_, candle_core::Error>(variable.as_tensor().clone())
        })
        .unwrap();
        let run = move |x: &Tensor, view| body.forward(x, view).map(|l| (l.sides, l.fused));
        (Box::new(run), variables)
    } else {
        let (body, variables) = pidinet(PiDiNetSize::Full);
        let run = move |x: &Tensor, view| body.forward(x, view).map(|l| (l.sides, l.fused));
        (Box::new(run), variables)
    };
    let mut optimiser = AdamW::new(variables, ParamsAdamW::default()).unwrap();
    let mut step = |batch: usize, side: usize| {
        let area = batch * side * side;
        let input = Tensor::from_vec(vec![0.1f32; 3 * area], (batch, 3, side, side), &device);
        let targets = (0..area).map(|i| f32::from(u8::from(i % 7 == 0))).collect();
        let balance = Balance::new(targets, batch);
        let (sides, fused) = forward(&input.unwrap(), View::whole(side, side)).unwrap();
        let (all, _) = balance.with_sides(&sides, &fused, &[0.4; 4]).unwrap();
        optimiser.step(&all.backward().unwrap()).unwrap();
    };
    step(1, 16);
    measured(|| step(batch, side))
}

#[test]
fn predictions_lie_within_a_tenth_of_the_measured_peak() {
    // threads' own buffers are not the network's; after this none is left to be made
    convolution::warm_up();
    let left = Counting::in_use();
    inference(EdgeModel::Compact, 240, 320);
    let left = Counting::in_use().saturating_sub(left);
    assert!(left < bo_memory::TOLERANCE, "{left} bytes left behind");

    let mut worst = 0.0f64;
    let mut compare = |what: &str, work: Work, measured: u64, extra: u64| {
        let predicted = work.footprint().unwrap().beside_model() + extra;
        let off = predicted as f64 / measured as f64 - 1.0;
        eprintln!(
            "{what} {} {} x {} x {}: predicted {:.2} MB, measured {:.2} MB, {:+.1} %",
            work.model,
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
    let sizes: &[(u32, u32)] = if long {
        &[(240, 320), (480, 640), (1200, 1600)]
    } else {
        &[(96, 128), (161, 205), (240, 320)]
    };
    let crops: &[(usize, usize)] = if long {
        &[(2, 96), (8, 192), (8, 256)]
    } else {
        &[(1, 64), (2, 96), (3, 96)]
    };
    for model in [EdgeModel::Compact, EdgeModel::PiDiNet] {
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
            compare("inference", work, inference(model, height, width), answer);
        }
        for &(batch, side) in crops {
            let work = Work {
                model,
                purpose: Purpose::Training,
                batch,
                height: side,
                width: side,
            };
            compare("training", work, training(model, batch, side), 0);
        }
    }
    assert!(worst < ALLOWED, "off by {:.1} %", 100.0 * worst);
}
