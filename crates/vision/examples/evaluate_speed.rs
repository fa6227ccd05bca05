//! Prints how long one evaluation of one image takes from kept edge output, on one core.
//!
//! `cargo run --release -p bo-vision --example evaluate_speed`. The edge output is that of the network
//! that ships.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use bo_vision::edge::Compact;
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Seen, Untimed, evaluate, see};
use bo_vision::scene::SceneSource;
use bo_vision::source::{ImageSource, Truth};
use candle_core::Device;

fn main() {
    let source = SceneSource::new(6, 0);
    let network = Compact::shipped(&Device::Cpu).expect("weights in the binary");
    let mut scratch = Scratch::default();
    let names = ["defaults", "all pixels", "loose", "strict"];
    println!("milliseconds on the core per evaluation, 640x480, 4 regions (mean of 50)");
    println!(
        "{:10} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "scene", names[0], names[1], names[2], names[3], "voters"
    );
    for index in 0..source.len() {
        let image = source.load(index).expect("generated scenes always load");
        let start = Instant::now();
        let seen = see(
            image.pixels.clone(),
            &network,
            Detectors::default(),
            &Untimed,
        )
        .expect("edges");
        let preparing = start.elapsed().as_secs_f64() * 1e3;
        let Truth::Regions(regions) = &image.truth else {
            continue;
        };
        let row: Vec<f64> = settings()
            .iter()
            .map(|p| mean_ms(&seen, &image.truth, p, &mut scratch))
            .collect();
        println!(
            "{:10} {:10.2} {:10.2} {:10.2} {:10.2} {:8}   {} regions, preparing {preparing:.0} ms",
            source.name(index),
            row[0],
            row[1],
            row[2],
            row[3],
            seen.voters.len(),
            regions.len()
        );
    }
}

fn settings() -> [LineParameters; 4] {
    let default = PARAMETERS.map(|parameter| parameter.default);
    let low = PARAMETERS.map(|parameter| parameter.low);
    let mut loose = default;
    (loose[0], loose[1], loose[3], loose[4]) = (-6.0, 0.7, -6.0, 0.7);
    let mut strict = default;
    (strict[0], strict[3]) = (3.0, 3.0);
    [default, low, loose, strict].map(|values| LineParameters::from_values(&values))
}

/// Mean over many evaluations: the clock ticks in milliseconds.
fn mean_ms(seen: &Seen, truth: &Truth, parameters: &LineParameters, scratch: &mut Scratch) -> f64 {
    const TIMES: u32 = 50;
    let start = on_core_ms();
    for _ in 0..TIMES {
        std::hint::black_box(evaluate(seen, truth, parameters, scratch));
    }
    (on_core_ms() - start) / f64::from(TIMES)
}

/// Milliseconds this thread has spent on a core: other programs' turns do not count.
fn on_core_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("linux");
    let nanoseconds: f64 = text
        .split(' ')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    nanoseconds * 1e-6
}
