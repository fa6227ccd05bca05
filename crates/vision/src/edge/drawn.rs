//! Weights that were never trained: random ones of the right form, to measure a network by or to test how files of it are read.
//!
//! Central function [`Weights::drawn`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use super::compact::CompactBody;
use super::convolution::Convolution;
use super::dexined::{Body, Doubling, Layer, LayerSource};
use super::network::EdgeModel;
use super::outline::{Books, Outline};
use super::pidinet::{PiDiNetBody, size};
use super::weights::{Plain, Weights};

impl Weights {
    /// Weights of a network as a file of it holds them, the same at every call. Values lie within +-1 / sqrt(inputs), so that maps
    /// neither fade nor overflow; normalisations leave what they get.
    pub fn drawn(model: EdgeModel) -> Self {
        let pencil = Pencil::default();
        let Ok(()) = match model {
            EdgeModel::Compact => {
                CompactBody::new(|name, shape| Ok(pencil.draw(name, shape))).map(|_| ())
            }
            EdgeModel::DexiNed => Body::new(&pencil).map(|_| ()),
            EdgeModel::PiDiNet | EdgeModel::PiDiNetSmall | EdgeModel::PiDiNetTiny => {
                let size = size(model).expect("a PiDiNet");
                PiDiNetBody::new(size, |p| Ok(pencil.draw(&p.name, &p.shape))).map(|_| ())
            }
        };
        Self::from_tensors(pencil.tensors.into_inner())
    }
}

/// Draws the tensors that the layers of a network ask for; the layers get outlines, for they are not run.
#[derive(Default)]
struct Pencil {
    tensors: RefCell<BTreeMap<String, Plain>>,
    books: Books,
    /// Of a linear congruential generator.
    state: RefCell<u32>,
}

impl Pencil {
    fn draw(&self, name: &str, shape: &[usize]) -> Outline {
        let inputs = shape[1..].iter().product::<usize>().max(1) as f32;
        let mut state = self.state.borrow_mut();
        let mut next = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((*state >> 8) as f32 / (1 << 23) as f32 - 1.0) / inputs.sqrt()
        };
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        self.note(name, shape, values)
    }

    fn note(&self, name: &str, shape: &[usize], values: Vec<f32>) -> Outline {
        let plain = Plain {
            shape: shape.to_vec(),
            values,
        };
        self.tensors.borrow_mut().insert(name.to_owned(), plain);
        Outline::parameter(&self.books, name, shape, false)
    }
}

impl LayerSource<Outline> for Pencil {
    type Error = Infallible;

    fn plain(
        &self,
        name: &str,
        shape: [usize; 4],
        how: Convolution,
    ) -> Result<Layer<Outline>, Infallible> {
        Ok(Layer {
            weight: self.draw(&format!("{name}.weight"), &shape),
            bias: self.draw(&format!("{name}.bias"), &shape[..1]),
            how,
        })
    }

    fn normed(
        &self,
        (name, norm): (&str, &str),
        shape: [usize; 4],
        how: Convolution,
        _scale: f64,
    ) -> Result<Layer<Outline>, Infallible> {
        for (part, value) in [
            ("weight", 1.0),
            ("running_var", 1.0),
            ("bias", 0.0),
            ("running_mean", 0.0),
        ] {
            let values = vec![value; shape[0]];
            self.note(&format!("{norm}.{part}"), &shape[..1], values);
        }
        self.plain(name, shape, how)
    }

    fn doubling(
        &self,
        name: &str,
        channels: usize,
        side: usize,
    ) -> Result<Doubling<Outline>, Infallible> {
        Ok(Doubling {
            weight: self.draw(&format!("{name}.weight"), &[channels, channels, side, side]),
            bias: self.draw(&format!("{name}.bias"), &[channels]),
            how: Doubling::<Outline>::how(side),
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use image::RgbImage;

    use super::*;

    #[test]
    fn drawn_weights_are_those_of_their_network_and_give_logits_that_differ() {
        let image = RgbImage::from_fn(40, 24, |x, y| image::Rgb([(x * 6) as u8, (y * 9) as u8, 7]));
        for model in EdgeModel::ALL {
            let weights = Weights::drawn(model);
            assert_eq!(EdgeModel::of(&weights), Some(model));
            assert_eq!(weights, Weights::drawn(model));
            let network = model.with(weights, &Device::Cpu).unwrap();
            let logits = network.logits(&image).unwrap().logits;
            assert!(logits.iter().any(|logit| *logit != logits[0]), "{model}");
        }
        assert_eq!(EdgeModel::of(&Weights::default()), None);
    }
}
