//! One side of `experiments/gpu/check.py`: does on one device what a line of standard input says and answers with one JSON
//! object, so that a script can take turns between us and another library.
//!
//! `device_peer cpu|cuda:N`. NETWORK below is `MODEL WEIGHTS|- PRECISION`; times are milliseconds by the clock, with the
//! device waited for. Networks stay loaded.
//!
//! - `forward NETWORK BATCH HEIGHT WIDTH`: from a ready tensor on the device to logits there.
//! - `whole NETWORK BATCH HEIGHT WIDTH`: from 8-bit images to logits, both in main memory.
//! - `logits FILE`: writes those of the first image of the last `whole`, little-endian `f32`.
//! - `lines NETWORK FILE...`: from files of photographs of one size to their lines, with default parameters.
//! - `agree NETWORK SCENES`: against float32 on the CPU, over generated scenes: the largest difference of a logit by the
//!   largest logit, and the mean and largest change of LP_r, both without sign.
//! - `bytes`, `trim`: of the device's pool; `null` on the CPU.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use bo_memory::device::DevicePool;
use bo_vision::edge::{
    EdgeModel, EdgeNetwork, Ladder, Precision, Tiles, View, logits_within, round_products,
};
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, Scratch, Untimed, detect, evaluate, see, see_together};
use bo_vision::scene::SceneSource;
use bo_vision::source::ImageSource as _;
use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

/// Larger than any card's memory in use here: batches are those that are asked for.
const UNBOUNDED: u64 = u64::MAX;

struct Peer {
    device: Device,
    pool: Option<DevicePool>,
    networks: HashMap<[String; 3], Box<dyn EdgeNetwork>>,
    inputs: HashMap<[usize; 3], Tensor>,
    logits: Vec<f32>,
}

fn main() -> Result<(), Failure> {
    let name = std::env::args().nth(1).ok_or("name a device")?;
    let number = name.strip_prefix("cuda:").map(str::parse).transpose()?;
    let mut peer = Peer {
        device: number.map_or(Ok(Device::Cpu), Device::new_cuda)?,
        pool: number.map(|n| DevicePool::open(n, UNBOUNDED)).transpose()?,
        networks: HashMap::new(),
        inputs: HashMap::new(),
        logits: Vec::new(),
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        // what does not work is an answer too: the script goes on with the next line
        let answer = peer.answer(&words);
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

impl Peer {
    fn answer(&mut self, words: &[&str]) -> Result<Value, Failure> {
        match *words {
            [
                how @ ("forward" | "whole"),
                model,
                weights,
                precision,
                ref sizes @ ..,
            ] => {
                let sizes: Vec<usize> =
                    sizes.iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
                let sizes = sizes.try_into().map_err(|_| "BATCH HEIGHT WIDTH")?;
                let network = [model, weights, precision];
                match how {
                    "forward" => self.forward(network, sizes),
                    _ => self.whole(network, sizes),
                }
            }
            ["logits", file] => {
                let bytes: Vec<u8> = self.logits.iter().flat_map(|v| v.to_le_bytes()).collect();
                std::fs::write(file, bytes)?;
                Ok(json!({}))
            }
            ["lines", model, weights, precision, ref files @ ..] => {
                self.lines([model, weights, precision], files)
            }
            ["agree", model, weights, precision, scenes] => {
                self.agree([model, weights, precision], scenes.parse()?)
            }
            ["bytes"] => Ok(json!(
                self.pool.as_ref().map(DevicePool::bytes).transpose()?
            )),
            ["trim"] => Ok(json!(self.pool.as_ref().map(DevicePool::trim).transpose()?)),
            _ => Err("no such line".into()),
        }
    }

    /// Loads a network once.
    fn ready(&mut self, names: [&str; 3]) -> Result<[String; 3], Failure> {
        let key = names.map(str::to_owned);
        let precision: Precision = names[2].parse()?;
        round_products(precision == Precision::Tf32);
        if !self.networks.contains_key(&key) {
            let network = load(names, &self.device)?;
            self.networks.insert(key.clone(), network);
        }
        Ok(key)
    }

    fn forward(&mut self, names: [&str; 3], sizes: [usize; 3]) -> Result<Value, Failure> {
        let key = self.ready(names)?;
        let [batch, height, width] = sizes;
        if !self.inputs.contains_key(&sizes) {
            let shape = (batch, 3, height, width);
            let made = Tensor::rand(-1.0f32, 1.0, shape, &self.device)?.to_dtype(DType::F32)?;
            self.inputs.clear(); // one is enough, and large
            self.inputs.insert(sizes, made);
        }
        let network = self.networks[&key].windowed().ok_or("a windowed network")?;
        let (input, view) = (&self.inputs[&sizes], View::whole(height, width));
        self.device.synchronize()?;
        let begun = Instant::now();
        let logits = network.forward(input, view)?;
        self.device.synchronize()?;
        let milliseconds = since(begun);
        drop(logits);
        Ok(json!({ "ms": milliseconds }))
    }

    fn whole(&mut self, names: [&str; 3], sizes: [usize; 3]) -> Result<Value, Failure> {
        let key = self.ready(names)?;
        let network = self.networks[&key].windowed().ok_or("a windowed network")?;
        let [batch, height, width] = sizes;
        let image = pattern(width as u32, height as u32);
        let (height, width) = network.model().padded(height as u32, width as u32);
        let begun = Instant::now();
        let mut maps = logits_within(network, &vec![&image; batch], Tiles::whole(height, width))?;
        let milliseconds = since(begun);
        self.logits = maps.swap_remove(0).logits;
        Ok(json!({ "ms": milliseconds }))
    }

    fn lines(&mut self, names: [&str; 3], files: &[&str]) -> Result<Value, Failure> {
        // a ladder of its own, which takes the network with it
        let network = load(names, &self.device)?;
        let ladder = Ladder::new(network, |_| UNBOUNDED, |_| {});
        let begun = Instant::now();
        let images: Vec<RgbImage> = files
            .iter()
            .map(|file| Ok(image::open(file)?.into_rgb8()))
            .collect::<Result<_, Failure>>()?;
        let decoded = since(begun);
        let seen = see_together(images, &ladder, Detectors::default(), &Untimed)?;
        let saw = since(begun);
        let (parameters, mut scratch) = (LineParameters::default(), Scratch::default());
        let found = seen
            .iter()
            .map(|seen| detect(seen, &[], &parameters, &mut scratch).len());
        let found: usize = found.sum();
        Ok(
            json!({ "ms": since(begun), "decode_ms": decoded, "see_ms": saw - decoded, "lines": found }),
        )
    }

    fn agree(&mut self, names: [&str; 3], scenes: usize) -> Result<Value, Failure> {
        let key = self.ready(names)?;
        let reference = load([names[0], names[1], "float32"], &Device::Cpu)?;
        let network = &self.networks[&key];
        let source = SceneSource::new(scenes, 0);
        let parameters = LineParameters::default();
        let mut scratch = Scratch::default();
        let (mut largest, mut sum, mut most) = (0.0f32, 0.0, 0.0f64);
        for index in 0..scenes {
            let scene = source.load(index)?;
            let [ours, theirs] = [
                network.logits(&scene.pixels)?,
                reference.logits(&scene.pixels)?,
            ];
            let scale = theirs.logits.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let pairs = ours.logits.iter().zip(&theirs.logits);
            largest = largest.max(pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / scale);
            let mut score = |network: &dyn EdgeNetwork| -> Result<f64, Failure> {
                let seen = see(
                    scene.pixels.clone(),
                    network,
                    Detectors::default(),
                    &Untimed,
                )?;
                Ok(evaluate(&seen, &scene.truth, &parameters, &mut scratch).lp)
            };
            let change = (score(network.as_ref())? - score(reference.as_ref())?).abs();
            sum += change;
            most = most.max(change);
        }
        Ok(json!({
            "scenes": scenes, "largest_relative": largest, "mean_change": sum / scenes as f64, "largest_change": most,
        }))
    }
}

fn load(
    [model, weights, precision]: [&str; 3],
    device: &Device,
) -> Result<Box<dyn EdgeNetwork>, Failure> {
    let (model, precision): (EdgeModel, Precision) = (model.parse()?, precision.parse()?);
    let file = (weights != "-").then(|| weights.as_ref());
    Ok(model.load_in(precision, file, None, device)?)
}

/// An image that is the same here and in the script.
fn pattern(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x * 7 + y * 3, x * y / 5, x * x / 64 + y * 11].map(|v| v as u8))
    })
}

fn since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
