//! How far off are corner points, and how far were they off if lines ended on the borders of regions, or where votes do?
//!
//! `cargo run --release --example corners -- SCENES SEED [eight parameters]`: the default network on generated scenes.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use bo_vision::corner::{Corners, FoundLine};
use bo_vision::edge::EdgeModel;
use bo_vision::geometry::Segment;
use bo_vision::line::Detectors;
use bo_vision::pipeline::{
    DetectedLine, LineParameters, PARAMETERS, Scratch, Untimed, detect, see,
};
use bo_vision::scene::SceneSource;
use bo_vision::source::ImageSource;
use candle_core::Device;
use rayon::prelude::*;

/// Distances of heads and of feet from the labelled ones, in pixels.
type Off = [Vec<f32>; 2];

/// Of the corners that follow from `lines`.
fn off(lines: &[FoundLine], labelled: &Corners) -> Off {
    let found = Corners::from_lines(lines);
    let mut off: Off = Default::default();
    let pairs = found.points.iter().zip(&labelled.points);
    for (number, (found, labelled)) in pairs.enumerate() {
        if let (Some(a), Some(b)) = (found, labelled) {
            // a foot, then its head
            off[number % 2].push((a.x - b.x).hypot(a.y - b.y));
        }
    }
    off
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |word: &String| word.parse::<f64>().expect("a number");
    let (count, seed) = (number(&words[0]) as usize, number(&words[1]) as u64);
    let given: Vec<f64> = words[2..].iter().map(number).collect();
    let defaults = PARAMETERS.map(|parameter| parameter.default);
    let values: [f64; 8] = match given.len() {
        0 => defaults,
        _ => given.try_into().expect("eight parameters"),
    };
    let parameters = LineParameters::from_values(&values);
    let network = EdgeModel::default()
        .load(None, &Device::Cpu)
        .expect("the network that ships");
    let source = SceneSource::new(count, seed);
    let each = (0..count).into_par_iter().map(|index| {
        let image = source.load(index).expect("a scene");
        let seen = see(
            image.pixels.clone(),
            network.as_ref(),
            Detectors::default(),
            &Untimed,
        )
        .expect("edges");
        let (regions, kinds) = (image.truth.regions(), image.truth.kinds());
        let lines = detect(&seen, &regions, &parameters, &mut Scratch::default());
        let labelled = Corners::from_truth(&image.truth).expect("scenes have corners");
        let by = |seen: fn(&DetectedLine) -> Option<[Segment; 2]>| {
            let found = |line: &DetectedLine| {
                let [segment, supported] = seen(line)?;
                let kind = kinds[line.region?];
                Some(FoundLine {
                    kind,
                    segment,
                    supported,
                })
            };
            off(
                &lines.iter().filter_map(found).collect::<Vec<_>>(),
                &labelled,
            )
        };
        [
            by(|line| Some([line.segment, line.supported?])),
            by(|line| Some([line.segment; 2])),
            by(|line| Some([line.supported?; 2])),
        ]
    });
    let each: Vec<[Off; 3]> = each.collect();
    println!("| ends | heads: mean, median px (number) | feet: mean, median px (number) |");
    println!("| --- | --- | --- |");
    let ways = [
        "where votes end, if four fifths were seen",
        "on the region's border",
        "where votes end, feet too",
    ];
    for (way, name) in ways.iter().enumerate() {
        let cells = [1, 0].map(|part| {
            let mut all: Vec<f32> = each.iter().flat_map(|one| one[way][part].clone()).collect();
            all.sort_by(f32::total_cmp);
            let mean = all.iter().sum::<f32>() / all.len().max(1) as f32;
            let median = all.get(all.len() / 2).copied().unwrap_or(f32::NAN);
            format!("{mean:.1}, {median:.1} ({})", all.len())
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}
