//! In which numbers a network computes.
//!
//! Central types: [`Precision`], the names that `--precision` takes, and [`Lowered`], any network in numbers of 16 bits:
//! weights and maps are rounded, pixels come and logits go in float32.

use std::str::FromStr;

use candle_core::{DType, Device, Tensor};
use image::RgbImage;

use super::adapter::Adapter;
use super::body::NetworkBody;
use super::network::{EdgeError, EdgeMap, EdgeModel, EdgeNetwork, LogitScale};
use super::stage::Staged as _;
use super::tile::{Windowed, logits};
use super::view::View;
use super::weights::Weights;

/// Numbers of a network. Bits of exponent and fraction: 8 and 23, 8 and 10, 5 and 10, 8 and 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// IEEE single precision, on any device.
    #[default]
    Float32,
    /// Single precision, its products rounded to 10 bits of fraction: on GPUs from compute capability 8.0 on.
    Tf32,
    /// IEEE half precision: maps beyond 65,504 are infinite and refused as such.
    Float16,
    /// The upper half of single precision: on GPUs from compute capability 8.0 on.
    BFloat16,
}

impl Precision {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Tf32, Self::Float16, Self::BFloat16];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Tf32 => "tf32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
        }
    }

    /// The type of 16 bits, if it is one.
    fn half(self) -> Option<DType> {
        match self {
            Self::Float32 | Self::Tf32 => None,
            Self::Float16 => Some(DType::F16),
            Self::BFloat16 => Some(DType::BF16),
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("{name:?} is none of {}", known()))
    }
}

impl EdgeModel {
    /// As [`EdgeModel::load_adapted`], computing in `precision`. Of [`Precision::Tf32`] it is the device that rounds: for
    /// all networks of the process, see [`round_products`].
    ///
    /// # Errors
    /// As [`EdgeModel::load_adapted`].
    pub fn load_in(
        self,
        precision: Precision,
        weights: Option<&std::path::Path>,
        adapter: Option<&std::path::Path>,
        device: &Device,
    ) -> Result<Box<dyn EdgeNetwork>, EdgeError> {
        let network: Box<dyn EdgeNetwork> = match precision.half() {
            None => self.load_adapted(weights, adapter, device)?,
            Some(half) => {
                let adapter = adapter.map(Adapter::open).transpose()?;
                let weights = self.weights(weights)?;
                Box::new(Lowered::new(
                    self,
                    &weights,
                    adapter.as_ref(),
                    (half, device),
                )?)
            }
        };
        // on a GPU each thread's work is ordered by itself: others may use the weights once they have arrived
        device.synchronize()?;
        Ok(network)
    }
}

/// Whether GPUs of this process round float32 products as [`Precision::Tf32`] says.
pub fn round_products(round: bool) {
    candle_core::cuda::set_gemm_reduced_precision_f32(round);
}

/// A network in numbers of 16 bits.
pub struct Lowered {
    model: EdgeModel,
    body: NetworkBody,
    fingerprint: String,
    half: DType,
    device: Device,
}

impl Lowered {
    /// The network with these weights, changed by the adapter first and rounded then.
    ///
    /// # Errors
    /// Weights that do not fit the network, an adapter that was learned beside others, or a failure of the device.
    pub fn new(
        model: EdgeModel,
        weights: &Weights,
        adapter: Option<&Adapter>,
        (half, device): (DType, &Device),
    ) -> Result<Self, EdgeError> {
        let plain = NetworkBody::fingerprint(model, weights);
        if let Some(adapter) = adapter {
            adapter.check(model, &plain)?;
        }
        let mut tensors = NetworkBody::tensors(model, weights, device)?;
        if let Some(adapter) = adapter {
            adapter.check_names(&tensors)?;
        }
        let body = NetworkBody::new(model, |name, _, role| {
            let tensor = tensors.remove(name).expect("a tensor of the same network");
            let tensor = match adapter {
                Some(adapter) => adapter.change(name, role, tensor)?,
                None => tensor,
            };
            Ok::<_, EdgeError>(tensor.to_dtype(half)?)
        })?;
        Ok(Self {
            model,
            body,
            fingerprint: adapter.map_or(plain, Adapter::fingerprint),
            half,
            device: device.clone(),
        })
    }
}

impl Windowed for Lowered {
    fn model(&self) -> EdgeModel {
        self.model
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&self, x: &Tensor, view: View) -> candle_core::Result<Tensor> {
        let (_, fused) = self.body.pass(&x.to_dtype(self.half)?, view)?;
        fused.to_dtype(DType::F32)
    }
}

impl EdgeNetwork for Lowered {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        logits(self, rgb)
    }

    fn name(&self) -> &str {
        self.model.name()
    }

    fn scale(&self) -> LogitScale {
        self.model.scale()
    }

    /// That of the weights before they were rounded: what is kept is known by the precision beside it.
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn windowed(&self) -> Option<&dyn Windowed> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn names_come_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        let refused = "double".parse::<Precision>().unwrap_err();
        assert!(
            refused.contains("float32, tf32, float16, bfloat16"),
            "{refused}"
        );
    }
}
