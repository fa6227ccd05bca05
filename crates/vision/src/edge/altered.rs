//! A network whose weights were changed as it was loaded: an adapter merged into them, then rounded to 16 bits, or one
//! of the two.
//!
//! Central type [`Altered`]. Pixels come and logits go in float32 whatever the numbers inside.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::adapter::Adapter;
use super::body::NetworkBody;
use super::network::{EdgeError, EdgeModel, EdgeNetwork};
use super::precision::Precision;
use super::stage::Staged as _;
use super::tile::Windowed;
use super::view::View;
use super::weights::Weights;

/// A network with changed weights.
pub struct Altered {
    model: EdgeModel,
    body: NetworkBody,
    identity: String,
    numbers: DType,
    device: Device,
}

impl Altered {
    /// The network with these weights, changed by the adapter first and rounded then to the 16 bits of `precision`, where
    /// it has no more.
    ///
    /// # Errors
    /// Weights that do not fit the network, an adapter that was learned beside others or does not change exactly what
    /// is adapted, or a failure of the device.
    pub fn new(
        model: EdgeModel,
        weights: &Weights,
        adapter: Option<&Adapter>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, EdgeError> {
        let plain = NetworkBody::fingerprint(model, weights);
        if let Some(adapter) = adapter {
            adapter.check(model, &plain)?;
        }
        let mut tensors = NetworkBody::tensors(model, weights, device)?;
        if let Some(adapter) = adapter {
            adapter.check_names(&tensors)?;
        }
        let numbers = precision.half().unwrap_or(DType::F32);
        let body = NetworkBody::new(model, |name, _, role| {
            let tensor = tensors.remove(name).expect("a tensor of the same network");
            let tensor = match adapter {
                Some(adapter) => adapter.change(name, role, tensor)?,
                None => tensor,
            };
            Ok::<_, EdgeError>(tensor.to_dtype(numbers)?)
        })?;
        Ok(Self {
            model,
            body,
            identity: adapter.map_or(plain, Adapter::fingerprint),
            numbers,
            device: device.clone(),
        })
    }
}

impl Windowed for Altered {
    fn model(&self) -> EdgeModel {
        self.model
    }

    /// That of the weights before they were rounded: what is kept is known by the precision beside it.
    fn identity(&self) -> &str {
        &self.identity
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&self, x: &Tensor, view: View) -> candle_core::Result<Tensor> {
        let (_, fused) = self.body.pass(&x.to_dtype(self.numbers)?, view)?;
        fused.to_dtype(DType::F32)
    }
}

impl EdgeModel {
    /// As [`EdgeModel::load`], with an adapter merged into the weights where a file of one is named, computing in
    /// `precision`. Of [`Precision::Tf32`] it is the device that rounds: for all networks of the process, see
    /// [`round_products`](super::round_products).
    ///
    /// # Errors
    /// As [`EdgeModel::load`]; an adapter that cannot be read or was learned beside other weights.
    pub fn load_in(
        self,
        precision: Precision,
        weights: Option<&Path>,
        adapter: Option<&Path>,
        device: &Device,
    ) -> Result<Box<dyn EdgeNetwork>, EdgeError> {
        let network: Box<dyn EdgeNetwork> = if adapter.is_none() && precision.half().is_none() {
            self.load(weights, device)?
        } else {
            let weights = self.weights(weights)?;
            let adapter = adapter.map(Adapter::open).transpose()?;
            let altered = Altered::new(self, &weights, adapter.as_ref(), precision, device)?;
            Box::new(altered)
        };
        // on a GPU each thread's work is ordered by itself: others may use the weights once they have arrived
        device.synchronize()?;
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    /// The plain layers of candle compute here, slowly, what they compute on a GPU up to the order of sums; bfloat16 they
    /// do not multiply on the CPU.
    #[test]
    fn sixteen_bits_give_the_logits_up_to_their_rounding() {
        let image = RgbImage::from_fn(40, 24, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 9) as u8, (x * y) as u8])
        });
        let load = |precision| {
            let network = EdgeModel::Compact.load_in(precision, None, None, &Device::Cpu);
            network.unwrap()
        };
        let whole = load(Precision::Float32);
        let exact = whole.logits(&image).unwrap().logits;
        let largest = exact.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let network = load(Precision::Float16);
        assert_eq!(network.fingerprint(), whole.fingerprint());
        let rounded = network.logits(&image).unwrap().logits;
        let off = exact.iter().zip(&rounded);
        let off = off.fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        // some ten roundings one after the other, each by half a unit of the last place
        assert!(
            off > 0.0 && off < 8.0 / 1024.0 * largest,
            "{off} of {largest}"
        );
        assert_eq!(load(Precision::Tf32).logits(&image).unwrap().logits, exact);
    }
}
