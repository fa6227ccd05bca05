//! Times the forward pass of an edge network at 640x480 and reports the process's peak memory.
//!
//! `time_edge MODEL WEIGHTS|- [TIMES]`: the fastest of TIMES passes, which other load disturbs least.

use std::time::Instant;

use bo_vision::contrast;
use bo_vision::edge::EdgeModel;
use bo_vision::scene::Scene;
use candle_core::Device;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, weights, rest @ ..] = &arguments[..] else {
        return Err("usage: time_edge MODEL WEIGHTS|- [TIMES]".into());
    };
    let weights = (weights != "-").then(|| weights.as_ref());
    let network = model.parse::<EdgeModel>()?.load(weights, &Device::Cpu)?;
    let times = rest.first().map_or(Ok(20), |n| n.parse::<usize>())?;
    let image = Scene::generate(1, 0).image;
    let (mut enhance, mut forward) = (f64::INFINITY, f64::INFINITY);
    let mut logits = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        let enhanced = contrast::enhance(&image);
        enhance = enhance.min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let map = network.logits(&enhanced)?;
        forward = forward.min(begun.elapsed().as_secs_f64());
        logits = map.logits;
    }
    logits.sort_by(f32::total_cmp);
    let quantile = |share: f64| {
        logits
            .get((share * logits.len() as f64) as usize)
            .copied()
            .unwrap_or(f32::NAN)
    };
    println!(
        "logits: least {:.1}, 10 % {:.1}, median {:.1}, 90 % {:.1}, 99 % {:.1}",
        quantile(0.0),
        quantile(0.1),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99)
    );
    let (enhance, forward) = (enhance * 1e3, forward * 1e3);
    println!(
        "{model}: contrast {enhance:.1} ms, forward {forward:.1} ms, threads {}",
        rayon::current_num_threads()
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|l| l.starts_with("VmHWM"))
            .for_each(|l| println!("{l}"));
    }
    Ok(())
}
