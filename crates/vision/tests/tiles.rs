//! Every network on tiles: the logits of the whole, within 1e-6 of the largest.

use bo_vision::edge::{EdgeModel, NetworkBody, Staged as _, Tiles, View, Windowed, logits_within};
use candle_core::{Device, Tensor};
use image::RgbImage;

/// A network with small weights drawn by a formula.
struct Drawn {
    model: EdgeModel,
    body: NetworkBody,
}

impl Drawn {
    fn new(model: EdgeModel) -> Self {
        let mut drawn = 0u32;
        let body = NetworkBody::new(model, |_, shape, _| {
            let inputs = shape[1..].iter().product::<usize>().max(1) as f32;
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    drawn = drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((drawn >> 8) as f32 / (1 << 23) as f32 - 1.0) / inputs.sqrt()
                })
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        });
        Self {
            model,
            body: body.unwrap(),
        }
    }

    /// Largest difference between tiles and the whole, as a share of the largest logit.
    fn off(&self, image: &RgbImage, tiles: Tiles) -> f32 {
        let (height, width) = self.model.padded(image.height(), image.width());
        let logits = |tiles| {
            logits_within(self, &[image], tiles)
                .unwrap()
                .remove(0)
                .logits
        };
        let (whole, tiled) = (logits(Tiles::whole(height, width)), logits(tiles));
        let largest = whole.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let pairs = whole.iter().zip(&tiled);
        pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
    }
}

impl Windowed for Drawn {
    fn model(&self) -> EdgeModel {
        self.model
    }

    fn identity(&self) -> &str {
        "drawn"
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn forward(&self, x: &Tensor, view: View) -> candle_core::Result<Tensor> {
        Ok(self.body.pass(x, view)?.1)
    }
}

fn noise(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let h = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97);
        image::Rgb([(h >> 3) as u8, (h >> 11) as u8, (h >> 19) as u8])
    })
}

fn check(model: EdgeModel) {
    let network = Drawn::new(model);
    // whole blocks of every network at its coarsest scale
    let side = 64;
    let halo = model.reach().unwrap().next_multiple_of(side);
    // the first tile does not see the last column, and no halving divides the sides
    let image = noise((2 * side + halo + 13) as u32, side as u32 + 39);
    let tiles = |halo| Tiles {
        height: side,
        width: 2 * side,
        halo,
    };
    let whole = network.off(&image, tiles(halo));
    assert!(whole <= 1e-6, "{model}: {whole:e}");
    // a halo that is too narrow must show, or the test shows nothing
    let narrow = network.off(&image, tiles(side / 2));
    assert!(narrow > 1e-5, "{model}: {narrow:e}");
}

#[test]
fn compact() {
    check(EdgeModel::Compact);
}

#[test]
fn dexined() {
    check(EdgeModel::DexiNed);
}

#[test]
fn pidinets() {
    for model in [
        EdgeModel::PiDiNetTiny,
        EdgeModel::PiDiNetSmall,
        EdgeModel::PiDiNet,
    ] {
        check(model);
    }
}
