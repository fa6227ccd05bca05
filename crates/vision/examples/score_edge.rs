//! Scores an edge network on images with drawn edge maps, and on unseen generated scenes.
//!
//! `score_edge MODEL WEIGHTS[+ADAPTER]|- IMAGES EDGES even|odd|all [SCENES]`; MODEL as `--edge-model` has it.

use std::time::Instant;

use bo_vision::edge::{EdgeFinder, Precision};
use bo_vision::train::benchmark::EdgeBenchmark;
use bo_vision::train::{ExampleSource, FolderExamples, SceneExamples};
use candle_core::Device;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, weights, images, edges, which, rest @ ..] = &arguments[..] else {
        return Err("usage: score_edge MODEL WEIGHTS|- IMAGES EDGES even|odd|all [SCENES]".into());
    };
    let (weights, adapter) = match weights.split_once('+') {
        Some((weights, adapter)) => (weights, Some(adapter.as_ref())),
        None => (weights.as_str(), None),
    };
    let weights = (weights != "-").then(|| weights.as_ref());
    let finder: EdgeFinder = model.parse()?;
    let network = finder.load_in(Precision::Float32, weights, adapter, &Device::Cpu)?;
    let number = |name: &str| {
        name.get(..2)
            .and_then(|n| n.parse::<u32>().ok())
            .unwrap_or(0)
    };
    let keep = |name: &str| match which.as_str() {
        "even" => number(name) % 2 == 0,
        "odd" => number(name) % 2 == 1,
        _ => true,
    };
    let (photos, skipped) = FolderExamples::open(images.as_ref(), edges.as_ref(), keep)?;
    for one in &skipped {
        eprintln!("skipped {one}");
    }
    let scenes = SceneExamples {
        count: rest.first().map_or(Ok(0), |n| n.parse::<usize>())?,
        seed: 0x7465_7374,
    };
    let sources: [(&str, &dyn ExampleSource); 2] = [("photographs", &photos), ("scenes", &scenes)];
    for (name, source) in sources {
        if source.is_empty() {
            continue;
        }
        let mut benchmark = EdgeBenchmark::new(3.0);
        let (mut seconds, mut pixels) = (0.0, 0u64);
        for i in 0..source.len() {
            let example = source.load(i)?;
            let begun = Instant::now();
            let map = network.logits(&example.image)?;
            seconds += begun.elapsed().as_secs_f64();
            pixels += u64::from(map.width) * u64::from(map.height);
            benchmark.add(&map, &example.edges);
            if name == "photographs" {
                let mut own = EdgeBenchmark::new(3.0);
                own.add(&map, &example.edges);
                println!("  {} {:?}", photos.name(i), own.best());
            }
        }
        let each = seconds / pixels as f64 * 640.0 * 480.0 * 1e3;
        println!("{name}: {:?}; {each:.0} ms per 640x480", benchmark.best());
    }
    Ok(())
}
