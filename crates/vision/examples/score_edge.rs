//! Scores an edge network on images with drawn edge maps, and on unseen generated scenes.
//!
//! `score_edge MODEL|canny [WEIGHTS[+ADAPTER]|-] IMAGES EDGES even|odd|all [SCENES]`; `canny` is plain Canny at its best
//! pair of thresholds.

use std::time::Instant;

use bo_vision::edge::{EdgeMap, EdgeModel, Precision};
use bo_vision::train::benchmark::{EdgeBenchmark, EdgeScore};
use bo_vision::train::{ExampleSource, FolderExamples, SceneExamples};
use candle_core::Device;

/// The best score of Canny over a few pairs of thresholds (of the Sobel gradient, low = high / 2), with the high one.
fn best_canny(source: &dyn ExampleSource) -> Result<(f32, EdgeScore), Box<dyn std::error::Error>> {
    let highs = [50.0f32, 75.0, 100.0, 150.0, 200.0, 300.0, 450.0];
    let mut all = highs.map(|high| (high, EdgeBenchmark::new(3.0)));
    for i in 0..source.len() {
        let example = source.load(i)?;
        let grey = image::imageops::grayscale(&example.image);
        for (high, benchmark) in &mut all {
            let edges = imageproc::edges::canny(&grey, *high / 2.0, *high);
            let logits = edges.iter().map(|v| if *v > 0 { 10.0 } else { -10.5 });
            let map = EdgeMap {
                width: edges.width(),
                height: edges.height(),
                logits: logits.collect(),
            };
            benchmark.add(&map, &example.edges);
        }
    }
    let scores = all
        .iter()
        .map(|(high, benchmark)| (*high, benchmark.best()));
    Ok(scores
        .max_by(|a, b| a.1.f.total_cmp(&b.1.f))
        .expect("there are thresholds"))
}

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
    let canny = model == "canny";
    let model = if canny {
        EdgeModel::default()
    } else {
        model.parse()?
    };
    let network = model.load_in(Precision::Float32, weights, adapter, &Device::Cpu)?;
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
        if canny {
            println!("{name}: {:?}", best_canny(source)?);
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
