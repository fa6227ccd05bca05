//! One side of `experiments/network/compare.py`: does what a line of standard input says and answers with
//! milliseconds, by the clock and of the processor, so that a script can take turns between us and
//! another library.
//!
//! Lines: `convolution ours|candle C O H W K STRIDE PADDING`, `network MODEL WEIGHTS|- H W`,
//! `logits FILE` (writes those of the last network as little-endian `f32`), `train MODEL BATCH SIDE`.
//! `network` and `train` keep what they made for the next line that says the same.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use bo_vision::edge::convolution::Convolution;
use bo_vision::edge::{EdgeModel, EdgeNetwork, NetworkBody, Staged as _, View, Weights};
use bo_vision::train::Balance;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use image::RgbImage;

/// What was made for earlier lines.
#[derive(Default)]
struct Kept {
    networks: HashMap<String, Box<dyn EdgeNetwork>>,
    tensors: HashMap<String, [Tensor; 3]>,
    trainers: HashMap<String, (NetworkBody, AdamW)>,
    logits: Vec<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut kept = Kept::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = processor()?;
        let milliseconds = match words[..] {
            ["convolution", whose, ref sizes @ ..] => convolution(&mut kept, whose, sizes)?,
            ["network", model, weights, height, width] => {
                network(&mut kept, model, weights, (height.parse()?, width.parse()?))?
            }
            ["train", model, batch, side] => {
                train(&mut kept, model, batch.parse()?, side.parse()?)?
            }
            ["logits", file] => {
                let bytes: Vec<u8> = kept.logits.iter().flat_map(|v| v.to_le_bytes()).collect();
                std::fs::write(file, bytes)?;
                0.0
            }
            _ => return Err(format!("no such line: {line}").into()),
        };
        writeln!(out, "{milliseconds} {}", processor()? - before)?;
        out.flush()?;
    }
    Ok(())
}

fn since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of processor that all threads of this process have had.
fn processor() -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let told = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = told.split_whitespace().next().ok_or("an empty schedstat")?;
        nanoseconds += first.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}

/// Values that look random and are the same each time.
fn pattern(shape: &[usize], scale: f32) -> candle_core::Result<Tensor> {
    let count = shape.iter().product::<usize>() as u32;
    let values: Vec<f32> = (0..count)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5)
        .map(|v| v * scale)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn convolution(kept: &mut Kept, whose: &str, sizes: &[&str]) -> Result<f64, Box<dyn Error>> {
    let sizes: Vec<usize> = sizes.iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
    let &[c, o, h, w, k, stride, padding] = &sizes[..] else {
        return Err("convolution takes seven sizes".into());
    };
    let key = format!("{sizes:?}");
    if !kept.tensors.contains_key(&key) {
        let made = [
            pattern(&[1, c, h, w], 1.0)?,
            pattern(&[o, c, k, k], 1.0)?,
            pattern(&[o], 1.0)?,
        ];
        kept.tensors.insert(key.clone(), made);
    }
    let [x, weight, bias] = &kept.tensors[&key];
    let begun = Instant::now();
    match whose {
        "ours" => {
            let how = Convolution {
                stride,
                padding,
                ..Convolution::default()
            };
            how.apply(x, weight, bias)?;
        }
        "candle" => {
            x.conv2d(weight, padding, stride, 1, 1)?
                .broadcast_add(&bias.reshape((1, o, 1, 1))?)?;
        }
        other => return Err(format!("convolution of {other}").into()),
    }
    Ok(since(begun))
}

/// The whole way from an image to logits in main memory.
fn network(
    kept: &mut Kept,
    model: &str,
    weights: &str,
    (height, width): (u32, u32),
) -> Result<f64, Box<dyn Error>> {
    if !kept.networks.contains_key(model) {
        let file = (weights != "-").then(|| weights.as_ref());
        let network = model.parse::<EdgeModel>()?.load(file, &Device::Cpu)?;
        kept.networks.insert(model.into(), network);
    }
    let image = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x * 7 + y * 3, x * y / 5, x * x / 64 + y * 11].map(|v| v as u8))
    });
    let begun = Instant::now();
    kept.logits = kept.networks[model].logits(&image)?.logits;
    Ok(since(begun))
}

/// One step of a network: forward, loss of the fused and the side logits, gradients, AdamW.
fn train(kept: &mut Kept, model: &str, batch: usize, side: usize) -> Result<f64, Box<dyn Error>> {
    if !kept.trainers.contains_key(model) {
        let model = model.parse::<EdgeModel>()?;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/weights/compact.safetensors");
        let weights = Weights::open(file.as_ref())?;
        let mut variables = Vec::new();
        let body = NetworkBody::new(model, |name, shape, _| -> Result<Tensor, Box<dyn Error>> {
            let value = match model {
                EdgeModel::Compact => weights.take(name, shape, &Device::Cpu)?,
                _ => pattern(shape, 0.05)?,
            };
            let variable = Var::from_tensor(&value)?;
            variables.push(variable.clone());
            Ok(variable.into_inner())
        })?;
        let optimiser = AdamW::new(variables, ParamsAdamW::default())?;
        kept.trainers.insert(model.to_string(), (body, optimiser));
    }
    let (body, optimiser) = kept.trainers.get_mut(model).ok_or("another name")?;
    let inputs = pattern(&[batch, 3, side, side], 2.0)?;
    let edges = (0..batch * side * side).map(|i| if i % 16 == 0 { 1.0 } else { 0.0 });
    let balance = Balance::new(edges.collect(), batch);
    let begun = Instant::now();
    let (sides, fused) = body.pass(&inputs, View::whole(side, side))?;
    let mut loss = balance.loss(&fused)?;
    for side in &sides {
        loss = (loss + balance.loss(side)?)?;
    }
    optimiser.backward_step(&loss)?;
    loss.to_scalar::<f32>()?;
    Ok(since(begun))
}
