//! How long do the classical steps of a first pass take, beside the network?
//!
//! `cargo run --release --example time_classical -- TURNS NETWORK FILE...`: over the images, milliseconds of one thread per image for
//! contrast, voters, features of the environment and (with NETWORK 1) the default network, the least of TURNS; and a hash of all that
//! the classical steps gave, so that two programs can be compared bit for bit.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::path::Path;
use std::time::Instant;

use bo_vision::contrast;
use bo_vision::decode::decode;
use bo_vision::edge::EdgeModel;
use bo_vision::feature::environment_features;
use bo_vision::line::Detectors;
use candle_core::Device;
use image::imageops::grayscale;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let turns: usize = words[0].parse().expect("a number of turns");
    let network = (words[1] == "1").then(|| {
        EdgeModel::Compact
            .load(None, &Device::Cpu)
            .expect("weights that ship")
    });
    let images: Vec<_> = words[2..]
        .iter()
        .map(|file| decode(Path::new(file)).expect("an image"))
        .collect();
    let mut least = [f64::INFINITY; 4];
    let mut hash = blake3::Hasher::new();
    for turn in 0..turns {
        let mut taken = [0.0; 4];
        let mut timed = |step: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            taken[step] += start.elapsed().as_secs_f64();
        };
        for image in &images {
            let mut enhanced = None;
            timed(0, &mut || enhanced = Some(contrast::enhance(image)));
            let enhanced = enhanced.expect("just made");
            let (mut voters, mut features) = (Vec::new(), [0.0; 6]);
            let grey = grayscale(&enhanced);
            timed(1, &mut || voters = Detectors::Hough.segments(&grey));
            timed(2, &mut || features = environment_features(image));
            if let Some(network) = &network {
                timed(3, &mut || drop(network.logits(&enhanced).expect("logits")));
            }
            if turn == 0 {
                hash.update(enhanced.as_raw());
                hash.update(format!("{voters:?} {features:?}").as_bytes());
            }
        }
        for (least, taken) in least.iter_mut().zip(taken) {
            *least = least.min(taken / images.len() as f64 * 1e3);
        }
    }
    let [contrast, voters, features, network] = least;
    println!(
        "contrast {contrast:.2} voters {voters:.2} features {features:.2} network {network:.2} hash {}",
        &hash.finalize().to_hex()[..16]
    );
}
