//! Trains the compact edge network and writes its weights.
//!
//! `train_edge OUT.safetensors [--steps N] [--images DIR --edges DIR] [--start FILE] ...`: see the flags below.

use std::path::PathBuf;
use std::time::Instant;

use bo_vision::edge::Weights;
use bo_vision::scene::SceneSource;
use bo_vision::train::{
    EdgeTrainer, ExampleSource, FolderExamples, SceneExamples, ShapeExamples, TrainSettings,
};
use candle_core::Device;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: train_edge OUT.safetensors [--key value ...]")?,
    );
    let mut settings = TrainSettings::default();
    let (mut images, mut edges, mut start) = (None, None, None);
    let mut shares = [0.5, 0.3, 0.2];
    while let Some(key) = arguments.next() {
        let value = arguments.next().ok_or(format!("{key} needs a value"))?;
        match key.as_str() {
            "--steps" => settings.steps = value.parse()?,
            "--seed" => settings.seed = value.parse()?,
            "--batch" => settings.batch = value.parse()?,
            "--accumulate" => settings.accumulate = value.parse()?,
            "--side" => settings.side = value.parse()?,
            "--lr" => settings.learning_rate = value.parse()?,
            "--augmentation" => settings.augmentation = value.parse()?,
            "--images" => images = Some(PathBuf::from(value)),
            "--edges" => edges = Some(PathBuf::from(value)),
            "--start" => start = Some(Weights::open(value.as_ref())?),
            "--photo-share" => shares[0] = value.parse()?,
            "--scene-share" => shares[1] = value.parse()?,
            "--shape-share" => shares[2] = value.parse()?,
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    // Odd numbers train, even numbers test.
    let odd = |name: &str| {
        name.get(..2)
            .and_then(|n| n.parse::<u32>().ok())
            .is_none_or(|n| n % 2 == 1)
    };
    let photos = match (&images, &edges) {
        (Some(images), Some(edges)) => Some(FolderExamples::open(images, edges, odd)?),
        _ => None,
    };
    let scenes = SceneExamples(SceneSource::new(100_000, 0x0074_7261_696e));
    let shapes = ShapeExamples {
        count: 100_000,
        seed: 0x0074_7261_696e,
    };
    let mut sources: Vec<(f64, &dyn ExampleSource)> = Vec::new();
    if let Some(photos) = &photos {
        println!("{} photographs", photos.len());
        sources.push((shares[0], photos));
    }
    sources.push((shares[1], &scenes));
    sources.push((shares[2], &shapes));
    let mut trainer = EdgeTrainer::new(settings.clone(), start.as_ref(), &Device::Cpu)?;
    println!("{} parameters, {settings:?}", trainer.parameters());
    let (begun, mut smooth) = (Instant::now(), None);
    for _ in 0..settings.steps {
        let report = trainer.step(&sources)?;
        let mean = smooth.map_or(report.loss, |s: f32| 0.97 * s + 0.03 * report.loss);
        smooth = Some(mean);
        if report.step % 20 == 0 {
            println!(
                "step {:5} loss {:.4} smooth {mean:.4} lr {:.2e} {:.0} s",
                report.step,
                report.loss,
                report.learning_rate,
                begun.elapsed().as_secs_f64()
            );
        }
        if report.step % 200 == 199 {
            trainer.save(&out)?;
        }
    }
    trainer.save(&out)?;
    println!("written {}", out.display());
    Ok(())
}
