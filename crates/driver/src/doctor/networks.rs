//! The edge network on 5 images, 20 times: time for an image, and memory that does not grow.

use bo_vision::edge::EdgeModel;
use bo_vision::scene::Scene;
use candle_core::Device;
use image::RgbImage;
use image::imageops::crop_imm;

use super::{Answer, Patient, grew, resident};
use crate::quantity::bytes;

const IMAGES: u64 = 5;
const ROUNDS: usize = 20;
/// From here on nothing may grow.
const WARM: usize = 3;

/// Size of an image: a quarter of a scene, for the growth of memory is what is looked for.
const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;

pub fn check(_: &Patient) -> Answer {
    let images: Vec<_> = (0..IMAGES).map(piece).collect();
    let network = match EdgeModel::default().load(None, &Device::Cpu) {
        Ok(network) => network,
        Err(error) => {
            return Answer::bad(error.to_string(), "the program is damaged: build it again");
        }
    };
    let mut held = Vec::with_capacity(ROUNDS);
    let begun = std::time::Instant::now();
    for _ in 0..ROUNDS {
        for image in &images {
            if let Err(error) = network.logits(image) {
                return Answer::bad(
                    error.to_string(),
                    "run with less beside it, or with --threads 1",
                );
            }
        }
        held.push(resident());
    }
    let seconds = begun.elapsed().as_secs_f64() / (ROUNDS as f64 * IMAGES as f64);
    let found = format!(
        "{ROUNDS} x {IMAGES} images of {WIDTH} x {HEIGHT} in {:.0} ms each; resident {} after round {WARM}, {} after round {ROUNDS}",
        seconds * 1e3,
        bytes(held[WARM - 1]),
        bytes(held[ROUNDS - 1])
    );
    match grew(held[WARM - 1], held[ROUNDS - 1]) {
        false => Answer::good(found),
        true => Answer::bad(
            found,
            "memory grows with every image: give a long run a limit with --host-memory-mb and report this line",
        ),
    }
}

/// The middle of a scene.
fn piece(index: u64) -> RgbImage {
    let scene = Scene::generate(0, index).image;
    crop_imm(&scene, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT).to_image()
}
